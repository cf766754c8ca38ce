import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createPublisher, createSender } from '../../shared/host/sender.ts';
import { eventOf } from '../pipeline/test-context.ts';
import { selfSigned } from '../transport/certificate.ts';
import { temporaryFolder } from './program.ts';

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
  const publisherTo = (sink: string | undefined, caCerts?: string, tokenFile = join(folder, 'none')) =>
    createPublisher({ sender: createSender(caCerts), sink, extensions: { team: 'a' }, tokenFile });

  it('adds what the SinkBinding says', async () => {
    const sink = await listen(createHttpServer(answerWith(202)), 'http');
    await publisherTo(sink)(event, signal);
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toHaveProperty('authorization');
  });

  it('shows the token that the SinkBinding mounts, as it is now', async () => {
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
    await expect(publisherTo(undefined)(event, signal)).rejects.toMatchObject({ status: 503 });
    await expect(publisherTo('http://127.0.0.1:1')(event, signal)).rejects.toMatchObject({ status: 503 });
  });

  it('trusts the CA that the SinkBinding gives, and no other', async () => {
    const tls = selfSigned(folder);
    const sink = await listen(createHttpsServer(tls, answerWith(202)), 'https');
    await expect(publisherTo(sink)(event, signal)).rejects.toMatchObject({ status: 503 });
    await publisherTo(sink, tls.cert)(event, signal);
    expect(seen).toHaveLength(1);
  });
});
