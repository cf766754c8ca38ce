import { once } from 'node:events';
import { Agent, createServer, type RequestListener, request, type Server } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createBodyReader } from '../../shared/edge/body.ts';
import { createBudget } from '../../shared/edge/budget.ts';
import { createInflate } from '../../shared/edge/inflate.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { answerRefusal } from '../../shared/host/door.ts';

const megabyte = 1_048_576;

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Sends a body of 2 MiB. Resolves to the status, and to what its chunks still take once they have been read. */
async function keptBy(listener: RequestListener): Promise<{ status: number; chunks: number; kept: number }> {
  const chunks: Buffer[] = [];
  const arrived = Promise.withResolvers<void>();
  const server = createServer((incoming, response) => {
    // Before anybody else sees them.
    const { push } = incoming;
    incoming.push = (chunk: unknown, ...more) => {
      if (Buffer.isBuffer(chunk)) chunks.push(chunk);
      return push.call(incoming, chunk, ...more);
    };
    incoming.once('end', arrived.resolve);
    listener(incoming, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Otherwise the server would hang up on whoever is refused.
  const agent = new Agent({ keepAlive: true });
  const call = request({ port: portOf(server), method: 'POST', agent });
  call.end(Buffer.alloc(2 * megabyte, 'x'));
  const [response] = await once(call, 'response');
  const closed = once(server, 'close');
  response.resume();
  await arrived.promise;
  agent.destroy();
  server.close();
  await closed;
  const kept = chunks.reduce((sum, { length }) => sum + length, 0);
  return { status: response.statusCode, chunks: chunks.length, kept };
}

const reader = createBodyReader({
  maxBytes: 4 * megabyte,
  maxBytesInFlight: 8 * megabyte,
  inflate: createInflate(),
  parsed: createBudget(megabyte),
});

describe('the chunks of a body', () => {
  it('are gone once it has been read', async () => {
    let read = 0;
    const { chunks, kept } = await keptBy(async (incoming, response) => {
      read = (await reader.read(incoming)).take().filter((byte) => byte === 0x78).length;
      response.end();
    });
    expect(read).toBe(2 * megabyte);
    expect(chunks).toBeGreaterThan(10);
    // What is short is left to the garbage collector.
    expect(kept).toBeLessThan(16_384);
  });

  it('are gone if it is refused unread', async () => {
    const { status, chunks, kept } = await keptBy((_request, response) => {
      answerRefusal(response, new Refusal(401, 'a token is needed'));
    });
    expect(status).toBe(401);
    expect(chunks).toBeGreaterThan(10);
    expect(kept).toBeLessThan(16_384);
  });
});

describe('a body that arrives slowly', () => {
  it('takes what has arrived, not what its sender has said', async () => {
    const arrived = Promise.withResolvers<void>();
    let count = 0;
    const server = createServer((incoming, response) => {
      reader.read(incoming).catch(() => response.destroy());
      count += 1;
      if (count === 50) setImmediate(arrived.resolve);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const before = process.memoryUsage().arrayBuffers;
    const calls = Array.from({ length: 50 }, () => {
      const call = request({ port: portOf(server), method: 'POST', headers: { 'content-length': 4 * megabyte } });
      call.on('error', () => undefined);
      call.write('x'.repeat(1000));
      return call;
    });
    await arrived.promise;
    const taken = process.memoryUsage().arrayBuffers - before;
    for (const call of calls) call.destroy();
    server.closeAllConnections();
    server.close();
    expect(taken).toBeLessThan(50 * 65_536);
  });
});
