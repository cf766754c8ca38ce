import * as z from 'zod';
import { parseDuration } from '../api/ingester.ts';
import { severities } from '../finding/severity.ts';
import { states } from './selection.ts';

/** One of some words. Each message here is what follows the parameter's name. */
export function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, { error: `takes ${words.join(', ')}` });
}

/** A whole number from 1. */
export function upTo(max: number) {
  const error = max < Number.MAX_SAFE_INTEGER ? `takes a number from 1 to ${max}` : 'takes a number from 1';
  return z.coerce.number({ error }).int({ error }).min(1, { error }).max(max, { error });
}

export const word = z.string({ error: 'takes one value' }).min(1, { error: 'takes a value' });

const duration = word.transform((text, context) => {
  const seconds = parseDuration(text);
  if (seconds === undefined)
    context.addIssue({ code: 'custom', message: 'takes a duration such as 45s, 30m, 24h or 7d' });
  return (seconds ?? 0) * 1000;
});

const yesOrNo = oneOf(['true', 'false']).transform((text) => text === 'true');

/** What a query and the command line select by, under the same names. */
export const selectionParameters = {
  source: word.optional(),
  severity: word.toUpperCase().pipe(oneOf(severities)).optional(),
  namespace: word.optional(),
  state: oneOf(states).optional(),
  rule: word.optional(),
  workload: word.optional(),
  actor: word.optional(),
  /** Milliseconds. */
  since: duration.optional(),
};

/** The same, for a query alone. */
export const queryParameters = {
  ...selectionParameters,
  accepted: yesOrNo.optional(),
  kind: word.optional(),
  image: word.optional(),
  fix: word.optional(),
  fixable: yesOrNo.optional(),
  /** Milliseconds. */
  created: duration.optional(),
  changed: duration.optional(),
  category: word.optional(),
  eventType: word.optional(),
  search: word.optional(),
};
