import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createPublisher, createSender } from '../../shared/transport/event-sender.ts';
import { temporaryFolder } from '../host/program.ts';
import { eventOf } from '../pipeline/test-context.ts';
import { selfSigned } from './certificate.ts';

const signal = AbortSignal.timeout(600_000);
const event = eventOf('x.y', { a: 1 });
const closing: (() => void)[] = [];
const seen: IncomingHttpHeaders[] = [];
const answerWith =
  (status: number): RequestListener =>
  (request, response) => {
    seen.push(request.headers);
    request.resume();
    request.on('end', () => response.writeHead(status).end());
  };

async function listen(server: ReturnType<typeof createHttpServer>, scheme: string): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return `${scheme}://localhost:${(server.address() as AddressInfo).port}/zen-system/zen-watcher`;
}

afterEach(() => {
  for (const close of closing.splice(0)) close();
  seen.length = 0;
});

describe('publishing to the Broker', () => {
  const folder = temporaryFolder();
  const publisherTo = (url: string, caCerts?: string, tokenFile = join(folder, 'none')) =>
    createPublisher(createSender(), () => ({ url, caCerts, tokenFile, extensions: { team: 'a' } }));

  it('shows no token where there is none', async () => {
    const sink = await listen(createHttpServer(answerWith(202)), 'http');
    await publisherTo(sink)(event, signal);
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toHaveProperty('authorization');
  });

  it('shows the token that is mounted, as it is now', async () => {
    const sink = await listen(createHttpServer(answerWith(202)), 'http');
    const tokenFile = join(folder, 'token');
    const publish = publisherTo(sink, undefined, tokenFile);
    for (const token of ['first', 'second']) {
      writeFileSync(tokenFile, `${token}\n`);
      await publish(event, signal);
    }
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer first', 'Bearer second']);
  });

  it.each([200, 202, 204])('takes %d for having it', async (status) => {
    const sink = await listen(createHttpServer(answerWith(status)), 'http');
    await publisherTo(sink)(event, signal);
  });

  it.each([301, 400, 401, 404, 500, 503])('takes %d for not having it', async (status) => {
    const sink = await listen(createHttpServer(answerWith(status)), 'http');
    await expect(publisherTo(sink)(event, signal)).rejects.toMatchObject({ status: 503 });
  });

  it('fails while there is no Broker, and where nobody listens', async () => {
    const nowhere = createPublisher(createSender(), () => undefined);
    await expect(nowhere(event, signal)).rejects.toMatchObject({ status: 503, retryAfter: 5 });
    await expect(publisherTo('http://127.0.0.1:1')(event, signal)).rejects.toMatchObject({ status: 503 });
  });

  it('trusts the CA that the Broker has now, and no other', async () => {
    const [tls, other] = [selfSigned(folder), selfSigned(folder)];
    const url = await listen(createHttpsServer(tls, answerWith(202)), 'https');
    let caCerts: string | undefined;
    const publish = createPublisher(createSender(), () => ({ url, caCerts, tokenFile: undefined, extensions: {} }));
    await expect(publish(event, signal)).rejects.toMatchObject({ status: 503 });
    caCerts = other.cert;
    await expect(publish(event, signal)).rejects.toMatchObject({ status: 503 });
    caCerts = tls.cert;
    await publish(event, signal);
    caCerts = other.cert;
    await expect(publish(event, signal)).rejects.toMatchObject({ status: 503 });
    expect(seen).toHaveLength(1);
  });

  it('follows the Broker to another address', async () => {
    const urls = [await listen(createHttpServer(answerWith(202)), 'http'), 'http://127.0.0.1:1'];
    const publish = createPublisher(createSender(), () => ({
      url: urls.shift() ?? '',
      caCerts: undefined,
      tokenFile: undefined,
      extensions: {},
    }));
    await publish(event, signal);
    await expect(publish(event, signal)).rejects.toMatchObject({ status: 503 });
  });
});

describe('sending to an address', () => {
  const { sendTo } = createSender();
  const limit = 600_000;

  it('is answered 503 for what was given up, whatever comes of it later', async () => {
    const held: ServerResponse[] = [];
    const url = await listen(
      createHttpServer((_request, response) => void held.push(response)),
      'http',
    );
    const deadline = new AbortController();
    const delivered = sendTo(url, event, { signal: deadline.signal, limit });
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    deadline.abort();
    held[0]?.writeHead(204).end();
    expect(await delivered).toBe(503);
  });

  it('is answered 503 for what was given up before', async () => {
    const url = await listen(createHttpServer(answerWith(204)), 'http');
    expect(await sendTo(url, event, { signal: AbortSignal.abort(), limit })).toBe(503);
  });

  it('is answered 503 where there is no answer in time', async () => {
    const url = await listen(
      createHttpServer(() => undefined),
      'http',
    );
    expect(await sendTo(url, event, { signal, limit: 50 })).toBe(503);
  });

  it.each(['a b', 'http://[', 'ünï', '%zz', 'a:b c'])('sends an event whose source is %j as it is', async (source) => {
    const sources: unknown[] = [];
    const server = createHttpServer(async (request, response) => {
      const body: { source?: string } = JSON.parse((await request.toArray()).join(''));
      sources.push(body.source);
      response.writeHead(204).end();
    });
    const url = await listen(server, 'http');
    expect(await sendTo(url, { ...event, source }, { signal, limit })).toBe(204);
    expect(sources).toEqual([source]);
  });

  it('is answered 503 for an address that is none', async () => {
    expect(await sendTo('not a URL', event, { signal, limit })).toBe(503);
  });

  /** So many events to a server that answers none that one between them waits for a connection. */
  async function crowd() {
    const seen: (string | undefined)[] = [];
    const held: ServerResponse[] = [];
    let isBusy = true;
    const server = createHttpServer((request, response) => {
      request.resume();
      seen.push(request.url);
      if (isBusy) held.push(response);
      else response.writeHead(204).end();
    });
    const { origin } = new URL(await listen(server, 'http'));
    const sendMany = (path: string) =>
      Array.from({ length: 100 }, (_, index) => sendTo(`${origin}/${path}/${index}`, event, { signal, limit }));
    const deadline = new AbortController();
    const before = sendMany('before');
    const waiting = sendTo(`${origin}/waiting`, event, { signal: deadline.signal, limit });
    const others = Promise.all([...before, ...sendMany('after')]);
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const answerAll = (): void => {
      isBusy = false;
      for (const response of held) response.writeHead(204).end();
    };
    return { seen, waiting, others, answerAll, giveUp: () => deadline.abort() };
  }

  it('sends nothing that was given up while it waited for a connection', async () => {
    const { seen, waiting, others, answerAll, giveUp } = await crowd();
    giveUp();
    answerAll();
    expect(await waiting).toBe(503);
    expect(await others).toEqual(Array(200).fill(204));
    expect(seen).toHaveLength(200);
    expect(seen).not.toContain('/waiting');
  });

  it('gives up at once what waits for a connection, however long the others take', async () => {
    const { waiting, others, answerAll, giveUp } = await crowd();
    giveUp();
    expect(await waiting).toBe(503);
    answerAll();
    await others;
  });
});
