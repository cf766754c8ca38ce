import { sortedKeys } from './canonical-json.ts';

/** What tools print when there is no value; never shown as if it were one. */
const placeholders: ReadonlySet<string> = new Set(['', 'undefined', 'null', '<nil>', '<NA>', '<no value>']);

const longestPlaceholder = Math.max(...[...placeholders].map(({ length }) => length));

/** Whether an external value says anything: it is not null, undefined or a placeholder. */
export function isPresent(value: unknown): boolean {
  if (typeof value !== 'string') return value !== null && value !== undefined;
  const trimmed = value.trim();
  return trimmed.length > longestPlaceholder || !placeholders.has(trimmed);
}

/** A string, finite number or boolean as text; `undefined` for placeholders and everything else. */
export function text(value: unknown): string | undefined {
  if (typeof value === 'string') return isPresent(value) ? value : undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  return typeof value === 'boolean' ? String(value) : undefined;
}

/** An identity from parts that may be absent. Those are left out, so absent, null and "" make no difference. */
export function identityOf(parts: Readonly<Record<string, unknown>>): Record<string, string> {
  const identity: Record<string, string> = {};
  for (const key of sortedKeys(parts)) {
    const value = text(parts[key]);
    if (value !== undefined) identity[key] = value;
  }
  return identity;
}

/** Details without what says nothing: null, undefined, empty strings, empty lists and placeholders. */
export function detailsOf(parts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const details: Record<string, unknown> = {};
  for (const key of sortedKeys(parts)) {
    const part = parts[key];
    const value = Array.isArray(part) ? part.filter(isPresent) : part;
    if (isPresent(value) && !(Array.isArray(value) && value.length === 0)) details[key] = value;
  }
  return details;
}

const rfc3339 = /^(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3])(:[0-5]\d:)([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * A time in RFC 3339, as others can read it: not everything knows leap seconds, or reads more digits than nanoseconds.
 * `undefined` if it is none, or no such day exists.
 */
export function readTime(value: string): string | undefined {
  const [, day = '', hour, minute, second, fraction = '', zone = ''] = rfc3339.exec(value) ?? [];
  // Date.parse takes the 30th of February for a day in March.
  const midnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight) || !new Date(midnight).toISOString().startsWith(day)) return undefined;
  const time = `${day}T${hour}${minute}${second === '60' ? '59' : second}${fraction.slice(0, 10)}${zone.toUpperCase()}`;
  return Number.isNaN(Date.parse(time)) ? undefined : time;
}

/** `value` as `readTime` reads it, else `fallback`. */
export function timeOf(value: unknown, fallback: string): string {
  return (typeof value === 'string' ? readTime(value) : undefined) ?? fallback;
}
