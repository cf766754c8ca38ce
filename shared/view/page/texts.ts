import type { Facet } from '../facets.ts';
import type { Resource } from './answers.ts';

/** What can't be seen, or turns the text around it: shown by its code, so that nobody is misled. */
const hidden = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\ufe00-\ufe0f\n\t]]/gv;

/** A text from a tool, to be shown. */
export function shown(text: unknown): string {
  return String(text ?? '')
    .toWellFormed()
    .replaceAll(hidden, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

export const number = new Intl.NumberFormat('en');

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const;

/** How long ago: `45s`, `12m`, `3h`, `5d`. */
export function age(time: number, now: number): string {
  if (!Number.isFinite(time) || time <= 0) return '';
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  const unit = units.find(([, length]) => seconds >= 2 * length);
  return unit ? `${Math.floor(seconds / unit[1])}${unit[0]}` : `${seconds}s`;
}

const dateTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

export function timeText(time: number): string {
  return Number.isFinite(time) && time > 0 ? dateTime.format(time) : '';
}

export function dateText(time: number): string {
  return date.format(time);
}

export function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number.format(count)} ${count === 1 ? one : many}`;
}

/** Where a link may lead: a tool's text is no reason to run a script. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(text) && URL.canParse(text);
}

/** A resource, for people: `Deployment/web in shop`, or, of a request for all of a kind, `any Secret in shop`. */
export function resourceText({ kind, name, namespace }: Resource): string {
  return `${name ? `${kind}/${name}` : `any ${kind}`}${namespace ? ` in ${namespace}` : ''}`;
}

/** The server's word for a workload, as people say it: of a resource without a name, it ends with a slash. */
export function workloadText(word: string): string {
  if (!word.endsWith('/')) return word;
  const [kind = '', namespace] = word.slice(0, -1).split('/').toReversed();
  return resourceText({ kind, ...(namespace !== undefined && { namespace }) });
}

/** A value of a facet, to be shown. */
export function valueText(name: Facet, value: string): string {
  return shown(name === 'workload' ? workloadText(value) : value);
}
