import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isQuick } from '../quick.ts';
import { openConnection } from './connection.ts';
import { type Program, planted, startProgram, temporaryFolder } from './program.ts';

let program: Program;
let count = 0;

beforeAll(async () => {
  program = await startProgram({
    args: ['--port', '0', '--data', temporaryFolder()],
    environment: { LOG_LEVEL: 'DEBUG' },
  });
});

afterAll(() => program.stop());

const json = { 'content-type': 'application/json' };
const eventHeaders = (type: string) => ({
  ...json,
  'ce-specversion': '1.0',
  'ce-id': 'a',
  'ce-source': '/attacks',
  'ce-type': type,
});

interface Door {
  readonly name: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  /** What it says to JSON that is whole, but nothing that belongs here. */
  readonly strange: number;
}

const doors: readonly Door[] = [
  { name: 'falco webhook', path: '/falco/webhook', headers: json, strange: 422 },
  { name: 'audit webhook', path: '/audit/webhook', headers: json, strange: 422 },
  { name: 'structured', path: '/', headers: { 'content-type': 'application/cloudevents+json' }, strange: 400 },
  { name: 'batch', path: '/', headers: { 'content-type': 'application/cloudevents-batch+json' }, strange: 400 },
  { name: 'falco event', path: '/', headers: eventHeaders('falco.rule.output.v1'), strange: 422 },
  { name: 'audit event', path: '/', headers: eventHeaders('io.kube-zen.audit.v1'), strange: 422 },
  { name: 'reference', path: '/', headers: eventHeaders('dev.knative.apiserver.ref.update'), strange: 422 },
];

async function expectGoodEvent(): Promise<void> {
  count += 1;
  const body = JSON.stringify({ rule: `good ${count}`, priority: 'Error' });
  expect((await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers: json, body })).status).toBe(204);
}

const bytes = (...values: number[]) => new Uint8Array(values);
const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const nestedObjects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
const collidingKeys = JSON.stringify(
  Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [String(index * 65_536), 0])),
);

/** No JSON: 400 everywhere. */
const malformed: [string, string | Uint8Array][] = [
  ['cut off in a string', `{"rule":"${planted}`],
  ['cut off in a key', '{"ru'],
  ['cut off in an escape', '{"rule":"\\'],
  ['cut off after a colon', '{"rule":'],
  ['a comma too much', '{"rule":"x",}'],
  ['single quotes', "{'rule':'x'}"],
  ['a key without quotes', '{rule:"x"}'],
  ['a comment', '{"rule":"x"} // x'],
  ['two values', '{"rule":"x"}{"rule":"y"}'],
  ['NaN', '{"rule":NaN}'],
  ['undefined', '{"rule":undefined}'],
  ['a leading zero', '{"rule":01}'],
  ['a plus', '{"rule":+1}'],
  ['a bare fraction', '{"rule":.5}'],
  ['hexadecimal', '{"rule":0x1}'],
  ['a control character', '{"rule":"\u0001"}'],
  ['a bad escape', '{"rule":"\\x41"}'],
  ['a bad unicode escape', '{"rule":"\\u12"}'],
  ['brackets that cross', '{"rule":["x"}]'],
  ['10,000 brackets, cut off', '['.repeat(10_000)],
  ['UTF-16', bytes(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00)],
  ['a NUL', bytes(0x7b, 0x00, 0x7d)],
  ['gzip that does not say so', new Uint8Array(gzipSync('{}'))],
  ['YAML', 'rule: x\npriority: Error\n'],
  ['XML', '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'],
];

/** JSON that is nothing of ours. */
const strange: [string, string | Uint8Array][] = [
  ['a byte that is no UTF-8', bytes(0x22, 0xff, 0x22)],
  ['an overlong encoding', bytes(0x22, 0xc0, 0xaf, 0x22)],
  ['half a character', bytes(0x22, 0xe2, 0x82, 0x22)],
  ['an encoded surrogate', bytes(0x22, 0xed, 0xa0, 0x80, 0x22)],
  ['null', 'null'],
  ['true', 'true'],
  ['a number', '-0'],
  ['a number that is none', '1e999'],
  ['a text', `"${planted}"`],
  ['a list of lists', '[[]]'],
  ['an object without a member', '{}'],
  ['a prototype', '{"__proto__":{"rule":"x","priority":"Error","auditID":"x"}}'],
  ['a constructor', '{"constructor":{"prototype":{"rule":"x","priority":"Error"}}}'],
  ['fields that are null', '{"rule":null,"priority":null,"auditID":null,"kind":null,"items":null,"specversion":null}'],
  ['fields that are lists', '{"rule":[],"priority":[],"auditID":[],"specversion":[],"apiVersion":[],"name":[]}'],
  ['fields that are objects', '{"rule":{},"priority":{},"auditID":{},"specversion":{},"apiVersion":{},"name":{}}'],
  [
    'fields that are numbers',
    '{"rule":1,"priority":9007199254740993,"auditID":2,"specversion":1,"apiVersion":3,"name":4}',
  ],
  ['a member twice', '{"rule":"x","rule":7,"auditID":"x","auditID":7,"specversion":"1.0","specversion":7}'],
  ['a NUL in a name', '{"\\u0000":1}'],
  ['half a surrogate', '{"x":"\\ud800"}'],
  ['2,000 levels of lists', nested(2000)],
  ['2,000 levels of objects', nestedObjects(2000)],
  ['100,000 levels of objects', nestedObjects(100_000)],
  ['keys that collide', collidingKeys],
  ['a list of a million', `[${'0,'.repeat(999_999)}0]`],
];

describe.each(doors)('at the door for $name', ({ path, headers, strange: expected }) => {
  const post = async (body: string | Uint8Array<ArrayBufferLike>, more: Record<string, string> = {}) => {
    const response = await fetch(program.url + path, {
      method: 'POST',
      headers: { ...headers, ...more },
      body: new Uint8Array(Buffer.from(body)),
    });
    return { status: response.status, text: await response.text() };
  };

  it.each(malformed)('%s is malformed', async (_case, body) => {
    expect((await post(body)).status).toBe(400);
    await expectGoodEvent();
  });

  it.each(strange)('%s is nothing of ours', async (name, body) => {
    const isTooMany =
      name === 'a list of a million' &&
      (headers['content-type'] === 'application/cloudevents-batch+json' || path === '/falco/webhook');
    const { status, text } = await post(body);
    expect(status).toBe(isTooMany ? 413 : expected);
    expect(text.length).toBeLessThan(1024);
    expect(text).not.toMatch(/\bat \w+ \(|node:|\.ts:/);
    await expectGoodEvent();
  });

  it('a body of 13 MiB is too large', async () => {
    expect((await post(JSON.stringify({ x: 'x'.repeat(13 * 1_048_576) }))).status).toBe(413);
    await expectGoodEvent();
  });

  it.each([
    ['another encoding', { 'content-encoding': 'br' }, 415],
    ['gzip of plain text', { 'content-encoding': 'gzip' }, 400],
    ['encodings one in the other', { 'content-encoding': 'gzip, deflate' }, 415],
  ])('%s', async (_case, more, status) => {
    expect((await post('{}', more as Record<string, string>)).status).toBe(status);
    await expectGoodEvent();
  });
});

/** Sends these bytes and resolves to the status lines that come back before the connection ends or is silent. */
async function raw(text: string): Promise<string> {
  const { socket, send, closed } = await openConnection(program.url);
  send(text);
  socket.end();
  const answer = await closed;
  return (answer.match(/HTTP\/1\.1 (\d{3})/g) ?? []).map((line) => line.slice(9)).join(' ');
}

const post = (headers: string, body = '', path = '/falco/webhook') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;
const good = '{"rule":"raw","priority":"Error"}';
const close = 'Connection: close\r\n';

/** A CloudEvent in binary mode, of a type that nobody wants unless it is said. */
const event = (headers: string, type = 'x') =>
  post(
    `ce-specversion: 1.0\r\nce-source: /x\r\nce-type: ${type}\r\n${headers}Content-Length: 2\r\n${close}`,
    '{}',
    '/',
  );
const batch = (body: string) =>
  `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents-batch+json\r\nContent-Length: ${body.length}\r\n${close}\r\n${body}`;

describe('the wire', () => {
  it.each<[string, string, string]>([
    ['two lengths', post(`Content-Length: 5\r\nContent-Length: ${good.length}\r\n`, good), '400'],
    [
      'a length and chunks',
      post(`Content-Length: ${good.length}\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${good}`),
      '400',
    ],
    ['chunks and a length', post(`Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`, `1\r\nA\r\n0\r\n\r\n`), '400'],
    ['a transfer encoding that hides', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), '400'],
    ['chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'), '400'],
    ['a space before the colon', post(`Content-Length : ${good.length}\r\n`, good), '400'],
    ['a negative length', post('Content-Length: -1\r\n', good), '400'],
    ['a length that is none', post('Content-Length: 1e2\r\n', good), '400'],
    ['a length beyond all', post('Content-Length: 99999999999999999999\r\n', good), '400'],
    ['a chunk size that is none', post('Transfer-Encoding: chunked\r\n', 'zz\r\nx\r\n0\r\n\r\n'), '400'],
    ['a chunk size that overflows', post('Transfer-Encoding: chunked\r\n', 'fffffffffffffffff\r\n'), '400'],
    [
      'a chunk extension of 20 KiB',
      post('Transfer-Encoding: chunked\r\n', `1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`),
      '413',
    ],
    ['a line folded', post(' X: folded\r\n'), '400'],
    ['a NUL in a header', post('X: a\0b\r\n'), '400'],
    ['a bare line feed in a header', post('X: a\nY: b\r\n'), '400'],
    ['a header without a colon', post('nonsense\r\n'), '400'],
    ['headers of 20 KiB', post(`X: ${'x'.repeat(20_000)}\r\n`), '431'],
    ['2,000 headers', post(Array.from({ length: 2000 }, (_, index) => `X-${index}: ${index}\r\n`).join('')), '431'],
    ['no host', `POST /falco/webhook HTTP/1.1\r\nContent-Length: ${good.length}\r\n${close}\r\n${good}`, '400'],
    ['another protocol', 'HELO example.com\r\n\r\n', '400'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '400'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400'],
    ['a method that is none', 'EVIL / HTTP/1.1\r\nHost: x\r\n\r\n', '400'],
    ['a path with a space', post(`Content-Length: ${good.length}\r\n`, good, '/falco/web hook'), '400'],
    ['a doubled slash', post(`Content-Length: ${good.length}\r\n${close}`, good, '//falco/webhook'), '404'],
    ['an encoded slash', post(`Content-Length: ${good.length}\r\n${close}`, good, '/falco%2fwebhook'), '404'],
    ['a path upwards', post(`Content-Length: ${good.length}\r\n${close}`, good, '/x/../falco/webhook'), '404'],
    ['an encoded dot', post(`Content-Length: ${good.length}\r\n${close}`, good, '/%2e/falco/webhook'), '404'],
    ['another case', post(`Content-Length: ${good.length}\r\n${close}`, good, '/Falco/Webhook'), '404'],
    ['a slash at the end', post(`Content-Length: ${good.length}\r\n${close}`, good, '/falco/webhook/'), '404'],
    ['a bad percent-encoding', post(`Content-Length: ${good.length}\r\n${close}`, good, '/falco/webhook%zz'), '404'],
    [
      'a whole address as path',
      post(`Content-Length: ${good.length}\r\n${close}`, good, 'http://evil/falco/webhook'),
      '204',
    ],
    [
      'two requests at once',
      `${post(`Content-Length: ${good.length}\r\n`, good)}${post(`Content-Length: ${good.length}\r\n${close}`, good)}`,
      '204 204',
    ],
    ['a body that is cut off', post(`Content-Length: ${good.length + 9}\r\n`, good), '400'],
    ['CONNECT', 'CONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n\r\n', ''],
    ['TRACE', `TRACE /falco/webhook HTTP/1.1\r\nHost: x\r\n${close}\r\n`, '405'],
    [
      'an upgrade',
      `GET /falco/webhook HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n`,
      '405',
    ],
    ['an id of 8 KiB', event(`ce-id: ${'x'.repeat(8192)}\r\n`), '204'],
    ['a type of 8 KiB', event('ce-id: a\r\n', 'x'.repeat(8192)), '204'],
    ['an id twice', event('ce-id: a\r\nce-id: b\r\n'), '204'],
    ['a type twice', event('ce-id: a\r\nce-type: x\r\n'), '204'],
    ['line ends in a percent-encoding', event('ce-id: a%0D%0AX-Evil:%201\r\n'), '204'],
    ['a percent-encoding that is cut off', event('ce-id: a%E2%82\r\n'), '400'],
    ['an attribute with a bad name', event('ce-id: a\r\nce-not_one: x\r\n'), '400'],
    ['an empty id', event('ce-id:\r\n'), '400'],
    ['a batch in a batch', batch('[[]]'), '400'],
    [
      'a batch as the data of a batch',
      batch(`[{"specversion":"1.0","id":"a","source":"/x","type":"x","data":[[]]}]`),
      '204',
    ],
    ['Expect', post(`Expect: 200-ok\r\nContent-Length: ${good.length}\r\n${close}`, good), '417'],
  ])('%s', async (_case, text, expected) => {
    expect(await raw(text)).toBe(expected);
    await expectGoodEvent();
  });
});

const statuses = new Set([204, 400, 404, 405, 413, 415, 422, 431, 503]);

describe('fuzzing', () => {
  it('gets an answer of the table for whatever is on the wire, and none is left hanging', {
    timeout: 240_000,
  }, async () => {
    const word = fc.constantFrom(
      'rule',
      'priority',
      'items',
      'kind',
      'EventList',
      'Error',
      'specversion',
      '1.0',
      'data',
      'id',
      '__proto__',
      'metadata',
      'stage',
      'ResponseComplete',
      'verb',
      'delete',
      'type',
      'source',
      'falco.rule.output.v1',
      'apiVersion',
      'name',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        word,
        fc.string(),
        fc.double(),
        fc.constant(null),
        fc.boolean(),
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(word, tie('any'), { maxKeys: 5 }),
      ),
    })).any;
    const body = fc.oneof(
      value.map((one) => Buffer.from(JSON.stringify(one) ?? '')),
      fc.uint8Array({ maxLength: 200 }).map((one) => Buffer.from(one)),
      fc.tuple(value, fc.nat()).map(([one, at]) => {
        const text = Buffer.from(JSON.stringify(one) ?? '');
        return text.subarray(0, at % (text.length + 1));
      }),
    );
    const header = fc.tuple(
      fc.constantFrom(
        'ce-id',
        'ce-type',
        'ce-source',
        'ce-specversion',
        'ce-time',
        'ce-subject',
        'ce-x',
        'content-type',
        'content-encoding',
        'traceparent',
        'ce-knativeerrordest',
      ),
      fc.oneof(
        word,
        fc.stringMatching(/^[\x21-\x7e]{0,20}$/),
        fc.constantFrom('application/cloudevents+json', 'application/json', '%E0%A4', '2026-03-01T10:00:00Z', 'gzip'),
      ),
    );
    const path = fc.oneof(
      fc.constantFrom('/', '/falco/webhook', '/audit/webhook', '/ingest/x', '/ready', '/observations'),
      fc.stringMatching(/^\/[a-z%./]{0,12}$/),
    );
    const runs = process.env.CI ? 10_000 : isQuick ? 500 : 2000;
    const seen = new Map<number, number>();
    const result = await fc.check(
      fc.asyncProperty(
        fc.constantFrom(...doors),
        path,
        fc.boolean(),
        fc.array(header, { maxLength: 4 }),
        body,
        async (door, other, isOther, more, content) => {
          const headers = { ...door.headers, ...Object.fromEntries(more) };
          const response = await fetch(program.url + (isOther ? other : door.path), {
            method: 'POST',
            headers,
            body: new Uint8Array(content),
          });
          await response.arrayBuffer();
          seen.set(response.status, (seen.get(response.status) ?? 0) + 1);
          return statuses.has(response.status);
        },
      ),
      { numRuns: runs },
    );
    console.log(`seed ${result.seed}: ${result.numRuns} requests, answers ${JSON.stringify(Object.fromEntries(seen))}`);
    expect(fc.defaultReportMessage(result)).toBeUndefined();
    await expectGoodEvent();
  });
});
