import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { eventOf, findingOf, findingsOf, podOf, type Sample, splitOf, told } from './audit-requests.ts';

const nobody = undefined;
const words = (...list: readonly string[]): string => list.map((word) => `command=${word}`).join('&');
const passedOn = z.looseObject({ facts: z.looseObject({}) });

/** What is passed on of a request that is told. */
function passed(sample: Sample, more: object = {}) {
  return passedOn.parse(splitOf({ ...eventOf(sample), ...more }).items[0]?.data);
}

describe('what is read of a query', () => {
  it.each<[string | undefined, Sample]>([
    [nobody, { by: 'eve', does: 'delete secrets shop/x', path: '', query: 'dryRun=All' }],
    [nobody, { by: 'eve', does: 'delete secrets shop/x', query: 'a=b&dryRun=Some&dryRun=All' }],
    [
      'MEDIUM resource-deletion: eve deleted Secret shop/x',
      { by: 'eve', does: 'delete secrets shop/x', path: '/api/v1/&dryRun=All' },
    ],
    [
      'MEDIUM resource-deletion: eve deleted Secret shop/x',
      { by: 'eve', does: 'delete secrets shop/x', body: { dryRun: 'All' } },
    ],
    ['MEDIUM pod-exec: eve ran in Pod shop/x: a?b', { by: 'eve', does: 'get pods/exec shop/x', query: 'command=a?b' }],
    [
      'MEDIUM pod-exec: eve ran an unlogged command in Pod shop/x',
      { by: 'eve', does: 'get pods/exec shop/x', query: `${'x'.repeat(65_536)}&command=sh` },
    ],
    [
      'MEDIUM pod-exec: eve ran in Pod shop/x: sh',
      { by: 'eve', does: 'get pods/exec shop/x', query: `${'x'.repeat(60_000)}&command=sh` },
    ],
    [
      'LOW pod-exec: eve forwarded a port to Pod shop/x',
      { by: 'eve', does: 'get pods/portforward shop/x', query: 'command=sh' },
    ],
    [
      'MEDIUM pod-exec: eve ran in Pod shop/x (container db): sh -c ls',
      { by: 'eve', does: 'create pods/exec shop/x', body: { container: 'db', command: ['sh', '-c', 'ls', 7] } },
    ],
  ])('is %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
  });

  it('is no more than a hundred words of a command', () => {
    const list = (count: number) => Array.from({ length: count }, () => 'a');
    const exec = { by: 'eve', does: 'get pods/exec shop/x' };
    expect(findingOf({ ...exec, query: words(...list(99), '/etc/shadow') })?.rule).toBe('pod-exec-suspicious');
    expect(findingOf({ ...exec, query: words(...list(100), '/etc/shadow') })?.rule).toBe('pod-exec');
    expect(findingOf({ ...exec, body: { command: [...list(99), '/etc/shadow'] } })?.rule).toBe('pod-exec-suspicious');
    expect(findingOf({ ...exec, body: { command: [...list(100), '/etc/shadow'] } })?.rule).toBe('pod-exec');
  });

  it('is the command as far as 8 KiB to judge it, and 512 characters to show it', () => {
    const exec = (before: number) =>
      findingOf({ by: 'eve', does: 'get pods/exec shop/x', query: words('x'.repeat(before), '/etc/shadow') });
    expect(exec(8192 - ' /etc/shadow'.length)?.rule).toBe('pod-exec-suspicious');
    expect(exec(8192 - ' /etc/shado'.length)?.rule).toBe('pod-exec');
    expect(exec(600)?.details.command).toBe('x'.repeat(512));
  });

  it('shows no secret of a command', () => {
    const query = words('mysql', '--password=PLANTED-SECRET-1');
    expect(JSON.stringify(passed({ by: 'eve', does: 'get pods/exec shop/x', query }))).not.toContain('PLANTED');
  });

  it.each([
    ['/bin/sh', 'sh'],
    ['sh', 'sh'],
    ['./a/b', 'b'],
    ['/bin/', nobody],
    [`/bin/${'x'.repeat(100)}`, 'x'.repeat(64)],
  ])('is the program of a machine: %s', (command, program) => {
    expect(findingOf({ by: 'ci/x', does: 'get pods/exec shop/x', query: words(command) })?.details.program).toBe(
      program,
    );
  });
});

describe('what is read of a body', () => {
  const privileged = { name: 'bad', securityContext: { privileged: true } };
  const privilegedContext = { securityContext: { privileged: true } };
  const many = (count: number): object[] => Array.from({ length: count }, () => ({ name: 'web', image: 'x' }));

  it('is no more than a thousand containers', () => {
    const rule = (count: number) =>
      findingOf({ by: 'eve', does: 'create pods shop/x', body: { spec: { containers: [...many(count), privileged] } } })
        ?.rule;
    expect([rule(999), rule(1000)]).toEqual(['privileged-pod-creation', 'workload-by-hand']);
  });

  it('is shown up to twenty containers, powers and addresses', () => {
    const containers = Array.from({ length: 30 }, (_, index) => ({ ...privileged, name: `c${index}` }));
    const finding = findingOf({ by: 'eve', does: 'create pods shop/x', body: { spec: { containers } } });
    expect(finding?.details.containers).toHaveLength(20);
    expect(finding?.summary).toContain('and 15 more');
    const externalIPs = Array.from({ length: 30 }, (_, index) => `198.51.100.${index}`);
    expect(
      findingOf({ by: 'eve', does: 'create services shop/x', body: { spec: { externalIPs } } })?.summary,
    ).toContain('and 17 more');
  });

  it('is no more than 200 rules and subjects', () => {
    const rules = [...Array.from({ length: 200 }, () => ({ verbs: ['get'] })), { verbs: ['escalate'] }];
    const subjects = Array.from({ length: 201 }, (_, index) => ({ kind: 'User', name: `u${index}` }));
    const rbac = 'rbac.authorization.k8s.io';
    expect(findingOf({ by: 'eve', does: `create ${rbac}:roles shop/x`, body: { rules } })?.severity).toBe('MEDIUM');
    expect(
      findingOf({ by: 'eve', does: `create ${rbac}:roles shop/x`, body: { rules: rules.slice(1) } })?.severity,
    ).toBe('HIGH');
    expect(
      findingOf({ by: 'eve', does: `create ${rbac}:rolebindings shop/x`, body: { subjects } })?.details.subjects,
    ).toHaveLength(200);
  });

  it('is no more than a thousand operations of a patch', () => {
    const set = { op: 'replace', path: '/spec/replicas', value: 1 };
    const last = { op: 'replace', path: '/spec/replicas', value: 0 };
    const line = (count: number) =>
      told({
        by: 'eve',
        does: 'patch apps:deployments shop/x',
        body: [...Array.from({ length: count }, () => set), last],
      });
    expect(line(999)).toContain('replicas 0');
    expect(line(1000)).toBeUndefined();
  });

  const containers = '/spec/template/spec/containers';
  const op = (path: string, value: unknown) => ({ op: 'add', path, value });
  const privilege = { privileged: true };
  const web = { name: 'web', securityContext: privilege };
  it.each<[string, string | undefined, readonly unknown[]]>([
    [
      'one after the other',
      'web',
      [op(`${containers}/0/name`, 'web'), op(`${containers}/0/securityContext`, privilege)],
    ],
    ['at the end', 'web', [op(`${containers}/-/image`, 'x'), op(`${containers}/-`, web)]],
    ['the twelfth', 'web', [op(`${containers}/12`, web)]],
    ['the last that is looked at', 'web', [op(`${containers}/0/image`, 'x'), op(`${containers}/999`, web)]],
    ['too many', nobody, [op(`${containers}/12345`, web)]],
    ['too many of a list', nobody, [op(`${containers}/0/image`, 'x'), op(`${containers}/12345`, web)]],
    ['far too many of a list', nobody, [op(`${containers}/0/image`, 'x'), op(`${containers}/999999999/image`, 'x')]],
    ['no number', nobody, [op(`${containers}/a1`, web)]],
    ['no number either', nobody, [op(`${containers}/1a`, web)]],
    ['the whole object', 'web', [op('', { spec: { template: { spec: { containers: [web] } } } })]],
    ['no whole object', nobody, [op('', [web])]],
    ['nothing that can be read', 'web', [null, 7, op(`${containers}/0`, web)]],
    ['a copy of what came before', 'web', [op(containers, [web]), op(`${containers}/-`, { image: 'x' })]],
  ])('is a container of a patch: %s', (_what, name, body) => {
    const finding = findingOf({ by: 'eve', does: 'patch apps:deployments shop/x', body });
    expect(finding?.details.powers).toBe(name && `container ${name} is privileged`);
  });

  it('leaves an event as it was sent', () => {
    const event = eventOf({
      by: 'eve',
      does: 'patch apps:deployments shop/x',
      body: [op(containers, [{ name: 'a' }]), op(`${containers}/0/image`, 'x'), op(`${containers}/-`, web)],
    });
    const before = JSON.stringify(event);
    findingsOf(event);
    expect(JSON.stringify(event)).toBe(before);
  });

  it.each<[string | undefined, string, readonly unknown[]]>([
    [
      'HIGH exposed-service: eve changed Service shop/x with externalIPs 198.51.100.9',
      'services shop/x',
      [op('/spec/externalIPs/-', '198.51.100.9')],
    ],
    [
      'HIGH pod-security-change: eve weakened Pod Security of Namespace shop: enforce removed',
      'namespaces shop',
      [op('/metadata/labels', { a: 'b' })],
    ],
    [nobody, 'namespaces shop', [op('/metadata/labels', 7)]],
    [nobody, 'namespaces shop', [op('/metadata/labels/__proto__', { $patch: 'replace' })]],
    [
      'MEDIUM cloud-identity-change: eve changed ServiceAccount shop/x, which has the cloud role r',
      'serviceaccounts shop/x',
      [op('/metadata/annotations/eks.amazonaws.com~1role-arn', 'r')],
    ],
    [nobody, 'serviceaccounts shop/x', [op('/metadata/annotations/eks.amazonaws.com~01role-arn', 'r')]],
  ])('is what a patch in JSON writes: %s', (expected, what, body) => {
    expect(told({ by: 'eve', does: `patch ${what}`, body })).toBe(expected);
  });

  it.each<Sample>([
    { by: 'eve', does: 'create argoproj.io:applications argocd/x', body: podOf({ hostPID: true }) },
    { by: 'eve', does: 'delete apps:deployments shop/x', body: podOf({ hostPID: true }) },
    { by: 'eve', does: 'get pods/attach shop/x', query: 'command=sh' },
  ])('is nothing that it does not mean: %j', (sample) => {
    const { powers, containers, command } = findingOf(sample)?.details ?? { powers: 'nothing is told' };
    expect([powers, containers, command]).toEqual([undefined, undefined, undefined]);
  });

  it.each<[string, unknown]>([
    ['web', { spec: { containers: [null, 7, { name: 'web', ...privilegedContext }] } }],
    ['without a name', { spec: { containers: [{ name: '', ...privilegedContext }] } }],
  ])('is a container: %s', (name, body) => {
    const finding = findingOf({ by: 'eve', does: 'create pods shop/x', body });
    expect(finding?.summary).toBe(`eve created Pod shop/x: container ${name} is privileged`);
  });

  it('is no owner without a name and a kind', () => {
    for (const owner of [{ kind: 'Job' }, { name: 'j' }]) {
      const body = { ...podOf({ hostPID: true }), metadata: { ownerReferences: [owner] } };
      expect(findingOf({ by: 'eve', does: 'create pods shop/x', body })?.details.owner).toBeUndefined();
    }
  });

  it('is a cloud role up to 256 characters', () => {
    const body = { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'r'.repeat(300) } } };
    const finding = findingOf({ by: 'eve', does: 'patch serviceaccounts shop/x', body });
    expect(finding?.details.cloudRole).toBe('r'.repeat(256));
  });

  it.each<[string, Sample]>([
    [
      'CRITICAL privileged-pod-creation: eve created PersistentVolume pv: host directory /',
      { by: 'eve', does: 'create persistentvolumes pv', body: { spec: { hostPath: { path: '/proc/1/root' } } } },
    ],
    [
      'MEDIUM token-request: eve made a token for ServiceAccount shop/x',
      { by: 'eve', does: 'create serviceaccounts/token shop/x', body: { spec: { expirationSeconds: '1000000' } } },
    ],
    [
      'MEDIUM privileged-pod-creation: eve created Pod shop/x, which may be privileged (its body was too long for the audit log)',
      { by: 'eve', does: 'create pods shop/x', result: 'skipped-too-big-size-object' },
    ],
    [
      'LOW workload-by-hand: eve created Pod shop/x',
      { by: 'eve', does: 'create pods shop/x', annotations: { 'audit.k8s.io/truncated': 'false' } },
    ],
    [
      'HIGH impersonation: eve as system:admin deleted Namespace shop (impersonates the control plane)',
      { by: 'eve', as: 'system:admin', does: 'delete namespaces shop/shop' },
    ],
    [
      'MEDIUM masters-access: root created no object with the rights of system:masters',
      { by: 'root', groups: ['system:masters'], does: 'create /x' },
    ],
    [
      'LOW workload-by-hand: root created Pod shop/x',
      { by: 'root', groups: ['system:masters'], does: 'create pods shop/x' },
    ],
    [
      'HIGH anonymous-access: system:anonymous used Pod shop/x without signing in',
      { by: 'system:anonymous', does: 'toString pods shop/x' },
    ],
  ])('is %s', (expected, sample) => {
    expect(told(sample)).toBe(expected);
  });

  const bundle = { clientConfig: { caBundle: 'Q0E=' } };
  const deep = (depth: number): unknown => (depth === 0 ? { caBundle: 'Q0E=' } : { x: deep(depth - 1) });
  const patch = (body: unknown): Sample => ({
    by: 'keda/keda-operator',
    does: 'patch admissionregistration.k8s.io:mutatingwebhookconfigurations x',
    body,
  });

  it.each<[string, unknown, boolean]>([
    ['a bundle', { webhooks: [bundle, { name: 'a', ...bundle }] }, false],
    ['a name', { webhooks: [{ name: 'a' }] }, true],
    ['a bundle and a rule', { webhooks: [{ ...bundle, rules: [{ verbs: ['*'] }] }] }, true],
    ['a bundle and null', { webhooks: [{ ...bundle, rules: null }] }, true],
    ['nothing', {}, true],
    ['a text', 'caBundle', true],
    [
      'a bundle of a patch in JSON',
      [{ op: 'replace', path: '/webhooks/0/clientConfig', value: { caBundle: 'Q0E=' } }],
      false,
    ],
    ['a bundle in lists', [[[[bundle]]]], true],
    ['a bundle in lists that are too deep', { webhooks: [[[[[[[[bundle]]]]]]]] }, true],
    ['a bundle in lists that are not', { webhooks: [[[bundle]]] }, false],
    ['a bundle, and what is too deep', { webhooks: [bundle], x: deep(8) }, true],
    ['a bundle that is deep', deep(7), false],
    ['a bundle that is too deep', deep(8), true],
  ])('is whether a patch renews a certificate: %s', (_what, body, isTold) => {
    expect(told(patch(body)) !== undefined).toBe(isTold);
  });
});

describe('what an admission plugin says', () => {
  const name = 'x'.repeat(253);
  it.each([
    [`admission webhook "${name}" denied the request`, `admission webhook "${name}"`],
    [`admission webhook "${name}x" denied the request`, nobody],
    ['Admission webhook "x" denied the request', nobody],
    ['admission webhook "" denied the request', nobody],
    [
      `ValidatingAdmissionPolicy '${name}' with binding '${name}' denied request`,
      `ValidatingAdmissionPolicy '${name}'`,
    ],
    [`ValidatingAdmissionPolicy '${name}x' with binding 'b' denied request`, nobody],
    [`ValidatingAdmissionPolicy 'p' with binding '${name}x' denied request`, nobody],
    [`violates PodSecurity "${'x'.repeat(64)}": a`, `PodSecurity "${'x'.repeat(64)}"`],
    [`violates PodSecurity "${'x'.repeat(65)}": a`, nobody],
    [`${'x'.repeat(8152)} admission webhook "x" denied the request`, nobody],
    [`${'x'.repeat(8151)} admission webhook "x" denied the request`, 'admission webhook "x"'],
  ])('is read: %s', (message, refusedBy) => {
    const finding = findingOf({ by: 'eve', does: 'create secrets shop/x', code: 422, message });
    expect(finding?.details.refusedBy).toBe(refusedBy);
  });
});

describe('an event that is passed on', () => {
  it('has its facts, and neither what is not so nor what is empty', () => {
    const exec = { by: 'eve', does: 'get pods/exec shop/x', query: words('sh') };
    expect(Object.keys(passed(exec).facts).filter((key) => passed(exec).facts[key] !== undefined)).toEqual([
      'command',
      'program',
      'isSeen',
    ]);
    const pod = passed({ by: 'eve', does: 'create pods shop/web', body: podOf() }).facts;
    expect(JSON.parse(JSON.stringify(pod))).toEqual({
      name: 'web',
      changes: ['image'],
      containers: ['web'],
      isSeen: true,
    });
  });

  it('has no text of any length, and no secret', () => {
    const annotations = {
      'authorization.k8s.io/decision': 'allow',
      'authorization.k8s.io/reason': `password=PLANTED-SECRET-1 ${'x'.repeat(5000)}`,
      other: 'x',
    };
    const data = passed(
      { by: 'eve', does: 'delete secrets shop/x', path: `/${'x'.repeat(2000)}`, agent: 'x password=PLANTED-SECRET-2' },
      { annotations },
    );
    expect(data).toMatchObject({ requestURI: `/${'x'.repeat(1023)}` });
    expect(Object.keys(Object(data.annotations))).toEqual([
      'authorization.k8s.io/decision',
      'authorization.k8s.io/reason',
    ]);
    expect(String(Object(data.annotations)['authorization.k8s.io/reason']).length).toBe(4096);
    expect(JSON.stringify(data)).not.toContain('PLANTED-SECRET');
  });

  it('is told by what it asked, without an ID of its own', () => {
    const sample = { by: 'eve', does: 'delete secrets shop/x' };
    const changed: readonly object[] = [
      {},
      { verb: 'deletecollection' },
      { requestURI: '/other' },
      { user: { username: 'bob' } },
      { objectRef: { resource: 'secrets', namespace: 'shop', name: 'y' } },
      { requestReceivedTimestamp: '2026-03-01T11:00:00Z' },
      { requestObject: { metadata: { name: 'z' } } },
    ];
    const base = { ...eventOf(sample), auditID: undefined };
    const ids = changed.map((more) => splitOf({ ...base, ...more }).items[0]?.id);
    expect(new Set(ids).size).toBe(changed.length);
    expect(splitOf(base).items[0]?.id).toBe(ids[0]);
  });

  it.each<[object, string]>([
    [{ kind: 'Pod' }, 'kind'],
    [{ apiVersion: 'audit.k8s.io/v2' }, 'apiVersion'],
    [{ auditID: '' }, 'auditID'],
    [{ stage: '' }, 'stage'],
    [{ auditID: undefined, requestURI: undefined, verb: undefined }, 'auditID'],
    [{ auditID: undefined, requestURI: undefined, objectRef: undefined }, 'auditID'],
  ])('is refused with %j, which names the field', (more, field) => {
    const event = { ...eventOf({ by: 'eve', does: 'delete secrets shop/x' }), ...more };
    expect(splitOf({ kind: 'EventList', items: [event] }).refused).toEqual([
      {
        path: `items[0].${field}`,
        message: expect.stringMatching(/^(?:Invalid input|Invalid option|Too small): expected /),
      },
    ]);
  });

  it.each([
    { user: 7 },
    { sourceIPs: 7 },
    { userAgent: 7 },
    { objectRef: 7 },
    { responseStatus: 7 },
    { annotations: 7 },
    { user: { username: 'eve', groups: 7 } },
    { impersonatedUser: 7 },
    { requestReceivedTimestamp: 7 },
    { requestURI: undefined, verb: undefined },
    { auditID: undefined, verb: undefined },
    { kind: null, apiVersion: null, stage: null, user: null, sourceIPs: null, objectRef: null, annotations: null },
  ])('is read as far as it can be: %j', (more) => {
    const event = { ...eventOf({ by: 'eve', does: 'delete secrets shop/x' }), ...more };
    expect(() => findingsOf(event)).not.toThrow();
  });
});

describe('one and several of a kind', () => {
  it.each([
    ['things', 'thing', 'things'],
    ['policies', 'policy', 'policies'],
    ['boxes', 'box', 'boxes'],
    ['buses', 'bus', 'buses'],
    ['topazes', 'topaz', 'topazes'],
    ['switches', 'switch', 'switches'],
    ['meshes', 'mesh', 'meshes'],
    ['classes', 'class', 'classes'],
    ['bus', 'bus', 'bus'],
    ['class', 'class', 'class'],
    ['sheep', 'sheep', 'sheep'],
    ['sessions', 'session', 'sessions'],
    ['ingressclasses', 'IngressClass', 'IngressClasses'],
    ['storageclasses', 'StorageClass', 'StorageClasses'],
    ['networkpolicies', 'NetworkPolicy', 'NetworkPolicies'],
    ['endpoints', 'Endpoints', 'Endpoints'],
  ])('are %s: %s, %s', (resource, one, several) => {
    const by = 'system:anonymous';
    const end = 'without signing in';
    const group = resource.startsWith('network') || resource.startsWith('ingress') ? 'networking.k8s.io:' : '';
    expect(told({ by, does: `get ${group}${resource} x` })).toBe(`HIGH anonymous-access: ${by} read ${one} x ${end}`);
    expect(findingOf({ by, does: `list ${group}${resource} -` })?.summary).toBe(
      `${by} listed ${several} of the whole cluster ${end}`,
    );
  });

  it.each([
    ['configmaps', 'a ConfigMap'],
    ['endpointslices', 'an EndpointSlice'],
    ['ingresses', 'an Ingress'],
    ['oranges', 'an orange'],
    ['umbrellas', 'an umbrella'],
    ['apples', 'an apple'],
  ])('have an article without a name: %s', (resource, one) => {
    const by = 'system:anonymous';
    expect(findingOf({ by, does: `create ${resource} shop/` })?.summary).toContain(` created ${one} in shop `);
  });
});
