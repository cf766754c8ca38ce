import * as z from 'zod';
import { severities } from '../finding/severity.ts';
import { configurationKind } from './group.ts';
import { text } from './text.ts';

export const observationFilters = configurationKind('ObservationFilter');

/** Any case of ASCII letters, and of no others: `(?i)` would take a Kelvin sign for a k in the CRD, and not here. */
const severityPattern =
  /^([cC][rR][iI][tT][iI][cC][aA][lL]|[hH][iI][gG][hH]|[mM][eE][dD][iI][uU][mM]|[lL][oO][wW]|[uU][nN][kK][nN][oO][wW][nN])$/;

export const severity = z
  .string()
  .regex(severityPattern, { error: 'must be critical, high, medium, low or unknown' })
  .transform((word) => word.toUpperCase())
  .pipe(z.enum(severities));

export const rfc1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** The name of a source, as in an Observation's `spec.source`. */
export const sourceName = z
  .string()
  .max(63)
  .regex(rfc1123Label, { error: 'must be the name of a source: lower-case letters, digits and hyphens' });

function listOf<Item extends z.ZodType>(item: Item, maxItems: number) {
  return z.array(item).max(maxItems).optional();
}

const word = text(1, 63);

/** The name of a namespace, or a pattern of names. */
export const namespacePattern = word.regex(/^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/, {
  error: 'must be the name of a namespace, in which * stands for any text',
});

export const rule = text(1, 253);

/** In CEL (https://cel.dev). Whether it can be accepted is for `../rules/expression.ts` to say. */
export const expression = text(1, 500);

/**
 * Which findings of a source pass, with the same limits as in the CRD. Unknown fields are refused: one could be a newer
 * version's restriction, which must not be ignored.
 */
const rules = z.strictObject({
  minSeverity: severity.optional(),
  includeSeverity: listOf(severity, 5),
  includeEventTypes: listOf(word, 64),
  excludeEventTypes: listOf(word, 64),
  includeNamespaces: listOf(namespacePattern, 256),
  excludeNamespaces: listOf(namespacePattern, 256),
  includeKinds: listOf(word, 64),
  excludeKinds: listOf(word, 64),
  ignoreKinds: listOf(word, 64),
  includeCategories: listOf(word, 64),
  excludeCategories: listOf(word, 64),
  excludeRules: listOf(rule, 256),
  unknownSeverity: severity.optional(),
  expression: expression.optional(),
  setSeverity: listOf(z.strictObject({ rules: listOf(rule, 64), expression: expression.optional(), severity }), 16),
  enabled: z.boolean().default(true),
});

/** How many characters the lists of a filter may have together: filters are held in memory, and anybody may have many. */
export const maxFilterLength = 32_768;

function lengthOf({ setSeverity = [], ...lists }: FilterRules): number {
  const words = [...Object.values(lists), ...setSeverity.map(({ rules }) => rules)].filter(Array.isArray).flat();
  return words.reduce((sum, one) => sum + [...String(one)].length, 0);
}

const isShort = (given: FilterRules): boolean => lengthOf(given) <= maxFilterLength;
const tooLong = { error: `the lists have more than ${maxFilterLength} characters` };

export const filterRules = rules.refine(isShort, tooLong);

export type FilterRules = z.infer<typeof rules>;

export const filterSpec = rules.extend({ targetSource: sourceName }).refine(isShort, tooLong);

/** The parts of an ObservationFilter that decide. */
export const filterObject = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: filterSpec,
});
