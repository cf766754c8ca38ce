import { certificateRequest } from './certificate-request.ts';
import type { Answer, Cluster, RequestOptions } from './cluster.ts';
import { openSession } from './exec.ts';

/** What somebody does once, with no rights but those that it takes, and what must be told of it. */
export interface RealDeed {
  readonly eventType: string;
  readonly severity: string;
  /** What follows the actor's name in the summary; of a pattern, what it must contain. */
  readonly summary: string | RegExp;
  /** Tells deeds of one event type apart. */
  readonly variant?: string;
  /** A user, or the ServiceAccount `namespace/name`; by default a user of its own. */
  readonly by?: string;
  readonly groups?: readonly string[];
  /** The rights of the actor, in all namespaces. */
  readonly rules?: readonly Rule[];
  /** Whether the API server must refuse it. */
  readonly isRefused?: true;
  /** `sessions` are those that the kubelet has had. Resolves to the status. */
  act(cluster: Cluster, token: string, sessions: readonly string[]): Promise<number>;
}

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const shop = '/api/v1/namespaces/shop';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const csr = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const mergePatch = { contentType: 'application/merge-patch+json' };

function rule(verb: string, resource: string, group = '', resourceNames: readonly string[] = []): Rule {
  const verbs = verb.split(',');
  return {
    apiGroups: [group],
    resources: [resource],
    verbs,
    ...(resourceNames.length > 0 && { resourceNames }),
  };
}

const call =
  (method: string, path: string, body?: unknown, options: RequestOptions = {}): RealDeed['act'] =>
  async (cluster, token) => {
    const { status }: Answer = await cluster.request(method, path, body, { token, ...options });
    return status;
  };

const session =
  (protocol: 'SPDY' | 'WebSocket', path: string): RealDeed['act'] =>
  (cluster, token, sessions) =>
    openSession(cluster, protocol, `${shop}/pods/web/${path}`, { token, sessions });

const container = { name: 'web', image: 'busybox', env: [{ name: 'TOKEN', value: 'PLANTED-SECRET' }] };
export const pod = (name: string, more: object = {}, spec: object = {}) => ({
  metadata: { name },
  spec: { containers: [{ ...container, ...more }], ...spec },
});
export const deployment = (name: string, replicas = 1) => ({
  metadata: { name, labels: { app: name } },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [container] } },
  },
});

const request = (group: string) => ({
  metadata: { name: `evil-${group.replaceAll(':', '-')}` },
  spec: {
    request: certificateRequest('eve', group),
    signerName: 'kubernetes.io/kube-apiserver-client',
    usages: ['client auth'],
  },
});

const inPods: readonly RealDeed[] = [
  {
    eventType: 'pod-exec-suspicious',
    severity: 'HIGH',
    summary:
      'ran in Pod shop/web (container web) a command that reads tokens: cat /run/secrets/kubernetes.io/serviceaccount/token',
    rules: [rule('get,create', 'pods/exec')],
    act: session(
      'WebSocket',
      'exec?container=web&stdout=true&command=cat&command=%2Frun%2Fsecrets%2Fkubernetes.io%2Fserviceaccount%2Ftoken',
    ),
  },
  {
    eventType: 'pod-exec',
    variant: 'spdy',
    severity: 'MEDIUM',
    summary: 'ran in Pod shop/web (container web): id -u',
    rules: [rule('get,create', 'pods/exec')],
    act: session('SPDY', 'exec?container=web&stdout=true&command=id&command=-u'),
  },
  {
    eventType: 'pod-exec',
    variant: 'websocket',
    severity: 'MEDIUM',
    summary: 'ran in Pod shop/web (container web): id -u',
    rules: [rule('get,create', 'pods/exec')],
    act: session('WebSocket', 'exec?container=web&stdout=true&command=id&command=-u'),
  },
  {
    eventType: 'pod-exec',
    variant: 'attach',
    severity: 'MEDIUM',
    summary: 'attached to Pod shop/web (container web)',
    rules: [rule('get,create', 'pods/attach')],
    act: session('SPDY', 'attach?container=web&stdout=true'),
  },
  {
    eventType: 'pod-exec',
    variant: 'port',
    severity: 'LOW',
    summary: 'forwarded a port to Pod shop/web',
    rules: [rule('get,create', 'pods/portforward')],
    act: session('SPDY', 'portforward'),
  },
  {
    eventType: 'ephemeral-container',
    severity: 'MEDIUM',
    summary: 'added the debug container debugger to Pod shop/web',
    rules: [rule('patch,update', 'pods/ephemeralcontainers')],
    act: call(
      'PATCH',
      `${shop}/pods/web/ephemeralcontainers`,
      { spec: { ephemeralContainers: [{ name: 'debugger', image: 'busybox' }] } },
      mergePatch,
    ),
  },
  {
    eventType: 'privileged-pod-creation',
    severity: 'CRITICAL',
    summary: 'created Pod shop/root: container web is privileged',
    rules: [rule('create', 'pods')],
    act: call('POST', `${shop}/pods`, pod('root', { securityContext: { privileged: true } })),
  },
  {
    eventType: 'kube-system-workload',
    severity: 'HIGH',
    summary: 'created Pod kube-system/miner',
    rules: [rule('create', 'pods')],
    act: call('POST', '/api/v1/namespaces/kube-system/pods', pod('miner')),
  },
  {
    eventType: 'pod-security-violation',
    severity: 'MEDIUM',
    summary: /created Pod audited\/web against PodSecurity restricted: allowPrivilegeEscalation/,
    rules: [rule('create', 'pods')],
    act: call('POST', '/api/v1/namespaces/audited/pods', pod('web')),
  },
  {
    eventType: 'workload-by-hand',
    severity: 'LOW',
    summary: 'created Deployment shop/toy',
    rules: [rule('create', 'deployments', 'apps')],
    act: call('POST', '/apis/apps/v1/namespaces/shop/deployments', deployment('toy', 0)),
  },
];

const rights: readonly RealDeed[] = [
  {
    eventType: 'rbac-change',
    severity: 'CRITICAL',
    summary: 'bound cluster-admin to User mallory in the whole cluster (ClusterRoleBinding evil)',
    rules: [
      rule('create', 'clusterrolebindings', 'rbac.authorization.k8s.io'),
      rule('bind', 'clusterroles', 'rbac.authorization.k8s.io', ['cluster-admin']),
    ],
    act: call('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'evil' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'mallory' }],
    }),
  },
  {
    eventType: 'impersonation',
    severity: 'HIGH',
    summary: 'as system:kube-controller-manager listed Pods in shop (impersonates the control plane)',
    rules: [rule('impersonate', 'users', '', ['system:kube-controller-manager'])],
    act: call('GET', `${shop}/pods`, undefined, { headers: { 'impersonate-user': 'system:kube-controller-manager' } }),
  },
  {
    eventType: 'token-request',
    variant: 'token',
    severity: 'MEDIUM',
    summary: 'made a token for ServiceAccount shop/default',
    rules: [rule('create', 'serviceaccounts/token')],
    act: call('POST', `${shop}/serviceaccounts/default/token`, { spec: { expirationSeconds: 3600 } }),
  },
  {
    eventType: 'token-request',
    variant: 'csr',
    severity: 'MEDIUM',
    summary:
      'asked for a certificate of kubernetes.io/kube-apiserver-client (created CertificateSigningRequest evil-system-nodes)',
    rules: [rule('create', 'certificatesigningrequests', 'certificates.k8s.io')],
    act: call('POST', csr, request('system:nodes')),
  },
  {
    eventType: 'token-request',
    variant: 'masters',
    severity: 'LOW',
    summary:
      'asked for a certificate of kubernetes.io/kube-apiserver-client (created CertificateSigningRequest evil-system-masters) (refused)',
    rules: [rule('create', 'certificatesigningrequests', 'certificates.k8s.io')],
    isRefused: true,
    act: call('POST', csr, request('system:masters')),
  },
  {
    eventType: 'token-request',
    variant: 'approval',
    severity: 'HIGH',
    summary: 'approved CertificateSigningRequest evil-system-nodes',
    rules: [
      rule('update,patch', 'certificatesigningrequests/approval', 'certificates.k8s.io'),
      rule('approve', 'signers', 'certificates.k8s.io', ['kubernetes.io/kube-apiserver-client']),
    ],
    act: call(
      'PATCH',
      `${csr}/evil-system-nodes/approval`,
      { status: { conditions: [{ type: 'Approved', status: 'True', reason: 'Evil', message: 'why not' }] } },
      mergePatch,
    ),
  },
  {
    eventType: 'permission-discovery',
    severity: 'LOW',
    by: 'shop/scout',
    summary: 'asked what it may do',
    act: call('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: { namespace: 'shop' } }),
  },
  {
    eventType: 'access-probe',
    severity: 'LOW',
    summary: 'was not allowed to list Secrets in shop',
    isRefused: true,
    act: call('GET', `${shop}/secrets`),
  },
  {
    eventType: 'masters-access',
    severity: 'MEDIUM',
    groups: ['system:masters'],
    summary: 'created ResourceQuota shop/quota with the rights of system:masters',
    act: call('POST', `${shop}/resourcequotas`, { metadata: { name: 'quota' }, spec: { hard: { pods: '100' } } }),
  },
];

const guards: readonly RealDeed[] = [
  {
    eventType: 'admission-change',
    severity: 'HIGH',
    summary: 'created MutatingWebhookConfiguration evil',
    rules: [rule('create', 'mutatingwebhookconfigurations', 'admissionregistration.k8s.io')],
    act: call('POST', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', {
      metadata: { name: 'evil' },
    }),
  },
  {
    eventType: 'api-extension-change',
    severity: 'HIGH',
    summary: 'created APIService v1.evil.example.com',
    rules: [rule('create', 'apiservices', 'apiregistration.k8s.io')],
    act: call('POST', '/apis/apiregistration.k8s.io/v1/apiservices', {
      metadata: { name: 'v1.evil.example.com' },
      spec: {
        ...{ group: 'evil.example.com', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 },
        ...{ insecureSkipTLSVerify: true, service: { name: 'evil', namespace: 'shop' } },
      },
    }),
  },
  {
    eventType: 'watcher-change',
    severity: 'MEDIUM',
    summary: 'created observationfilter shop/blind',
    rules: [rule('create', 'observationfilters', 'zen.kube-zen.io')],
    act: call('POST', '/apis/zen.kube-zen.io/v1alpha1/namespaces/shop/observationfilters', {
      ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter', metadata: { name: 'blind' } },
      spec: { targetSource: 'audit', minSeverity: 'LOW' },
    }),
  },
  {
    eventType: 'pod-security-change',
    severity: 'HIGH',
    summary: 'weakened Pod Security of Namespace guarded: enforce privileged',
    rules: [rule('patch', 'namespaces')],
    act: call(
      'PATCH',
      '/api/v1/namespaces/guarded',
      { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } },
      mergePatch,
    ),
  },
  {
    eventType: 'critical-config-change',
    severity: 'HIGH',
    summary: 'created ConfigMap kube-system/coredns',
    rules: [rule('create', 'configmaps')],
    act: call('POST', '/api/v1/namespaces/kube-system/configmaps', { metadata: { name: 'coredns' } }),
  },
  {
    eventType: 'deploy-source-change',
    severity: 'MEDIUM',
    summary: 'created application shop/evil',
    rules: [rule('create', 'applications', 'argoproj.io')],
    act: call('POST', '/apis/argoproj.io/v1alpha1/namespaces/shop/applications', {
      ...{ apiVersion: 'argoproj.io/v1alpha1', kind: 'Application', metadata: { name: 'evil' } },
    }),
  },
  {
    eventType: 'cloud-identity-change',
    severity: 'MEDIUM',
    summary: 'changed ServiceAccount shop/default, which has the cloud role arn:aws:iam::111122223333:role/admin',
    rules: [rule('patch', 'serviceaccounts')],
    act: call(
      'PATCH',
      `${shop}/serviceaccounts/default`,
      { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/admin' } } },
      mergePatch,
    ),
  },
];

const data: readonly RealDeed[] = [
  {
    eventType: 'secret-read',
    severity: 'LOW',
    summary: 'read Secret shop/db',
    rules: [rule('get', 'secrets')],
    act: call('GET', `${shop}/secrets/db`),
  },
  {
    eventType: 'helm-release-read',
    severity: 'LOW',
    summary: "listed Helm's releases in shop",
    rules: [rule('list', 'secrets')],
    act: call('GET', `${shop}/secrets?labelSelector=owner%3Dhelm`),
  },
  {
    eventType: 'secret-access',
    severity: 'MEDIUM',
    summary: 'created Secret shop/new',
    rules: [rule('create', 'secrets')],
    act: call('POST', `${shop}/secrets`, { metadata: { name: 'new' }, stringData: { password: 'PLANTED-SECRET' } }),
  },
  {
    eventType: 'resource-deletion',
    severity: 'MEDIUM',
    summary: 'deleted Deployment shop/old',
    rules: [rule('delete', 'deployments', 'apps')],
    act: call('DELETE', '/apis/apps/v1/namespaces/shop/deployments/old'),
  },
];

const network: readonly RealDeed[] = [
  {
    eventType: 'proxy-access',
    variant: 'node',
    severity: 'HIGH',
    summary: 'reached /pods through the proxy of Node n1',
    rules: [rule('get', 'nodes/proxy')],
    act: call('GET', '/api/v1/nodes/n1/proxy/pods'),
  },
  {
    eventType: 'proxy-access',
    variant: 'kubelet',
    severity: 'HIGH',
    by: 'system:node:n2',
    groups: ['system:nodes'],
    summary: 'was asked by eve@example.com for what nodes/proxy gives',
    rules: [rule('create', 'subjectaccessreviews', 'authorization.k8s.io')],
    act: call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      spec: {
        user: 'eve@example.com',
        resourceAttributes: { verb: 'get', resource: 'nodes', subresource: 'proxy', name: 'n2' },
      },
    }),
  },
  {
    eventType: 'anonymous-access',
    severity: 'HIGH',
    by: 'system:anonymous',
    summary: 'listed Pods in shop without signing in',
    rules: [rule('list', 'pods')],
    act: call('GET', `${shop}/pods`),
  },
  {
    eventType: 'exposed-service',
    severity: 'LOW',
    summary: 'created Service shop/open of type NodePort',
    rules: [rule('create', 'services')],
    act: call('POST', `${shop}/services`, {
      metadata: { name: 'open' },
      spec: { type: 'NodePort', ports: [{ port: 80 }] },
    }),
  },
  {
    eventType: 'endpoint-change',
    severity: 'MEDIUM',
    summary: 'created Endpoints shop/elsewhere',
    rules: [rule('create', 'endpoints')],
    act: call('POST', `${shop}/endpoints`, { metadata: { name: 'elsewhere' } }),
  },
  {
    eventType: 'node-change',
    severity: 'LOW',
    summary: 'changed Node n1 (labels, taints or cordon)',
    rules: [rule('patch', 'nodes')],
    act: call('PATCH', '/api/v1/nodes/n1', { metadata: { labels: { mine: 'yes' } } }, mergePatch),
  },
  {
    eventType: 'system-principal-outside',
    severity: 'HIGH',
    by: 'shop/stolen',
    summary: 'came from 127.0.0.2, which is outside the cluster',
    rules: [rule('list', 'pods')],
    act: call('GET', `${shop}/pods`, undefined, { from: '127.0.0.2' }),
  },
];

/** Each detection's deed, in the order in which they are done. */
export const realDeeds: readonly RealDeed[] = [...inPods, ...rights, ...guards, ...data, ...network];

/** The user or ServiceAccount of a deed, as the API server names it. */
export function actorOf({ by, eventType, variant }: RealDeed): string {
  if (by === undefined) return `eve-${variant ?? eventType}@example.com`;
  return by.includes('/') ? `system:serviceaccount:${by.replace('/', ':')}` : by;
}
