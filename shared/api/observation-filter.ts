import * as z from 'zod';
import { severities } from '../finding/severity.ts';
import { configurationKind } from './group.ts';

export const observationFilters = configurationKind('ObservationFilter');

const severity = z
  .string()
  .transform((word) => word.toUpperCase())
  .pipe(z.enum(severities, { error: 'must be critical, high, medium, low or unknown' }));

const rfc1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** The name of a source, as in an Observation's `spec.source`. */
export const sourceName = z
  .string()
  .max(63)
  .regex(rfc1123Label, { error: 'must be the name of a source: lower-case letters, digits and hyphens' });

function listOf<Item extends z.ZodType>(item: Item, maxItems: number) {
  return z.array(item).max(maxItems).optional();
}

const word = z.string().min(1).max(63);

/** The name of a namespace, not a pattern. */
export const exactNamespace = word.regex(rfc1123Label, {
  error: 'must be the name of a namespace: patterns are not known',
});

/**
 * Which findings of a source pass, with the same limits as in the CRD. Unknown fields are refused: one could be a newer
 * version's restriction, which must not be ignored.
 */
export const filterRules = z.strictObject({
  minSeverity: severity.optional(),
  includeSeverity: listOf(severity, 5),
  includeEventTypes: listOf(word, 64),
  excludeEventTypes: listOf(word, 64),
  includeNamespaces: listOf(exactNamespace, 256),
  excludeNamespaces: listOf(exactNamespace, 256),
  includeKinds: listOf(word, 64),
  excludeKinds: listOf(word, 64),
  ignoreKinds: listOf(word, 64),
  includeCategories: listOf(word, 64),
  excludeCategories: listOf(word, 64),
  excludeRules: listOf(z.string().min(1).max(253), 256),
  enabled: z.boolean().default(true),
});

export type FilterRules = z.infer<typeof filterRules>;

export const filterSpec = filterRules.extend({ targetSource: sourceName });

/** The parts of an ObservationFilter that decide. */
export const filterObject = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: filterSpec,
});
