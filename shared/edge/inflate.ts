import type { Readable } from 'node:stream';
import { createGunzip, createInflate as createZlibInflate } from 'node:zlib';
import { saidLength } from './gunzip.ts';

/** How a sender may compress a body. */
export type Compression = 'gzip' | 'deflate';

/** What is in a compressed body, as it is decompressed, and how long it says that it is, if it does. */
export interface Inflated {
  /** Breaks off with an error if the body is broken. */
  readonly chunks: Readable;
  readonly said: number;
}

/** Decompresses a body for `read`, once those before it have been read. */
export type Inflate = (
  bytes: Buffer,
  compression: Compression,
  read: (inflated: Inflated) => Promise<Buffer>,
) => Promise<Buffer>;

/** Each chunk is a step of another thread, and waits for its turn here afterwards. */
const chunkSize = 262_144;

const decoders = { gzip: createGunzip, deflate: createZlibInflate };

/**
 * Decompresses one body after another, since what it will take isn't known before: some KiB may be as large as any body may
 * be.
 */
export function createInflate(): Inflate {
  let turn: Promise<unknown> = Promise.resolve();
  return (bytes, compression, read) => {
    const mine = turn.then(() => {
      const decoder = decoders[compression]({ chunkSize });
      decoder.end(bytes);
      return read({ chunks: decoder, said: compression === 'gzip' ? saidLength(bytes) : 0 });
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
}
