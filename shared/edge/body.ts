import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { bytesPerValue, countValues, maxValues } from '../function/json.ts';
import { Refusal } from '../function/refusal.ts';

export interface BodyLimits {
  /** For one body. */
  readonly maxBytes: number;
  /** For all bodies together that are being read or handled. */
  readonly maxBytesInFlight: number;
  /**
   * How a body is parsed: `whole`, so that what it takes then counts, too; `elements`, of a list, of which no more are kept
   * than a whole body may have; `reduced`, of which only what is wanted is kept, and counts for nothing.
   */
  parsing?(body: Buffer): 'whole' | 'elements' | 'reduced';
}

export interface BodyReader {
  /** Reads a request's body. Throws a Refusal: 413, 415, 400 if it was cut off, or 503 if too much is in flight. */
  read(request: IncomingMessage): Promise<Body>;
}

export interface Body {
  /**
   * The bytes, once: afterwards only the caller holds them. Throws a Refusal 413 or 503 if they hold more values than may
   * be parsed now.
   */
  take(): Buffer;
  /** Must be called when the request has been answered: until then the bytes count as in flight. */
  release(): void;
}

function declaredLength(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}

/**
 * Joins the chunks of a body. A body of known length is copied as it arrives, so that it is never held twice; its
 * buffer takes no memory before it is written to.
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

/** The body as it was before the sender compressed it, since that is what the limits are for. */
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

/** The bytes that one body takes of the limits. */
interface Reservation {
  /** Throws a Refusal 503. */
  add(bytes: number): void;
  release(): void;
}

/** Makes the reservations of bodies that share their limits. */
function createReservations({ maxBytesInFlight }: BodyLimits): () => Reservation {
  let inFlight = 0;
  return () => {
    let reserved = 0;
    return {
      add(bytes) {
        // A body that is alone always fits, however little memory there is: otherwise it would never get through.
        const isAlone = inFlight === reserved;
        if (!isAlone && inFlight + bytes > maxBytesInFlight) throw new Refusal(503, 'too much is in flight');
        reserved += bytes;
        inFlight += bytes;
      },
      release() {
        inFlight -= reserved;
        reserved = 0;
      },
    };
  };
}

async function readAll(
  request: IncomingMessage,
  decoded: Readable,
  reservation: Reservation,
  { maxBytes }: BodyLimits,
): Promise<Buffer> {
  const joiner = createJoiner(decoded === request ? declaredLength(request) : 0);
  let length = 0;
  for await (const chunk of decoded.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length > maxBytes) throw new Refusal(413, 'the body is too large');
    reservation.add(chunk.length);
    joiner.add(chunk);
  }
  return joiner.join();
}

/** Counts what the values of a body will take when they are parsed. */
function reserveValues(body: Buffer, reservation: Reservation, parsing: 'whole' | 'elements'): void {
  const max = maxValues();
  const values = countValues(body, max);
  if (values > max && parsing === 'whole') throw new Refusal(413, 'the body holds too many values');
  reservation.add(Math.min(values, max) * bytesPerValue);
}

/** Reads past the rest of a refused body: a connection that is broken off carries no answer. */
function discard(request: IncomingMessage, decoded: Readable): void {
  request.unpipe();
  if (decoded !== request) decoded.destroy();
  request.resume();
}

export function createBodyReader(limits: BodyLimits): BodyReader {
  const createReservation = createReservations(limits);

  return {
    async read(request) {
      const decoded = decode(request);
      if (declaredLength(request) > limits.maxBytes) throw new Refusal(413, 'the body is too large');
      const reservation = createReservation();
      let whole: Buffer;
      try {
        whole = await readAll(request, decoded, reservation, limits);
      } catch (error) {
        reservation.release();
        discard(request, decoded);
        throw Refusal.from(error, 400, 'the body was cut off');
      }
      return {
        take() {
          const parsing = limits.parsing?.(whole) ?? 'whole';
          if (parsing !== 'reduced') reserveValues(whole, reservation, parsing);
          const taken = whole;
          whole = Buffer.alloc(0);
          return taken;
        },
        release: reservation.release,
      };
    },
  };
}
