import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { eventOf, findingsOf, podOf, splitOf } from './audit-requests.ts';
import { plantedCount, plantedRequests } from './planted-requests.ts';

const told = eventOf({ by: 'eve', does: 'delete secrets shop/db' });
const untold = eventOf({ by: 'eve', does: 'get pods shop/web' });
const text = JSON.stringify(told);
const base64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64');
const zipped = (value: unknown): string => gzipSync(JSON.stringify(value)).toString('base64');

function cloudWatch(messages: readonly unknown[], more: Readonly<Record<string, unknown>> = {}) {
  const logEvents = messages.map((message, index) => ({ id: String(index), timestamp: 1, message }));
  return { messageType: 'DATA_MESSAGE', logStream: 'kube-apiserver-audit-0f0f', logEvents, ...more };
}

const firehose = (...data: readonly string[]) => ({
  requestId: 'ed4acda5-034f-9f42-bba1-f29aea6d7d8f',
  timestamp: 1_578_090_901_599,
  records: data.map((one) => ({ data: one })),
});

/** A batch of batches. */
const nested = (depth: number): unknown => (depth === 0 ? told : firehose(base64(nested(depth - 1))));

/** A row of the table AKSAudit. */
const row = (more: Readonly<Record<string, unknown>> = {}) => ({
  ...{ Type: 'AKSAudit', AuditId: told.auditID, Level: 'Metadata', Stage: 'ResponseComplete', Verb: told.verb },
  ...{ RequestUri: told.requestURI, User: told.user, UserAgent: told.userAgent, SourceIps: told.sourceIPs },
  ...{ ObjectRef: told.objectRef, ResponseStatus: told.responseStatus, Annotations: told.annotations },
  ...{ RequestReceivedTime: told.requestReceivedTimestamp, StageReceivedTime: told.stageTimestamp },
  ...more,
});

const azure = (properties: unknown, category = 'kube-audit') => ({ category, operationName: 'x', properties });

function entry(payload: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}) {
  return {
    insertId: '0f0f0f0f-1111-4222-8333-444444444444',
    logName: 'projects/p/logs/cloudaudit.googleapis.com%2Factivity',
    timestamp: '2026-03-01T10:00:00.000001Z',
    protoPayload: {
      '@type': 'type.googleapis.com/google.cloud.audit.AuditLog',
      serviceName: 'k8s.io',
      authenticationInfo: { principalEmail: 'eve@example.com' },
      requestMetadata: { callerIp: '203.0.113.7', callerSuppliedUserAgent: 'kubectl/v1.36' },
      ...payload,
    },
    ...more,
  };
}

const deletion = entry({
  methodName: 'io.k8s.core.v1.secrets.delete',
  resourceName: 'core/v1/namespaces/shop/secrets/db',
});

describe('what a managed cluster ships', () => {
  it.each<[string, unknown]>([
    ['one event', told],
    ['a list of the API server', { kind: 'EventList', items: [told] }],
    ['a list', [told]],
    ['Firehose, of CloudWatch', firehose(zipped(cloudWatch([text])))],
    ['Firehose, decompressed', firehose(base64(cloudWatch([text])))],
    ['Firehose, of messages alone, one a line', firehose(base64(`${text}\n${JSON.stringify(untold)}\n`))],
    ['AKS', azure({ log: text, pod: 'kube-apiserver-1', stream: 'stdout' })],
    ['AKS, of the log without reads', azure({ log: text }, 'kube-audit-admin')],
    ['AKS, with properties as text', azure(JSON.stringify({ log: text }))],
    ['AKS, with a log that is no text', azure({ log: told })],
    ['AKS, in capitals', { Category: 'kube-audit', Properties: { log: text } }],
    ['AKS, as Log Analytics has it', { Category: 'kube-audit', log_s: text }],
    ['AKS, as Event Hubs has it', { records: [azure({ log: text })] }],
    ['AKS, of a table', { records: [row()] }],
    [
      'AKS, of a table with objects as text',
      row({ User: JSON.stringify(told.user), ObjectRef: JSON.stringify(told.objectRef) }),
    ],
    ['AKS, without a category', { properties: { log: text } }],
    ['CloudWatch, without a stream', cloudWatch([text], { logStream: undefined })],
    ['an event with a category', { ...told, category: 'x' }],
    ['an event with the name of an operation', { ...told, operationName: 'x' }],
    ['an event with items', { ...told, items: [] }],
    ['an event without an ID and a path', { ...told, auditID: undefined, requestURI: undefined }],
    ['Pub/Sub, of a log entry', { message: { data: base64(deletion), messageId: '1' }, subscription: 's' }],
    ['Pub/Sub, unwrapped', deletion],
  ])('is read: %s', (_case, body) => {
    const { items, refused } = splitOf(body);
    expect(refused).toEqual([]);
    const findings = items.flatMap(({ data }) => findingsOf(JSON.parse(JSON.stringify(data))));
    expect(findings.map(({ rule, summary }) => `${rule}: ${summary.replace('@example.com', '')}`)).toEqual([
      'resource-deletion: eve deleted Secret shop/db',
    ]);
    expect(items.map(({ id }) => id)).toEqual(splitOf(body).items.map(({ id }) => id));
  });

  it.each<[string, unknown, string]>([
    ['no base64 of gzip', firehose(Buffer.from([0x1f, 0x8b, 0]).toString('base64')), 'records[0].data'],
    ['no JSON', firehose(base64('{')), 'records[0].data'],
    ['a line that is no JSON', firehose(base64(`${text}\n\n{\n`)), 'records[0].data:2'],
    ['an item of a list', firehose(base64({ kind: 'EventList', items: [told, 7] })), 'records[0].data.items[1]'],
    ['a list of lists of lists', nested(7), `${'records[0].data.'.repeat(6)}records[0].data`],
    ['a message that is no JSON', firehose(zipped(cloudWatch([text, '{']))), 'records[0].data.logEvents[1].message'],
    ['a message that is no text', firehose(zipped(cloudWatch([7]))), 'records[0].data.logEvents[0].message'],
    ['a log that is no JSON', { records: [azure({ log: '{' })] }, 'records[0].properties.log'],
    ['Pub/Sub, of no JSON', { message: { data: base64('{') } }, 'body.message.data'],
    ['a number in a list', [told, 7], 'body[1]'],
    ['null in a list', [told, null], 'body[1]'],
    ['an event that is none', { records: [azure({ log: '{"kind":"Pod"}' })] }, 'records[0].properties.log.kind'],
  ])('is refused item by item: %s', (_case, body, path) => {
    expect(splitOf(body).refused.map((item) => item.path)).toEqual([path]);
  });

  it.each<[string, unknown]>([
    ['a test of CloudWatch', firehose(zipped(cloudWatch(['x'], { messageType: 'CONTROL_MESSAGE' })))],
    ['another stream of the log group', firehose(zipped(cloudWatch(['x'], { logStream: 'authenticator-0f' })))],
    ['another category, in capitals', { Category: 'guard', Properties: { log: 'x' } }],
    ['another stream, as of messages', { ...cloudWatch(['x']), logStream: 'kube-scheduler' }],
    ['the category, without a log', azure({})],
    ['another category', azure({ log: 'I0301 10:00:00' }, 'kube-controller-manager')],
    ['another log of Azure', { category: 'Administrative', operationName: 'Microsoft.Compute/virtualMachines/write' }],
    [
      'another service',
      entry({ serviceName: 'container.googleapis.com', methodName: 'google.container.v1.ClusterManager.GetCluster' }),
    ],
  ])('is left out: %s', (_case, body) => {
    expect(splitOf(body)).toMatchObject({ items: [], refused: [], unwanted: 1, reasons: { other_log: 1 } });
  });

  const filled = (bytes: number): string => gzipSync(Buffer.alloc(bytes, 'x')).toString('base64');
  const mebibyte = 1024 * 1024;
  const bomb = filled(64 * mebibyte);
  const tooLong = 'is not base64 of gzip, or too long';
  const full = filled(8 * mebibyte);
  const faults = (...data: readonly string[]): string[] =>
    splitOf(firehose(...data)).refused.map(({ message }) => message);

  it('is bounded when it is decompressed', () => {
    expect(splitOf(firehose(bomb)).refused).toEqual([{ path: 'records[0].data', message: tooLong }]);
    expect(faults(full)).toEqual(['holds no events']);
    expect(faults(filled(8 * mebibyte + 1))).toEqual([tooLong]);
  });

  it('is bounded as a whole, what is too long included', () => {
    const good = base64(told);
    const times = (count: number, data: string): string[] => Array.from({ length: count }, () => data);
    expect(faults(...times(8, full), zipped(told))).toEqual([...times(8, 'holds no events'), tooLong]);
    expect(faults(...times(8, bomb), zipped(told))).toEqual([...times(8, tooLong), tooLong]);
    expect(faults(...times(7, full), zipped(told), good)).toEqual(times(7, 'holds no events'));
  });

  const wide = ' '.repeat(70_000);

  it.each<[string, string | Buffer]>([
    ['an event', `${wide}${text}`],
    ['a list', `${wide}[${text}]`],
    [
      'an event behind a mark of its encoding',
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(`${text}${wide}`)]),
    ],
    ['several events, one a line', `${text}\n${wide}\n${text.slice(0, -1)},"x":1}`],
  ])('is read if it is long: %s', (_what, long) => {
    const { items, refused } = splitOf(firehose(Buffer.from(long).toString('base64')));
    expect([refused, items.length > 0]).toEqual([[], true]);
  });

  const lines = (count: number): string => base64('7\n'.repeat(count));

  it.each<[string, unknown, string]>([
    ['a long text', firehose(base64(`${wide}x`)), 'holds no events'],
    ['64 KiB of text', firehose(base64('x'.repeat(65_536))), 'is not valid JSON'],
    ['more than that', firehose(base64('x'.repeat(65_537))), 'holds no events'],
    ['too many lines', firehose(lines(25_001)), 'has too many lines'],
    [
      'millions of values',
      firehose(gzipSync(`[${'1,'.repeat(4_000_000)}1]`).toString('base64')),
      'holds too many values',
    ],
    ['half a line', firehose(base64('{')), 'is not valid JSON'],
    ['one line of several', firehose(base64(`${text}\n{`)), 'is not valid JSON'],
    ['lists of lists', nested(7), 'is nested too deeply'],
    ['no text', firehose(zipped(cloudWatch([7]))), 'is no text'],
    ['a number', [told, 7], 'Invalid input: expected object'],
  ])('is refused with the reason: %s', (_what, body, reason) => {
    expect(splitOf(body).refused.map(({ message }) => message)).toEqual([reason]);
  });

  it('may be nested six times, and have 25,000 lines', () => {
    expect(splitOf(nested(6)).items).toHaveLength(1);
    expect(splitOf(firehose(lines(25_000 - 1))).refused).toHaveLength(25_000 - 1);
  });

  it('may hold 25,000 events that are forwarded or refused, and no more', () => {
    const list = (count: number) => ({ kind: 'EventList', items: Array.from({ length: count }, () => 7) });
    expect(splitOf(list(25_000)).refused).toHaveLength(25_000);
    expect(() => splitOf(list(25_001))).toThrow(
      expect.objectContaining({ status: 413, message: 'there are too many events', path: 'items[25000]' }),
    );
  });

  it('is answered as Firehose demands, and nobody else is', () => {
    expect(splitOf(firehose()).answer).toEqual({
      requestId: 'ed4acda5-034f-9f42-bba1-f29aea6d7d8f',
      timestamp: 1_578_090_901_599,
    });
    expect(splitOf({ records: [azure({ log: text })] }).answer).toBeUndefined();
    expect(splitOf(told).answer).toBeUndefined();
    expect(splitOf({ ...firehose(), requestId: 'x'.repeat(300), timestamp: 'x' }).answer).toEqual({
      requestId: 'x'.repeat(256),
      timestamp: 0,
    });
  });
});

describe('a row of the table AKSAudit', () => {
  const sent = eventOf({
    by: 'eve',
    does: 'create pods shop/web',
    body: podOf({ hostPID: true }),
    result: { metadata: { name: 'web-1' } },
  });
  const whole: Readonly<Record<string, unknown>> = JSON.parse(JSON.stringify({ ...sent, apiVersion: undefined }));
  const columns = {
    AuditId: whole.auditID,
    Stage: whole.stage,
    RequestUri: whole.requestURI,
    Verb: whole.verb,
    User: whole.user,
    SourceIps: whole.sourceIPs,
    UserAgent: whole.userAgent,
    ObjectRef: whole.objectRef,
    ResponseStatus: whole.responseStatus,
    RequestReceivedTime: whole.requestReceivedTimestamp,
    StageReceivedTime: whole.stageTimestamp,
    Annotations: whole.annotations,
    RequestObject: whole.requestObject,
    ResponseObject: whole.responseObject,
  };

  it('says what the event says, with objects or with their texts', () => {
    const { items } = splitOf(whole);
    expect(items).toHaveLength(1);
    expect(splitOf(columns).items).toEqual(items);
    const texts = Object.entries(columns).map(([key, value]) => [
      key,
      typeof value === 'object' ? ` ${JSON.stringify(value)}` : value,
    ]);
    expect(splitOf(Object.fromEntries(texts)).items).toEqual(items);
  });

  it('says of what has only begun that it has', () => {
    const exec = {
      ...columns,
      ObjectRef: { resource: 'pods', subresource: 'exec', name: 'x' },
      Stage: 'ResponseStarted',
    };
    expect(splitOf(exec).items).toMatchObject([{ id: `${whole.auditID}/ResponseStarted` }]);
  });

  it('is read as far as its texts are objects', () => {
    expect(splitOf({ ...columns, User: '{"username":' }).items).toMatchObject([{ data: { user: undefined } }]);
  });

  it('has lists as they are', () => {
    expect(splitOf({ ...columns, SourceIps: ['7'] }).items).toMatchObject([{ data: { sourceIPs: ['7'] } }]);
  });

  it('says that a body was too long for it', () => {
    const cut = { ...columns, RequestObject: 'skipped-too-big-size-object', ResponseObject: undefined };
    expect(splitOf(cut).items).toMatchObject([{ data: { facts: { isCut: true } } }]);
  });

  it.each([{ AuditId: undefined }, { Stage: undefined }])('is none without an ID and a stage: %j', (more) => {
    expect(splitOf({ records: [{ ...columns, ...more }] })).toMatchObject({ items: [] });
  });
});

describe('a log entry of GKE', () => {
  const about = (methodName: string, resourceName: string, more: Readonly<Record<string, unknown>> = {}) =>
    splitOf(entry({ methodName, resourceName, ...more })).items.flatMap(({ data }) => findingsOf(data))[0];

  it.each<[string, string, Readonly<Record<string, unknown>>, string | undefined]>([
    ['io.k8s.core.v1.pods.exec.create', 'core/v1/namespaces/shop/pods/web/exec', {}, 'MEDIUM pod-exec'],
    ['io.k8s.core.v1.pods.exec.create', 'core/v1/namespaces/shop/pods/web', {}, 'MEDIUM pod-exec'],
    [
      'io.k8s.core.v1.pods.exec.create',
      'core/v1/namespaces/shop/pods/web/exec',
      { request: { command: ['cat', '/etc/shadow'] } },
      'HIGH pod-exec-suspicious',
    ],
    [
      'io.k8s.core.v1.pods.create',
      'core/v1/namespaces/shop/pods/web',
      { request: podOf({ hostPID: true }) },
      'HIGH privileged-pod-creation',
    ],
    [
      'io.k8s.authorization.rbac.v1.clusterrolebindings.create',
      'rbac.authorization.k8s.io/v1/clusterrolebindings/x',
      { request: { roleRef: { name: 'cluster-admin' }, subjects: [{ kind: 'User', name: 'bob' }] } },
      'CRITICAL rbac-change',
    ],
    ['io.k8s.batch.v1.cronjobs.create', 'batch/v1/namespaces/shop/cronjobs/x', {}, 'MEDIUM workload-by-hand'],
    ['io.k8s.core.v1.pods.delete', 'core/v1/namespaces/shop/pods/web', { status: { code: 7 } }, 'LOW access-probe'],
    [
      'io.k8s.core.v1.secrets.delete',
      'core/v1/namespaces/shop/secrets/x',
      { status: { code: 16 } },
      'LOW access-probe',
    ],
    ['io.k8s.core.v1.secrets.delete', 'core/v1/namespaces/shop/secrets/x', { status: { code: 5 } }, undefined],
    ['io.k8s.core.v1.secrets.delete', 'core/v1/namespaces/shop/secrets/x', { status: {} }, 'MEDIUM resource-deletion'],
    ['io.k8s.get', 'healthz', { authenticationInfo: { authoritySelector: 'system:anonymous' } }, undefined],
    ['io.k8s.get', 'livez/ping', { authenticationInfo: { principalEmail: 'system:anonymous' } }, undefined],
    ['io.k8s.get', 'apis/apps/v1', { authenticationInfo: { principalEmail: 'system:anonymous' } }, undefined],
    [
      'io.k8s.core.v1.healthz.get',
      'core/v1/healthz',
      { authenticationInfo: { principalEmail: 'system:anonymous' } },
      undefined,
    ],
    ['io.k8s.readyz', '', { authenticationInfo: { principalEmail: 'system:anonymous' } }, undefined],
    ['io.k8s.core.v1.pods.create', '', { request: podOf({ hostPID: true }) }, 'HIGH privileged-pod-creation'],
    ['io.k8s.core.v1.namespaces.finalize.update', 'core/v1/namespaces/shop/finalize', {}, undefined],
    [
      'io.k8s.core.v1.pods.create',
      'core/v1/namespaces/shop/pods/web',
      { response: { status: 'Failure', code: 409 }, request: podOf({ hostPID: true }) },
      undefined,
    ],
    [
      'io.k8s.core.v1.pods.create',
      'core/v1/namespaces/shop/pods/web',
      { response: { status: 'Failure' }, request: podOf({ hostPID: true }) },
      undefined,
    ],
    [
      'io.k8s.core.v1.pods.create',
      'core/v1/namespaces/shop/pods/web',
      {
        authenticationInfo: { principalEmail: 'service-1@container-engine-robot.iam.gserviceaccount.com' },
        request: podOf({ hostPID: true }),
      },
      undefined,
    ],
    ['io.k8s.get', 'logs', { authenticationInfo: { principalEmail: 'system:anonymous' } }, 'HIGH anonymous-access'],
    [
      'io.k8s.core.v1.pods.list',
      'core/v1/namespaces/shop/pods',
      { authenticationInfo: { authoritySelector: 'system:anonymous' } },
      'HIGH anonymous-access',
    ],
    ['io.k8s.core.v1.nodes.proxy.get', 'core/v1/nodes/n1/proxy/pods', {}, 'HIGH proxy-access'],
  ])('is judged like the request that it tells of: %s %s', (method, resource, more, expected) => {
    const finding = about(method, resource, more);
    expect(finding && `${finding.severity} ${finding.rule}`).toBe(expected);
  });
});

describe('what a log entry of GKE says besides', () => {
  const eventsOf = (more: Readonly<Record<string, unknown>>, outer: Readonly<Record<string, unknown>> = {}) => {
    const payload = {
      methodName: 'io.k8s.core.v1.secrets.delete',
      resourceName: 'core/v1/namespaces/shop/secrets/db',
      ...more,
    };
    return z.array(z.looseObject({})).parse(splitOf(entry(payload, outer)).items.map(({ data }) => data));
  };
  const object = { resource: 'secrets', namespace: 'shop', name: 'db' };

  it.each<[string, Parameters<typeof eventsOf>, object]>([
    ['by whom', [{ authenticationInfo: { authoritySelector: 'eve' } }], { user: { username: 'eve' } }],
    ['by nobody', [{ authenticationInfo: {} }], { user: { username: undefined } }],
    ['from where', [{}], { sourceIPs: ['203.0.113.7'], userAgent: 'kubectl/v1.36' }],
    ['from nowhere', [{ requestMetadata: {} }], { sourceIPs: undefined, userAgent: undefined }],
    [
      'when',
      [{}],
      { requestReceivedTimestamp: '2026-03-01T10:00:00.000001Z', stageTimestamp: '2026-03-01T10:00:00.000001Z' },
    ],
    [
      'when it came',
      [{}, { timestamp: undefined, receiveTimestamp: '2026-03-02T00:00:00Z' }],
      { stageTimestamp: '2026-03-02T00:00:00Z' },
    ],
    ['its number', [{}], { auditID: '0f0f0f0f-1111-4222-8333-444444444444' }],
    [
      'the number of its operation',
      [{}, { operation: { id: 'op-1' } }],
      { auditID: 'op-1', stage: 'ResponseComplete' },
    ],
    ['that it has ended', [{}, { operation: { first: true, last: true } }], { stage: 'ResponseComplete' }],
    ['that it has not begun', [{}, { operation: { first: false } }], { stage: 'ResponseComplete' }],
    ['nothing about its stage', [{}, { operation: { last: true } }], { stage: 'ResponseComplete' }],
    ['no labels', [{}, { labels: 'x' }], { annotations: undefined }],
    ['an answer in words', [{ status: { code: 'x' } }], { responseStatus: { code: 200 } }],
    ['its method, without a service', [{ serviceName: undefined }], { verb: 'delete', objectRef: object }],
    ['its path', [{}], { requestURI: '/core/v1/namespaces/shop/secrets/db', verb: 'delete' }],
    ['its object', [{}], { objectRef: { ...object, apiGroup: '', apiVersion: 'v1' } }],
    [
      'its object, as it was authorized',
      [{ resourceName: undefined, authorizationInfo: [{ resource: 'core/v1/namespaces/shop/secrets/db' }] }],
      { objectRef: object },
    ],
    [
      'its method, of the service alone',
      [{ methodName: 'core.v1.secrets.delete' }],
      { verb: 'delete', objectRef: object },
    ],
    [
      'its answer',
      [{ status: { code: 3, message: 'admission webhook "x" denied the request' } }],
      { responseStatus: { code: 422 } },
    ],
    ['another answer', [{ status: { code: 7 } }], { responseStatus: { code: 403 } }],
    [
      'its reason',
      [{}, { labels: { 'authorization.k8s.io/reason': 'r' } }],
      { annotations: { 'authorization.k8s.io/reason': 'r' } },
    ],
  ])('is %s', (_what, request, expected) => {
    expect(eventsOf(...request)).toMatchObject([expected]);
  });

  it.each([
    [0, 200],
    [3, 422],
    [5, 404],
    [6, 409],
    [7, 403],
    [9, 409],
    [10, 409],
    [16, 401],
    [2, 500],
  ])('is an answer: %i stands for %i', (code, expected) => {
    const status = { code, message: 'admission webhook "x" denied the request' };
    expect(eventsOf({ status })).toMatchObject([{ responseStatus: { code: expected } }]);
  });

  const failure = { status: 'Failure', code: 403 };
  it.each<[string, Readonly<Record<string, unknown>>, number | undefined]>([
    ['the one of the API server', { status: { code: 16 }, response: failure }, 403],
    ['another, since that one is no failure', { status: { code: 7 }, response: { status: 'Success', code: 201 } }, 403],
    ['another, since that one has no code', { status: { code: 7 }, response: { status: 'Failure' } }, 403],
    ['a failure of which nothing is known', { response: { status: 'Failure' } }, undefined],
  ])('is an answer: %s', (_what, payload, code) => {
    expect(eventsOf(payload).map(({ responseStatus }) => responseStatus)).toEqual(code === undefined ? [] : [{ code }]);
  });

  const anonymous = { authenticationInfo: { principalEmail: 'system:anonymous' } };
  const core = { apiGroup: '', apiVersion: 'v1' };
  it.each<[string, string, object | undefined]>([
    ['core/v1/namespaces/shop/pods/web', 'pods.get', { ...core, namespace: 'shop', resource: 'pods', name: 'web' }],
    ['/core/v1/namespaces/shop//pods/web', 'pods.get', { ...core, namespace: 'shop', resource: 'pods', name: 'web' }],
    ['core/v1/namespaces/shop/pods', 'pods.list', { ...core, namespace: 'shop', resource: 'pods' }],
    ['core/v1/namespaces/shop', 'namespaces.get', { ...core, resource: 'namespaces', name: 'shop' }],
    ['core/v1/namespaces', 'namespaces.list', { ...core, resource: 'namespaces' }],
    [
      'core/v1/namespaces/shop/status',
      'namespaces.get',
      { ...core, resource: 'namespaces', name: 'shop', subresource: 'status' },
    ],
    [
      'core/v1/namespaces/shop/finalize',
      'x.get',
      { ...core, resource: 'namespaces', name: 'shop', subresource: 'finalize' },
    ],
    ['core/v1/nodes/n1', 'nodes.get', { ...core, resource: 'nodes', name: 'n1' }],
    ['core/v1/nodes/n1', 'nodes.proxy.get', { ...core, resource: 'nodes', name: 'n1', subresource: 'proxy' }],
    ['core/v1/nodes/n1', 'nodes.proxy.x.get', { ...core, resource: 'nodes', name: 'n1' }],
    ['core/v1/nodes/n1/log', 'nodes.proxy.get', { ...core, resource: 'nodes', name: 'n1', subresource: 'log' }],
    [
      'apps/v1beta1/namespaces/shop/deployments/web/scale',
      'deployments.get',
      {
        apiGroup: 'apps',
        apiVersion: 'v1beta1',
        namespace: 'shop',
        resource: 'deployments',
        name: 'web',
        subresource: 'scale',
      },
    ],
    ['', 'pods.list', { apiVersion: 'v1', resource: 'pods' }],
    ['', 'pods.log.get', { apiVersion: 'v1', resource: 'pods', subresource: 'log' }],
    ['logs', 'get', undefined],
    ['x/av1/things', 'get', undefined],
    ['x/vx/things', 'get', undefined],
  ])('is the object of %s, by the method %s', (resourceName, method, objectRef) => {
    const [event] = eventsOf({ ...anonymous, resourceName, methodName: `io.k8s.core.v1.${method}` });
    expect(event?.objectRef).toEqual(objectRef);
    expect(event?.requestURI).toBe(`/${resourceName.replace(/^\//, '')}`);
  });

  it.each(['core.v1.list', 'authorization.rbac.roles.list', 'core.xv1.roles.list'])(
    'is nothing without an object, neither by its name nor by its method: %s',
    (method) => {
      expect(eventsOf({ ...anonymous, resourceName: '', methodName: `io.k8s.${method}` })).toEqual([]);
    },
  );

  it.each(['healthz', 'livez', 'readyz', 'version', 'openapi'])('is nothing of what anybody may ask: %s', (word) => {
    const methodName = `io.k8s.core.v1.${word}.get`;
    expect(eventsOf({ ...anonymous, methodName, resourceName: `core/v1/${word}` })).toEqual([]);
    expect(eventsOf({ ...anonymous, methodName: `io.k8s.${word}`, resourceName: '' })).toEqual([]);
    expect(eventsOf({ ...anonymous, methodName, resourceName: '' })).toEqual([]);
    expect(eventsOf({ ...anonymous, methodName, resourceName: `x/y/z/${word}` })).toHaveLength(1);
  });

  it.each([5, 6, 9, 10, 13, 2])('is that it failed, with code %i', (code) => {
    expect(eventsOf({ status: { code } })).toEqual([]);
  });

  it('is that it has only begun', () => {
    expect(eventsOf({}, { operation: { first: true } })).toEqual([]);
  });
});

describe('what the webhook leaves out', () => {
  it.each<[string, object]>([
    ['a read', untold],
    ['an Event of a node', eventOf({ by: 'system:node:n', does: 'create events shop/x' })],
    ['an Event of a controller', eventOf({ by: 'system:kube-scheduler', does: 'patch events.k8s.io:events shop/x' })],
    ['a lease of an account', eventOf({ by: 'shop/x', does: 'update coordination.k8s.io:leases shop/x' })],
    ['what the API server does', eventOf({ by: 'system:apiserver', does: 'update leases shop/x' })],
  ])('is %s, with the reason', (_what, event) => {
    expect(splitOf(event)).toMatchObject({ items: [], refused: [], unwanted: 1, reasons: { no_rule: 1 } });
    const { unwanted, reasons, refused } = splitOf({
      kind: 'EventList',
      items: [event, told, event, 7, { kind: 'Pod' }],
    });
    expect([unwanted, reasons, refused.map(({ path }) => path)]).toEqual([
      2,
      { no_rule: 2 },
      ['items[3]', 'items[4].kind'],
    ]);
  });

  // Nobody sends an event with this kind: what is left out of it was not even checked.
  const unchecked = { kind: 'Pod' };
  const node = (does: string) => eventOf({ by: 'system:node:n', does });
  const refused = { code: 400 };

  it.each<readonly [string, object]>([
    ...['get', 'list', 'watch'].map((verb) => [`a ${verb}`, { ...untold, verb }] as const),
    ['a read that was allowed with a warning', { ...untold, responseStatus: { code: 399 } }],
    ['a read without an answer', { ...untold, responseStatus: undefined }],
    ['a read by somebody in no group', { ...untold, user: { username: 'eve' } }],
    ['a read of another group', { ...untold, objectRef: { resource: 'things', apiGroup: 'example.org' } }],
    ...['events', 'leases', 'events.k8s.io:events', 'coordination.k8s.io:leases'].flatMap((what) =>
      ['create', 'update', 'patch'].map((verb) => [`a ${verb} of ${what}`, node(`${verb} ${what} shop/x`)] as const),
    ),
    ...['shop/x', 'system:kube-scheduler', 'system:apiserver'].map(
      (by) => [`an Event of ${by}`, eventOf({ by, does: 'create events shop/x' })] as const,
    ),
    ['an Event without a group', { ...node('create events shop/x'), objectRef: { resource: 'events' } }],
  ])('is not checked, if it is %s', (_what, event) => {
    expect(splitOf({ ...event, ...unchecked })).toMatchObject({ items: [], unwanted: 1, reasons: { no_rule: 1 } });
  });

  it.each<[string, object, Readonly<Record<string, string>>?]>([
    ['a read of Secrets', eventOf({ by: 'eve', does: 'get secrets shop/x' })],
    ['a read of a part', eventOf({ by: 'eve', does: 'get pods/log shop/x' })],
    ['a read of nothing', eventOf({ by: 'eve', does: 'GET /healthz' })],
    ['a read of a number', { ...untold, objectRef: { resource: 7 } }],
    ['a read that failed', { ...untold, responseStatus: refused }],
    ['a read with an answer that is no number', { ...untold, responseStatus: { code: '200' } }],
    ['a read by nobody', { ...untold, user: {} }],
    ['a read by somebody anonymous', { ...untold, user: { username: 'system:anonymous' } }],
    ['a read by somebody unknown', { ...untold, user: { username: 'x', groups: ['a', 'system:unauthenticated'] } }],
    ['a read in the name of another', eventOf({ by: 'eve', does: 'get pods shop/x', as: 'bob' })],
    ['a read where addresses count', untold, { AUDIT_CLUSTER_CIDRS: '10.0.0.0/8' }],
    ['a read without an ID', { ...untold, auditID: undefined }],
    ['a deletion', eventOf({ by: 'eve', does: 'delete pods shop/x' })],
    ['an Event of a person', eventOf({ by: 'eve', does: 'create events shop/x' })],
    ['an Event of somebody with a similar name', eventOf({ by: 'system:apiservers', does: 'create events shop/x' })],
    ['an Event of another with one', eventOf({ by: 'x-system:node:n', does: 'create events shop/x' })],
    ['an Event that is deleted', node('delete events shop/x')],
    ['an Event of another group', node('create example.org:events shop/x')],
    ['an Event by a number', { ...node('create events shop/x'), user: { username: 7 } }],
    ['an Event of a number', { ...node('create events shop/x'), objectRef: { resource: 'events', apiGroup: 7 } }],
    ['an Event that has just begun', { ...node('create events shop/x'), stage: 'ResponseStarted' }],
    ['an Event of which nothing came', { ...node('create events shop/x'), responseStatus: refused }],
    ['a write of another kind', node('create configmaps shop/x')],
  ])('is checked, if it is %s', (_what, event, environment) => {
    const body = { kind: 'EventList', items: [{ ...event, ...unchecked }] };
    expect(splitOf(body, environment).refused.map(({ path }) => path)).toEqual(['items[0].kind']);
  });

  it.each<[string, unknown, string]>([
    ['an empty auditID', { ...untold, auditID: '' }, 'body.auditID'],
    ['an auditID that is none', { ...untold, auditID: 7 }, 'body.auditID'],
    ['a list that is none', { kind: 'EventList', items: {} }, 'body.items'],
    ['a list without items', { kind: 'EventList' }, 'body.items'],
    ['a list of numbers', [7], 'body'],
    ['a number', 7, 'body'],
    ['null', null, 'body'],
  ])('is not %s: that is refused', (_what, body, path) => {
    expect(() => splitOf(body)).toThrow(
      expect.objectContaining({ status: 422, message: 'the data breaks the schema', path }),
    );
  });

  it('has an ID of its own, also where the log has none', () => {
    const ids = [{}, { verb: 'patch' }, { requestReceivedTimestamp: '2026-03-01T11:00:00Z' }].map(
      (more) => splitOf({ ...told, auditID: undefined, ...more }).items[0]?.id,
    );
    expect(new Set(ids).size).toBe(3);
    expect(ids).not.toContain(undefined);
  });

  it('has an ID for each stage of what is passed on, of bounded length', () => {
    const id = (more: object) => splitOf({ ...told, ...more }).items[0]?.id;
    const known = '0F0F0F0F-1111-4222-8333-444444444444';
    expect(id({ auditID: known })).toBe(`${known}/ResponseComplete`);
    for (const auditID of [
      `x${known}`,
      `${known}x`,
      known.replace('0F', '0G'),
      known.replace('-4222', ''),
      'x'.repeat(2000),
    ])
      expect(id({ auditID })).toMatch(/^[0-9a-f]{32,64}\/ResponseComplete$/);
  });
});

describe('100 planted secrets', () => {
  it('stay where they are', () => {
    const events = plantedRequests();
    const { items } = splitOf({ kind: 'EventList', items: events });
    expect(new Set(JSON.stringify(events).match(/PLANTED-SECRET-\d+/g)).size).toBe(plantedCount);
    expect(items).toHaveLength(events.length);
    expect(JSON.stringify(items)).not.toContain('PLANTED-SECRET');
    expect(JSON.stringify(items.flatMap(({ data: sent }) => findingsOf(sent)))).not.toContain('PLANTED-SECRET');
  });
});
