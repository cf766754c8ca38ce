import type { IncomingMessage } from 'node:http';
import { bytesPerValue, countValues, maxValues } from '../function/json.ts';
import { Refusal } from '../function/refusal.ts';
import { createBudget, type Share } from './budget.ts';
import { free, freeChunk, smallBytes } from './free.ts';
import type { Compression, Inflate } from './inflate.ts';

export interface BodyLimits {
  /** For one body. */
  readonly maxBytes: number;
  /** For all bodies of a door together that are being read or handled. */
  readonly maxBytesInFlight: number;
  readonly inflate: Inflate;
  /** Makes the share of one body in what all doors together may have parsed of large bodies. */
  readonly parsed: () => Share;
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
   * The bytes, once, until they are released. Throws a Refusal 413 or 503 if they hold more values than may
   * be parsed now.
   */
  take(): Buffer;
  /** Must be called when the request has been answered: until then the bytes count as in flight. Afterwards they are gone. */
  release(): void;
}

function declaredLength(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}

interface Joiner {
  add(chunk: Buffer): void;
  join(): Buffer;
  free(): void;
}

const firstBytes = 16_384;

/** How many times larger a body's buffer becomes when it is full. With four, a copy takes no more than the body will. */
const growth = 4;

/**
 * Joins the chunks of a body. They are copied as they arrive, and are gone then, so that none is held twice. The buffer grows with what
 * has arrived, up to the length that the sender has said: V8 believes that all of a buffer is used, so those of slow senders
 * would have it collect garbage all the time.
 */
function createJoiner(said: number, maxBytes: number): Joiner {
  let whole = Buffer.allocUnsafeSlow(said > 0 ? Math.min(said, firstBytes) : firstBytes);
  let at = 0;

  function grow(needed: number): void {
    const before = whole;
    const most = needed <= said ? said : maxBytes;
    whole = Buffer.allocUnsafeSlow(Math.min(Math.max(before.length * growth, needed), most));
    before.copy(whole, 0, 0, at);
    freeChunk(before);
  }

  return {
    add(chunk) {
      if (at + chunk.length > whole.length) grow(at + chunk.length);
      at += chunk.copy(whole, at);
      freeChunk(chunk);
    },
    join: () => whole.subarray(0, at),
    free: () => freeChunk(whole),
  };
}

const compressions: Readonly<Record<string, Compression>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' };

/** How a body is compressed, if it is. Throws a Refusal 415. */
function compressionOf({ headers }: IncomingMessage): Compression | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase();
  if (encoding === undefined || encoding === '' || encoding === 'identity') return undefined;
  const compression = Object.hasOwn(compressions, encoding) ? compressions[encoding] : undefined;
  if (!compression) throw new Refusal(415, 'the content encoding is not supported', { path: 'content-encoding' });
  return compression;
}

/** Of so few, in a small body, each takes this much once it is parsed. */
const fewValues = 4096;
const bytesPerFewValues = 64;

/**
 * What a body takes of the budgets of its door while it is read and handled. Half is for small bodies, so that large ones never
 * take their place.
 */
interface Reservation {
  /** Throws a Refusal 503. */
  add(bytes: number): void;
  /** The same for what its values will take when they are parsed. Throws a Refusal 413 or 503. */
  addValues(body: Buffer, parsing: 'whole' | 'elements'): void;
  release(): void;
}

function createReservations({ maxBytesInFlight, parsed }: BodyLimits): () => Reservation {
  const [small, large] = [createBudget(maxBytesInFlight / 2), createBudget(maxBytesInFlight / 2)];
  return () => {
    let share = small();
    let length = 0;
    const values = parsed();
    return {
      add(bytes) {
        const before = length;
        length += bytes;
        if (length <= smallBytes || before > smallBytes) return share.add(bytes);
        share.release();
        share = large();
        share.add(length);
      },
      addValues(body, parsing) {
        const max = maxValues();
        const count = countValues(body, max);
        if (count > max && parsing === 'whole') throw new Refusal(413, 'the body holds too many values');
        if (body.length <= smallBytes && count <= fewValues) share.add(count * bytesPerFewValues);
        // As text and as what is parsed from it a body is there twice more.
        else values.add(Math.min(count, max) * bytesPerValue + (parsing === 'whole' ? 2 * body.length : 0));
      },
      release() {
        share.release();
        values.release();
        length = 0;
        share = small();
      },
    };
  };
}

/** Throws a Refusal 413 or 503, or what the chunks break off with. */
async function readAll(
  chunks: AsyncIterable<unknown>,
  said: number,
  reservation: Reservation,
  maxBytes: number,
): Promise<Buffer> {
  const joiner = createJoiner(Math.min(said, maxBytes), maxBytes);
  let length = 0;
  try {
    for await (const chunk of chunks) {
      if (!Buffer.isBuffer(chunk)) continue;
      length += chunk.length;
      if (length > maxBytes) throw new Refusal(413, 'the body is too large');
      reservation.add(chunk.length);
      joiner.add(chunk);
    }
  } catch (error) {
    joiner.free();
    throw error;
  }
  return joiner.join();
}

export function createBodyReader(limits: BodyLimits): BodyReader {
  const { maxBytes, inflate } = limits;
  const createReservation = createReservations(limits);

  /** The body as it was before the sender compressed it, since that is what the limits are for. */
  async function readInflated(request: IncomingMessage, reservation: Reservation): Promise<Buffer> {
    const compression = compressionOf(request);
    const declared = declaredLength(request);
    if (declared > maxBytes) throw new Refusal(413, 'the body is too large');
    const sent = await readAll(request.iterator({ destroyOnReturn: false }), declared, reservation, maxBytes);
    if (!compression) return sent;
    try {
      // What it becomes counts as it does, as if it had been sent so.
      return await inflate(sent, compression, ({ chunks, said }) => readAll(chunks, said, reservation, maxBytes));
    } finally {
      free(sent);
    }
  }

  return {
    async read(request) {
      const reservation = createReservation();
      let whole: Buffer;
      try {
        whole = await readInflated(request, reservation);
      } catch (error) {
        reservation.release();
        throw Refusal.from(error, 400, 'the body was cut off');
      }
      const read = whole;
      return {
        take() {
          const parsing = limits.parsing?.(whole) ?? 'whole';
          if (parsing !== 'reduced') reservation.addValues(whole, parsing);
          const taken = whole;
          whole = Buffer.alloc(0);
          return taken;
        },
        release() {
          free(read);
          reservation.release();
        },
      };
    },
  };
}
