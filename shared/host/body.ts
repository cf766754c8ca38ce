import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { Refusal } from '../function/refusal.ts';

export interface BodyLimits {
  /** Of one body. */
  readonly maxBytes: number;
  /** Of all bodies that are being read or handled at one time. */
  readonly maxBytesInFlight: number;
}

export interface BodyReader {
  /**
   * Reads a request's body. Throws a Refusal 413, or 503 when too much is in flight. `release` gives the memory back
   * and must be called when the request has been answered.
   */
  read(request: IncomingMessage): Promise<{ readonly body: Buffer; release(): void }>;
}

function declaredLength(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}

/** The body as it was before the sender compressed it: what comes out is counted, not what comes in. */
function decode(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase();
  if (encoding === undefined || encoding === '' || encoding === 'identity') return request;
  const decoder =
    encoding === 'gzip' || encoding === 'x-gzip'
      ? createGunzip()
      : encoding === 'deflate'
        ? createInflate()
        : undefined;
  if (!decoder) throw new Refusal(415, 'the content encoding is not supported', { path: 'content-encoding' });
  request.on('error', (error) => decoder.destroy(error));
  // What is left of a body that is refused is read past, so that the refusal can be answered.
  decoder.on('close', () => request.resume());
  return request.pipe(decoder);
}

export function createBodyReader({ maxBytes, maxBytesInFlight }: BodyLimits): BodyReader {
  let inFlight = 0;

  return {
    async read(request) {
      const decoded = decode(request);
      if (declaredLength(request) > maxBytes) throw new Refusal(413, 'the body is too large');
      let reserved = 0;
      const reserve = (bytes: number): void => {
        if (reserved + bytes > maxBytes) throw new Refusal(413, 'the body is too large');
        // One body always fits, however small the memory: it would never get through otherwise.
        if (inFlight > 0 && inFlight + bytes > maxBytesInFlight && inFlight > reserved) {
          throw new Refusal(503, 'too much is in flight');
        }
        reserved += bytes;
        inFlight += bytes;
      };
      const release = (): void => {
        inFlight -= reserved;
        reserved = 0;
      };
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of decoded) {
          if (!Buffer.isBuffer(chunk)) continue;
          reserve(chunk.length);
          chunks.push(chunk);
        }
      } catch (error) {
        release();
        throw error instanceof Refusal ? error : new Refusal(400, 'the body was cut off', { cause: error });
      }
      return { body: Buffer.concat(chunks), release };
    },
  };
}
