import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createBodyReader } from '../../shared/edge/body.ts';
import { createBudget } from '../../shared/edge/budget.ts';
import { createInflate } from '../../shared/edge/inflate.ts';

const max = 1000;
const reader = createBodyReader({
  ...{ maxBytes: max, maxBytesInFlight: 100 * max, inflate: createInflate(), parsed: createBudget(1_000_000) },
});

/** What is in the compressed body of a request. */
async function inflate(bytes: Buffer, compression: 'gzip' | 'deflate'): Promise<Buffer> {
  const request = new IncomingMessage(new Socket());
  request.headers = { 'content-encoding': compression, 'content-length': String(bytes.length) };
  // The reader gives back what it has read.
  request.push(Buffer.from(bytes));
  request.push(null);
  const body = await reader.read(request);
  const whole = Buffer.from(body.take());
  body.release();
  return whole;
}

const zeros = (length: number): Buffer => Buffer.alloc(length);
const gzipOf = (...lengths: readonly number[]): Buffer =>
  Buffer.concat(lengths.map((length) => gzipSync(zeros(length))));

/** What says that it is so long when it is decompressed. */
function claiming(length: number, bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt32LE(length, changed.length - 4);
  return changed;
}

describe('createInflate', () => {
  it.each([0, 1, 500, max])('gives %i bytes that are compressed either way', async (length) => {
    expect(await inflate(gzipOf(length), 'gzip')).toEqual(zeros(length));
    expect(await inflate(deflateSync(zeros(length)), 'deflate')).toEqual(zeros(length));
  });

  it('gives several files in one, of which only the last says its length', async () => {
    expect(await inflate(gzipOf(900, 100), 'gzip')).toEqual(zeros(max));
    expect(await inflate(gzipOf(100, 0), 'gzip')).toEqual(zeros(100));
  });

  it.each<[string, 'gzip' | 'deflate', Buffer, number, string]>([
    ['one byte too many', 'gzip', gzipOf(max + 1), 413, 'the body is too large'],
    ['one byte too many in deflate', 'deflate', deflateSync(zeros(max + 1)), 413, 'the body is too large'],
    ['one byte too many in two files', 'gzip', gzipOf(max, 1), 413, 'the body is too large'],
    ['many bytes that are said to be few', 'gzip', claiming(10, gzipOf(5000)), 400, 'the body was cut off'],
    ['few bytes that are said to be many', 'gzip', claiming(2 ** 32 - 1, gzipOf(10)), 400, 'the body was cut off'],
    ['some bytes that are said to be fewer', 'gzip', claiming(10, gzipOf(500)), 400, 'the body was cut off'],
    ['what is cut off', 'gzip', gzipOf(500).subarray(0, -9), 400, 'the body was cut off'],
    ['what is cut off in deflate', 'deflate', deflateSync(zeros(500)).subarray(0, -5), 400, 'the body was cut off'],
    ['nothing at all', 'gzip', zeros(0), 400, 'the body was cut off'],
    ['three bytes of gzip', 'gzip', gzipOf(500).subarray(0, 3), 400, 'the body was cut off'],
    ['what is not compressed', 'gzip', Buffer.from('{"rule":"x"}'), 400, 'the body was cut off'],
  ])('refuses %s', async (_case, compression, bytes, status, message) => {
    await expect(inflate(bytes, compression)).rejects.toMatchObject({ status, message });
    // The next body has its turn all the same.
    expect(await inflate(gzipOf(3), 'gzip')).toEqual(zeros(3));
  });

  it('takes one body after another', async () => {
    const ended: string[] = [];
    const large = inflate(gzipSync(zeros(max)), 'gzip').then(() => ended.push('first'));
    const broken = inflate(zeros(1), 'gzip').catch(() => ended.push('second'));
    const small = inflate(deflateSync(zeros(0)), 'deflate').then(() => ended.push('third'));
    await Promise.all([small, broken, large]);
    expect(ended).toEqual(['first', 'second', 'third']);
  });
});
