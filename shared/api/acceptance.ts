import { labels } from './labels.ts';

/** The value of the label `accepted` of what is accepted without an end. */
export const forever = 'forever';

/**
 * Until when something is accepted by its label `accepted`, in milliseconds since 1970: `Infinity` for `forever`,
 * `undefined` without a label, or with one that says nothing valid.
 */
export function acceptedUntil(label: string | undefined): number | undefined {
  if (label === forever) return Number.POSITIVE_INFINITY;
  return label !== undefined && /^\d{1,12}$/.test(label) ? Number(label) * 1000 : undefined;
}

/**
 * Whether an Observation with these labels is accepted at `now` (milliseconds since 1970). Whoever reads Observations must
 * ask: the label stays for a while after the time in it, so that it is there says nothing.
 */
export function isAccepted(found: Readonly<Record<string, string>>, now: number): boolean {
  return now < (acceptedUntil(found[labels.accepted]) ?? Number.NEGATIVE_INFINITY);
}
