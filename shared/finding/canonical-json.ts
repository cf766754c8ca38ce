import { hash } from 'node:crypto';

/**
 * JSON with one spelling per value: object keys sorted by UTF-16 code unit, no white space, `undefined` properties
 * left out. Two values have the same canonical JSON if and only if they are the same JSON value.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  let members = '';
  const object: Readonly<Record<string, unknown>> = { ...value };
  // Without a compare function, sort() orders strings by code unit.
  for (const key of Object.keys(object).sort()) {
    const member = object[key];
    if (member !== undefined) members += `${members === '' ? '' : ','}${quoted(key)}:${canonicalJson(member)}`;
  }
  return `{${members}}`;
}

/** Printable ASCII except the quote and the backslash: JSON needs no escapes for it. */
const plain = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** The first 32 hex digits (128 bits) of the SHA-256 of a value's canonical JSON. */
export function contentHash(value: unknown): string {
  return hash('sha256', canonicalJson(value)).slice(0, 32);
}
