import { hasTooMany, maxValues, parseJson, tooManyValues } from '../function/json.ts';
import { Refusal } from '../function/refusal.ts';
import type { Shortening } from '../function/triggers.ts';

/** A JSON object with a long list in it: the object with the list emptied, and the list's elements, one at a time. */
export interface JsonList {
  readonly rest: Readonly<Record<string, unknown>>;
  /** Throws a Refusal 400 if the JSON is malformed. */
  readonly elements: Iterable<unknown>;
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function malformed(): Refusal {
  return new Refusal(400, 'malformed JSON', { path: 'body' });
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isSpace(bytes[at])) at += 1;
  return at;
}

/** Index just past the string that starts at `from`. */
function skipString(bytes: Uint8Array, from: number): number {
  for (let at = from + 1; at < bytes.length; at += 1) {
    if (bytes[at] === backslash) at += 1;
    else if (bytes[at] === quote) return at + 1;
  }
  throw malformed();
}

/** Index just past the list or object that starts at `from`. Whether its brackets match is left to JSON.parse. */
function skipNested(bytes: Uint8Array, from: number): number {
  let depth = 0;
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === quote) at = skipString(bytes, at) - 1;
    else if (byte === openList || byte === openObject) depth += 1;
    else if (byte === closeList || byte === closeObject) depth -= 1;
    if (depth === 0) return at + 1;
  }
  throw malformed();
}

/** Index just past the value that starts at `from`. */
function skipValue(bytes: Uint8Array, from: number): number {
  const first = bytes[from];
  if (first === quote) return skipString(bytes, from);
  if (first === openList || first === openObject) return skipNested(bytes, from);
  let at = from;
  while (at < bytes.length && !isSpace(bytes[at]) && ![comma, closeList, closeObject].includes(bytes[at] ?? 0)) at += 1;
  if (at === from) throw malformed();
  return at;
}

interface ElementOptions {
  /** How many values an element may have. */
  readonly max?: number;
  readonly shortens?: Shortening | undefined;
}

/** An object without the values of these members, which may be anything. */
function shorten(bytes: Uint8Array, { members, text }: Shortening, max: number): Uint8Array {
  const found = membersOf(bytes, max).filter(({ name }) => typeof name === 'string' && members.includes(name));
  const replacement = Buffer.from(JSON.stringify(text));
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const { value } of found) {
    parts.push(bytes.subarray(from, value), replacement);
    from = skipValue(bytes, value);
  }
  return Buffer.concat([...parts, bytes.subarray(from)]);
}

function* elementsOf(
  bytes: Uint8Array,
  list: number,
  { max = maxValues(), shortens }: ElementOptions = {},
): Generator<unknown> {
  let at = skipSpace(bytes, list + 1);
  if (bytes[at] === closeList) return;
  for (;;) {
    const end = skipValue(bytes, at);
    const element = bytes.subarray(at, end);
    const isShortened = shortens && element[0] === openObject && hasTooMany(element, max);
    yield parseJson(isShortened ? shorten(element, shortens, max) : element, 'body', max);
    at = skipSpace(bytes, end);
    if (bytes[at] === closeList) return;
    if (bytes[at] !== comma) throw malformed();
    at = skipSpace(bytes, at + 1);
  }
}

/**
 * The members of an object: their names, and the indexes at which their values start. Throws a Refusal 413 if there are more than `max`:
 * of a million, none could be parsed, and looking at them takes seconds.
 */
function membersOf(bytes: Uint8Array, max: number): { readonly name: unknown; readonly value: number }[] {
  const found: { readonly name: unknown; readonly value: number }[] = [];
  let at = skipSpace(bytes, skipSpace(bytes, 0) + 1);
  while (bytes[at] === quote) {
    const end = skipString(bytes, at);
    const name = parseJson(bytes.subarray(at, end), 'body');
    const separator = skipSpace(bytes, end);
    if (bytes[separator] !== colon) throw malformed();
    const value = skipSpace(bytes, separator + 1);
    found.push({ name, value });
    if (found.length > max) throw tooManyValues('body');
    at = skipSpace(bytes, skipValue(bytes, value));
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1);
  }
  return found;
}

/** Whether JSON, if it is any, is a list. */
export function isJsonList(bytes: Uint8Array): boolean {
  return bytes[skipSpace(bytes, 0)] === openList;
}

/**
 * The elements of a JSON list, parsed one at a time. Throws a Refusal: 400 if the list is malformed, 413 at an element that
 * has more values than `max`.
 */
export function readJsonElements(bytes: Uint8Array, max: number): Iterable<unknown> {
  const list = skipSpace(bytes, 0);
  if (skipSpace(bytes, skipNested(bytes, list)) < bytes.length) throw malformed();
  return { [Symbol.iterator]: () => elementsOf(bytes, list, { max }) };
}

/**
 * Reads a JSON object whose member `key` is a list, without ever holding all its elements: once parsed, a batch of 10
 * MiB is many times as large. Elements that have too many values are shortened, if that is allowed. `undefined` if the
 * text is anything else. Throws a Refusal: 400 if it is malformed, 413 if it has too many members.
 */
export function readJsonList(bytes: Uint8Array, key: string, shortens?: Shortening): JsonList | undefined {
  if (bytes[skipSpace(bytes, 0)] !== openObject) return undefined;
  const [first, again] = membersOf(bytes, maxValues()).filter(({ name }) => name === key);
  const list = first?.value;
  if (list === undefined || bytes[list] !== openList) return undefined;
  if (again !== undefined) throw new Refusal(400, 'a member occurs twice', { path: `body.${key}` });
  const end = skipNested(bytes, list);
  const around = Buffer.concat([bytes.subarray(0, list), Buffer.from('[]'), bytes.subarray(end)]);
  return {
    rest: Object.assign({}, parseJson(around, 'body')),
    elements: { [Symbol.iterator]: () => elementsOf(bytes, list, { shortens }) },
  };
}
