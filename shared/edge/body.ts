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
   * Reads a request's body. Throws a Refusal 413, or 503 when too much is in flight.
   */
  read(request: IncomingMessage): Promise<Body>;
}

export interface Body {
  /** The bytes, once: from then on they are held only by whoever took them. */
  take(): Buffer;
  /** Must be called when the request has been answered: until then the bytes count as in flight. */
  release(): void;
}

function declaredLength(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}

/**
 * The pieces of a body as one. What has a known length is copied as it arrives, so that it is never held twice; memory
 * that nothing was written to yet is only an address.
 */
function createJoiner(length: number): { add(chunk: Buffer): void; join(): Buffer } {
  const whole = Buffer.allocUnsafeSlow(length);
  const rest: Buffer[] = [];
  let at = 0;
  return {
    add(chunk) {
      const taken = chunk.copy(whole, at);
      at += taken;
      if (taken < chunk.length) rest.push(chunk.subarray(taken));
    },
    join: () => (rest.length === 0 ? whole.subarray(0, at) : Buffer.concat([whole.subarray(0, at), ...rest])),
  };
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
      const joiner = createJoiner(decoded === request ? declaredLength(request) : 0);
      try {
        for await (const chunk of decoded.iterator({ destroyOnReturn: false })) {
          if (!Buffer.isBuffer(chunk)) continue;
          reserve(chunk.length);
          joiner.add(chunk);
        }
      } catch (error) {
        release();
        // What is left of a body that is refused is read past: a connection that is broken off carries no answer.
        request.unpipe();
        if (decoded !== request) decoded.destroy();
        request.resume();
        throw error instanceof Refusal ? error : new Refusal(400, 'the body was cut off', { cause: error });
      }
      let whole = joiner.join();
      return {
        take() {
          const taken = whole;
          whole = Buffer.alloc(0);
          return taken;
        },
        release,
      };
    },
  };
}
