import * as z from 'zod';
import { configurationKind } from './group.ts';
import { expression, namespacePattern, rule, severity, sourceName } from './observation-filter.ts';
import { text } from './text.ts';

export const observationExceptions = configurationKind('ObservationException');

/** Never empty: an empty list would look as if it matched nothing, and leave out a condition. */
function listOf<Item extends z.ZodType>(item: Item, maxItems: number) {
  return z.array(item).min(1).max(maxItems).optional();
}

const isGiven = (fields: object): boolean => Object.values(fields).some((value) => value !== undefined);

const resource = z
  .strictObject({
    kind: text(1, 63).optional(),
    name: text(1, 253).optional(),
    namespace: namespacePattern.optional(),
  })
  .refine(isGiven, { error: 'must have a kind, a name or a namespace' });

/** Unknown fields are refused: each field narrows the match, so to ignore one would widen it. */
const match = z
  .strictObject({
    sources: listOf(sourceName, 64),
    rules: listOf(rule, 256),
    severities: listOf(severity, 5),
    resources: listOf(resource, 64),
    expression: expression.optional(),
  })
  .refine(isGiven, { error: 'must have a condition' });

/** How many characters the lists of an exception may have together. */
export const maxExceptionLength = 32_768;

function lengthOf({ sources = [], rules = [], resources = [] }: z.output<typeof match>): number {
  const words = [...sources, ...rules, ...resources.flatMap((one) => Object.values(one))];
  return words.reduce((sum, word) => sum + [...(word ?? '')].length, 0);
}

/** RFC 3339, to the second or finer. */
const time = z
  .string()
  .max(64)
  .regex(
    /^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$/,
    {
      error: 'must be a time such as 2026-12-31T00:00:00Z',
    },
  )
  .refine((value) => !Number.isNaN(Date.parse(value)), { error: 'is no time that exists' });

export const justifications = ['false-positive', 'mitigated', 'risk-accepted', 'not-affected'] as const;

export const exceptionSpec = z.strictObject({
  match: match.refine((given) => lengthOf(given) <= maxExceptionLength, {
    error: `the lists have more than ${maxExceptionLength} characters`,
  }),
  reason: text(1, 512),
  justification: z.enum(justifications).optional(),
  ticket: text(1, 253).optional(),
  approvedBy: text(1, 253).optional(),
  until: time.optional(),
});

export type ExceptionSpec = z.output<typeof exceptionSpec>;

/** The parts of an ObservationException that decide. */
export const exceptionObject = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
  spec: exceptionSpec,
});
