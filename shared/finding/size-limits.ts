/**
 * Of an Observation of at most 8 KiB, so that 200,000 of them fit in an etcd of 2 GiB, this is left for details: the rest
 * of the object (names, labels, resource, metadata of the API server) has limits of its own.
 */
const maxDetailsBytes = 4096;
/** One less than the CRD allows, so that there is room for the mark. */
const maxListItems = 63;
const maxDepth = 8;
const longestKey = 253;
const cutMark = '… (cut)';

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** `value` in at most `max` bytes of JSON, cut between characters, with a mark at its end where it was cut. */
export function cutText(value: string, max: number): string {
  const text = value.toWellFormed();
  // A character of a string takes six bytes of JSON at most.
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
    members.map(([key, member]) => [cutText(key, longestKey), cutValue(member, max, depth - 1)]),
  );
}

/** Whether `cutValue` would change nothing of a value whose JSON is no longer than it may be. */
function needsNoCut(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  const items: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (items.length > maxListItems) return false;
  const hasShortKeys = Array.isArray(value) || Object.keys(value).every((key) => cutText(key, longestKey) === key);
  return hasShortKeys && items.every((item) => needsNoCut(item, depth - 1));
}

/**
 * Details that fit: long strings are cut with a mark, long lists and deep values shortened, each step with half the
 * bytes of the one before, until all of it fits; `truncated: true` says so. Depends on nothing but its argument.
 */
export function fitDetails(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (needsNoCut(details, maxDepth) && bytesOf(details) <= maxDetailsBytes) return { ...details };
  for (let max = maxDetailsBytes / 2; max >= 8; max /= 2) {
    const cut = cutValue(details, max, maxDepth);
    if (typeof cut === 'object' && cut !== null && bytesOf(cut) <= maxDetailsBytes) return { ...cut, truncated: true };
  }
  return { truncated: true };
}
