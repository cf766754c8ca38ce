import * as z from 'zod';
import { severities } from '../finding/severity.ts';
import { expression } from './observation-filter.ts';
import { isPath, parsePath } from './path.ts';
import { text } from './text.ts';

const path = text(0, 512).refine((value) => parsePath(value) !== undefined, { error: 'is not a path' });

/** A path if it starts with `.` or `$`, else a literal. */
const value = text(1, 512).refine((value) => !isPath(value) || parsePath(value) !== undefined, {
  error: 'starts like a path, but is not one',
});

const words = z.array(text(0, 253)).min(1).max(32);

const condition = z
  .strictObject({ path, in: words.optional(), notIn: words.optional() })
  .refine((given) => (given.in === undefined) !== (given.notIn === undefined), {
    error: 'exactly one of in and notIn is needed',
  });

/** How many characters the words of all conditions may have together. */
const maxWordsLength = 16_384;

function hasFewWords(conditions: readonly z.infer<typeof condition>[]): boolean {
  const all = conditions.flatMap((one) => [...(one.in ?? []), ...(one.notIn ?? [])]);
  return all.reduce((sum, word) => sum + [...word].length, 0) <= maxWordsLength;
}

/** How some data becomes Observations; part of both ObservationMapping and Ingester. */
export const mappingRules = z.strictObject({
  items: path.optional(),
  when: z
    .array(condition)
    .max(16)
    .refine(hasFewWords, { error: `the words have more than ${maxWordsLength} characters` })
    .default([]),
  expression: expression.optional(),
  mappings: z.strictObject({
    severity: value,
    category: value,
    eventType: value,
    message: value.optional(),
    resource: z
      .strictObject({ apiVersion: value.optional(), kind: value, name: value.optional(), namespace: value.optional() })
      .optional(),
    details: z
      .record(text(1, 253), value)
      .refine((details) => Object.keys(details).length <= 32, { error: 'has more than 32 keys' })
      .default({}),
  }),
  severityMap: z
    .record(text(1, 63), z.enum(severities))
    .refine((map) => Object.keys(map).length <= 64, { error: 'has more than 64 words' })
    .default({}),
  identity: z.array(path).min(1).max(16).optional(),
});

export type MappingRules = z.infer<typeof mappingRules>;

export const groupName = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/, { error: 'must be an API group' });
export const version = z
  .string()
  .regex(/^v[0-9]+((alpha|beta)[0-9]+)?$/, { error: 'must be a version such as v1beta1' });
export const plural = z
  .string()
  .max(63)
  .regex(/^[a-z][a-z0-9]*$/, { error: 'must be a plural in lower case' });

export const objectMeta = z.object({
  name: z.string(),
  namespace: z.string(),
  creationTimestamp: z.string().nullish(),
  uid: z.string().optional(),
});
