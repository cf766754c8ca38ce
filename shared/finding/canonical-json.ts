import { hash } from 'node:crypto';

/**
 * JSON with one spelling per value: object keys sorted by UTF-16 code unit, no white space, `undefined` properties
 * left out. Two values have the same canonical JSON if and only if they are the same JSON value.
 */
export function canonicalJson(value: unknown): string {
  return (isSorted(value) ? JSON.stringify(value) : sortedJson(value)) ?? 'null';
}

/** Whether `JSON.stringify` spells a value canonically as it is. That takes half the time. */
function isSorted(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isSorted);
  if (!isRecord(value)) return true;
  let before = '';
  for (const key in value) {
    if (key < before || !isSorted(value[key])) return false;
    before = key;
  }
  return true;
}

function sortedJson(value: unknown): string | undefined {
  if (Array.isArray(value)) return `[${value.map((item) => sortedJson(item) ?? 'null').join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value);
  let members = '';
  for (const key of sortedKeys(value)) {
    const json = sortedJson(value[key]);
    if (json !== undefined) members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${json}`;
  }
  return `{${members}}`;
}

/** Of what is no list. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** With more keys than this, sort() is quicker. */
const fewKeys = 16;

/** An object's keys by code unit. For few keys sort() would take twenty times the memory of the keys, and a pass sorts a million times. */
export function sortedKeys(value: Readonly<Record<string, unknown>>): readonly string[] {
  const keys = Object.keys(value);
  if (keys.length > fewKeys) return keys.sort();
  for (let end = 1; end < keys.length; end += 1) {
    const key = keys[end] ?? '';
    let at = end;
    for (let before = keys[at - 1]; before !== undefined && before > key; before = keys[at - 1]) {
      keys[at] = before;
      at -= 1;
    }
    keys[at] = key;
  }
  return keys;
}

/** The first 32 hex digits (128 bits) of the SHA-256 of a value's canonical JSON. */
export function contentHash(value: unknown): string {
  return hash('sha256', canonicalJson(value)).slice(0, 32);
}
