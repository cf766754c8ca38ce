import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpClient, type HttpClient } from '../../shared/transport/http-client.ts';
import { temporaryFolder } from '../host/program.ts';
import { selfSigned } from './certificate.ts';
import { startSwallowingProxy } from './swallowing-proxy.ts';

const signal = AbortSignal.timeout(600_000);
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: Server, scheme: string): Promise<URL> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return new URL(`${scheme}://localhost:${(server.address() as AddressInfo).port}`);
}

async function get(client: HttpClient, onHead = (): void => undefined, timeout = 600_000): Promise<number | undefined> {
  const answer = await client.send({ method: 'GET', path: '/', headers: {}, signal, timeout });
  onHead();
  await answer.toArray();
  return answer.statusCode;
}

describe('the client of a server', () => {
  it('makes new connections for a CA that was rotated, and closes the old ones', async () => {
    const [before, after] = [selfSigned(temporaryFolder()), selfSigned(temporaryFolder())];
    const sockets: TLSSocket[] = [];
    const server = createHttpsServer(before, (request, response) => request.resume() && response.end('{}'));
    // The server closes none by itself.
    server.keepAliveTimeout = 0;
    server.on('secureConnection', (socket: TLSSocket) => sockets.push(socket));
    let ca = before.cert;
    const client = createHttpClient({ server: await listen(server, 'https'), tls: () => ({ ca }), limit: 2 });
    closing.push(() => client.close());
    expect([await get(client), await get(client), sockets.length]).toEqual([200, 200, 1]);
    server.setSecureContext(after);
    ca = after.cert;
    const closed = sockets[0] && once(sockets[0], 'close');
    expect([await get(client), sockets.length]).toEqual([200, 2]);
    await closed;
    ca = before.cert;
    await expect(get(client)).rejects.toThrow();
  });

  it('keeps its connection when a key can not be read, and uses it again when it can', async () => {
    const certificate = selfSigned(temporaryFolder());
    const sockets: TLSSocket[] = [];
    const server = createHttpsServer(certificate, (request, response) => request.resume() && response.end('{}'));
    server.on('secureConnection', (socket: TLSSocket) => sockets.push(socket));
    const { cert: ca } = certificate;
    let key: string | undefined;
    const client = createHttpClient({ server: await listen(server, 'https'), tls: () => ({ ca, key }), limit: 2 });
    closing.push(() => client.close());
    expect(await get(client)).toBe(200);
    key = 'no key';
    await expect(get(client)).rejects.toThrow();
    key = undefined;
    expect([await get(client), await get(client), sockets.length]).toEqual([200, 200, 1]);
  });

  it('takes nothing for whole that it was closed in the middle of', async () => {
    const server = createServer((socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\nthe beginning'));
    server.on('connection', (socket) => closing.push(() => socket.destroy()));
    const client = createHttpClient({ server: await listen(server, 'http'), tls: () => ({}), limit: 2 });
    await expect(get(client, () => setImmediate(() => client.close()))).rejects.toThrow('aborted');
  });

  it('sends again what met a connection that the server was closing', async () => {
    const asked: number[] = [];
    const server = createHttpServer((request, response) => {
      const { remotePort = 0 } = request.socket;
      const isReused = asked.includes(remotePort);
      asked.push(remotePort);
      if (isReused) request.socket.resetAndDestroy();
      else response.end('{}');
    });
    const client = createHttpClient({ server: await listen(server, 'http'), tls: () => ({}), limit: 2 });
    closing.push(() => client.close());
    expect([await get(client), await get(client)]).toEqual([200, 200]);
    expect(asked).toHaveLength(3);
  });

  it('loses one attempt to connections that died without a word, however many they were', async () => {
    const waiting: ServerResponse[] = [];
    const server = createHttpServer((_request, response) => {
      waiting.push(response);
      if (waiting.length >= 5) for (const one of waiting) one.end('{}');
    });
    const { port } = await listen(server, 'http');
    const proxy = await startSwallowingProxy(Number(port));
    const client = createHttpClient({
      server: new URL(`http://localhost:${proxy.port}`),
      tls: () => ({}),
      limit: 5,
    });
    closing.push(() => client.close());
    await Promise.all(Array.from({ length: 5 }, () => get(client)));
    expect(proxy.connections()).toBe(5);
    proxy.swallow();
    await expect(get(client, undefined, 50)).rejects.toThrow('no answer in time');
    expect([await get(client), proxy.connections()]).toEqual([200, 6]);
  });

  it('ends an answer that stops in the middle, in time', async () => {
    const server = createHttpServer((_request, response) => void response.write('the beginning'));
    const client = createHttpClient({ server: await listen(server, 'http'), tls: () => ({}), limit: 2 });
    closing.push(() => server.closeAllConnections());
    await expect(get(client, undefined, 50)).rejects.toThrow();
  });

  it('closes a connection that nobody has used for a while', async () => {
    const sockets: Socket[] = [];
    const server = createHttpServer((_request, response) => response.end('{}'));
    server.keepAliveTimeout = 0;
    server.on('connection', (socket) => sockets.push(socket));
    const url = await listen(server, 'http');
    const client = createHttpClient({ server: url, tls: () => ({}), limit: 2, idleMilliseconds: 20 });
    await get(client);
    await Promise.all(sockets.map((socket) => once(socket, 'close')));
    expect([await get(client), sockets.length]).toEqual([200, 2]);
  });

  it('fails where a new connection is closed before an answer, and sends nothing twice', async () => {
    let asked = 0;
    const server = createHttpServer((request) => {
      asked += 1;
      request.socket.resetAndDestroy();
    });
    const client = createHttpClient({ server: await listen(server, 'http'), tls: () => ({}), limit: 2 });
    await expect(get(client)).rejects.toThrow();
    expect(asked).toBe(1);
  });
});
