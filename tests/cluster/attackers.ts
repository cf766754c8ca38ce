import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/**
 * A process that attacks functions, so that the one with the tests measures what honest senders see and not how busy it is.
 * Its argument is JSON; until it is told to end, it plays the attacks that are named, and then says how many bytes it sent.
 */
export interface AttackOptions {
  readonly attacks: readonly string[];
  /** The addresses of functions, by their names. */
  readonly urls: Readonly<Record<'webhook' | 'falco' | 'kyverno', string>>;
  /** For what only somebody who has the token, or whom nobody asks for one, can send. */
  readonly token: string;
}

let bytes = 0;

/** Not the address of any proxy that is trusted. */
const stranger = '127.0.0.2';

interface Message {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

const agent = new Agent({ keepAlive: true, localAddress: stranger });

function post(url: string, { path = '/', headers = {}, body = '' }: Message): Promise<number> {
  return new Promise((resolve) => {
    const length = Buffer.byteLength(body);
    bytes += length + 200;
    const options = { method: 'POST', agent, headers: { ...headers, 'content-length': length } };
    const call = request(url + path, options, (response) => {
      response.on('error', () => resolve(0));
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    call.on('error', () => resolve(0));
    call.end(body);
  });
}

/** Sends one message after another, so many at a time. */
function flood(many: number, milliseconds: number, next: () => Promise<unknown>): void {
  for (let index = 0; index < many; index += 1) {
    void (async () => {
      for (;;) {
        await next();
        await pause(milliseconds);
      }
    })();
  }
}

/** Keeps so many connections open: where one is closed, another takes its place. */
function hold(url: string, many: number, localAddress: string, begin: (socket: Socket) => void): void {
  const { hostname, port } = new URL(url);
  const open = (): void => {
    const socket = connect({ host: hostname, port: Number(port), localAddress });
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.once('connect', () => begin(socket));
    socket.once('close', () => void setTimeout(open, 200));
  };
  for (let index = 0; index < many; index += 1) open();
}

function write(socket: Socket, text: string | Buffer): void {
  if (!socket.writable) return;
  bytes += text.length;
  socket.write(text);
}

/** Sends a byte a second. */
function trickle(socket: Socket, head: string): void {
  write(socket, head);
  const timer = setInterval(() => write(socket, 'x'), 1000);
  socket.once('close', () => clearInterval(timer));
}

const json = { 'content-type': 'application/json' };
const structured = { 'content-type': 'application/cloudevents+json' };
const gzip = { 'content-encoding': 'gzip' };

const head = (path: string, length: number, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${more}Content-Length: ${length}\r\n\r\n`;

const list = (item: string, count: number): string => `[${`${item},`.repeat(count - 1)}${item}]`;
const event = (id: string, data: string): string =>
  `{"specversion":"1.0","id":"${id}","source":"/x","type":"falco.rule.output.v1","data":${data}}`;

function binary(type: string): Record<string, string> {
  return { ...json, 'ce-specversion': '1.0', 'ce-id': 'forged', 'ce-source': '/forged', 'ce-type': type };
}

const largest = 12_582_912;

type Attack = (options: AttackOptions) => void;

export const attacks: Readonly<Record<string, Attack>> = {
  'bodies of 12 MiB held open at POST /'({ urls }) {
    const almost = Buffer.alloc(largest - 1, 'x');
    for (const url of [urls.falco, urls.webhook]) {
      hold(url, 6, stranger, (socket) => {
        write(socket, head('/', largest));
        write(socket, almost);
      });
    }
  },
  'idle connections by the thousand'({ urls }) {
    for (const url of [urls.webhook, urls.falco]) {
      for (const address of [3, 4, 5, 6, 7, 8]) hold(url, 250, `127.0.0.${address}`, () => undefined);
    }
  },
  'wrong tokens'({ urls }) {
    const headers = { ...json, authorization: 'Bearer a-guess' };
    flood(20, 5, () =>
      post(urls.webhook, { path: '/falco/webhook', headers, body: '{"rule":"x","priority":"Error"}' }),
    );
  },
  'large bodies with wrong tokens'({ urls }) {
    const headers = { ...json, authorization: 'Bearer a-guess' };
    const body = Buffer.alloc(largest, 'x');
    flood(4, 50, () => post(urls.webhook, { path: '/audit/webhook', headers, body }));
  },
  'gzip of [{}], 2.5 million times'({ urls, token }) {
    const bomb = gzipSync(list('[{}]', 2_500_000));
    flood(2, 50, () => post(urls.falco, { headers: { ...structured, ...gzip }, body: bomb }));
    const headers = { ...json, ...gzip, authorization: `Bearer ${token}` };
    flood(1, 50, () => post(urls.webhook, { path: '/falco/webhook', headers, body: bomb }));
  },
  'tiny elements of an audit list'({ urls, token }) {
    const headers = { ...json, ...gzip, authorization: `Bearer ${token}` };
    const members = Array.from({ length: 20_000 }, (_, index) => `"member-${index}":0`).join(',');
    const body = gzipSync(
      `{"kind":"EventList",${members},"items":${list('{"a":"bcdefghijklmnopqrstuvwxyz012345"}', 24_000)}}`,
    );
    flood(1, 50, () => post(urls.webhook, { path: '/audit/webhook', headers, body }));
  },
  'refusals by the million'({ urls, token }) {
    const headers = { ...json, ...gzip, authorization: `Bearer ${token}` };
    const records = Array(1300).fill({ data: gzipSync('1\n'.repeat(24_000)).toString('base64') });
    const body = gzipSync(JSON.stringify({ requestId: '1', timestamp: 1, records }));
    flood(1, 50, () => post(urls.webhook, { path: '/audit/webhook', headers, body }));
  },
  'forged pings'({ urls }) {
    const headers = binary('dev.knative.sources.ping');
    flood(60, 20, () => post(urls.kyverno, { headers }));
    flood(10, 20, () => post(urls.falco, { headers }));
  },
  'forged references'({ urls }) {
    const versions = ['v1alpha2', 'v1alpha2?limit=0&x=', 'v1alpha2/namespaces/shop', '../../api/v1', 'v9'];
    const kinds = ['PolicyReport', 'ClusterPolicyReport', 'Secret', 'PolicyReport?x='];
    let count = 0;
    flood(16, 10, () => {
      count += 1;
      const reference = {
        apiVersion: `wgpolicyk8s.io/${versions[count % versions.length]}`,
        kind: kinds[count % kinds.length],
        namespace: ['shop', 'kube-system', '../..', 'x'.repeat(1000)][count % 4],
        name: [`p${count}`, '?watch=true', ''][count % 3],
      };
      const headers = binary('dev.knative.apiserver.ref.update');
      return post(urls.kyverno, { headers, body: JSON.stringify(reference) });
    });
  },
  'slow senders'({ urls }) {
    for (const [url, path] of [
      [urls.webhook, '/falco/webhook'],
      [urls.falco, '/'],
    ] as const) {
      for (const [address, many] of [
        ['127.0.0.1', 300],
        ['127.0.0.9', 300],
      ] as const) {
        hold(url, many, address, (socket) => trickle(socket, head(path, 1_000_000)));
        hold(url, many / 3, address, (socket) => trickle(socket, `POST ${path} HTTP/1.1\r\nHost: x\r\nX-A: `));
      }
    }
  },
  'ids of 9 MB'({ urls }) {
    const id = 'i'.repeat(9_000_000);
    let count = 0;
    flood(2, 100, () => {
      count += 1;
      const data = JSON.stringify({ rule: `giant ${count % 10}`, priority: 'Error', time: '2026-03-01T10:00:00Z' });
      return post(urls.falco, { headers: structured, body: event(`${count}${id}`, data) });
    });
  },
  'alerts of 30,000 values'({ urls, token }) {
    const headers = { ...json, authorization: `Bearer ${token}` };
    const fields = Object.fromEntries(Array.from({ length: 30_000 }, (_, index) => [`f${index}`, index]));
    let count = 0;
    const body = (): string => JSON.stringify({ rule: `many ${count % 10}`, priority: 'Error', output_fields: fields });
    flood(2, 100, () => {
      count += 1;
      return post(urls.webhook, { path: '/falco/webhook', headers, body: body() });
    });
    flood(2, 100, () => post(urls.falco, { headers: structured, body: event('many', body()) }));
  },
  'clients that hang up'({ urls }) {
    const { hostname, port } = new URL(urls.falco);
    flood(20, 5, async () => {
      const socket = connect({ host: hostname, port: Number(port), localAddress: stranger });
      socket.on('error', () => undefined);
      write(socket, head('/', 100_000) + 'x'.repeat(50_000));
      await pause(5);
      socket.destroy();
    });
  },
};

if (process.argv[1] === import.meta.filename) {
  // Attackers have machines of their own.
  setPriority(19);
  const options: AttackOptions = JSON.parse(process.argv[2] ?? '{}');
  for (const name of options.attacks) attacks[name]?.(options);
  process.once('SIGTERM', () => {
    process.stdout.write(`${bytes}\n`, () => process.exit());
  });
}
