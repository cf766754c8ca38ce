import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { Refusal } from '../function/refusal.ts';
import { saidLength } from './gunzip.ts';

/** How a sender may compress a body. */
export type Compression = 'gzip' | 'deflate';

/** Decompresses. Throws a Refusal: 413 if that is longer than `maxBytes`, 400 if it is broken. */
export type Inflate = (bytes: Buffer, compression: Compression) => Promise<Buffer>;

const decoders = { gzip: promisify(gunzip), deflate: promisify(inflate) };

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}

/** Into one buffer: of many small ones, garbage could fill the memory long before anybody collects it. */
function decode(bytes: Buffer, compression: Compression, maxBytes: number): Promise<Buffer> {
  return decoders[compression](bytes, { chunkSize: maxBytes + 64, maxOutputLength: maxBytes });
}

/**
 * Decompresses one body after another, since what it will take isn't known before: some KiB may be as large as any body may
 * be.
 */
export function createInflate(maxBytes: number): Inflate {
  let turn: Promise<unknown> = Promise.resolve();

  async function decoded(bytes: Buffer, compression: Compression): Promise<Buffer> {
    const said = compression === 'gzip' ? Math.min(saidLength(bytes), maxBytes) : maxBytes;
    try {
      return await decode(bytes, compression, Math.max(said, 1));
    } catch (error) {
      if (!isTooLarge(error)) throw Refusal.from(error, 400, 'the body was cut off');
      // It may be several files in one, of which only the last has said its length.
      if (said === maxBytes) throw new Refusal(413, 'the body is too large');
    }
    return decode(bytes, compression, maxBytes).catch((error: unknown) => {
      throw isTooLarge(error)
        ? new Refusal(413, 'the body is too large')
        : Refusal.from(error, 400, 'the body was cut off');
    });
  }

  return (bytes, compression) => {
    const mine = turn.then(() => decoded(bytes, compression));
    turn = mine.catch(() => undefined);
    return mine;
  };
}
