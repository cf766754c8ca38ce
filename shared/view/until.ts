import { parseDuration } from '../api/ingester.ts';
import { endOfDay } from './exception-for.ts';

/** A day, which is to its end, a time by RFC 3339, or a duration from now, as RFC 3339; `undefined` if it is none of them. */
export function untilOf(text: string, now: number): string | undefined {
  const seconds = parseDuration(text);
  if (seconds !== undefined) return timeOf(now + seconds * 1000);
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return Number.isNaN(Date.parse(text)) ? undefined : endOfDay(text);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const time = Date.parse(text);
  return isTime && !Number.isNaN(time) ? timeOf(time) : undefined;
}

function timeOf(milliseconds: number): string | undefined {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : `${date.toISOString().slice(0, 19)}Z`;
}
