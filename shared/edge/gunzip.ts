import { gunzipSync } from 'node:zlib';
import { free } from './free.ts';

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** How long gzip says, at its end, that it is when it is decompressed. */
export function saidLength(bytes: Buffer): number {
  return bytes.length < 4 ? 0 : bytes.readUInt32LE(bytes.length - 4);
}

function isTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}

/** Into one buffer: of many small ones, garbage could fill the memory long before anybody collects it. */
function decode(bytes: Buffer, maxBytes: number): Buffer {
  return gunzipSync(bytes, { chunkSize: maxBytes + 64, maxOutputLength: maxBytes });
}

/**
 * What is in base64, decompressed if it is gzip. Whoever has read it frees it. Throws if it is longer than `maxBytes`, or
 * broken.
 */
export function bytesOfBase64(base64: string, maxBytes: number): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  if (!isGzip(bytes)) return bytes;
  const said = saidLength(bytes);
  try {
    if (said > maxBytes) throw new Error('too long');
    try {
      return decode(bytes, Math.max(said, 1));
    } catch (error) {
      if (!isTooLong(error)) throw error;
      // It may be several files in one, of which only the last has said its length.
      return decode(bytes, maxBytes);
    }
  } finally {
    free(bytes);
  }
}
