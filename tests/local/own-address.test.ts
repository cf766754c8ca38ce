import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkOwnAddress } from '../../shared/edge/own-address.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { observationsOf, type Program, planted, startProgram, until } from '../host/program.ts';

const port = 8080;
const own = `http://127.0.0.1:${port}`;
const cors = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
const opened = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

/** 200 stands for what goes on. */
const requests: readonly [what: string, method: string, headers: IncomingHttpHeaders, status: 200 | 403][] = [
  ['a tool', 'POST', {}, 200],
  ['a tool that says localhost', 'POST', { host: `LocalHost:${port}` }, 200],
  ['a tool that says ::1', 'POST', { host: `[::1]:${port}` }, 200],
  ["Node's fetch", 'POST', { 'sec-fetch-mode': 'cors' }, 200],
  ['our own page', 'GET', { ...cors, 'sec-fetch-site': 'same-origin' }, 200],
  ['a form of our own page', 'POST', { ...opened, origin: own, 'sec-fetch-site': 'same-origin' }, 200],
  ['a person who types the address', 'GET', { ...opened, 'sec-fetch-site': 'none' }, 200],
  ['a link on another page', 'GET', { ...opened, 'sec-fetch-site': 'cross-site' }, 200],
  ['another name for this machine', 'GET', { host: `rebound.example:${port}` }, 403],
  ['another name, from its own page', 'POST', { host: 'rebound.example', origin: 'http://rebound.example' }, 403],
  ['a name that begins like ours', 'GET', { host: `localhost.example:${port}` }, 403],
  ['a name that ends like ours', 'GET', { host: `not-localhost:${port}` }, 403],
  ['all addresses', 'GET', { host: `0.0.0.0:${port}` }, 403],
  ['another port', 'GET', { host: '127.0.0.1:80' }, 403],
  ['no port', 'GET', { host: 'localhost' }, 403],
  ['another port, after a name', 'GET', { host: `localhost:1@127.0.0.1:${port}` }, 403],
  ['no Host', 'POST', { host: undefined }, 403],
  ["another page's script", 'POST', { origin: 'https://page.example' }, 403],
  ["another page's script that says nothing else", 'GET', { origin: 'https://page.example' }, 403],
  ['a page that has no origin', 'POST', { origin: 'null' }, 403],
  ['an empty origin', 'POST', { origin: '' }, 403],
  ['another port of this machine', 'POST', { origin: 'http://127.0.0.1:3000' }, 403],
  ['our origin over https', 'POST', { origin: `https://127.0.0.1:${port}` }, 403],
  ['our other name', 'POST', { origin: `http://localhost:${port}` }, 403],
  ["another page's image", 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
  ['a page on another port', 'GET', { ...cors, 'sec-fetch-site': 'same-site' }, 403],
  ["another page's frame", 'GET', { ...opened, 'sec-fetch-dest': 'iframe', 'sec-fetch-site': 'cross-site' }, 403],
  ["another page's form", 'POST', { ...opened, 'sec-fetch-site': 'cross-site' }, 403],
];

describe('checkOwnAddress', () => {
  function statusOf(method: string, headers: IncomingHttpHeaders, localPort: number): number {
    try {
      checkOwnAddress({ method, headers, socket: { localPort } });
      return 200;
    } catch (error) {
      return error instanceof Refusal ? error.status : 500;
    }
  }

  it.each(requests)('judges %s', (_what, method, headers, status) => {
    expect(statusOf(method, { host: `127.0.0.1:${port}`, ...headers }, port)).toBe(status);
  });

  it('knows that nobody writes port 80', () => {
    expect(statusOf('GET', { host: 'localhost', origin: 'http://localhost' }, 80)).toBe(200);
    expect(statusOf('GET', { host: 'localhost:8080' }, 80)).toBe(403);
  });
});

describe('npm start', () => {
  let program: Program;
  let authority = '';
  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', ':memory:'] });
    authority = program.url.replace('http://', '');
  });
  afterAll(() => program.stop());

  async function ask(method: string, path: string, headers: OutgoingHttpHeaders, body = ''): Promise<[number, string]> {
    return new Promise((resolve, reject) => {
      const sent = request(`${program.url}${path}`, { method, headers }, (response) => {
        void text(response).then((answer) => resolve([response.statusCode ?? 0, answer]), reject);
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  const alert = JSON.stringify({
    ...{ rule: 'Terminal shell in container', priority: 'Critical', time: '2026-03-01T10:00:00Z', output: planted },
    output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'web' },
  });
  const doors = [
    ['POST', '/'],
    ['POST', '/falco/webhook'],
    ['POST', '/audit/webhook'],
    ['POST', '/ingest/tool'],
    ['GET', '/'],
    ['GET', '/observations'],
    ['GET', '/observations/counts'],
    ['GET', '/metrics'],
    ['GET', '/health'],
    ['GET', '/ready'],
    ['GET', '/none'],
    ['OPTIONS', '/falco/webhook'],
  ] as const;

  it.each(doors)('refuses %s %s from another page, and under another name', async (method, path) => {
    const headers = { 'content-type': 'text/plain' };
    expect(
      await ask(method, path, { ...headers, origin: 'https://page.example' }, method === 'POST' ? alert : ''),
    ).toEqual([403, expect.stringContaining('local mode takes no requests from other web pages')]);
    expect(await ask(method, path, { ...headers, host: 'rebound.example' })).toEqual([
      403,
      expect.stringContaining(`local mode takes requests to ${authority} and localhost:`),
    ]);
  });

  it('stores nothing of that, says so once, and takes what tools post', async () => {
    expect(await observationsOf(program.url)).toEqual([]);
    const told = (): string[] => program.log.filter((line) => line.includes('local mode takes'));
    await until('the log says so', () => told().length > 0);
    expect(told()).toHaveLength(1);
    expect(await ask('POST', '/falco/webhook', { 'content-type': 'application/json' }, alert)).toEqual([204, '']);
    expect(await observationsOf(program.url)).toHaveLength(1);
    const page = { origin: program.url, 'sec-fetch-site': 'same-origin' };
    expect((await ask('GET', '/observations', page))[0]).toBe(200);
  });
});
