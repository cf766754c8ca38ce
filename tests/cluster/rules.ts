/** What every function that writes Observations may do; the generated Roles are issue C's. */
export const writerRules = [
  { apiGroups: ['zen.kube-zen.io'], resources: ['observations'], verbs: ['get', 'list', 'create', 'patch', 'delete'] },
  {
    apiGroups: ['wgpolicyk8s.io', 'openreports.io', 'reports.x-k8s.io', 'aquasecurity.github.io', 'example.com'],
    resources: ['*'],
    verbs: ['get', 'list'],
  },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
];
