import * as z from 'zod';
import { parseDuration } from '../api/ingester.ts';
import { severities } from '../finding/severity.ts';
import { faultyField } from '../function/refusal.ts';
import { mostWords, wordsOf } from './search.ts';
import { type AnyOf, states } from './selection.ts';

/** One of some words. Each message here is what follows the parameter's name. */
export function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, { error: `takes one of ${words.join(', ')}` });
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

/** As many values as one parameter may have. */
const mostValues = 100;

/** One value, or several of which any will do: a parameter, or an option, that is given several times. */
function anyOfThem<Value extends string>(one: z.ZodType<Value, string>) {
  return z
    .preprocess(
      (given) => (Array.isArray(given) ? given : [given]),
      z.array(one).max(mostValues, { error: `takes at most ${mostValues} values` }),
    )
    .transform(([first, ...more]): AnyOf<Value> | undefined =>
      first !== undefined && more.length === 0 ? first : [...new Set(first === undefined ? more : [first, ...more])],
    )
    .optional();
}

const yesOrNo = oneOf(['true', 'false']).transform((text) => text === 'true');

/** The parameter, or the option, in which the first fault is, and what it takes. */
export function parameterFault(error: z.ZodError): { readonly name: string; readonly message: string } {
  const { field, message } = faultyField(error);
  const isUnknown = error.issues[0]?.code === 'unrecognized_keys';
  // Of one that is given several times, which of them it is doesn't matter.
  return isUnknown ? { name: field, message: 'no such parameter' } : { name: field.replace(/\[\d+\]$/, ''), message };
}

/** What a query and the command line select by, under the same names. */
export const selectionParameters = {
  source: anyOfThem(word),
  severity: anyOfThem(word.toUpperCase().pipe(oneOf(severities))),
  namespace: anyOfThem(word),
  state: oneOf(states).optional(),
  rule: anyOfThem(word),
  workload: anyOfThem(word),
  actor: anyOfThem(word),
  search: word
    .refine((text) => wordsOf(text).length <= mostWords, { error: `takes at most ${mostWords} words` })
    .optional(),
  /** Milliseconds. */
  since: duration.optional(),
};

/** The same, for a query alone. */
export const queryParameters = {
  ...selectionParameters,
  accepted: yesOrNo.optional(),
  kind: anyOfThem(word),
  image: anyOfThem(word),
  fix: anyOfThem(word),
  fixable: yesOrNo.optional(),
  /** Milliseconds. */
  created: duration.optional(),
  changed: duration.optional(),
  category: anyOfThem(word),
  eventType: anyOfThem(word),
};
