import { describe, expect, it } from 'vitest';
import type { LogRule } from '../../functions/audit/detection.ts';
import { detections } from '../../functions/audit/detections.ts';
import { observationName } from '../../shared/finding/name.ts';
import { eventOf, findingOf, findingsOf, type Sample, splitOf } from './audit-requests.ts';
import { outside, type Row, samples } from './audit-samples.ts';

interface LoggedRequest {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: Readonly<
    Record<'resource' | 'subresource' | 'apiGroup' | 'name' | 'namespace', string | undefined>
  >;
}

const cidrs = { AUDIT_CLUSTER_CIDRS: '10.0.0.0/8' };
/** Of each event type, what its first sample is: by whom, what, and to what. */
const firstOfEach: readonly (readonly [eventType: string, summary: string])[] = [
  [
    'pod-exec-suspicious',
    'eve ran in Pod shop/web a command that reads tokens: cat /var/run/secrets/kubernetes.io/serviceaccount/token',
  ],
  ['pod-exec', 'ServiceAccount ci/runner ran in Pod ci/build-1: sh -c make test'],
  ['ephemeral-container', 'eve added the debug container dbg to Pod shop/web'],
  ['privileged-pod-creation', 'eve created Pod shop/web: container web is privileged'],
  ['workload-by-hand', 'eve created Pod shop/web'],
  [
    'rbac-change',
    'eve bound cluster-admin to ServiceAccount ci/deployer in the whole cluster (ClusterRoleBinding own)',
  ],
  ['impersonation', 'eve as admin listed Pods in shop (impersonates group system:masters)'],
  ['token-request', 'eve made a token for ServiceAccount shop/web'],
  ['permission-discovery', 'ServiceAccount shop/web asked what it may do'],
  ['admission-change', 'eve created MutatingWebhookConfiguration evil'],
  ['api-extension-change', 'eve created APIService v1.evil.example'],
  ['watcher-change', 'eve deleted observation shop/falco-1, which is evidence'],
  ['pod-security-change', 'eve weakened Pod Security of Namespace shop: enforce privileged'],
  ['critical-config-change', 'eve changed ConfigMap kube-system/aws-auth'],
  ['deploy-source-change', 'eve created application argocd/evil'],
  [
    'cloud-identity-change',
    'eve changed ServiceAccount shop/web, which has the cloud role arn:aws:iam::111122223333:role/admin',
  ],
  ['secret-read', 'eve listed Secrets of the whole cluster'],
  ['helm-release-read', "ServiceAccount ci/runner listed Helm's releases in shop"],
  ['secret-access', 'eve created Secret shop/token'],
  ['resource-deletion', 'eve deleted Namespace shop'],
  ['proxy-access', 'eve reached /run/shop/web-1/web through the proxy of Node n1'],
  ['anonymous-access', 'system:anonymous listed Pods in shop without signing in'],
  ['kube-system-workload', 'eve created Deployment kube-system/coredns-2'],
  [
    'pod-security-violation',
    'ServiceAccount ci/runner created Deployment shop/web against PodSecurity baseline: host namespaces',
  ],
  ['exposed-service', 'eve created Service shop/mitm with externalIPs 198.51.100.9'],
  ['endpoint-change', 'eve changed Endpoints shop/db'],
  ['node-change', 'eve created Node evil'],
  ['access-probe', 'ServiceAccount shop/web was not allowed to list Secrets of the whole cluster'],
  ['masters-access', 'kubernetes-admin created ConfigMap shop/x with the rights of system:masters'],
  ['system-principal-outside', 'ServiceAccount shop/web came from 198.51.100.9, which is outside the cluster'],
];

const all: readonly (readonly [row: Row, environment: Readonly<Record<string, string>>])[] = [
  ...samples.map((row) => [row, {}] as const),
  ...outside.map((row) => [row, cidrs] as const),
];
const table = all.map(([[label, detection, severity, sample], environment]) => ({
  label,
  detection,
  severity,
  sample,
  environment,
  title: `${sample.by}: ${sample.does} ${sample.query ?? ''}`.slice(0, 90),
}));

/** Whether a rule of a Policy is about a request, as kube-apiserver reads it. */
function isLogged(rule: LogRule, { verb, user, objectRef: ref }: LoggedRequest): boolean {
  const isOne = (given: readonly string[] | undefined, value: string | undefined): boolean =>
    given === undefined || given.includes(value ?? '');
  const plural = ref && [ref.resource, ref.subresource].filter(Boolean).join('/');
  const isAboutResource = ref !== undefined && rule.group === ref.apiGroup && isOne(rule.resources, plural);
  const [, kind = ''] = user.username.split(':');
  const isAboutGroup = rule.userGroups?.includes(`system:${kind}s`) ?? true;
  return (
    isOne(rule.verbs, verb) &&
    isAboutGroup &&
    (rule.group === undefined ? rule.resources === undefined : isAboutResource) &&
    isOne(rule.resourceNames, ref?.name) &&
    isOne(rule.namespaces, ref?.namespace)
  );
}

describe('the detections', () => {
  it.each(table)('judge as $label of $detection: $title', ({ label, detection, severity, sample, environment }) => {
    const finding = findingOf(sample, environment);
    expect([finding?.rule, finding?.severity]).toEqual(
      label === 'noise' ? [undefined, undefined] : [detection, severity],
    );
    if (label === 'ordinary') expect(finding?.severity).toBe('LOW');
  });

  it.each(detections)('have two attacks and two neighbours that are none: $name', ({ name }) => {
    const labels = table.filter(({ detection }) => detection === name).map(({ label }) => label);
    expect(labels.filter((label) => label === 'attack').length).toBeGreaterThanOrEqual(2);
    const isHarmless = ({ label, detection }: (typeof table)[number]) =>
      label !== 'attack' && (detection === name || (name.startsWith('pod-exec') && detection === 'pod-exec'));
    expect(table.filter(isHarmless).length).toBeGreaterThanOrEqual(2);
  });

  it.each(table.filter(({ label }) => label !== 'noise'))('say who did what to what: $title', (row) => {
    const { by, does } = row.sample;
    const summary = findingOf(row.sample, row.environment)?.summary ?? '';
    const [, what = '', place = ''] = does.split(' ');
    const name = what.startsWith('/') ? what : place.split('/').at(-1);
    // An impersonator that serves many is named as what proves the actor.
    expect(summary).toContain((by === 'cattle-system/rancher' ? row.sample.as : by)?.replace('system:node:', 'node '));
    const isAboutNothing = name === '-' || /asked what it may do|came from|was asked by/.test(summary);
    if (!isAboutNothing) expect(summary).toContain(name);
    expect(summary).not.toMatch(/undefined|null| {2}|\(\)|[:,] ?$/);
    expect(summary.length).toBeLessThan(400);
  });

  it('say of each event type by whom, what and to what', () => {
    const findings = table.flatMap(({ label, sample, environment }) =>
      label === 'noise' ? [] : (findingOf(sample, environment) ?? []),
    );
    const types = [...new Set(findings.map(({ eventType }) => eventType))];
    const firsts = types.map((type) => findings.find(({ eventType }) => eventType === type));
    expect(firsts.map((finding) => [finding?.eventType, finding?.summary])).toEqual(firstOfEach);
  });

  it.each(table.filter(({ environment }) => environment !== cidrs))('are all that is forwarded: $title', (row) => {
    const event = eventOf(row.sample);
    const { items, unwanted } = splitOf(event);
    expect([items.length, unwanted]).toEqual(row.label === 'noise' ? [0, 1] : [1, 0]);
    const listed = splitOf({ kind: 'EventList', items: [event] });
    expect([listed.items.length, listed.unwanted]).toEqual([items.length, unwanted]);
    const sent: unknown[] = JSON.parse(JSON.stringify(items.map(({ data }) => data)));
    for (const data of sent) expect(findingsOf(data)).toEqual(findingsOf(event));
  });

  it.each(table.filter(({ label }) => label !== 'noise'))(
    'have logged what they judge: $title',
    ({ detection, sample }) => {
      const own = detections.filter(({ name }) => name === detection);
      // Who is judged may have done anything.
      if (own.some(({ isAboutWho }) => isAboutWho)) return;
      const request = JSON.parse(JSON.stringify(eventOf(sample)));
      // Some give what they find another name.
      const logs = (own.length > 0 ? own : detections).flatMap((one) => one.logs ?? []);
      expect(logs.filter((rule) => isLogged(rule, request)).map(({ level }) => level)).toContainEqual(
        expect.stringMatching(sample.body === undefined ? /^(?:Metadata|Request|RequestResponse)$/ : /^Request/),
      );
    },
  );

  it('show every fact of the identity, so that no two findings look alike', () => {
    const findings = table.flatMap(({ sample, environment }) => findingOf(sample, environment) ?? []);
    const specs = new Map<string, string>();
    for (const finding of findings) {
      const { identity: _identity, detectedAt: _detectedAt, ...spec } = finding;
      const name = observationName('audit', finding);
      const known = specs.get(JSON.stringify(spec));
      expect(known ?? name).toBe(name);
      specs.set(JSON.stringify(spec), name);
    }
  });
});

function namesOf(list: readonly Sample[]): Set<string> {
  return new Set(
    list.flatMap((sample) => {
      const finding = findingOf(sample);
      return finding ? [observationName('audit', finding)] : [];
    }),
  );
}

const times = (...hours: readonly string[]): string[] => hours.map((hour) => `2026-03-0${hour}:00:00.000000Z`);

describe('what makes one finding', () => {
  it.each<[string, number, readonly Sample[]]>([
    ['each exec of a person', 2, [0, 1].map(() => ({ by: 'eve', does: 'get pods/exec shop/web' }))],
    [
      'the execs of a machine with one program',
      1,
      ['a', 'b'].map((name) => ({ by: 'ci/runner', does: `create pods/exec ci/${name}`, query: 'command=sh' })),
    ],
    [
      'a person in an hour and a namespace',
      1,
      ['a', 'b'].map((name) => ({ by: 'eve', does: `create secrets shop/${name}` })),
    ],
    ['a person in two hours', 2, times('1T10', '1T11').map((at) => ({ by: 'eve', does: 'create secrets shop/a', at }))],
    ['a person in two namespaces', 2, ['a', 'b'].map((name) => ({ by: 'eve', does: `create secrets ${name}/x` }))],
    [
      "a person's reads of Secrets in a day",
      1,
      times('1T10', '1T11').map((at) => ({ by: 'eve', does: 'get secrets shop/a', at })),
    ],
    [
      "a person's reads of Secrets in two days",
      2,
      times('1T10', '2T10').map((at) => ({ by: 'eve', does: 'get secrets shop/a', at })),
    ],
    ['a machine for ever', 1, times('1T10', '2T11').map((at) => ({ by: 'shop/web', does: 'get secrets pay/a', at }))],
    [
      'a machine at home and elsewhere',
      2,
      ['shop', 'pay'].map((namespace) => ({ by: 'shop/web', does: `list secrets ${namespace}/` })),
    ],
    [
      'a machine in two other namespaces',
      1,
      ['a', 'b'].map((namespace) => ({ by: 'shop/web', does: `list secrets ${namespace}/` })),
    ],
    [
      'a deployer by object',
      2,
      ['a', 'b'].map((name) => ({
        by: 'argocd/argocd-application-controller',
        does: `patch rbac.authorization.k8s.io:roles shop/${name}`,
      })),
    ],
    [
      'a deployer that applies again',
      1,
      times('1T10', '2T11').map((at) => ({
        by: 'argocd/argocd-application-controller',
        does: 'patch rbac.authorization.k8s.io:roles shop/a',
        at,
      })),
    ],
    [
      'all denials of a person in an hour',
      1,
      Array.from({ length: 20 }, (_, index) => ({
        by: 'eve',
        does: `list secrets ns${index}/`,
        code: 403,
        decision: 'forbid' as const,
      })),
    ],
    [
      'denials of a person in two hours',
      2,
      times('1T10', '1T11').map((at) => ({
        by: 'eve',
        does: 'list pods a/',
        at,
        code: 403,
        decision: 'forbid' as const,
      })),
    ],
    [
      'denials of strangers from the Internet',
      1,
      ['/a', '/b'].map((path) => ({
        by: 'system:anonymous',
        groups: ['system:unauthenticated'],
        does: `GET ${path}`,
        code: 403,
        decision: 'forbid' as const,
      })),
    ],
    [
      'what is worse, again',
      2,
      [
        { by: 'shop/web', does: 'get secrets shop/a' },
        { by: 'shop/web', does: 'list secrets shop/' },
      ],
    ],
    [
      'reads of an impersonator in an hour',
      1,
      ['a', 'b'].map((name) => ({ by: 'eve', does: `list pods ${name}/`, as: 'root', asGroups: ['system:masters'] })),
    ],
    [
      'each write in the name of another',
      2,
      ['a', 'b'].map(() => ({ by: 'eve', does: 'create secrets a/x', as: 'root', asGroups: ['system:masters'] })),
    ],
    [
      'denials of strangers, whatever they are about',
      1,
      ['list pods a/', 'list nodes -', 'GET /b'].map((does) => ({
        by: 'system:anonymous',
        does,
        code: 403,
        decision: 'forbid' as const,
      })),
    ],
    [
      'reads of a machine in the name of another',
      1,
      ['list pods a/', 'list nodes -'].map((does) => ({ by: 'shop/x', as: 'system:admin', does })),
    ],
    [
      'what a deployer creates without a name',
      2,
      ['a-', 'b-'].map((generateName) => ({
        by: 'argocd/argocd-application-controller',
        does: 'create pods shop/',
        body: { metadata: { generateName }, spec: { hostPID: true } },
      })),
    ],
    [
      'ports that a person forwards in a day',
      1,
      times('1T10', '1T11').map((at) => ({ by: 'eve', does: 'get pods/portforward shop/x', at })),
    ],
    [
      'the execs of a machine, wherever',
      1,
      ['ci', 'shop'].map((namespace) => ({
        by: 'ci/runner',
        does: `create pods/exec ${namespace}/x`,
        query: 'command=sh',
      })),
    ],
    [
      'what a node is asked by two',
      2,
      ['eve', 'bob'].map((user) => ({
        by: 'system:node:n',
        does: 'create authorization.k8s.io:subjectaccessreviews -',
        body: { spec: { user, resourceAttributes: { resource: 'nodes', subresource: 'proxy' } } },
      })),
    ],
    [
      'what a deployer does to a guard, in another way',
      2,
      ['create', 'delete'].map((verb) => ({
        by: 'argocd/argocd-application-controller',
        does: `${verb} kyverno.io:clusterpolicies x`,
      })),
    ],
    [
      'denied writes in the name of another in an hour',
      1,
      ['a', 'b'].map((name) => ({ by: 'eve', does: `create secrets a/${name}`, as: 'bob', code: 401 })),
    ],
    [
      'an exposed Service, whoever changes it',
      1,
      ['eve', 'bob'].map((by) => ({ by, does: 'update services shop/web', body: { spec: { type: 'NodePort' } } })),
    ],
    [
      'exec that starts and completes',
      1,
      ['ResponseStarted', 'ResponseComplete'].map((stage) => ({
        by: 'ci/runner',
        does: 'get pods/exec shop/web',
        stage,
        query: 'command=sh',
      })),
    ],
  ])('is %s: %i', (_case, count, list) => {
    expect(namesOf(list).size).toBe(count);
  });
});

describe('a person from outside the cluster', () => {
  it('is one finding, also with writes in the name of another', () => {
    const findings = ['a', 'b'].map((name) =>
      findingOf({ by: 'system:bob', as: 'alice', does: `create configmaps shop/${name}` }, cidrs),
    );
    expect(findings).toMatchObject([{ rule: 'system-principal-outside' }, { rule: 'system-principal-outside' }]);
    expect(
      new Set(findings.flatMap((finding) => finding ?? []).map((finding) => observationName('audit', finding))).size,
    ).toBe(1);
  });
});

describe('what was cut out of an event, since it was too long', () => {
  it.each([
    ['create pods shop/web', 'privileged-pod-creation'],
    ['patch namespaces shop', 'pod-security-change'],
    ['patch services shop/web', 'exposed-service'],
  ])('is not taken for innocent: %s', (does, rule) => {
    const finding = findingOf({ by: 'eve', does, annotations: { 'audit.k8s.io/truncated': 'true' } });
    expect([finding?.rule, finding?.severity]).toEqual([rule, 'MEDIUM']);
    expect(finding?.summary).toContain('too long');
  });

  it('is not taken for innocent either if something else stands in its place', () => {
    const finding = findingOf({ by: 'eve', does: 'create pods shop/web', body: 'skipped-too-big-size-object' });
    expect([finding?.rule, finding?.severity]).toEqual(['privileged-pod-creation', 'MEDIUM']);
  });
});

describe('an object in a summary', () => {
  it.each([
    ['create kyverno.io:clusterpolicies x', 'created clusterpolicy x'],
    ['create kyverno.io:clusterpolicies -', 'created a clusterpolicy'],
    ['deletecollection kyverno.io:policies shop/', 'deleted all policies in shop'],
    ['create argoproj.io:applications argocd/', 'created an application in argocd'],
    ['delete cilium.io:ciliumnetworkpolicies shop/x', 'deleted ciliumnetworkpolicy shop/x'],
    ['delete velero.io:backups velero/x', 'deleted backup velero/x'],
    ['update source.toolkit.fluxcd.io:gitrepositories shop/x', 'changed gitrepository shop/x'],
    ['create secrets shop/', 'created a Secret in shop'],
  ])('is one of a kind: %s', (does, text) => {
    expect(findingOf({ by: 'eve', does })?.summary).toBe(`eve ${text}`);
  });
});

describe('a tenant', () => {
  it('is told of its own namespace, and of no other', () => {
    const environment = { WATCH_NAMESPACE: 'shop' };
    expect(findingOf({ by: 'eve', does: 'get secrets shop/db' }, environment)?.rule).toBe('secret-read');
    expect(findingOf({ by: 'eve', does: 'get secrets pay/db' }, environment)).toBeUndefined();
  });
});

describe('the actor', () => {
  it('is who signed in, with what proves it and whom he impersonates', () => {
    const finding = findingOf({
      by: 'alice',
      groups: ['dev'],
      does: 'delete secrets shop/db',
      as: 'admin',
      asGroups: ['system:masters'],
      extra: {
        arn: ['arn:aws:sts::111122223333:assumed-role/dev/alice'],
        sessionName: ['alice'],
        token: ['PLANTED-SECRET'],
      },
    });
    expect(finding?.actor).toEqual({
      username: 'alice',
      groups: ['dev'],
      sourceIP: '203.0.113.7',
      userAgent: 'kubectl/v1.36.0 (linux/amd64)',
      via: 'as admin, arn:aws:sts::111122223333:assumed-role/dev/alice',
    });
    expect(finding?.details.impersonated).toEqual({ username: 'admin', groups: ['system:masters'] });
    expect(JSON.stringify(finding)).not.toContain('PLANTED-SECRET');
  });

  it('is who is impersonated by one that serves many', () => {
    const finding = findingOf({
      by: 'cattle-system/rancher',
      does: 'delete secrets shop/db',
      as: 'bob',
      asGroups: ['dev'],
    });
    expect(finding?.actor).toMatchObject({
      username: 'bob',
      groups: ['dev'],
      via: 'by system:serviceaccount:cattle-system:rancher',
    });
    expect(finding?.summary).toBe('bob deleted Secret shop/db');
  });

  it('shows no secret that its name, which is too long for a summary, holds', () => {
    const by = 'https://login.example.com/oauth2/authorize?password=PLANTED-SECRET-1234';
    expect(findingOf({ by, does: 'delete secrets shop/db' })?.summary).not.toContain('PLANTED');
    expect(findingOf({ by: 'bob', as: by, does: 'delete secrets shop/db' })?.summary).not.toContain('PLANTED');
  });

  it('is nobody if the request was not authenticated', () => {
    const event = { ...eventOf({ by: 'x', does: 'list pods shop/', code: 401 }), user: {} };
    expect(findingsOf(event)[0]).toMatchObject({
      rule: 'access-probe',
      summary: 'somebody was not allowed to list Pods in shop',
    });
  });
});
