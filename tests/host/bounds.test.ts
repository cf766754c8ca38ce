import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { observationsOf, type Program, startProgram, temporaryFolder } from './program.ts';

let program: Program;

beforeAll(async () => {
  program = await startProgram({
    args: ['--port', '0', '--data', temporaryFolder()],
    // The heap of the smallest pod.
    environment: { LOG_LEVEL: 'FATAL', NODE_OPTIONS: '--max-old-space-size=64' },
  });
});

afterAll(() => program.stop());

interface Post {
  readonly path: string;
  readonly text: string;
  readonly type?: string;
}

async function post({ path, text, type = 'application/json' }: Post): Promise<number> {
  const headers = { 'content-type': type, 'content-encoding': 'gzip' };
  const response = await fetch(program.url + path, { method: 'POST', headers, body: gzipSync(text) });
  await response.text();
  return response.status;
}

const list = (item: string, count: number): string => `[${`${item},`.repeat(count - 1)}${item}]`;
const auditList = (items: string, rest = ''): string => `{"kind":"EventList",${rest}"items":${items}}`;
const event = (data: string): string =>
  `{"specversion":"1.0","id":"1","source":"/x","type":"falco.rule.output.v1","data":${data}}`;
const wanted = {
  ...{ kind: 'Event', auditID: 'a', stage: 'ResponseComplete', verb: 'delete', user: { username: 'eve' } },
  objectRef: { resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', namespace: 'shop', name: 'r' },
};
const members = Array.from({ length: 20_000 }, (_, index) => `"member-${index}":0`).join(',');
const base64 = (text: string): string => gzipSync(text).toString('base64');
const records = (text: string, count: number): string =>
  JSON.stringify({ requestId: '1', timestamp: 1, records: Array(count).fill({ data: base64(text) }) });

describe('a small request that would take much', () => {
  it.each<[string, Post, readonly number[]]>([
    [
      'an event of many values',
      { path: '/', text: event(list('[{}]', 2_000_000)), type: 'application/cloudevents+json' },
      [413],
    ],
    ['a binary event of many values', { path: '/', text: list('[{}]', 2_000_000) }, [413]],
    [
      'a batch of many values',
      { path: '/', text: list('[{}]', 2_000_000), type: 'application/cloudevents-batch+json' },
      [413],
    ],
    ['an alert of many values', { path: '/falco/webhook', text: `{"output_fields":${list('{}', 3_000_000)}}` }, [413]],
    ['a list of many alerts', { path: '/falco/webhook', text: list('{}', 3_000_000) }, [413]],
    ['a list of many audit events', { path: '/audit/webhook', text: auditList(list('{}', 3_000_000)) }, [413]],
    ['a list of many numbers', { path: '/audit/webhook', text: auditList(list('1', 5_000_000)) }, [413]],
    [
      'an audit event of many values',
      { path: '/audit/webhook', text: auditList(`[${list('[{}]', 2_000_000)}]`) },
      [413],
    ],
    [
      'a list beside many members',
      { path: '/audit/webhook', text: auditList(list('{}', 24_000), `${members},`) },
      [204, 413, 422],
    ],
    [
      'a long list beside many members',
      {
        path: '/audit/webhook',
        text: auditList(list('{"a":"bcdefghijklmnopqrstuvwxyz0123456789"}', 24_000), `${members},`),
      },
      [204, 413, 422],
    ],
    ['many lists in a list', { path: '/audit/webhook', text: list('[]', 3_000_000) }, [413]],
    ['text in text', { path: '/audit/webhook', text: records(list('[{}]', 2_000_000), 1) }, [204, 200, 413, 422]],
    ['much text in text', { path: '/audit/webhook', text: records(' '.repeat(11_000_000), 400) }, [204, 200, 413, 422]],
    ['many lines in many records', { path: '/audit/webhook', text: records('1\n'.repeat(24_000), 1300) }, [413]],
    [
      'many events that are wanted in many records',
      { path: '/audit/webhook', text: records(`${JSON.stringify(wanted)}\n`.repeat(8000), 40) },
      [413],
    ],
    [
      'a large object for a path that is not there',
      { path: '/ingest/none', text: list('[{}]', 2_000_000) },
      [404, 413],
    ],
  ])('%s', { timeout: 60_000 }, async (_case, attack, statuses) => {
    expect(statuses).toContain(await post(attack));
    expect((await fetch(`${program.url}/health`)).status).toBe(200);
  });

  it('stops nobody, ten at once', { timeout: 120_000 }, async () => {
    const text = event(list('[{}]', 30_000));
    const type = 'application/cloudevents+json';
    const statuses = await Promise.all(Array.from({ length: 10 }, () => post({ path: '/', text, type })));
    expect(statuses.every((status) => [422, 413, 503].includes(status))).toBe(true);
    expect(await post({ path: '/falco/webhook', text: '{"rule":"after all of that","priority":"Error"}' })).toBe(204);
    expect((await observationsOf(program.url)).length).toBeGreaterThan(0);
  });

  it('has a short audit batch told all the same, but for what one object in it holds', async () => {
    const padded = {
      ...{ ...wanted, auditID: 'padded', verb: 'create' },
      objectRef: { resource: 'pods', namespace: 'shop', name: 'padded' },
      requestObject: {
        spec: { containers: [{ securityContext: { privileged: true }, args: Array(300_000).fill('') }] },
      },
    };
    const others = ['first', 'last'].map((name) => ({
      ...wanted,
      auditID: name,
      objectRef: { ...wanted.objectRef, name },
    }));
    const text = auditList(JSON.stringify([others[0], padded, others[1]]));
    expect(text.length).toBeLessThan(1_048_576);
    expect(await post({ path: '/audit/webhook', text })).toBe(204);
    const told = JSON.stringify(await observationsOf(program.url, '&source=audit'));
    for (const name of ['first', 'padded', 'last']) expect(told).toContain(`"name":"${name}"`);
  });

  it('differs from an audit batch of 400 events and 10 MiB, which passes', async () => {
    const body = 'x'.repeat(25_000);
    const events = Array.from({ length: 400 }, (_, index) =>
      JSON.stringify({
        ...{ kind: 'Event', auditID: `large-${index}`, stage: 'ResponseComplete', verb: 'create' },
        ...{ user: { username: 'eve' }, objectRef: { resource: 'configmaps', namespace: 'shop', name: 'c' } },
        requestObject: { kind: 'ConfigMap', data: { body } },
      }),
    );
    expect(await post({ path: '/audit/webhook', text: auditList(`[${events.join(',')}]`) })).toBe(204);
  });

  it('differs from an audit batch that is short but holds many values, which passes', async () => {
    const events = Array.from({ length: 2000 }, (_, index) =>
      JSON.stringify({ ...wanted, auditID: `many-${index}`, verb: 'get', requestObject: { list: Array(60).fill(0) } }),
    );
    const text = auditList(`[${events.join(',')}]`);
    expect(text.length).toBeLessThan(1_048_576);
    expect(await post({ path: '/audit/webhook', text })).toBe(204);
  });
});
