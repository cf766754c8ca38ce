import { printableLines, printableValue } from './printable.ts';

/** One less than the CRD allows, to leave room for `truncated`. */
const maxListItems = 63;
const maxDepth = 8;
const maxKeyBytes = 253;
const cutMark = '… (cut)';
/** Of `,"truncated":true`. */
const truncatedBytes = 17;

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** A string made printable and cut, between characters, to at most `max` bytes of JSON. A cut one ends with a mark. */
export function cutText(value: string, max: number): string {
  const text = printableLines(value);
  // A UTF-16 code unit takes at most six bytes of JSON.
  if (text.length * 6 <= max) return text;
  if (bytesOf(text) - 2 <= max) return text;
  let low = 0;
  let high = Math.min(text.length, max);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (bytesOf(text.slice(0, middle).toWellFormed() + cutMark) - 2 <= max) low = middle;
    else high = middle - 1;
  }
  const cut = text.slice(0, low);
  return (cut.isWellFormed() ? cut : cut.slice(0, -1)) + cutMark;
}

function cutValue(value: unknown, max: number, depth: number): unknown {
  if (typeof value === 'string') return cutText(value, max);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return cutMark;
  if (Array.isArray(value)) return value.slice(0, maxListItems).map((item) => cutValue(item, max, depth - 1));
  const members = Object.entries(value).slice(0, maxListItems);
  return Object.fromEntries(
    members.map(([key, member]) => [cutText(key, maxKeyBytes), cutValue(member, max, depth - 1)]),
  );
}

/** Whether `cutValue` would leave a printable value unchanged, provided that its JSON is short enough. */
function needsNoCut(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  const items: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (items.length > maxListItems) return false;
  const hasShortKeys = Array.isArray(value) || Object.keys(value).every((key) => cutText(key, maxKeyBytes) === key);
  return hasShortKeys && items.every((item) => needsNoCut(item, depth - 1));
}

/**
 * Makes details printable and fit into this many bytes of JSON: cuts long strings, long lists and deep values, to half as many bytes at each attempt, until all of
 * them fit, and adds `truncated: true`. The result depends on the argument alone.
 */
export function fitDetails(given: Readonly<Record<string, unknown>>, maxBytes: number): Record<string, unknown> {
  const details: Readonly<Record<string, unknown>> = Object.assign({}, printableValue(given));
  if (needsNoCut(details, maxDepth) && bytesOf(details) <= maxBytes) return { ...details };
  for (let max = maxBytes / 2; max >= 8; max /= 2) {
    const cut = cutValue(details, max, maxDepth);
    if (typeof cut === 'object' && cut !== null && bytesOf(cut) + truncatedBytes <= maxBytes)
      return { ...cut, truncated: true };
  }
  return { truncated: true };
}
