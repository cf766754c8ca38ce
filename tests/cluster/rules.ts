import { controllerReads } from '../../shared/function/definitions.ts';

/** The rights of all functions together. roles.test.ts tests what each one needs. */
export const writerRules = [
  { apiGroups: ['zen.kube-zen.io'], resources: ['observations'], verbs: ['get', 'list', 'create', 'patch', 'delete'] },
  { apiGroups: ['zen.kube-zen.io'], resources: ['observations/status'], verbs: ['patch'] },
  {
    apiGroups: ['wgpolicyk8s.io', 'openreports.io', 'reports.x-k8s.io', 'aquasecurity.github.io', 'example.com'],
    resources: ['*'],
    verbs: ['get', 'list'],
  },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
  ...controllerReads.map(({ group, resources, verbs }) => ({ apiGroups: [group], resources, verbs })),
  {
    apiGroups: ['zen.kube-zen.io'],
    resources: ['observationexceptions', 'observationfilters', 'observationmappings', 'ingesters'],
    verbs: ['list', 'watch'],
  },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'list', 'create', 'patch'] },
  { apiGroups: ['eventing.knative.dev'], resources: ['triggers', 'brokers'], verbs: ['list', 'watch'] },
];
