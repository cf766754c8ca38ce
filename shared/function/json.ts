import { getHeapStatistics } from 'node:v8';
import { Refusal } from './refusal.ts';

/** Bytes that are no UTF-8 become U+FFFD, as Go's decoders have it: whoever sends them would be refused each time. */
const utf8 = new TextDecoder();

const [quote, backslash, comma, openList, openObject] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b];

/** What a value takes of the heap once it is parsed, checked and copied, if there are many of them. */
export const bytesPerValue = 256;

/** How many values may be parsed at once: what they take is an eighth of the heap. Not yet known when the image is built. */
export function maxValues(): number {
  return Math.floor(getHeapStatistics().heap_size_limit / 8 / bytesPerValue);
}

/**
 * How many values JSON holds, without parsing it: parsed, `[{}]` takes many times its size. Stops counting after `max`. Of
 * what is no JSON, the number means nothing.
 */
export function countValues(bytes: Uint8Array, max: number): number {
  let count = 1;
  let isText = false;
  for (let at = 0; at < bytes.length && count <= max; at += 1) {
    const byte = bytes[at];
    if (isText) {
      if (byte === backslash) at += 1;
      else if (byte === quote) isText = false;
    } else if (byte === quote) isText = true;
    else if (byte === comma || byte === openList || byte === openObject) count += 1;
  }
  return count;
}

/** Whether JSON holds more values than may be parsed: a value takes two bytes at least, with what stands behind it. */
export function hasTooMany(bytes: Uint8Array, max: number): boolean {
  return bytes.length / 2 > max && countValues(bytes, max) > max;
}

export function tooManyValues(path: string): Refusal {
  return new Refusal(413, 'the JSON holds too many values', { path });
}

/** Throws a Refusal with this path: 413 if there are more values than `max`, else 400. */
export function parseJson(bytes: Uint8Array, path: string, max = maxValues()): unknown {
  if (hasTooMany(bytes, max)) throw tooManyValues(path);
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new Refusal(400, 'malformed JSON', { path, cause: cause instanceof Error ? cause.name : cause });
  }
}
