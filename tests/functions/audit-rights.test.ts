import { describe, expect, it } from 'vitest';
import { findingOf, type Sample, told } from './audit-requests.ts';

const rbac = 'rbac.authorization.k8s.io';
const csr = 'certificates.k8s.io:certificatesigningrequests';
const argo = 'argocd/argocd-application-controller';
const keda = 'keda/keda-operator';
const kubelet = 'kubelet/v1.36';
const denied = { code: 403, decision: 'forbid' } as const;
const nobody = undefined;

const ci = { kind: 'ServiceAccount', name: 'deployer', namespace: 'ci' };
const bound = (role: string, ...subjects: readonly unknown[]) => ({
  roleRef: { kind: 'ClusterRole', name: role },
  subjects,
});
const rules = (...list: readonly unknown[]) => ({ rules: list });
const own = (by: string, role: string, subject: unknown, kind = 'rolebindings shop/x'): Sample => ({
  by,
  does: `create ${rbac}:${kind}`,
  body: bound(role, subject),
});

const granted: readonly (readonly [string | undefined, Sample])[] = [
  ['MEDIUM bound view to ServiceAccount ci/deployer in shop (RoleBinding x)', own('eve', 'view', ci)],
  ['HIGH bound cluster-admin to ServiceAccount ci/deployer in shop (RoleBinding x)', own('eve', 'cluster-admin', ci)],
  ['HIGH bound view to User eve in shop (RoleBinding x)', own('eve', 'view', { kind: 'User', name: 'eve' })],
  ['MEDIUM bound view to User bob in shop (RoleBinding x)', own('eve', 'view', { kind: 'User', name: 'bob' })],
  [
    'HIGH bound view to Group dev in shop (RoleBinding x)',
    { ...own('eve', 'view', { kind: 'Group', name: 'dev' }), groups: ['dev'] },
  ],
  [
    'MEDIUM bound view to Group ops in shop (RoleBinding x)',
    { ...own('eve', 'view', { kind: 'Group', name: 'ops' }), groups: ['dev'] },
  ],
  [
    'MEDIUM bound view to Group system:authenticated in shop (RoleBinding x)',
    own('eve', 'view', { kind: 'Group', name: 'system:authenticated' }),
  ],
  ['MEDIUM bound view to User deployer in shop (RoleBinding x)', own('eve', 'view', { name: 'deployer' })],
  ['MEDIUM bound view to nobody in shop (RoleBinding x)', own('eve', 'view', { kind: 'User' })],
  [
    'MEDIUM bound view to User a, User b, User c and 1 more in shop (RoleBinding x)',
    {
      by: 'eve',
      does: `create ${rbac}:rolebindings shop/x`,
      body: bound('view', ...['a', 'b', 'c', 'd'].map((name) => ({ kind: 'User', name }))),
    },
  ],
  ...['admin', 'edit', 'system:masters-like'].map(
    (role) =>
      [
        `HIGH bound ${role} to User bob in the whole cluster (ClusterRoleBinding x)`,
        own('eve', role, { kind: 'User', name: 'bob' }, 'clusterrolebindings x'),
      ] as const,
  ),
  [
    'MEDIUM bound view to User bob in the whole cluster (ClusterRoleBinding x)',
    own('eve', 'view', { kind: 'User', name: 'bob' }, 'clusterrolebindings x'),
  ],
  ...['system:unauthenticated', 'system:authenticated', 'system:serviceaccounts', 'system:serviceaccounts:shop'].map(
    (name) =>
      [
        `CRITICAL bound view to Group ${name} in the whole cluster (ClusterRoleBinding x)`,
        own('eve', 'view', { kind: 'Group', name }, 'clusterrolebindings x'),
      ] as const,
  ),
  [
    'CRITICAL bound view to User system:anonymous in the whole cluster (ClusterRoleBinding x)',
    own('eve', 'view', { kind: 'User', name: 'system:anonymous' }, 'clusterrolebindings x'),
  ],
  [
    'MEDIUM bound view to Group system:serviceaccountsx in the whole cluster (ClusterRoleBinding x)',
    own('eve', 'view', { kind: 'Group', name: 'system:serviceaccountsx' }, 'clusterrolebindings x'),
  ],
  [
    'MEDIUM bound view to Group system:anonymous in the whole cluster (ClusterRoleBinding x)',
    own('eve', 'view', { kind: 'Group', name: 'system:anonymous' }, 'clusterrolebindings x'),
  ],
  [
    'MEDIUM bound view to ServiceAccount x/system:authenticated in the whole cluster (ClusterRoleBinding x)',
    own(
      'eve',
      'view',
      { kind: 'ServiceAccount', namespace: 'x', name: 'system:authenticated' },
      'clusterrolebindings x',
    ),
  ],
  [
    'CRITICAL created ClusterRoleBinding the-cluster-admins',
    { by: 'eve', does: `create ${rbac}:clusterrolebindings the-cluster-admins` },
  ],
  ['MEDIUM created ClusterRoleBinding x', { by: 'eve', does: `create ${rbac}:clusterrolebindings x` }],
  [
    'MEDIUM changed ClusterRoleBinding cluster-admin: now for User bob',
    {
      by: 'eve',
      does: `patch ${rbac}:clusterrolebindings cluster-admin`,
      body: { subjects: [{ kind: 'User', name: 'bob' }] },
    },
  ],
  [
    'MEDIUM changed RoleBinding shop/x: now for ServiceAccount ci/deployer',
    { by: 'eve', does: `patch ${rbac}:rolebindings shop/x`, body: { subjects: [ci] } },
  ],
  [
    'MEDIUM deleted ClusterRoleBinding cluster-admin',
    { by: 'eve', does: `delete ${rbac}:clusterrolebindings cluster-admin` },
  ],
  ['HIGH deleted all RoleBindings in shop', { by: 'eve', does: `deletecollection ${rbac}:rolebindings shop/` }],
  [
    'MEDIUM created Role shop/x: get, list pods',
    { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules({ verbs: ['get', 'list'], resources: ['pods'] }) },
  ],
  [
    'MEDIUM created Role shop/x: get pods, list b, watch /healthz',
    {
      by: 'eve',
      does: `create ${rbac}:roles shop/x`,
      body: rules(
        { verbs: ['get'], resources: ['pods'] },
        { verbs: ['list'], resources: ['b'] },
        { verbs: ['watch'], nonResourceURLs: ['/healthz'] },
      ),
    },
  ],
  ['MEDIUM created Role shop/x', { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules() }],
  ['HIGH deleted ClusterRole system:node', { by: 'eve', does: `delete ${rbac}:clusterroles system:node` }],
  ['HIGH changed Role kube-system/system:x', { by: 'eve', does: `update ${rbac}:roles kube-system/system:x` }],
  ['MEDIUM deleted ClusterRoleBinding system:x', { by: 'eve', does: `delete ${rbac}:clusterrolebindings system:x` }],
  ...[
    'pods/exec',
    'pods/attach',
    'nodes/proxy',
    'pods/ephemeralcontainers',
    'pods/*',
    '*/*',
    'serviceaccounts/token',
    'certificatesigningrequests/approval',
  ].map(
    (name) =>
      [
        `HIGH created Role shop/x, which gives ${name}: get ${name}`,
        { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules({ verbs: ['get'], resources: [name] }) },
      ] as const,
  ),
  ...['escalate', 'bind', 'impersonate', 'approve', 'sign'].map(
    (verb) =>
      [
        `HIGH created Role shop/x, which gives ${verb}: ${verb} x`,
        { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules({ verbs: [verb], resources: ['x'] }) },
      ] as const,
  ),
  ...['*', 'create', 'update', 'patch'].map(
    (verb) =>
      [
        `HIGH created Role shop/x, which gives mutatingwebhookconfigurations: ${verb} mutatingwebhookconfigurations`,
        {
          by: 'eve',
          does: `create ${rbac}:roles shop/x`,
          body: rules({ verbs: [verb], resources: ['mutatingwebhookconfigurations'] }),
        },
      ] as const,
  ),
  [
    'MEDIUM created Role shop/x: get validatingwebhookconfigurations',
    {
      by: 'eve',
      does: `create ${rbac}:roles shop/x`,
      body: rules({ verbs: ['get'], resources: ['validatingwebhookconfigurations'] }),
    },
  ],
  [
    'HIGH created Role shop/x, which gives validatingwebhookconfigurations: create validatingwebhookconfigurations',
    {
      by: 'eve',
      does: `create ${rbac}:roles shop/x`,
      body: rules({ verbs: ['create'], resources: ['validatingwebhookconfigurations'] }),
    },
  ],
  ...['*', 'get', 'list', 'watch'].map(
    (verb) =>
      [
        `HIGH created ClusterRole x, which gives ${verb === '*' ? 'all verbs, ' : ''}secrets: ${verb} secrets`,
        { by: 'eve', does: `create ${rbac}:clusterroles x`, body: rules({ verbs: [verb], resources: ['secrets'] }) },
      ] as const,
  ),
  [
    'MEDIUM created ClusterRole x: create secrets',
    { by: 'eve', does: `create ${rbac}:clusterroles x`, body: rules({ verbs: ['create'], resources: ['secrets'] }) },
  ],
  [
    'MEDIUM created ClusterRole x: get secrets',
    {
      by: 'eve',
      does: `create ${rbac}:clusterroles x`,
      body: rules({ verbs: ['get'], resources: ['secrets'], resourceNames: ['a'] }),
    },
  ],
  [
    'HIGH created ClusterRole x, which gives all resources: get *',
    { by: 'eve', does: `create ${rbac}:clusterroles x`, body: rules({ verbs: ['get'], resources: ['*'] }) },
  ],
  [
    'MEDIUM created Role shop/x: * *',
    { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules({ verbs: ['*'], resources: ['*'] }) },
  ],
  [
    'HIGH created Role kube-system/x, which gives all verbs, all resources: * *',
    { by: 'eve', does: `create ${rbac}:roles kube-system/x`, body: rules({ verbs: ['*'], resources: ['*'] }) },
  ],
  [
    'HIGH created ClusterRole x, which gives all verbs, escalate, bind, impersonate and 1 more: *, escalate, bind, impersonate, approve a, b, c, d, e, f and 1 more',
    {
      by: 'eve',
      does: `create ${rbac}:clusterroles x`,
      body: rules({
        verbs: ['*', 'escalate', 'bind', 'impersonate', 'approve'],
        resources: ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
      }),
    },
  ],
  ...(
    [
      ['MEDIUM', ['system:serviceaccounts:ci'], { kind: 'Group', name: 'system:serviceaccounts:ci' }],
      ['HIGH', ['x-system:authenticated'], { kind: 'Group', name: 'x-system:authenticated' }],
    ] as const
  ).map(
    ([severity, groups, subject]) =>
      [
        `${severity} bound view to Group ${subject.name} in shop (RoleBinding x)`,
        { ...own('eve', 'view', subject), groups },
      ] as const,
  ),
  [
    'HIGH bound view to User bob, User eve in shop (RoleBinding x)',
    {
      by: 'eve',
      does: `create ${rbac}:rolebindings shop/x`,
      body: bound('view', { kind: 'User', name: 'bob' }, { kind: 'User', name: 'eve' }),
    },
  ],
  [
    'CRITICAL bound view to User bob, Group system:authenticated in the whole cluster (ClusterRoleBinding x)',
    {
      by: 'eve',
      does: `create ${rbac}:clusterrolebindings x`,
      body: bound('view', { kind: 'User', name: 'bob' }, { kind: 'Group', name: 'system:authenticated' }),
    },
  ],
  ['HIGH created ClusterRoleBinding admin', { by: 'eve', does: `create ${rbac}:clusterrolebindings admin` }],
  [
    'HIGH created RoleBinding shop/cluster-admin',
    { by: 'eve', does: `create ${rbac}:rolebindings shop/cluster-admin` },
  ],
  [
    'MEDIUM bound view to ServiceAccount ci/deployer in a namespace (RoleBinding x)',
    { by: 'eve', does: `create ${rbac}:rolebindings x`, body: bound('view', ci) },
  ],
  [
    'MEDIUM bound view to ServiceAccount ci/deployer in shop (RoleBinding)',
    { by: 'eve', does: `create ${rbac}:rolebindings shop/`, body: bound('view', ci) },
  ],
  [
    'MEDIUM created Role shop/x: get',
    { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules({ verbs: ['get'] }) },
  ],
  [
    'MEDIUM created Role shop/x: a, b, c, d, e, f and 1 more x',
    {
      by: 'eve',
      does: `create ${rbac}:roles shop/x`,
      body: rules({ verbs: ['a', 'b', 'c', 'd', 'e', 'f', 'g'], resources: ['x'] }),
    },
  ],
  [
    'MEDIUM created Role shop/x: a x, b x, c x and 1 more',
    {
      by: 'eve',
      does: `create ${rbac}:roles shop/x`,
      body: rules(...['a', 'b', 'c', 'd'].map((verb) => ({ verbs: [verb], resources: ['x'] }))),
    },
  ],
  [
    'HIGH created Role shop/x, which gives pods/exec: get pods/exec, list pods/exec',
    {
      by: 'eve',
      does: `create ${rbac}:roles shop/x`,
      body: rules({ verbs: ['get'], resources: ['pods/exec'] }, { verbs: ['list'], resources: ['pods/exec'] }),
    },
  ],
  [
    'HIGH created Role kube-system/x, which gives secrets: create, get secrets',
    {
      by: 'eve',
      does: `create ${rbac}:roles kube-system/x`,
      body: rules({ verbs: ['create', 'get'], resources: ['secrets'] }),
    },
  ],
  [
    'MEDIUM created Role shop/x: get secrets',
    { by: 'eve', does: `create ${rbac}:roles shop/x`, body: rules({ verbs: ['get'], resources: ['secrets'] }) },
  ],
  [
    'CRITICAL bound cluster-admin to ServiceAccount ci/deployer in the whole cluster (ClusterRoleBinding x)',
    {
      by: 'system:kube-controller-manager',
      does: `create ${rbac}:clusterrolebindings x`,
      body: bound('cluster-admin', ci),
    },
  ],
  [
    'MEDIUM bound view to Group x-system:serviceaccounts in the whole cluster (ClusterRoleBinding x)',
    own('eve', 'view', { kind: 'Group', name: 'x-system:serviceaccounts' }, 'clusterrolebindings x'),
  ],
  ['MEDIUM created thing x', { by: 'eve', does: `create ${rbac}:things x` }],
  ['MEDIUM created a RoleBinding in shop', { by: 'eve', does: `create ${rbac}:rolebindings shop/` }],
  [nobody, { by: 'kube-system/clusterrole-aggregation-controller', does: `patch ${rbac}:clusterroles x` }],
  [nobody, { by: 'eve', does: 'create example.org:roles shop/x' }],
  [nobody, { by: 'system:apiserver', does: `patch ${rbac}:clusterrolebindings x`, body: bound('cluster-admin', ci) }],
  [nobody, { by: 'system:kube-controller-manager', does: `patch ${rbac}:clusterroles x` }],
  [nobody, { by: 'system:kube-controller-manager', does: `delete ${rbac}:rolebindings shop/x` }],
];

describe('rights that are given', () => {
  it.each(granted)('are told: %s', (expected, sample) => {
    const [severity, ...rest] = expected?.split(' ') ?? [];
    expect(told(sample)).toBe(expected && `${severity} rbac-change: ${sample.by} ${rest.join(' ')}`);
  });

  it.each<[string, Sample]>([
    ['HIGH', own('ci/deployer', 'view', ci)],
    ['MEDIUM', own('ci/deployer', 'view', { ...ci, namespace: 'shop' })],
    ['MEDIUM', own('ci/deployer', 'view', { ...ci, name: 'web' })],
    ['HIGH', { ...own('eve', 'view', { kind: 'User', name: 'bob' }), as: 'bob' }],
    ['HIGH', { ...own('eve', 'view', { kind: 'User', name: 'eve' }), as: 'bob' }],
    ['MEDIUM', { ...own('eve', 'view', { kind: 'User', name: 'carol' }), as: 'bob' }],
    ['HIGH', { ...own('eve', 'view', { kind: 'Group', name: 'ops' }), as: 'bob', asGroups: ['ops'] }],
    [
      'MEDIUM',
      {
        by: 'kube-system/clusterrole-aggregation-controller',
        agent: 'kubectl/v1',
        does: `create ${rbac}:roles shop/x`,
        body: rules({ verbs: ['get'], resources: ['pods'] }),
      },
    ],
  ])('are worse for oneself: %s %j', (severity, sample) => {
    expect(findingOf(sample)).toMatchObject({ rule: 'rbac-change', severity });
  });

  it.each([
    ['HIGH', 'clusterrolebindings x', bound('cluster-admin', ci)],
    ['MEDIUM', 'clusterrolebindings x', bound('admin', ci)],
    ['LOW', 'rolebindings shop/x', bound('view', ci)],
  ])('of a deployer are a step milder: %s', (severity, what, body) => {
    expect(findingOf({ by: argo, does: `create ${rbac}:${what}`, body })?.severity).toBe(severity);
  });

  it.each<[unknown, string]>([
    [{ kind: 'Status', status: 'Success' }, 'get pods'],
    [null, 'get pods'],
    [{ rules: 'x' }, 'get pods'],
    [rules({ verbs: ['list'], resources: ['pods'] }), 'list pods'],
    [rules(), ''],
    [rules({ verbs: ['get'] }), 'get'],
    [rules({ resources: ['pods'] }), 'pods'],
  ])('are those of what was sent, if the answer has none: %j', (result, given) => {
    const body = rules({ verbs: ['get'], resources: ['pods'] });
    const finding = findingOf({ by: 'eve', does: `create ${rbac}:roles shop/x`, body, result });
    expect(finding?.details.rules ?? []).toEqual(given === '' ? [] : [given]);
  });

  it('are in the details, of the result rather than of what was sent', () => {
    const finding = findingOf({
      by: argo,
      does: `patch ${rbac}:clusterroles x`,
      body: rules({ verbs: ['a'], resources: ['b'] }),
      result: rules({ verbs: ['get'], apiGroups: [''], resources: ['pods'] }),
    });
    expect(finding?.details).toMatchObject({ rules: ['get pods'], powers: 'changed ClusterRole x: get pods' });
    expect(
      findingOf({ by: 'eve', does: `create ${rbac}:rolebindings shop/x`, body: bound('view', ci) })?.details,
    ).toMatchObject({
      roleRef: 'view',
      subjects: ['ServiceAccount ci/deployer'],
    });
  });
});

const client = 'kubernetes.io/kube-apiserver-client';
const token = (by: string, target: string, expirationSeconds?: number): Sample => ({
  by,
  does: `create serviceaccounts/token ${target}`,
  body: { spec: { expirationSeconds } },
});
const asked = (by: string, signerName: string | undefined, agent?: string): Sample => ({
  by,
  does: `create ${csr} x`,
  ...(signerName !== undefined && { body: { spec: { signerName } } }),
  ...(agent !== undefined && { agent }),
});

describe('tokens, certificates and names of others', () => {
  it.each<[string | undefined, Sample]>([
    ['MEDIUM token-request: eve made a token for ServiceAccount shop/web', token('eve', 'shop/web', 86_400)],
    [
      'HIGH token-request: eve made a token for ServiceAccount shop/web, valid for 2 days',
      token('eve', 'shop/web', 172_800),
    ],
    [
      'HIGH token-request: ServiceAccount shop/web made a token for ServiceAccount shop/web, valid for 1 days',
      token('shop/web', 'shop/web', 86_401),
    ],
    [nobody, token('shop/web', 'shop/web', 86_400)],
    [nobody, token('shop/web', 'shop/web')],
    [
      'MEDIUM token-request: ServiceAccount shop/web made a token for ServiceAccount shop/db',
      token('shop/web', 'shop/db'),
    ],
    [
      'MEDIUM token-request: ServiceAccount shop/web made a token for ServiceAccount pay/web',
      token('shop/web', 'pay/web'),
    ],
    ['HIGH token-request: eve made a token for ServiceAccount kube-system/x', token('eve', 'kube-system/x')],
    [`HIGH token-request: eve made a token for ServiceAccount ${argo}`, token('eve', argo)],
    [`HIGH token-request: eve made a token for ServiceAccount ${keda}`, token('eve', keda)],
    [nobody, token('system:kube-controller-manager', 'kube-system/x')],
    [
      'MEDIUM token-request: system:kube-controller-manager made a token for ServiceAccount shop/x',
      token('system:kube-controller-manager', 'shop/x'),
    ],
    [nobody, { by: 'eve', does: 'get serviceaccounts/token shop/x' }],
    [nobody, { by: 'eve', does: 'create replicationcontrollers/token shop/x' }],
    [nobody, { by: 'eve', does: 'create certificates.k8s.io:clustertrustbundles x' }],
    [
      'MEDIUM token-request: eve made a token for ServiceAccount x',
      { by: 'eve', does: 'create serviceaccounts/token x' },
    ],
    [
      'MEDIUM token-request: eve made a token for a ServiceAccount in shop',
      { by: 'eve', does: 'create serviceaccounts/token shop/' },
    ],
    [
      'MEDIUM token-request: system:kube-controller-manager asked for a certificate of a signer that is not logged (created CertificateSigningRequest x)',
      asked('system:kube-controller-manager', undefined),
    ],
    [
      'MEDIUM token-request: node n1 asked for a certificate of a signer that is not logged (created CertificateSigningRequest x)',
      asked('system:node:n1', undefined, 'kubectl/v1'),
    ],
    [
      `HIGH token-request: eve asked for a certificate of ${client}-kubelet (created CertificateSigningRequest x)`,
      asked('eve', `${client}-kubelet`, 'CURL/8'),
    ],
    [
      `LOW token-request: eve asked for a certificate of ${client}-kubelet (created CertificateSigningRequest x)`,
      asked('eve', `${client}-kubelet`, 'kubectls/1'),
    ],
    [nobody, { by: 'kube-system/certificate-controller', does: `update ${csr}/approval x` }],
    [
      `MEDIUM token-request: eve asked for a certificate of ${client} (created CertificateSigningRequest x)`,
      asked('eve', client),
    ],
    [
      'MEDIUM token-request: eve asked for a certificate of example.org/x (created CertificateSigningRequest x)',
      asked('eve', 'example.org/x'),
    ],
    [
      'MEDIUM token-request: eve asked for a certificate of a signer that is not logged (created CertificateSigningRequest x)',
      asked('eve', undefined),
    ],
    [nobody, asked('eve', 'kubernetes.io/kubelet-serving')],
    [
      `LOW token-request: eve asked for a certificate of ${client}-kubelet (created CertificateSigningRequest x)`,
      asked('eve', `${client}-kubelet`, 'x'),
    ],
    [
      `HIGH token-request: eve asked for a certificate of ${client}-kubelet (created CertificateSigningRequest x)`,
      asked('eve', `${client}-kubelet`, 'kubectl/v1'),
    ],
    [
      `LOW token-request: eve asked for a certificate of ${client}-kubelet (created CertificateSigningRequest x)`,
      asked('eve', `${client}-kubelet`, 'xcurl/8'),
    ],
    [
      `LOW token-request: ServiceAccount keda/keda-operator asked for a certificate of ${client}-kubelet (created CertificateSigningRequest x)`,
      asked(keda, `${client}-kubelet`),
    ],
    [nobody, asked('system:node:n1', `${client}-kubelet`, kubelet)],
    [nobody, asked('system:node:n1', undefined, kubelet)],
    [
      `MEDIUM token-request: node n1 asked for a certificate of ${client} (created CertificateSigningRequest x)`,
      asked('system:node:n1', client, kubelet),
    ],
    ['HIGH token-request: eve approved CertificateSigningRequest x', { by: 'eve', does: `patch ${csr}/approval x` }],
    [
      `HIGH token-request: ServiceAccount ${keda} approved CertificateSigningRequest x`,
      { by: keda, does: `update ${csr}/approval x` },
    ],
    [nobody, { by: 'eve', does: `get ${csr}/approval x` }],
    [nobody, { by: 'eve', does: `create ${csr}/approval x` }],
    [nobody, { by: 'eve', does: `update ${csr} x` }],
    [nobody, { by: 'eve', does: 'create example.org:certificatesigningrequests x' }],
    [
      'HIGH impersonation: eve as a listed Pods in shop (impersonates group system:masters)',
      { by: 'eve', does: 'list pods shop/', as: 'a', asGroups: ['system:masters'] },
    ],
    [
      'HIGH impersonation: eve as a listed Pods in shop (impersonates a node)',
      { by: 'eve', does: 'list pods shop/', as: 'a', asGroups: ['system:nodes'] },
    ],
    [
      'HIGH impersonation: eve as node n1 listed Pods in shop (impersonates a node)',
      { by: 'eve', does: 'list pods shop/', as: 'system:node:n1' },
    ],
    [
      'HIGH impersonation: eve as system:anonymous listed Pods in shop (impersonates the anonymous user)',
      { by: 'eve', does: 'list pods shop/', as: 'system:anonymous' },
    ],
    [
      `HIGH impersonation: eve as ${argo} listed Pods in shop (impersonates a deployer)`,
      { by: 'eve', does: 'list pods shop/', as: argo },
    ],
    [
      "HIGH impersonation: eve as ServiceAccount kube-system/x listed Pods in shop (impersonates kube-system's account)",
      { by: 'eve', does: 'list pods shop/', as: 'kube-system/x' },
    ],
    ...[
      'system:kube-scheduler',
      'system:apiserver',
      'system:admin',
      'system:master',
      'system:cloud-controller-manager',
      'system:k3s-controller',
      'system:rke2-controller',
    ].map(
      (as) =>
        [
          `HIGH impersonation: eve as ${as} listed Pods in shop (impersonates the control plane)`,
          { by: 'eve', does: 'list pods shop/', as },
        ] satisfies [string, Sample],
    ),
    [nobody, { by: 'eve', does: 'list pods shop/', as: 'system:apiservers' }],
    [nobody, { by: 'eve', does: 'list pods shop/', as: 'system:masters' }],
    [nobody, { by: 'eve', does: 'list pods shop/', as: 'system:cloud-controller-managers' }],
    [
      'HIGH impersonation: node n1 listed Pods in shop (impersonates a node)',
      { by: 'cattle-system/rancher', does: 'list pods shop/', as: 'system:node:n1' },
    ],
    [
      "HIGH impersonation: ServiceAccount kube-system/x listed Pods in shop (impersonates kube-system's account)",
      { by: 'cattle-system/rancher', does: 'list pods shop/', as: 'kube-system/x' },
    ],
    [nobody, { by: 'eve', does: 'list pods shop/', as: 'my-system:admin' }],
    [nobody, { by: 'eve', does: 'list pods shop/', as: 'system:administrator' }],
    [nobody, { by: 'eve', does: 'list pods shop/', as: 'shop/web' }],
    [
      'HIGH impersonation: eve as system:admin asked for /debug (impersonates the control plane)',
      { by: 'eve', does: 'GET /debug', as: 'system:admin' },
    ],
    [
      `LOW access-probe: eve as system:admin was not allowed to list Pods in shop`,
      { by: 'eve', does: 'list pods shop/', as: 'system:admin', ...denied },
    ],
    [
      'HIGH impersonation: system:admin listed Pods in shop (impersonates the control plane)',
      { by: 'cattle-system/rancher', does: 'list pods shop/', as: 'system:admin' },
    ],
    [nobody, { by: 'cattle-system/rancher', does: 'list pods shop/', as: 'a', asGroups: ['system:masters'] }],
    [
      'LOW permission-discovery: ServiceAccount shop/web asked what it may do',
      { by: 'shop/web', does: 'create authorization.k8s.io:selfsubjectrulesreviews -' },
    ],
    [
      'LOW permission-discovery: ServiceAccount shop/web asked what it may do',
      { by: 'shop/web', does: 'create authorization.k8s.io:selfsubjectaccessreviews -' },
    ],
    [nobody, { by: 'eve', does: 'create authorization.k8s.io:selfsubjectrulesreviews -' }],
    [nobody, { by: argo, does: 'create authorization.k8s.io:selfsubjectrulesreviews -' }],
    [nobody, { by: 'shop/web', does: 'list authorization.k8s.io:selfsubjectrulesreviews -' }],
    [nobody, { by: 'shop/web', does: 'create authorization.k8s.io:localsubjectaccessreviews -' }],
    [nobody, { by: keda, does: 'create authorization.k8s.io:selfsubjectrulesreviews -' }],
    [nobody, { by: 'vault/vault', does: 'create authorization.k8s.io:selfsubjectrulesreviews -' }],
  ])('are told: %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
  });

  it('are told of accounts of kube-system, whatever the operators are', () => {
    expect(told(token('eve', 'kube-system/x'), { AUDIT_OPERATORS: 'bob' })).toMatch(/^HIGH token-request/);
  });
});
