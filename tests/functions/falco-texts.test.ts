import { describe, expect, it } from 'vitest';
import { flatten, hasMoreFields, shortened, stableFields, stableName } from '../../functions/falco/fields.ts';
import falco from '../../functions/falco.ts';
import { outboxLabel } from '../../shared/api/labels.ts';
import { ownMark } from '../../shared/api/own-mark.ts';
import { triggersOf } from '../../shared/function/definitions.ts';
import { type Environment, parseSettings } from '../../shared/function/settings.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { createTestContext, eventOf, handled } from '../pipeline/test-context.ts';

function settingsOf(environment: Environment) {
  return Object.assign({}, parseSettings(environment, falco.settings, []));
}

function said(alert: object, environment: Environment = {}) {
  const data = { rule: 'Odd thing', priority: 'Warning', ...alert };
  return normalizeData(falco.source, data, '2026-03-01T10:00:00Z', settingsOf(environment));
}

function summaryOf(alert: object): string | undefined {
  return said(alert).findings[0]?.summary;
}

/** An object within `depth - 1` others. */
function nested(depth: number, value: object): object {
  return depth === 1 ? value : { a: nested(depth - 1, value) };
}

describe('the text of an alert', () => {
  it.each([
    ['Bad things', 'Bad things'],
    ['Bad things', '10:00:00: Warning Bad things'],
    ['Bad things', '10:00:00.123456789: Warning Bad things'],
    ['Bad things', '  10:00:00 Warning Bad things  '],
    ['Bad things', '10:00:00Z: Bad things'],
    ['Bad things', '10:00:00:  Warning  Bad things'],
    ['Bad things', '2026-03-01T10:00:00.1Z: Error Bad things'],
    ['Bad things', '2026-03-01T10:00:00+01:00: Critical Bad things'],
    ['Bad things', '2026-03-01T10:00:00-0130: 3 Bad things'],
    ['Bad things', 'Warning Bad things'],
    ['Bad things', 'Notice  Bad things'],
    ['bad things', '10:00:00: debug bad things'],
    ['8 bad things', '10:00:00: 8 bad things'],
    ['Warning bad things', 'Warning bad things'],
    ['warning Bad things', 'warning Bad things'],
    ['The Warning Bad things', 'The Warning Bad things'],
    ['The Warning Bad things', '10:00:00: The Warning Bad things'],
    ['At 10:00:00: Warning Bad things', 'At 10:00:00: Warning Bad things'],
    ['10:00:00Warning', '10:00:00Warning'],
    ['Came from 10.0.0.1->10.0.0.2:80', 'Came from 10.0.0.1:41000->10.0.0.2:80'],
  ])('is %j of %j', (text, output) => {
    expect(summaryOf({ output })).toBe(text);
    expect(summaryOf({ output: null, message: output })).toBe(text);
    expect(said({ output }).findings[0]?.identity).toEqual(said({ output: text }).findings[0]?.identity);
  });

  const process = { 'proc.name': 'cat' };
  it.each([
    ['Bad things', 'Bad things | file=x'],
    ['Bad things', 'Bad things  |  file=x'],
    ['Bad things', 'Bad things | in a Pod'],
    ['Bad things', 'Bad things x=1'],
    ['Bad things', 'Bad things (file=x y=z)'],
    ['Bad things', 'Bad things ( proc.aname[2]=x'],
    ['Bad things', 'Bad things k8s.ns=x\nmore'],
    ['Bad things', 'Bad things.: -'],
    ['Bad things|x', 'Bad things|x'],
    ['Bad things (again)', 'Bad things (again)'],
    ['Bad things =x', 'Bad things =x'],
    ['Bad things x=', 'Bad things x= '],
    ['a'.repeat(24).concat(' ', 'b'.repeat(23)), 'a'.repeat(24).concat(' ', 'b'.repeat(23))],
    ['Odd thing', 'a'.repeat(24).concat(' ', 'b'.repeat(24))],
    ['Odd thing', 'Bad'],
  ])('begins a summary as %j: %j', (text, output) => {
    expect(summaryOf({ output, output_fields: process })).toBe(`${text}: cat`);
  });

  it('is not told where fields say more', () => {
    const fields = { 'x.kind': 'odd' };
    expect(
      summaryOf({ output: 'Bad things happened to somebody, which takes long to tell', output_fields: fields }),
    ).toBe('Odd thing: x.kind=odd');
  });

  it('is told without spaces around a rule and a field', () => {
    const [finding] = said({ rule: '  Odd \n thing ', output_fields: { 'proc.name': '  cat ' } }).findings;
    expect(finding).toMatchObject({ rule: 'Odd thing', details: { process: 'cat' } });
  });
});

describe('an alert', () => {
  it.each<[object, string | undefined]>([
    [{ output_fields: { [`${ownMark}finding`]: 'x' } }, 'self'],
    [{ output_fields: { [`x.${ownMark}`]: 'x' } }, undefined],
    [{ rule: ' Falco internal: drop' }, 'internal'],
    [{ rule: 'My Falco internal: drop' }, undefined],
    [{ source: 'internal' }, 'internal'],
    [{ priority: 'Debug' }, 'below_minimum_priority'],
    [{ priority: 'Notice' }, undefined],
  ])('%j is left out for %s', (alert, reason) => {
    expect(said(alert).skipped).toEqual(reason === undefined ? {} : { [reason]: 1 });
    expect(said(alert).findings).toHaveLength(reason === undefined ? 1 : 0);
  });

  it.each([
    ['C++ in a Pod', { FALCO_RULE_SEVERITY: 'C++ in a Pod=LOW' }, 'LOW'],
    ['Mine', { FALCO_RULE_SEVERITY: ' +Mine=CRITICAL' }, 'CRITICAL'],
    ['Mine', { FALCO_RULE_SEVERITY: 'Mine=CRITICAL,mine = low' }, 'LOW'],
    ['Other', { FALCO_RULE_SEVERITY: 'Mine=CRITICAL' }, 'MEDIUM'],
  ])('of the rule %s with %j is %s', (rule, environment, severity) => {
    expect(said({ rule }, environment).findings[0]?.severity).toBe(severity);
  });

  it('keeps 64 tags', () => {
    const tags = Array.from({ length: 65 }, (_, index) => `t${index}`);
    expect(said({ tags }).findings[0]?.details.tags).toHaveLength(64);
  });

  it('has at most 1000 fields', () => {
    const fields = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`x.f${index}`, 'v']));
    expect(said({ output_fields: fields(1000) }).findings).toHaveLength(1);
    expect(() => said({ output_fields: fields(1001) })).toThrow(
      expect.objectContaining({ status: 422, cause: expect.stringContaining('must have at most 1000 fields') }),
    );
  });

  it('is announced even if it is LOW', async () => {
    const { context, store } = createTestContext(falco, { environment: { ANNOUNCE: 'true' } });
    await handled(falco, eventOf('falco.rule.output.v1', { rule: 'r', priority: 'Notice' }), context);
    const { items } = await store.read({ limit: 9 });
    expect(items.map(({ metadata }) => metadata.labels[outboxLabel])).toEqual(['due']);
  });

  it.each<[string | undefined, object]>([
    ['app', { 'container.name': 'k8s_app_pod_ns_uid_0' }],
    ['my-k8s_app_pod', { 'container.name': 'my-k8s_app_pod' }],
    ['k8s_app', { 'container.name': 'k8s_app' }],
    [undefined, { 'container.name': 'host' }],
    [undefined, {}],
  ])('names the container %s of %j', (container, fields) => {
    expect(said({ output_fields: fields }).findings[0]?.details.container).toBe(container);
  });

  it.each<[string, object]>([
    ['Odd thing: cat /etc/x (parent bash)', { 'proc.cmdline': 'cat /etc/x', 'proc.pname': 'bash' }],
    [
      'Odd thing (shop/web): my.container.kind=odd',
      { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'web', 'my.container.kind': 'odd' },
    ],
  ])('says each thing once: %s', (summary, fields) => {
    expect(summaryOf({ output_fields: fields })).toBe(summary);
  });

  it.each<[string, string | undefined, object]>([
    ['Node', undefined, { 'my.ct.name': 'v' }],
    ['Node', undefined, { 'okta2.actor.name': 'v' }],
    ['none', undefined, { 'okta.b.user': 'bob' }],
    ['none', undefined, { 'okta.username2': 'bob' }],
    ['none', 'bob', { 'okta.username': 'bob' }],
  ])('is about a %s, by %s: %j', (kind, username, fields) => {
    const [finding] = said({ hostname: 'n1', output_fields: fields }).findings;
    expect([finding?.resource?.kind ?? 'none', finding?.actor?.username]).toEqual([kind, username]);
  });

  it('of a plugin is by the first of several users', () => {
    const fields = { 'okta.user': 'bob', 'okta.actor': 'alice' };
    expect(said({ source: 'okta', output_fields: fields }).findings[0]?.actor?.username).toBe('alice');
  });

  it('of a plugin is about its object as that is written, unless it is JSON', () => {
    const alert = (name: string) => ({ source: 'k8s_audit', output_fields: { 'ka.uri': name } });
    expect(summaryOf(alert('the "prod" cluster'))).toContain('the "prod" cluster');
    expect(summaryOf(alert('{"id":"a","x":{"y":[1]}}'))).toContain('id=a, x.y=[1]');
  });
});

describe('what the webhook passes on', () => {
  const webhook = triggersOf(falco, settingsOf({})).find((trigger) => trigger.type === 'Webhook');
  const split = (body: unknown) => webhook?.split(body);
  const alert = { rule: 'Odd thing', priority: 'Warning' };

  it('is an alert, under the same ID each time', () => {
    expect(split(alert)).toMatchObject({ items: [{ data: { rule: 'Odd thing' } }], refused: [], unwanted: 0 });
    expect(split({ ...alert })).toEqual(split(alert));
    expect(split({ ...alert, rule: 'Other' })?.items[0]?.id).not.toBe(split(alert)?.items[0]?.id);
  });

  it('is what the example shows, for one', () => {
    expect(split(JSON.parse(webhook?.example ?? ''))?.items).toHaveLength(1);
  });

  it('is nothing that is not told', () => {
    expect(split({ ...alert, priority: 'Debug' })).toEqual({
      items: [],
      refused: [],
      unwanted: 1,
      reasons: { below_minimum_priority: 1 },
    });
  });

  it.each<[unknown, string, string]>([
    [{ priority: 'Warning' }, 'body.rule', 'expected string'],
    [{ ...alert, rule: ' ' }, 'body.rule', 'must not be empty'],
    [{ ...alert, output_fields: nested(70, {}) }, 'body', 'is nested too deeply'],
    [7, 'body', 'expected object'],
  ])('is not %j', (body, path, cause) => {
    expect(() => split(body)).toThrow(
      expect.objectContaining({
        status: 422,
        message: 'the data breaks the schema',
        path,
        cause: expect.stringContaining(cause),
      }),
    );
  });

  it('may come with a password, and several in one list; who sends it does not send it again', () => {
    expect(webhook).toMatchObject({ takesBasic: true, takesLists: true, senderRetries: false, inFlight: 100 });
  });
});

describe('fields', () => {
  it.each<[boolean, number, object]>([
    [false, 2, { a: 1, b: 2 }],
    [true, 1, { a: 1, b: 2 }],
    [true, 2, { a: { b: 1, c: 2 }, d: 3 }],
    [false, 3, { a: { b: 1, c: 2 }, d: 3 }],
    [true, 1, nested(6, { x: 1, y: 2 })],
    [false, 1, nested(7, { x: 1, y: 2 })],
    [false, 1, nested(9, { x: 1, y: 2 })],
  ])('are, and that is %s, more than %d in %j', (isMore, max, fields) => {
    expect(hasMoreFields(fields, max)).toBe(isMore);
  });

  it('are in objects, six deep', () => {
    expect([...flatten(nested(6, { x: 1 })).keys()]).toEqual(['a.a.a.a.a.x']);
    expect([...flatten(nested(7, { x: 1 })).keys()]).toEqual(['a.a.a.a.a.a']);
  });

  it.each([
    ['/api/v1/pods', '/api/v1/pods'],
    ['/api/v1/pods', '/api/v1/pods?timeout=5&resourceVersion=7&continue=x'],
    ['/api/v1/pods?watch=1&xtimeout=5', '/api/v1/pods?watch=1&xtimeout=5&timeoutSeconds=5'],
    ['what?', 'what?'],
    ['/run/x.sock', 'ffff8800->ffff9900 /run/x.sock'],
    ['/run/x.sock', '0xFFFF8800->0xa1   /run/x.sock'],
    ['/run/x.sock', 'a1->b2/run/x.sock'],
    ['x a1->b2 /run/x.sock', 'x a1->b2 /run/x.sock'],
    ['10.0.0.1->10.0.0.2:80', '10.0.0.1:5->10.0.0.2:80'],
    ['10.0.0.1->10.0.0.2:80', '10.0.0.1:41000->10.0.0.2:80'],
    [undefined, 'a1->b2'],
  ])('name %s, whatever differs in %s', (stable, name) => {
    expect(stableName(name)).toBe(stable);
  });

  it.each<[Record<string, string>, Record<string, unknown>]>([
    [{ 'x.image': 'r/a' }, { 'x.image': 'r/a:1.2-b' }],
    [{ 'x.images': 'r:5000/a, (c) d' }, { 'x.images': 'r:5000/a:1.2_b, (c@sha256:0f) d:7' }],
    [{ 'x.image': 'r:5000/a' }, { 'x.image': 'r:5000/a@sha256:0f0f' }],
    [{ 'x.imagery': 'r/a:1' }, { 'x.imagery': 'r/a:1' }],
    [{ 'evt.args': 'fd= pid= dev=x res=' }, { 'evt.args': 'fd=12 pid=-1 dev=x res=0' }],
    [{ 'x.connection': 'a->b:80' }, { 'x.connection': 'a:41000->b:80' }],
    [{ 'x.y': 'v' }, { 'x.y': ' v ', plain: 'x', 'x.z': null, 'x.nothing': '' }],
    [{ 'x.list': '[1,"a"]' }, { 'x.list': [1, 'a'] }],
    [{}, { 'fd.name': 'a1->b2' }],
    [{}, { 'x.time': '1', 'evt.rawtime': 1, 'x.starttimestamp': 1, 'X-Ts.a': 1 }],
    [
      { 'evt.num.x': '1', 'my.fd.num': '1', 'ct.ids': '1', 'container.ipv': '1', 'k8s.pod.idx': '1' },
      {
        ...{ 'evt.num': 1, 'evt.arg.fd': 1, 'fd.dev': 1, 'ct.id': 1, 'okta.transaction.id': 1, 'container.ip': 1 },
        ...{ 'k8s.pod.uid': 1, 'k8smeta.pod.ip': 1, 'k8s.pod.full_sandbox_id': 1, 'k8s.pod.sandbox_id': 1 },
        ...{ 'container.image.tag': 1, 'k8s.pod.label.app': 1, 'k8smeta.ns.labels': 1, 'container.label': 1 },
        ...{ 'k8s.pod.cni.json': 1, 'evt.num.x': 1, 'my.fd.num': 1, 'ct.ids': 1, 'container.ipv': 1, 'k8s.pod.idx': 1 },
      },
    ],
    ...[
      ...['k8s.pod.labeled', 'my.container.label', 'fd.portal', 'my.ct.id', 'my.container.ip', 'my.k8s.pod.uid'],
      ...['my.evt.num', 'evt.number', 'container.ips', 'k8s.pod.uid2'],
    ].map((name): [Record<string, string>, Record<string, unknown>] => [{ [name]: '1' }, { [name]: 1 }]),
  ])('that tell events apart are %j', (stable, fields) => {
    expect(Object.entries(stableFields(new Map(Object.entries(fields)), false))).toEqual(
      Object.entries(stable).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  });

  it.each([
    ...['evt.time', 'evt.rawtime', 'evt.reltime', 'evt.datetime', 'evt.abstime', 'evt.deltatime', 'ct.time'],
    ...['proc.exe_ino.ctime', 'proc.exe_ino.mtime', 'fd.atime', 'thread.exectime', 'thread.totexectime'],
    ...['jevt.ts', 'okta.published', 'proc.duration', 'evt.latency', 'x.timestamp'],
    ...[
      'proc.pid',
      'proc.ppid',
      'proc.vpid',
      'proc.apid[2]',
      'proc.pvpid',
      'thread.tid',
      'thread.vtid',
      'evt.arg.ptid',
    ],
    ...['proc.sid', 'proc.pgid', 'proc.vpgid', 'proc.loginshellid', 'proc.tty'],
    ...['fd.sport', 'fd.lport', 'fd.rport', 'fd.cport', 'fd.dport'],
    ...['okta.uuid', 'ka.auditid', 'ct.requestid', 'ct.eventid', 'ct.sharedeventid', 'okta.sessionid'],
    ...['fd.ino', 'thread.vmsize', 'proc.vmrss', 'proc.vmswap', 'proc.fdopencount', 'proc.fdusage'],
    ...['evt.cpu', 'thread.pcpu', 'thread.cgroups', 'evt.countlast', 'evt.count', 'evt.rawres', 'evt.arg.res'],
    ...['evt.arg.port', 'fd.num', 'fd.port', 'container.full_id', 'container.image.digest', 'container.image.id'],
    ...['k8s.ns.id', 'container.cni.json'],
  ])('are not told apart by %s, which is another each time', (name) => {
    expect(stableFields(new Map([[name, '1']]), false)).toEqual({});
  });

  it('tell Pods apart without the ID of their container', () => {
    const fields = new Map([['container.id', 'x']]);
    expect([stableFields(fields, true), stableFields(fields, false)]).toEqual([{}, { 'container.id': 'x' }]);
  });
});

describe('a long text', () => {
  const x = (count: number) => 'x'.repeat(count);
  it.each([
    ['a[...]', 'a[...]'],
    [x(512), x(512)],
    [`${x(507)}…`, x(513)],
    [`${x(498)}[...]`, `${x(498)}[...]`],
    [`${x(499)}…`, `${x(499)}[...]`],
    [`${x(502)}…`, `${x(502)}[...]`],
    [`${x(499)}…`, `${x(499)}\uFFFD\uFFFD\uFFFD[...]`],
    [`a\uFFFDb${x(499)}…`, `a\uFFFDb${x(499)}\uFFFD[...]`],
    [`${x(490)} …`, `${x(490)} ${x(30)}`],
    [`${x(480)}, …`, `${x(480)}, secret-part.${x(30)}`],
    [`${x(400)} y${x(106)}`.slice(0, 507).concat('…'), `${x(400)} y${x(200)}`],
    [`${x(470)}-…`, `${x(470)}-${x(60)}`],
  ])('is stored as it would be if falcosidekick had cut it: %#', (stored, text) => {
    expect(shortened(text)).toBe(stored);
  });
});
