import { once } from 'node:events';
import { Agent, createServer, type RequestListener, request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createBodyReader } from '../../shared/edge/body.ts';
import { createBudget } from '../../shared/edge/budget.ts';
import { free, freeChunk } from '../../shared/edge/free.ts';
import { createInflate } from '../../shared/edge/inflate.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { answerRefusal } from '../../shared/host/door.ts';

const megabyte = 1_048_576;

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
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  // Otherwise the server would hang up on whoever is refused.
  const agent = new Agent({ keepAlive: true });
  const call = request({ port, method: 'POST', agent });
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

describe('free', () => {
  it('gives back what is large, and leaves alone what may be shared', () => {
    const large = Buffer.alloc(100_000);
    const part = large.subarray(5, 10);
    free(part);
    expect([large.length, part.length]).toEqual([0, 0]);
    const small = Buffer.from('small');
    free(small);
    expect(small.toString()).toBe('small');
  });
});

describe('freeChunk', () => {
  it('gives back what has its memory alone, and leaves parts of something alone', () => {
    const alone = Buffer.allocUnsafeSlow(10_000);
    freeChunk(alone);
    expect(alone.length).toBe(0);
    const whole = Buffer.allocUnsafeSlow(20_000);
    freeChunk(whole.subarray(0, 10_000));
    expect(whole.length).toBe(20_000);
    const pooled = Buffer.from('x'.repeat(100));
    freeChunk(pooled);
    expect(pooled.toString()).toBe('x'.repeat(100));
  });
});

describe('the chunks of a body', () => {
  it('are gone once it has been read', async () => {
    const reader = createBodyReader({
      maxBytes: 4 * megabyte,
      maxBytesInFlight: 8 * megabyte,
      inflate: createInflate(),
      parsed: createBudget(megabyte),
    });
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
