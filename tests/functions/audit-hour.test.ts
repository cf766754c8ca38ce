import { describe, expect, it } from 'vitest';
import { observationName } from '../../shared/finding/name.ts';
import { findingOf, podOf, type Sample, templateOf } from './audit-requests.ts';

/**
 * What the clients of a busy cluster send in an hour, each kind of request as often as it makes a difference: what is repeated
 * is sent twice. By the sources of Argo CD, cert-manager, External Secrets, the autoscaler, Prometheus operator, Helm and Lens.
 */
const rbac = 'rbac.authorization.k8s.io';
const namespaces = Array.from({ length: 300 }, (_, index) => `ns${index}`);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const argo = 'argocd/argocd-application-controller';
const autoscaler = 'kube-system/cluster-autoscaler';
const kubelet = 'kubelet/v1.36';
const denied = { code: 403, decision: 'forbid' } as const;

const applied: readonly Sample[] = [
  ...numbers(40).map((index) => ({
    by: argo,
    does: `patch ${rbac}:clusterroles addon-${index}`,
    result: { rules: [{ verbs: index % 4 ? ['get', 'list'] : ['*'], resources: index % 4 ? ['pods'] : ['*'] }] },
  })),
  ...numbers(40).map((index) => ({
    by: argo,
    does: `patch ${rbac}:clusterrolebindings addon-${index}`,
    result: {
      roleRef: { name: `addon-${index}` },
      subjects: [{ kind: 'ServiceAccount', name: 'x', namespace: 'addon' }],
    },
  })),
  ...numbers(8).map((index) => ({
    by: argo,
    does: `patch apps:daemonsets addon/agent-${index}`,
    body: templateOf({ hostNetwork: true }, { securityContext: { privileged: true } }),
  })),
  ...numbers(10).map((index) => ({
    by: argo,
    does: `patch admissionregistration.k8s.io:validatingwebhookconfigurations w${index}`,
  })),
  ...namespaces.flatMap((namespace) => [
    { by: argo, does: `patch apps:deployments ${namespace}/web`, body: templateOf() },
    { by: argo, does: `patch services ${namespace}/web`, body: { spec: { type: 'ClusterIP' } } },
    { by: argo, does: `patch argoproj.io:applications argocd/${namespace}` },
  ]),
  ...numbers(20).map((index) => ({
    by: argo,
    does: `patch services ns${index}/lb`,
    body: { spec: { type: 'LoadBalancer' } },
  })),
];

const nodes: readonly Sample[] = numbers(150).flatMap((index) => {
  const by = `system:node:n${index}`;
  const review = {
    user: 'kube-apiserver-kubelet-client',
    resourceAttributes: { resource: 'nodes', subresource: 'proxy' },
  };
  return [
    { by, agent: kubelet, does: `create serviceaccounts/token ns${index}/default` },
    { by, agent: kubelet, does: `get secrets ns${index}/pull` },
    { by, agent: kubelet, does: `patch nodes/status n${index}` },
    { by, agent: kubelet, does: 'create authorization.k8s.io:subjectaccessreviews -', body: { spec: review } },
  ];
});

const operators: readonly Sample[] = [
  ...namespaces.flatMap((namespace) => [
    { by: 'cert-manager/cert-manager', does: `update secrets ${namespace}/tls` },
    { by: 'external-secrets/external-secrets', does: `update secrets ${namespace}/es` },
  ]),
  {
    by: 'cert-manager/cert-manager-cainjector',
    does: 'update admissionregistration.k8s.io:validatingwebhookconfigurations cm',
  },
  { by: autoscaler, does: 'update configmaps kube-system/cluster-autoscaler-status' },
  ...numbers(5).map((index) => ({ by: autoscaler, does: `patch nodes n${index}` })),
  { by: autoscaler, does: 'create pods/eviction falco/f' },
  { by: 'monitoring/prometheus-operator', does: 'update apps:statefulsets monitoring/prometheus', body: templateOf() },
  ...numbers(150).map((index) => ({
    by: 'monitoring/prometheus',
    does: `get nodes/proxy n${index}`,
    path: `/api/v1/nodes/n${index}/proxy/metrics/cadvisor`,
  })),
];

function builds(hour: number): Sample[] {
  const by = 'ci/runner';
  const helm = numbers(20).flatMap((index) => [
    { by, does: `list secrets ns${index}/`, query: 'labelSelector=owner%3Dhelm' },
    { by, does: `create secrets ns${index}/sh.helm.release.v1.web.v${hour}` },
    { by, does: `delete secrets ns${index}/sh.helm.release.v1.web.v0` },
    { by, does: `patch apps:deployments ns${index}/web`, body: templateOf({}, { image: 'web:2' }) },
  ]);
  const pods = numbers(100).flatMap((index) => [
    { by, does: `create pods ci/build-${index}`, body: podOf() },
    { by, does: `create pods/exec ci/build-${index}`, query: 'command=sh&command=-c&command=make' },
    { by, does: `delete pods ci/build-${index}` },
  ]);
  return [...helm, ...pods];
}

const people: readonly Sample[] = [
  ...numbers(10).flatMap((index) => [
    { by: `dev${index}`, does: 'create authorization.k8s.io:selfsubjectaccessreviews -' },
    { by: `dev${index}`, does: `get pods/exec ns${index}/web-1`, query: 'command=sh' },
    { by: `dev${index}`, does: `create pods/portforward ns${index}/web-1` },
  ]),
  ...numbers(600).map((index) => ({ by: 'dev1', does: `list secrets ns${index % 300}/`, ...denied })),
  ...numbers(100).map((index) => ({
    by: 'system:anonymous',
    groups: ['system:unauthenticated'],
    does: `GET /scan/${index}`,
    ...denied,
  })),
];

describe('an ordinary hour of a busy cluster', () => {
  it('is at most 250 findings when it is the first, and 40 afterwards, nearly all of them what people do', () => {
    const known = new Set<string>();
    const told = [0, 1].map((hour) => {
      const at = `2026-03-01T1${hour}:00:00.000000Z`;
      const requests = [...applied, ...applied, ...nodes, ...operators, ...builds(hour), ...people];
      return requests.flatMap((request) => {
        const finding = findingOf({ ...request, at });
        const name = finding && observationName('audit', finding);
        if (name === undefined || known.has(name)) return [];
        known.add(name);
        return [finding?.actor?.username ?? ''];
      });
    });
    expect(told[0]?.length).toBeLessThanOrEqual(250);
    expect(told[1]?.length).toBeLessThanOrEqual(40);
    expect(told[1]?.filter((name) => !name.startsWith('dev'))).toEqual([]);
  }, 60_000);
});
