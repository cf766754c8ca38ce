import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { corpusBytes, corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { memoryOf, observationsOf, type Program, startProgram, temporaryFolder } from './program.ts';

let program: Program;

beforeAll(async () => {
  program = await startProgram({
    args: ['--port', '0', '--data', temporaryFolder()],
    environment: { LOG_LEVEL: 'WARN' },
  });
});

afterAll(async () => {
  expect(await program.stop()).toBe(0);
});

interface Post {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

async function post({ path = '/', headers = {}, body = '' }: Post) {
  const response = await fetch(program.url + path, { method: 'POST', headers, body });
  const text = await response.text();
  return { status: response.status, retryAfter: response.headers.get('retry-after'), text };
}

const json = { 'content-type': 'application/json' };
const structured = { 'content-type': 'application/cloudevents+json' };
const batch = { 'content-type': 'application/cloudevents-batch+json' };

const binary = {
  ...json,
  'ce-specversion': '1.0',
  'ce-id': 'binary-1',
  'ce-source': '/tests',
  'ce-type': 'falco.rule.output.v1',
};

let count = 0;

/** A good alert that nothing else in the tests names. */
function alert(fields: Record<string, unknown> = {}) {
  count += 1;
  return { rule: `rule ${count}`, priority: 'Error', time: '2026-03-01T10:00:00Z', hostname: 'node-1', ...fields };
}

function event(fields: Record<string, unknown> = {}) {
  const data = alert();
  return { specversion: '1.0', id: data.rule, source: '/tests', type: 'falco.rule.output.v1', data, ...fields };
}

function without(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
}

/** 200 MiB of zeros in 200 KiB: a gzip file may have several parts. */
const part = gzipSync(Buffer.alloc(20 * 1_048_576));
const bomb = Buffer.concat(Array.from({ length: 10 }, () => part));

function compressed(encoding: string, body: Buffer): Post {
  return { headers: { ...binary, 'content-encoding': encoding }, body: new Uint8Array(body) };
}

/** What each fault is answered; `path` is the field that the answer names. */
const cases: [name: string, request: () => Post, status: number, path?: string][] = [
  ['a structured event', () => ({ headers: structured, body: JSON.stringify(event()) }), 204],
  ['a binary event', () => ({ headers: binary, body: JSON.stringify(alert()) }), 204],
  ['a batch', () => ({ headers: batch, body: JSON.stringify([event(), event()]) }), 204],
  ['an empty batch', () => ({ headers: batch, body: '[]' }), 204],
  [
    'data in base64',
    () => {
      const { data, ...rest } = event();
      return { headers: structured, body: JSON.stringify({ ...rest, data_base64: btoa(JSON.stringify(data)) }) };
    },
    204,
  ],
  [
    'percent-encoded header values',
    () => ({ headers: { ...binary, 'ce-subject': 'a%20b' }, body: JSON.stringify(alert()) }),
    204,
  ],
  [
    'an event that no function wants',
    () => ({ headers: structured, body: JSON.stringify(event({ type: 'x.y' })) }),
    204,
  ],
  [
    'a filtered event',
    () => ({ headers: structured, body: JSON.stringify(event({ data: alert({ priority: 'Debug' }) })) }),
    204,
  ],
  ['no body at all', () => ({}), 400, 'ce-specversion'],
  ['no ce-id', () => ({ headers: without(binary, 'ce-id'), body: JSON.stringify(alert()) }), 400, 'ce-id'],
  ['no ce-source', () => ({ headers: without(binary, 'ce-source'), body: '{}' }), 400, 'ce-source'],
  ['no ce-type', () => ({ headers: without(binary, 'ce-type'), body: '{}' }), 400, 'ce-type'],
  ['an empty ce-id', () => ({ headers: { ...binary, 'ce-id': '' }, body: '{}' }), 400, 'ce-id'],
  ['specversion 2.0', () => ({ headers: { ...binary, 'ce-specversion': '2.0' }, body: '{}' }), 400, 'ce-specversion'],
  [
    'specversion 2.0, structured',
    () => ({ headers: structured, body: JSON.stringify(event({ specversion: '2.0' })) }),
    400,
    'specversion',
  ],
  ['no id, structured', () => ({ headers: structured, body: JSON.stringify(event({ id: undefined })) }), 400, 'id'],
  [
    'an id without an end',
    () => ({ headers: structured, body: JSON.stringify(event({ id: 'i'.repeat(65_537) })) }),
    400,
    'id',
  ],
  ['a long id', () => ({ headers: structured, body: JSON.stringify(event({ id: 'i'.repeat(65_536) })) }), 204],
  ['an id that is a number', () => ({ headers: structured, body: JSON.stringify(event({ id: 7 })) }), 400, 'id'],
  ['a time that is none', () => ({ headers: structured, body: JSON.stringify(event({ time: 'now' })) }), 400, 'time'],
  [
    'a bad percent-encoding',
    () => ({ headers: { ...binary, 'ce-subject': '%E0%A4%A' }, body: '{}' }),
    400,
    'ce-subject',
  ],
  ['not JSON', () => ({ headers: structured, body: 'rule: x' }), 400, 'body'],
  ['not JSON, binary', () => ({ headers: binary, body: '{"rule":' }), 400, 'data'],
  ['not an object', () => ({ headers: structured, body: '[]' }), 400, 'body'],
  ['a batch that is an object', () => ({ headers: batch, body: '{}' }), 400, 'body'],
  [
    'a wrong content type',
    () => ({ headers: { ...binary, 'content-type': 'text/plain' }, body: 'x' }),
    400,
    'content-type',
  ],
  ['XML', () => ({ headers: { ...binary, 'content-type': 'application/xml' }, body: '<a/>' }), 400, 'content-type'],
  ['gzip', () => compressed('gzip', gzipSync(JSON.stringify(alert()))), 204],
  ['gzip under its old name', () => compressed('x-gzip', gzipSync(JSON.stringify(alert()))), 204],
  ['deflate', () => compressed('Deflate', deflateSync(JSON.stringify(alert()))), 204],
  ['no encoding, said aloud', () => compressed('identity', Buffer.from(JSON.stringify(alert()))), 204],
  ['gzip that is none', () => compressed('gzip', Buffer.from(JSON.stringify(alert()))), 400],
  ['gzip that is cut off', () => compressed('gzip', gzipSync(JSON.stringify(alert())).subarray(0, 40)), 400],
  ['gzip of nothing', () => compressed('gzip', Buffer.alloc(0)), 400],
  ['gzip in gzip', () => compressed('gzip, gzip', gzipSync(gzipSync('{}'))), 415, 'content-encoding'],
  ['a zip bomb', () => compressed('gzip', bomb), 413],
  ['a zip bomb in deflate', () => compressed('deflate', deflateSync(Buffer.alloc(60 * 1_048_576))), 413],
  [
    'an unknown content encoding',
    () => ({ headers: { ...binary, 'content-encoding': 'br' }, body: '{}' }),
    415,
    'content-encoding',
  ],
  [
    'data without a rule',
    () => ({ headers: structured, body: JSON.stringify(event({ data: { priority: 'Error' } })) }),
    422,
    'data.rule',
  ],
  [
    'a priority that is none',
    () => ({ headers: structured, body: JSON.stringify(event({ data: alert({ priority: 'Huge' }) })) }),
    422,
    'data.priority',
  ],
  [
    'a reference without a name',
    () => ({ headers: { ...binary, 'ce-type': 'dev.knative.apiserver.ref.add' }, body: '{"kind":"Report"}' }),
    422,
    'data',
  ],
  [
    'a batch with one bad member',
    () => ({ headers: batch, body: JSON.stringify([event(), event({ id: '' }), event()]) }),
    400,
    '[1].id',
  ],
  [
    'a batch with one unreadable member',
    () => ({ headers: batch, body: JSON.stringify([event(), event({ data: {} })]) }),
    422,
    '[1].data.rule',
  ],
  ['a body over the limit', () => ({ headers: binary, body: 'x'.repeat(12_582_913) }), 413],
  ['a raw alert', () => ({ path: '/falco/webhook', headers: json, body: JSON.stringify(alert()) }), 204],
  ['a raw alert, not JSON', () => ({ path: '/falco/webhook', headers: json, body: 'Error: x' }), 400, 'body'],
  [
    'a raw alert without rule',
    () => ({ path: '/falco/webhook', headers: json, body: '{"priority":"Error"}' }),
    422,
    'body.rule',
  ],
  ['a list without an alert', () => ({ path: '/falco/webhook', headers: json, body: '[7]' }), 422, 'body[0]'],
  [
    'audit events, one bad',
    () => ({
      path: '/audit/webhook?timeout=30s',
      headers: json,
      body: JSON.stringify({
        kind: 'EventList',
        apiVersion: 'audit.k8s.io/v1',
        items: [deletion('good'), { auditID: 7 }, deletion('good too')],
      }),
    }),
    204,
  ],
  [
    'audit items that are no list',
    () => ({ path: '/audit/webhook', headers: json, body: '{"kind":"EventList","items":{}}' }),
    422,
    'body.items',
  ],
  [
    'an audit body that is no event',
    () => ({ path: '/audit/webhook', headers: json, body: '{"kind":0}' }),
    422,
    'body.kind',
  ],
  ['an unknown path', () => ({ path: '/nowhere', headers: json, body: '{}' }), 404],
  ['another case', () => ({ path: '/Falco/webhook', headers: json, body: '{}' }), 404],
];

function deletion(name: string) {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: name,
    stage: 'ResponseComplete',
    verb: 'delete',
    user: { username: 'eve' },
    requestReceivedTimestamp: '2026-03-01T10:00:00.000000Z',
    objectRef: { resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', namespace: 'shop', name, apiVersion: 'v1' },
  };
}

const errorBody = z.strictObject({
  error: z.string(),
  path: z.string().optional(),
  correlationId: z.string().optional(),
});

async function expectGoodEvent(): Promise<void> {
  expect((await post({ path: '/falco/webhook', headers: json, body: JSON.stringify(alert()) })).status).toBe(204);
}

describe('the doors', () => {
  it.each(cases)('answer %s', async (_name, request, status, path) => {
    const answer = await post(request());
    expect(answer.status).toBe(status);
    if (status === 204) expect(answer.text).toBe('');
    else {
      const body = errorBody.parse(JSON.parse(answer.text));
      if (path !== undefined) expect(body.path).toBe(path);
      expect(answer.text.length).toBeLessThan(300);
    }
    await expectGoodEvent();
  });

  it.each<[string, (text: string) => Post]>([
    ['a raw alert', (rule) => ({ path: '/falco/webhook', headers: json, body: JSON.stringify(alert({ rule })) })],
    [
      'a list of alerts',
      (rule) => ({ path: '/falco/webhook', headers: json, body: JSON.stringify([alert({ rule })]) }),
    ],
    ['an audit event', (name) => ({ path: '/audit/webhook', headers: json, body: JSON.stringify(deletion(name)) })],
    ['a structured event', (rule) => ({ headers: structured, body: JSON.stringify(event({ data: alert({ rule }) })) })],
    ['a binary event', (rule) => ({ headers: binary, body: JSON.stringify(alert({ rule })) })],
    ['a batch', (rule) => ({ headers: batch, body: JSON.stringify([event({ data: alert({ rule }) })]) })],
  ])('replace bytes that are no UTF-8 in %s, which nobody would send again', async (name, request) => {
    const { body = '', ...rest } = request(`no UTF-8 in ${name}: ?!`);
    const bytes = Uint8Array.from(Buffer.from(body), (byte) => (byte === 0x3f ? 0xff : byte));
    expect((await post({ ...rest, body: bytes })).status).toBe(204);
    const stored = await observationsOf(program.url);
    expect(JSON.stringify(stored)).toContain(`no UTF-8 in ${name}: \ufffd!`);
  });

  it('write the good items of an EventList and count the bad one', async () => {
    const audits = await observationsOf(program.url, '&source=audit');
    expect(audits.map(({ spec }) => z.object({ name: z.string() }).parse(spec.resource).name)).toEqual(
      expect.arrayContaining(['good', 'good too']),
    );
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    expect(metrics).toContain('zen_watcher_webhook_events_dropped_total{endpoint="/audit/webhook"}');
    expect(metrics).toContain('zen_watcher_webhook_requests_total{endpoint="/falco/webhook",status="204"}');
  });

  it('count every raw body that is turned away, whatever turns it away', async () => {
    const dropped = async (): Promise<number> => {
      const metrics = await (await fetch(`${program.url}/metrics`)).text();
      return Number(
        /^zen_watcher_webhook_events_dropped_total\{endpoint="\/falco\/webhook"\} (\d+)$/m.exec(metrics)?.[1],
      );
    };
    const refuse = async (headers: Record<string, string>, body: string) =>
      (await post({ path: '/falco/webhook', headers: { ...json, ...headers }, body })).status;
    expect(await refuse({}, '{"rule":')).toBe(400);
    const before = await dropped();
    expect([
      await refuse({}, '{"rule":'),
      await refuse({}, '{"rule":7}'),
      await refuse({ 'content-encoding': 'br' }, '{}'),
      await refuse({}, 'x'.repeat(12_582_913)),
    ]).toEqual([400, 422, 415, 413]);
    expect(await dropped()).toBe(before + 4);
  });

  it('dead-letter what a Broker would have dead-lettered, without its payload', async () => {
    const letters = await observationsOf(program.url, '&source=deadletter');
    expect(letters.map(({ spec }) => [spec.category, spec.severity, spec.eventType])).toContainEqual([
      'operations',
      'HIGH',
      'undeliverable-event',
    ]);
    expect(JSON.stringify(letters)).not.toContain('Huge');
  });

  it('answer 405 to a wrong method and 200 to probes', async () => {
    const get = async (path: string): Promise<number> => (await fetch(program.url + path)).status;
    expect(await get('/')).toBe(200);
    expect(await get('/falco/webhook')).toBe(405);
    expect(await get('/health')).toBe(200);
    expect(await get('/ready')).toBe(200);
    expect(await get('/observations?limit=1')).toBe(200);
    expect(await get('/observations?limit=0')).toBe(400);
    expect(await get('/observations?nonsense=1')).toBe(400);
    expect(await get('/observations?continue=%00')).toBe(400);
    expect(await get('/observations?sort=severity&state=open&since=1h&search=x')).toBe(200);
    expect(await get('/observations/counts')).toBe(200);
    expect(await get('/observations/counts?by=rule&severity=high')).toBe(200);
    expect(await get('/observations/counts?by=nonsense')).toBe(400);
    expect((await fetch(`${program.url}/observations/counts`, { method: 'POST' })).status).toBe(405);
    const refused = await fetch(`${program.url}/observations?severity=SEVERE`);
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('severity')]);
  });
});

describe.skipIf(corpusMissing)('hostile bodies', () => {
  const answers = new Set([204, 400, 413, 415, 422]);
  const doors = (bytes: Buffer): readonly Post[] => {
    const body = new Uint8Array(bytes);
    const text = bytes.toString('utf8');
    return [
      { headers: binary, body },
      { headers: { ...binary, 'ce-type': 'io.kube-zen.audit.v1' }, body },
      { headers: { ...binary, 'ce-type': 'dev.knative.apiserver.ref.update' }, body },
      { headers: structured, body },
      { headers: batch, body },
      { path: '/falco/webhook', headers: json, body },
      { path: '/audit/webhook', headers: json, body },
      {
        path: '/falco/webhook',
        headers: json,
        body: JSON.stringify(alert({ rule: `r ${text}`, output: text, hostname: text })),
      },
      {
        headers: structured,
        body: JSON.stringify(event({ id: `i ${text}`.slice(0, 1000), data: alert({ output_fields: { x: text } }) })),
      },
    ];
  };

  it.each(corpusBytes('hostile'))('$file gets an answer of the table at every door', async ({ bytes }) => {
    for (const request of doors(bytes)) expect(answers).toContain((await post(request)).status);
    await expectGoodEvent();
  });

  it('refuses what JSON must refuse', async () => {
    const bad = corpusBytes('hostile').filter(({ file }) => file.includes('/json-n_'));
    expect(bad.length).toBeGreaterThan(30);
    for (const { bytes } of bad) {
      if (bytes.length > 0) expect((await post({ headers: binary, body: new Uint8Array(bytes) })).status).toBe(400);
    }
  });

  it('leaves the memory bounded', () => {
    const { now, peak } = memoryOf(program.pid);
    console.log(`memory after the hostile bodies: ${now.toFixed(0)} MiB, at its peak ${peak.toFixed(0)} MiB`);
    expect(peak).toBeLessThan(400);
  });
});

const capture = z.object({ url: z.string(), rawHeaders: z.array(z.string()), body: z.string() });

describe.skipIf(corpusMissing)('recorded requests of Knative and the API server', () => {
  it.each(corpusFiles('captures'))('$file is answered 204', async ({ text }) => {
    const { url, rawHeaders, body } = capture.parse(JSON.parse(text));
    const headers: Record<string, string> = {};
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index]?.toLowerCase() ?? '';
      if (!['host', 'content-length', 'connection'].includes(name)) headers[name] = rawHeaders[index + 1] ?? '';
    }
    const path = url.startsWith('/audit') ? url.replace('/audit', '/audit/webhook') : '/';
    expect((await post({ path, headers, body })).status).toBe(204);
  });

  it('found the deeds that were recorded', async () => {
    const types = new Set((await observationsOf(program.url, '&source=audit')).map(({ spec }) => spec.eventType));
    // The recorded exec found no host to run on.
    expect(types).not.toContain('pod-exec');
    expect(types).toContain('privileged-pod-creation');
  });
});
