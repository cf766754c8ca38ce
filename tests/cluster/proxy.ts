import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, createServer, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';

/** What may happen to one call between a function and the API server. */
export const faults = [
  'too many requests, with Retry-After',
  'too many requests',
  'internal error',
  'unavailable',
  'reset before it is handled',
  'reset after it was handled',
  'no answer',
  'a trickle',
  'a truncated answer',
] as const;

export type Fault = (typeof faults)[number];

export interface FaultProxy {
  /** `127.0.0.1:<port>` */
  readonly server: string;
  /** `<method> <path>` of every call so far. */
  readonly calls: string[];
  /** How often each fault was injected. */
  readonly injected: Map<string, number>;
  /** Refuses connections until `open` is called. */
  close(): Promise<void>;
  open(): Promise<void>;
  /** From now on, answers 401 to calls with this token. */
  revoke(token: string): void;
  stop(): Promise<void>;
}

export interface ProxyOptions {
  /** `127.0.0.1:<port>` of the API server. */
  readonly target: string;
  /** The API server's certificate and key, which the proxy uses too, so that clients trust it. */
  readonly certificates: string;
  /** Called for each call. */
  readonly fault: () => Fault | undefined;
  /** Each call waits for this, so that others may be quicker. */
  readonly meanwhile?: (call: string) => Promise<void>;
}

function status(code: number, reason: string): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: 'injected' });
}

/** Stands between functions and the API server, passes calls on, and makes some of them fail. */
export async function startProxy({ target, certificates, fault, meanwhile }: ProxyOptions): Promise<FaultProxy> {
  const [host = '', port = ''] = target.split(':');
  let agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const sockets = new Set<Socket>();
  const revoked = new Set<string>();
  const calls: string[] = [];
  const injected = new Map<string, number>();
  const note = (name: string): void => void injected.set(name, (injected.get(name) ?? 0) + 1);

  function forward(
    incoming: IncomingMessage,
    body: Buffer,
    answer: (response: IncomingMessage, body: Buffer) => void,
    fail: () => void,
  ): void {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const outgoing = httpsRequest({ agent, host, port, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => answer(response, Buffer.concat(chunks)));
    });
    outgoing.on('error', fail);
    outgoing.end(body);
  }

  function stream({ url: path = '/', headers }: IncomingMessage, outgoing: ServerResponse): void {
    const call = httpsRequest({ agent, host, port, path, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 500, response.headers).flushHeaders();
      response.pipe(outgoing);
      response.on('error', () => outgoing.destroy());
    });
    call.on('error', () => outgoing.destroy());
    outgoing.on('close', () => call.destroy());
    call.end();
  }

  function trickle(outgoing: ServerResponse, body: Buffer): void {
    let sent = 0;
    const timer = setInterval(() => {
      if (sent >= body.length || outgoing.destroyed) {
        clearInterval(timer);
        outgoing.end();
        return;
      }
      outgoing.write(body.subarray(sent, sent + 16));
      sent += 16;
    }, 20);
  }

  function handle(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer): void {
    calls.push(`${incoming.method} ${incoming.url}`);
    const refuse = (code: number, reason: string, headers = {}): void => {
      outgoing.writeHead(code, { 'content-type': 'application/json', ...headers }).end(status(code, reason));
    };
    const token = incoming.headers.authorization?.replace('Bearer ', '') ?? '';
    if (revoked.has(token)) {
      note('a revoked token');
      return refuse(401, 'Unauthorized');
    }
    const cut = (): void => void incoming.socket.destroy();
    const chosen = fault();
    if (chosen) note(chosen);
    // A watch never ends.
    if (chosen === undefined && incoming.url?.includes('watch=true')) return stream(incoming, outgoing);
    const passOn = (answer: (response: IncomingMessage, content: Buffer) => void): void =>
      forward(incoming, body, answer, cut);
    switch (chosen) {
      case 'too many requests, with Retry-After':
        return refuse(429, 'TooManyRequests', { 'retry-after': '1' });
      case 'too many requests':
        return refuse(429, 'TooManyRequests');
      case 'internal error':
        return refuse(500, 'InternalError');
      case 'unavailable':
        return refuse(503, 'ServiceUnavailable');
      case 'reset before it is handled':
        return cut();
      case 'reset after it was handled':
        return passOn(cut);
      case 'no answer':
        return;
      case 'a trickle':
        return passOn((response, content) => {
          outgoing.writeHead(response.statusCode ?? 500, { ...response.headers, 'content-length': content.length });
          trickle(outgoing, content);
        });
      case 'a truncated answer':
        return passOn((response, content) => {
          outgoing.writeHead(response.statusCode ?? 500, { ...response.headers, 'content-length': content.length });
          outgoing.write(content.subarray(0, Math.floor(content.length / 2)), cut);
        });
      default:
        return passOn(
          (response, content) => void outgoing.writeHead(response.statusCode ?? 500, response.headers).end(content),
        );
    }
  }

  const tls = {
    cert: readFileSync(`${certificates}/apiserver.crt`),
    key: readFileSync(`${certificates}/apiserver.key`),
  };
  const create = () => {
    const server = createServer(tls, (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', () => undefined);
      incoming.on('end', async () => {
        await meanwhile?.(`${incoming.method} ${incoming.url}`);
        handle(incoming, outgoing, Buffer.concat(chunks));
      });
    });
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
    });
    server.on('tlsClientError', () => undefined);
    return server;
  };
  let server = create();
  let listening = 0;
  const open = async (): Promise<void> => {
    server = create().listen(listening, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address !== null) listening = address.port;
  };
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
    agent.destroy();
    agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  };
  await open();
  return {
    server: `127.0.0.1:${listening}`,
    calls,
    injected,
    async close() {
      note('connections refused');
      await close();
    },
    open,
    revoke: (token) => void revoked.add(token),
    async stop() {
      await close();
      agent.destroy();
    },
  };
}

/** Posts to a URL; resolves to the status, or 0 if there was no answer. */
export function postTo(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  milliseconds = 120_000,
): Promise<number> {
  return new Promise((resolve) => {
    const call = httpRequest(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(milliseconds),
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', () => resolve(0));
      },
    );
    call.on('error', () => resolve(0));
    call.end(body);
  });
}
