import { describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import { observationName } from '../../shared/finding/name.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { eventOf, findingOf, findingsOf, type Sample, skippedOf, told } from './audit-requests.ts';

const argo = 'argocd/argocd-application-controller';
const keda = 'keda/keda-operator';
const kubelet = 'kubelet/v1.36';
const denied = { code: 403, decision: 'forbid' } as const;
const nobody = undefined;

describe('the name of somebody', () => {
  const long = `${'a'.repeat(30)}-${'b'.repeat(30)}`;
  it.each([
    ['eve', 'eve'],
    ['shop/web', 'ServiceAccount shop/web'],
    ['payments/a-long-name-of-29-characters', 'payments/a-long-name-of-29-characters'],
    ['shop/a-name-of-24-characters', 'ServiceAccount shop/a-name-of-24-characters'],
    ['shop/a-name-of-25-characters-', 'ServiceAccount shop/a-name-of-25-characters-'],
    ['shop/a-name-of-26-characters-x', 'shop/a-name-of-26-characters-x'],
    ['system:serviceaccount:shop:a:b', 'system:serviceaccount:shop:a:b'],
    ['system:serviceaccount::web', 'system:serviceaccount::web'],
    ['system:serviceaccount:shop:', 'system:serviceaccount:shop:'],
    [long, `${'a'.repeat(20)}…${'b'.repeat(23)}`],
    ['system:node:n1', 'node n1'],
    [`system:node:${'a'.repeat(30)}-${'b'.repeat(30)}`, `node ${'a'.repeat(15)}…${'b'.repeat(23)}`],
    [`payments/${'a'.repeat(20)}-${'b'.repeat(30)}`, `payments/${'a'.repeat(11)}…${'b'.repeat(23)}`],
    ['a'.repeat(44), 'a'.repeat(44)],
    ['arn:aws:iam::111122223333:user/eve', 'eve'],
    ['arn:aws:sts::111122223333:assumed-role/dev/eve', 'dev/eve'],
    ['arn:aws-us-gov:iam::111122223333:role/dev', 'dev'],
    ['x-arn:aws:iam::111122223333:role/dev', 'x-arn:aws:iam::111122223333:role/dev'],
  ])('%s is told as %s', (by, label) => {
    expect(findingOf({ by, does: 'delete secrets pay/x', agent: 'curl/8' })?.summary).toBe(
      `${label} deleted Secret pay/x`,
    );
  });
});

describe('what proves who somebody is', () => {
  const name = 'authentication.kubernetes.io/';
  it.each<[string | undefined, Readonly<Record<string, readonly string[]>>]>([
    ['session s', { sessionName: ['s'] }],
    ['arn:x/role/s', { arn: ['arn:x/role/s'], sessionName: ['s'] }],
    ['arn:x/role/t, session s', { arn: ['arn:x/role/t'], sessionName: ['s'] }],
    [
      'Pod web-1, node n1, id-1',
      { [`${name}pod-name`]: ['web-1', 'x'], [`${name}node-name`]: ['n1'], [`${name}credential-id`]: ['id-1'] },
    ],
    [nobody, { other: ['x'], arn: [] }],
    [nobody, { arn: [''] }],
  ])('is told with the actor: %s', (via, extra) => {
    expect(findingOf({ by: 'eve', does: 'delete secrets pay/x', extra })?.actor?.via).toBe(via);
  });

  it('is told where it is a text, as AKS has it', () => {
    const event = {
      ...eventOf({ by: 'eve', does: 'delete secrets pay/x' }),
      user: { username: 'eve', extra: { arn: 'arn:x' } },
    };
    expect(findingsOf(event)[0]?.actor?.via).toBe('arn:x');
  });

  it.each([7, { arn: 7 }, 'x'])('may be unreadable, and the request is told all the same: %j', (extra) => {
    const event = { ...eventOf({ by: 'eve', does: 'delete secrets pay/x' }), user: { username: 'eve', extra } };
    expect(findingsOf(event)).toMatchObject([{ rule: 'resource-deletion', actor: { username: 'eve' } }]);
  });
});

describe('an account that a person uses', () => {
  const read = (agent: string): Sample => ({ by: 'vault/vault', does: 'get secrets shop/x', agent });
  it.each(['kubectl/v1.36', 'curl/8.5.0', 'wget/1.2', 'python-requests/2.32', 'Python/3.12 aiohttp', 'KUBECTL/v1'])(
    'is told by its client: %s',
    (agent) => {
      expect(told(read(agent))).toBe('MEDIUM secret-read: ServiceAccount vault/vault read Secret shop/x');
    },
  );

  it.each(['vault/1.0', 'my-kubectl/1', 'curling/1', 'libcurl/8', 'kubectls/1'])('is no other client: %s', (agent) => {
    expect(told(read(agent))).toBeUndefined();
  });

  it('is a node, too, but no person that is in a preset', () => {
    expect(told({ by: 'system:node:n', does: 'delete secrets shop/x', agent: 'curl/8' })).toBe(
      'MEDIUM resource-deletion: node n deleted Secret shop/x',
    );
    expect(told({ by: 'system:node:n', does: 'delete secrets shop/x', agent: kubelet })).toBeUndefined();
    expect(told({ by: 'aksService', does: 'delete secrets shop/x', agent: 'curl/8' })).toBeUndefined();
  });
});

describe('lists of users', () => {
  const read = (by: string): Sample => ({ by, does: 'get secrets pay/x', agent: 'x' });
  it.each([
    ['eve', { AUDIT_SECRET_READERS: 'eve' }, false],
    ['eve', { AUDIT_SECRET_READERS: '+eve' }, false],
    ['eve', { AUDIT_SECRET_READERS: '+,eve' }, false],
    ['eve', { AUDIT_SECRET_READERS: '+bob,+eve' }, false],
    ['eve', { AUDIT_SECRET_READERS: 'e*' }, false],
    ['eve', { AUDIT_SECRET_READERS: '*e' }, false],
    ['e*', { AUDIT_SECRET_READERS: 'e*' }, false],
    ['eve', { AUDIT_SECRET_READERS: 'ev' }, true],
    ['eve', { AUDIT_SECRET_READERS: '*v' }, true],
    ['eve', { AUDIT_SECRET_READERS: '*' }, false],
    ['eve', { AUDIT_SECRET_READERS: '+' }, true],
    ['ev+e', { AUDIT_SECRET_READERS: 'ev+e' }, false],
    ['ev+e', { AUDIT_SECRET_READERS: '+,ev+e' }, false],
    ['steve', { AUDIT_SECRET_READERS: 'eve' }, true],
    ['vault/vault', { AUDIT_SECRET_READERS: '+eve' }, false],
    ['vault/vault', { AUDIT_SECRET_READERS: 'eve' }, true],
    ['vault/vault', { AUDIT_SECRET_READERS: 'eve+' }, true],
    ['eve', { AUDIT_IGNORE_USERS: '+eve' }, false],
    ['eve', { AUDIT_OPERATORS: '+eve' }, false],
    ['eve', { AUDIT_DEPLOYERS: '+eve' }, false],
  ])('%s with %j', (by, environment, isTold) => {
    expect(told(read(by), environment) !== undefined).toBe(isTold);
  });

  it('make no operator at home of one without a namespace', () => {
    const sample = { by: 'eve', does: 'create apps:deployments kube-system/x' };
    expect(told(sample, { AUDIT_OPERATORS: '+eve' })).toBe(
      'HIGH kube-system-workload: eve created Deployment kube-system/x',
    );
  });

  it('have nobody in them who is not signed in', () => {
    const event = { ...eventOf({ by: 'x', does: 'delete secrets pay/x' }), user: undefined };
    expect(findingsOf(event)).toMatchObject([{ summary: 'somebody deleted Secret pay/x' }]);
  });

  it('of impersonators have others as actors', () => {
    const sample = { by: 'eve', does: 'delete secrets pay/x', as: 'bob' };
    expect(told(sample)).toBe('MEDIUM resource-deletion: eve as bob deleted Secret pay/x');
    expect(told(sample, { AUDIT_IMPERSONATORS: '+eve' })).toBe('MEDIUM resource-deletion: bob deleted Secret pay/x');
  });

  it('of namespaces say where the watchers are', () => {
    const sample = { by: 'eve', does: 'patch configmaps tools/x' };
    expect(told(sample)).toBeUndefined();
    expect(told(sample, { AUDIT_WATCHER_NAMESPACES: 'tools' })).toBe(
      'MEDIUM watcher-change: eve changed ConfigMap tools/x',
    );
    expect(told({ by: 'eve', does: 'patch configmaps zen-system/x' }, { AUDIT_WATCHER_NAMESPACES: 'tools' })).toContain(
      'watcher-change',
    );
  });
});

describe('the addresses of the cluster', () => {
  it.each(['10.0.0.0/8,x', 'x', '10.0.0.0/33'])('are all readable, or nothing starts: %s', (cidrs) => {
    expect(() => parseSettings({ AUDIT_CLUSTER_CIDRS: cidrs }, audit.settings, [])).toThrow(
      'AUDIT_CLUSTER_CIDRS must be IP addresses and CIDRs, separated by commas',
    );
  });
});

describe('somebody from outside the cluster', () => {
  const cidrs = { AUDIT_CLUSTER_CIDRS: '10.0.0.0/8,2001:db8::/32' };
  it.each([
    ['shop/web', '198.51.100.9', '198.51.100.0/24'],
    ['shop/web', '2001:DB9:0:1::9', '2001:db9:0::/48'],
    ['shop/web', '2001::9', '2001:0:0::/48'],
    ['shop/web', '::1', '0:0:0::/48'],
    ['shop/web', '2001:0db9:00a0:0001::1', '2001:db9:a0::/48'],
    ['system:kube-scheduler', '198.51.100.9', '198.51.100.0/24'],
    ['shop/web', '10.1.2.3', nobody],
    ['shop/web', '2001:db8::1', nobody],
    ['eve', '198.51.100.9', nobody],
    ['my-system:x', '198.51.100.9', nobody],
    ['system:anonymous', '198.51.100.9', nobody],
  ])('%s from %s is told by its network: %s', (by, from, network) => {
    const finding = findingOf({ by, from, does: 'list pods shop/' }, cidrs);
    expect(told({ by, from, does: 'list pods shop/' }, cidrs)?.includes('outside') ?? false).toBe(network !== nobody);
    expect(finding?.rule === 'system-principal-outside' ? finding.details.network : nobody).toBe(network);
  });
});

describe('what nobody needs to be told', () => {
  it.each<[string, Sample, Readonly<Record<string, string>>?]>([
    ['a dry run', { by: 'eve', does: 'delete secrets shop/x', query: 'dryRun=All' }],
    ['a dry run, in the options', { by: 'eve', does: 'delete secrets shop/x', body: { dryRun: ['All'] } }],
    ['our own writes', { by: 'zen-system/gc', does: 'delete zen.kube-zen.io:observations shop/x' }],
    ['what has just begun', { by: 'eve', does: 'delete secrets shop/x', stage: 'ResponseStarted' }],
    ['what has just come', { by: 'eve', does: 'get pods/exec shop/x', stage: 'RequestReceived' }],
    ['what failed', { by: 'eve', does: 'delete secrets shop/x', code: 409 }],
    ['what failed in the server', { by: 'eve', does: 'delete secrets shop/x', code: 500 }],
    ['a lease', { by: 'eve', does: 'delete leases shop/x' }],
    ['a lease of the group', { by: 'eve', does: 'deletecollection coordination.k8s.io:leases shop/' }],
    ["the autoscaler's status", { by: 'eve', does: 'patch configmaps falco/cluster-autoscaler-status' }],
    ['certificates of the cluster', { by: 'eve', does: 'create configmaps falco/kube-root-ca.crt' }],
    ['certificates of services', { by: 'eve', does: 'create configmaps falco/openshift-service-ca.crt' }],
    ['the status that an operator writes', { by: keda, does: 'patch kyverno.io:policyexceptions/status shop/x' }],
    ['slices of a controller', { by: 'vault/vault', does: 'patch discovery.k8s.io:endpointslices shop/x' }],
    ['Knative in our namespace', { by: 'knative-serving/controller', does: 'patch apps:deployments zen-system/gc' }],
    ['kourier in our namespace', { by: 'kourier-system/x', does: 'patch configmaps zen-system/x' }],
    ['a tenant of others', { by: 'eve', does: 'delete secrets shop/x' }, { WATCH_NAMESPACE: 'pay' }],
    ['a watch of the tenant', { by: 'eve', does: 'watch pods shop/' }],
  ])('is %s', (_what, sample, environment) => {
    expect(told(sample, environment)).toBeUndefined();
  });

  it.each<[string, Sample]>([
    [
      'MEDIUM pod-exec: eve ran an unlogged command in Pod shop/x',
      { by: 'eve', does: 'create pods/exec shop/x', query: 'dryRun=All' },
    ],
    ['LOW secret-read: eve read Secret shop/x', { by: 'eve', does: 'get secrets shop/x', query: 'dryRun=All' }],
    [
      'MEDIUM resource-deletion: eve deleted Secret shop/x',
      { by: 'eve', does: 'delete secrets shop/x', query: 'dryRun=' },
    ],
    [
      'HIGH watcher-change: ServiceAccount zen-systems/gc deleted observation shop/x, which is evidence',
      { by: 'zen-systems/gc', does: 'delete zen.kube-zen.io:observations shop/x' },
    ],
    [
      'MEDIUM resource-deletion: ServiceAccount zen-system/gc deleted Secret shop/x',
      { by: 'zen-system/gc', does: 'delete secrets shop/x' },
    ],
    ['MEDIUM watcher-change: eve changed ConfigMap falco/x', { by: 'eve', does: 'patch configmaps falco/x' }],
    [
      'MEDIUM watcher-change: ServiceAccount shop/x changed ConfigMap zen-system/x',
      { by: 'shop/x', does: 'patch configmaps zen-system/x' },
    ],
    [
      'MEDIUM watcher-change: ServiceAccount kourier-system/x changed ConfigMap falco/x',
      { by: 'kourier-system/x', does: 'patch configmaps falco/x' },
    ],
    [
      'MEDIUM watcher-change: ServiceAccount kourier-system/x changed ConfigMap zen-system/x',
      { by: 'kourier-system/x', does: 'patch configmaps zen-system/x', agent: 'curl/8' },
    ],
    [
      'MEDIUM pod-exec: eve attached to Pod shop/x',
      { by: 'eve', does: 'get pods/attach shop/x', stage: 'ResponseStarted' },
    ],
    [
      'HIGH proxy-access: eve reached /x through the proxy of Node n',
      { by: 'eve', does: 'get nodes/proxy n', path: '/proxy/x', stage: 'ResponseStarted' },
    ],
    [
      'MEDIUM token-request: eve made a token for ServiceAccount shop/x',
      { by: 'eve', does: 'create serviceaccounts/token shop/x', code: 399 },
    ],
  ])('is not %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
  });

  it('is nothing of the whole cluster that a tenant would miss', () => {
    expect(told({ by: 'eve', does: 'list secrets -' }, { WATCH_NAMESPACE: 'pay' })).toBe(
      'HIGH secret-read: eve listed Secrets of the whole cluster',
    );
    expect(told({ by: 'eve', does: 'list secrets pay/' }, { WATCH_NAMESPACE: 'pay' })).toBe(
      'MEDIUM secret-read: eve listed Secrets in pay',
    );
  });

  it('is what we do to our own kinds by whatever name we are given', () => {
    const sample = { by: 'zen@example.com', does: 'delete zen.kube-zen.io:observations shop/x' };
    expect(told(sample)).toContain('watcher-change');
  });
});

const owned = (owner: object, generateName?: string) => ({
  metadata: { generateName, ownerReferences: [{ kind: 'Job', ...owner }] },
});

describe('why a request is not told', () => {
  it.each<[string, Sample, Readonly<Record<string, string>>?]>([
    ['stage', { by: 'eve', does: 'delete secrets shop/x', stage: 'ResponseStarted' }],
    ['stage', { by: 'eve', does: 'watch pods shop/', stage: 'ResponseStarted' }],
    ['everyday_object', { by: 'eve', does: 'get wgpolicyk8s.io:policyreports shop/x' }],
    ['outside_namespace', { by: 'eve', does: 'delete secrets shop/x' }, { WATCH_NAMESPACE: 'pay' }],
    ['dry_run', { by: 'eve', does: 'delete secrets shop/x', query: 'dryRun=All' }],
    ['own_write', { by: 'zen-system/gc', does: 'delete zen.kube-zen.io:observations shop/x' }],
    ['failed', { by: 'eve', does: 'delete secrets shop/x', code: 409 }],
    ['open_to_all', { by: 'system:anonymous', does: 'GET /healthz' }],
    ['everyday_object', { by: 'eve', does: 'delete leases shop/x' }],
    ['everyday_deed', { by: keda, does: 'patch services/status shop/x' }],
    ['everyday_deed', { by: keda, does: 'patch apps:deployments/scale shop/x' }],
    ['everyday_deed', { by: keda, does: 'update namespaces/finalize shop' }],
    ['everyday_deed', { by: keda, does: 'create discovery.k8s.io:endpointslices shop/x' }],
    ['everyday_deed', { by: keda, does: 'patch apiregistration.k8s.io:apiservices x', body: { caBundle: 'Q0E=' } }],
    ['no_rule', { by: keda, does: 'update namespaces/x shop' }],
    ['no_rule', { by: keda, does: 'patch apiregistration.k8s.io:apiservices/x x', body: { caBundle: 'Q0E=', a: 1 } }],
    ['everyday_object', { by: 'eve', does: 'create wgpolicyk8s.io:policyreports shop/x' }],
    ['everyday_object', { by: 'eve', does: 'delete configmaps kube-public/kube-root-ca.crt' }],
    ['everyday_deed', { by: 'kube-system/deployment-controller', does: 'create apps:replicasets shop/x' }],
    ['everyday_deed', { by: 'kube-system/cronjob-controller', does: 'create batch:jobs shop/x' }],
    ['everyday_deed', { by: 'kube-system/daemon-set-controller', does: 'create pods shop/', body: owned({}, 'x-') }],
    ['everyday_deed', { by: 'kube-system/replication-controller', does: 'create pods shop/', body: owned({}, 'x-') }],
    ['everyday_deed', { by: 'kube-system/statefulset-controller', does: 'create pods shop/', body: owned({}, 'x-') }],
    ['everyday_deed', { by: 'kube-system/job-controller', does: 'create pods shop/', body: owned({ name: 'j' }) }],
    ['everyday_deed', { by: 'kube-system/job-controller', does: 'create pods shop/', body: owned({}, 'j-') }],
    ['no_rule', { by: 'kube-system/job-controller', does: 'create pods shop/x', body: owned({}) }],
    ['everyday_deed', { by: 'kube-system/replicaset-controller', does: 'patch pods shop/x' }],
    ['knative', { by: 'knative-serving/controller', does: 'patch apps:deployments zen-system/gc' }],
    ['denied', { by: 'system:kube-scheduler', does: 'list pods shop/', ...denied }],
    ['no_object', { by: 'eve', does: 'GET /logs' }],
    ['no_rule', { by: 'eve', does: 'list pods shop/' }],
  ])('is %s', (reason, sample, environment) => {
    expect(skippedOf(sample, environment)).toEqual({ [reason]: 1 });
  });
});

describe('what we do to our own kinds by a name of our own', () => {
  const own = ['zen@example.com', 'arn:zen-*'];
  it.each([
    ['zen@example.com', true],
    ['zen@example.com.evil', false],
    ['x-zen@example.com', false],
    ['arn:zen-1', true],
    ['arn:zen-', true],
    ['arn:zen', false],
    ['x-arn:zen-1', false],
  ])('is ours as %s: %s', (by, isOurs) => {
    const sample = { by, does: 'delete zen.kube-zen.io:observations shop/x' };
    expect(skippedOf(sample, {}, own)).toEqual(isOurs ? { own_write: 1 } : {});
  });
});

const webhookRefusal = 'admission webhook "x.example" denied the request: no: reason';
const policyRefusal = "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";

describe('what was refused', () => {
  it.each<[string, Sample]>([
    [
      'MEDIUM privileged-pod-creation: eve created Pod shop/x (refused by PodSecurity "restricted:latest"): hostPID',
      {
        by: 'eve',
        does: 'create pods shop/x',
        body: { spec: { hostPID: true } },
        code: 403,
        message: 'violates PodSecurity "restricted:latest": host',
      },
    ],
    [
      'LOW secret-access: eve created Secret shop/x (refused by admission webhook "x.example")',
      { by: 'eve', does: 'create secrets shop/x', code: 400, message: webhookRefusal },
    ],
    [
      "LOW secret-access: eve created Secret shop/x (refused by ValidatingAdmissionPolicy 'p')",
      { by: 'eve', does: 'create secrets shop/x', code: 422, message: policyRefusal },
    ],
    [
      'LOW secret-access: eve created Secret shop/x (refused)',
      { by: 'eve', does: 'create secrets shop/x', code: 403, decision: 'allow', message: 'quota exceeded' },
    ],
    [
      'LOW access-probe: eve was not allowed to create Secret shop/x',
      { by: 'eve', does: 'create secrets shop/x', ...denied, message: 'no' },
    ],
    [
      'LOW node-change: eve changed Node n (labels, taints or cordon) (refused)',
      { by: 'eve', does: 'patch nodes n', code: 403 },
    ],
  ])('was tried, and is told milder: %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
    expect(findingOf(sample)?.details.outcome).toBe(sample.decision === 'forbid' ? 'denied' : 'refused');
  });

  it.each([undefined, 'conflict', 'denied the request'])('is no failure of another kind: %s', (message) => {
    expect(told({ by: 'eve', does: 'create secrets shop/x', code: 422, ...(message && { message }) })).toBeUndefined();
  });
});

describe('a log that leaves things out', () => {
  const event = (more: Readonly<Record<string, unknown>>, sample: Sample) =>
    findingsOf({ ...eventOf(sample), ...more })[0];
  const ref = (resource: string, apiGroup?: string) => ({
    objectRef: { resource, name: 'x', namespace: 'shop', apiGroup },
  });

  it.each([
    ['deployments', undefined, 'apps/v1'],
    ['statefulsets', undefined, 'apps/v1'],
    ['networkpolicies', undefined, 'networking.k8s.io/v1'],
    ['deployments', 'extensions', 'apps/v1'],
    ['customresourcedefinitions', undefined, 'apiextensions.k8s.io/v1'],
    ['secrets', undefined, 'v1'],
  ])('still has the group of %s (%s): %s', (resource, apiGroup, apiVersion) => {
    const sample = { by: 'shop/x', does: 'delete pods -' };
    const finding = event({ objectRef: { ...ref(resource, apiGroup).objectRef, apiVersion: 'v1' } }, sample);
    expect([finding?.rule, finding?.resource?.apiVersion]).toEqual(['resource-deletion', apiVersion]);
  });

  it.each([
    ['roles', 'rbac-change'],
    ['mutatingwebhookconfigurations', 'admission-change'],
    ['validatingadmissionpolicies', 'admission-change'],
    ['validatingadmissionpolicybindings', 'admission-change'],
    ['mutatingadmissionpolicies', 'admission-change'],
    ['mutatingadmissionpolicybindings', 'admission-change'],
    ['apiservices', 'api-extension-change'],
  ])('still has the group of %s: %s', (resource, rule) => {
    expect(event(ref(resource), { by: 'eve', does: 'delete pods -' })?.rule).toBe(rule);
  });

  it.each<readonly [string, string]>([
    ...['jobs', 'cronjobs', 'daemonsets', 'replicasets'].map((resource) => [resource, 'workload-by-hand'] as const),
    ...['rolebindings', 'clusterroles', 'clusterrolebindings'].map((resource) => [resource, 'rbac-change'] as const),
    ['validatingwebhookconfigurations', 'admission-change'],
    ['certificatesigningrequests', 'token-request'],
  ])('still has the group of %s that are created: %s', (resource, rule) => {
    expect(event(ref(resource), { by: 'eve', does: 'create pods -' })?.rule).toBe(rule);
  });

  const builtIn: Readonly<Record<string, readonly string[]>> = {
    apps: ['deployments', 'daemonsets', 'statefulsets', 'replicasets', 'controllerrevisions'],
    batch: ['jobs', 'cronjobs'],
    'rbac.authorization.k8s.io': ['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'],
    'admissionregistration.k8s.io': [
      'mutatingwebhookconfigurations',
      'validatingwebhookconfigurations',
      'validatingadmissionpolicies',
      'validatingadmissionpolicybindings',
      'mutatingadmissionpolicies',
      'mutatingadmissionpolicybindings',
    ],
    'apiregistration.k8s.io': ['apiservices'],
    'apiextensions.k8s.io': ['customresourcedefinitions'],
    'certificates.k8s.io': ['certificatesigningrequests'],
    'networking.k8s.io': ['ingresses', 'networkpolicies'],
    'discovery.k8s.io': ['endpointslices'],
    'authorization.k8s.io': ['subjectaccessreviews', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  };

  it.each(Object.entries(builtIn).flatMap(([group, resources]) => resources.map((resource) => [resource, group])))(
    'still has the group of all %s that are deleted: %s',
    (resource, group) => {
      const { details } =
        event({ objectRef: { resource, namespace: 'shop' } }, { by: 'eve', does: 'deletecollection pods -' }) ?? {};
      expect(details?.apiGroup).toBe(group);
    },
  );

  it('does not take a custom resource for a built-in one', () => {
    expect(event(ref('deployments', 'example.org'), { by: 'eve', does: 'delete pods -' })).toBeUndefined();
  });

  it('has an identity without an auditID, and none without anything to tell it by', () => {
    const sample = { by: 'eve', does: 'get pods/exec shop/x' };
    const [a, b, c] = ['1', '2', '2'].map((second) =>
      event({ auditID: undefined, requestReceivedTimestamp: `2026-03-01T10:00:0${second}.000000Z` }, sample),
    );
    const names = [a, b, c].flatMap((finding) => (finding ? [observationName('audit', finding)] : []));
    expect(new Set(names).size).toBe(2);
    expect(names).toHaveLength(3);
    const pathless = { auditID: undefined, requestURI: undefined };
    expect(event(pathless, sample)?.rule).toBe('pod-exec');
    for (const more of [{ verb: undefined }, { objectRef: undefined }, { objectRef: { name: 'x' } }])
      expect(() => event({ ...pathless, ...more }, sample)).toThrow();
    expect(event({ auditID: undefined, user: undefined }, sample)?.summary).toBe(
      'somebody ran an unlogged command in Pod shop/x',
    );
  });

  it('is complete without a stage, and a request is dated by whatever time it has', () => {
    const sample = { by: 'eve', does: 'delete secrets shop/x' };
    expect(event({ stage: undefined }, sample)?.rule).toBe('resource-deletion');
    const dates = [
      {},
      { stageTimestamp: undefined },
      { stageTimestamp: undefined, requestReceivedTimestamp: undefined, timestamp: '2026-02-01T00:00:00Z' },
      { stageTimestamp: undefined, requestReceivedTimestamp: undefined },
    ].map((more) => event({ requestReceivedTimestamp: '2026-03-01T09:00:00Z', ...more }, sample));
    expect(dates.map((finding) => [finding?.detectedAt, finding?.details.hour])).toEqual([
      ['2026-03-01T10:00:00.000002Z', '2026-03-01T09:00Z'],
      ['2026-03-01T09:00:00Z', '2026-03-01T09:00Z'],
      ['2026-02-01T00:00:00Z', '2026-02-01T00:00Z'],
      ['2026-03-01T10:00:00Z', '2026-03-01T10:00Z'],
    ]);
  });

  it('keeps no query of a path, which may hold secrets, nor a path of any length', () => {
    const finding = findingOf({
      by: 'system:anonymous',
      does: `GET /x${'y'.repeat(2000)}`,
      query: 'token=PLANTED-SECRET',
      path: `/x${'y'.repeat(2000)}`,
    });
    expect(JSON.stringify(finding)).not.toContain('PLANTED-SECRET');
    expect(String(finding?.details.path).length).toBe(128);
    expect(findingOf({ by: 'eve', does: 'GET /logs', query: 'a=1\n2', ...denied })?.summary).toBe(
      'eve was not allowed to reach /logs',
    );
  });
});

describe('the identity of an act', () => {
  const event = { ...eventOf({ by: 'eve', does: 'create pods/exec shop/x' }), auditID: 'a' };
  const nameOf = (more: object): string | undefined =>
    findingsOf({ ...event, ...more }).map((finding) => observationName('audit', finding))[0];

  it.each<object>([
    { auditID: 'b' },
    { verb: 'get' },
    { user: { username: 'bob' } },
    { requestReceivedTimestamp: '2026-03-01T11:00:00Z' },
    { requestReceivedTimestamp: undefined, timestamp: '2026-03-01T12:00:00Z' },
  ])('is another with %j', (more) => {
    expect(nameOf(more)).toBeDefined();
    expect(nameOf(more)).not.toBe(nameOf({}));
  });

  it('is the same when it has ended', () => {
    expect(nameOf({ stage: 'ResponseStarted', stageTimestamp: '2026-03-01T09:00:00Z' })).toBe(nameOf({}));
  });
});

describe('the details of a request', () => {
  it('say what it was about, who made it, and how it ended', () => {
    const finding = findingOf({
      by: 'eve',
      groups: ['dev'],
      does: 'create apps:deployments shop/web',
      code: 201,
      body: { spec: { template: { spec: { hostPID: true, containers: [{ name: 'a' }, { name: 'b' }] } } } },
      annotations: { 'authorization.k8s.io/reason': 'RBAC: allowed by x' },
    });
    expect(finding?.details).toMatchObject({
      verb: 'create',
      object: 'Deployment shop/web',
      groups: ['dev'],
      statusCode: 201,
      apiGroup: 'apps',
      outcome: 'allowed',
      containers: ['a', 'b'],
      powers: 'hostPID',
      reason: 'RBAC: allowed by x',
      technique: 'T1611 Escape to Host',
      matched: ['workload-by-hand'],
    });
    expect(finding?.category).toBe('compliance');
    expect(finding?.resource).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' });
    expect(finding?.repeat).toBeUndefined();
  });

  it.each<[Sample, object]>([
    [
      { by: 'eve', does: 'get pods/exec shop/x', query: 'container=db&command=a&command=b' },
      { subresource: 'exec', container: 'db', command: 'a b', session: 'exec' },
    ],
    [{ by: 'system:anonymous', groups: ['system:unauthenticated'], does: 'GET /logs' }, { path: '/logs' }],
    [
      { by: 'eve', does: 'create pods shop/x', annotations: { 'audit.k8s.io/truncated': 'true' } },
      { isTruncated: true },
    ],
    [
      { by: 'eve', does: 'create secrets shop/x', code: 400, message: webhookRefusal },
      { refusedBy: 'admission webhook "x.example"' },
    ],
    [
      {
        by: 'eve',
        does: 'create pods shop/x',
        body: { metadata: { ownerReferences: [{ kind: 'Job', name: 'j' }] }, spec: { hostPID: true } },
      },
      { owner: 'Job j' },
    ],
    [
      { by: 'shop/x', does: 'create pods/exec shop/x', query: 'command=/bin/sh&command=-c' },
      { program: 'sh', session: 'exec' },
    ],
    [
      {
        by: 'eve',
        does: 'patch serviceaccounts shop/x',
        body: { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'r' } } },
      },
      { cloudRole: 'r', hour: '2026-03-01T10:00Z', namespace: 'shop' },
    ],
    [
      { by: 'eve', does: 'get secrets shop/x' },
      { day: '2026-03-01', namespace: 'shop' },
    ],
    [{ by: 'shop/web', does: 'list secrets -' }, { reach: 'cluster-wide' }],
    [{ by: 'shop/web', does: 'list secrets shop/' }, { reach: 'own namespace' }],
    [{ by: 'shop/web', does: 'list secrets pay/' }, { reach: 'other namespaces' }],
    [{ by: argo, does: 'patch rbac.authorization.k8s.io:roles shop/x' }, { object: 'Role shop/x' }],
  ])('say it in their words: %j', (sample, details) => {
    expect(findingOf(sample)?.details).toMatchObject(details);
  });

  it.each<[Sample, object | undefined, boolean | undefined]>([
    [{ by: 'eve', does: 'delete secrets shop/x' }, { kind: 'Secret', namespace: 'shop' }, false],
    [{ by: 'eve', does: 'get secrets shop/x' }, { kind: 'Secret', namespace: 'shop' }, false],
    [{ by: 'shop/x', does: 'delete secrets shop/x' }, { kind: 'Secret' }, true],
    [
      { by: argo, does: 'patch rbac.authorization.k8s.io:roles shop/x' },
      { kind: 'Role', namespace: 'shop', name: 'x' },
      true,
    ],
    [
      { by: 'eve', does: 'create services shop/x', body: { spec: { type: 'NodePort' } } },
      { kind: 'Service', namespace: 'shop', name: 'x' },
      true,
    ],
    [{ by: 'eve', does: 'list pods shop/', ...denied }, undefined, false],
    [{ by: 'shop/x', does: 'list pods shop/', ...denied }, undefined, true],
    [{ by: 'system:anonymous', does: 'list pods shop/' }, undefined, true],
    [
      {
        by: 'eve',
        does: 'create pods shop/',
        body: {
          metadata: { generateName: 'web-7-', ownerReferences: [{ kind: 'ReplicaSet', name: 'web' }] },
          spec: { hostPID: true },
        },
      },
      { kind: 'Pod', namespace: 'shop', name: 'web-7' },
      nobody,
    ],
  ])('are filed under what they are about, and say whether it goes on: %j', (sample, resource, isOngoing) => {
    const finding = findingOf(sample);
    const found = finding?.resource;
    const shown =
      found &&
      Object.fromEntries(Object.entries(found).filter(([key, value]) => key !== 'apiVersion' && value !== undefined));
    expect(shown).toEqual(resource);
    expect(finding?.repeat?.isOngoing).toBe(isOngoing);
  });

  it('are of one object, also where somebody acts in the name of another', () => {
    const body = { spec: { type: 'NodePort' } };
    expect(findingOf({ by: 'eve', as: 'bob', does: 'create services shop/x', body })?.repeat?.isOngoing).toBe(true);
  });

  it('say of each fact only what there is', () => {
    const event = eventOf({ by: 'eve', does: 'delete secrets shop/x' });
    const { path, groups } = findingsOf({ ...event, user: { username: 'eve' } })[0]?.details ?? { path: 'none' };
    expect([path, groups]).toEqual([undefined, undefined]);
    const denial = findingOf({ by: 'eve', does: 'GET /logs', ...denied })?.details;
    expect([denial?.path, denial?.object]).toEqual(['/logs', undefined]);
  });

  it('name a Pod without a name after its owner, if it has one', () => {
    const nameOf = (metadata: object) =>
      findingOf({ by: 'eve', does: 'create pods shop/', body: { metadata, spec: { hostPID: true } } })?.resource;
    const owner = { ownerReferences: [{ kind: 'ReplicaSet', name: 'web' }] };
    expect(nameOf({ generateName: 'web-' })).toMatchObject({ kind: 'Pod', name: undefined });
    expect(nameOf(owner)).toMatchObject({ kind: 'Pod', name: undefined });
    expect(nameOf({ ...owner, generateName: 'web-' })).toMatchObject({ kind: 'Pod', name: 'web' });
  });

  it('are of a machine, if a list has its user', () => {
    const exec = { by: 'eve', does: 'get pods/exec shop/x', query: 'command=sh&command=%20' };
    expect(findingOf(exec)?.repeat).toBeUndefined();
    expect(findingOf(exec, { AUDIT_OPERATORS: '+eve' })?.repeat?.isOngoing).toBe(true);
    expect(findingOf(exec)?.summary).toBe('eve ran in Pod shop/x: sh');
  });

  it('are of somebody, if there is only who is impersonated', () => {
    const event = { ...eventOf({ by: 'x', does: 'delete secrets shop/x' }), user: {} };
    expect(findingsOf({ ...event, impersonatedUser: { username: 'bob' } })).toMatchObject([
      { summary: 'somebody deleted Secret shop/x' },
    ]);
  });

  it('are of no object where there is none, and of no version where none is logged', () => {
    const path = findingOf({ by: 'shop/x', as: 'system:admin', does: 'create /x' });
    expect([path?.rule, path?.resource, path?.details.object]).toEqual(['impersonation', undefined, undefined]);
    const event = eventOf({ by: 'eve', does: 'delete apps:deployments shop/x' });
    const objectRef = { resource: 'deployments', apiGroup: 'apps', namespace: 'shop', name: 'x' };
    expect(findingsOf({ ...event, objectRef })[0]?.resource?.apiVersion).toBeUndefined();
  });

  it('are told of a binding that nobody made', () => {
    const body = { roleRef: { name: 'view' }, subjects: [{ kind: 'User', name: 'eve' }] };
    const event = eventOf({ by: 'x', does: 'create rbac.authorization.k8s.io:rolebindings shop/x', body });
    expect(findingsOf({ ...event, user: {} })).toMatchObject([{ rule: 'rbac-change', severity: 'MEDIUM' }]);
  });

  it('say of what was done again which object each was about', () => {
    expect(findingOf({ by: 'eve', does: 'delete secrets shop/x' })?.repeat?.about).toBe('Secret shop/x');
    expect(findingOf({ by: 'eve', does: 'GET /logs', ...denied })?.repeat?.about).toBeUndefined();
  });
});
