import * as z from 'zod';
import { severities } from '../observation/severity.ts';
import type { Resource } from './resource.ts';

export const observationFilters: Resource = {
  ...{ group: 'zen.kube-zen.io', versions: ['v1alpha1'], kind: 'ObservationFilter', plural: 'observationfilters' },
  namespaced: true,
};

const severity = z
  .string()
  .transform((word) => word.toUpperCase())
  .pipe(z.enum(severities, { error: 'must be critical, high, medium, low or unknown' }));

const nameOfSource = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** The name of a source, as Observations bear it. */
export const sourceName = z
  .string()
  .max(63)
  .regex(nameOfSource, { error: 'must be the name of a source: lower-case letters, digits and hyphens' });

function listOf<Item extends z.ZodType>(item: Item, most: number) {
  return z.array(item).max(most).optional();
}

const word = z.string().min(1).max(63);

/** The name of one namespace. */
export const exactNamespace = word.regex(nameOfSource, {
  error: 'must be the name of a namespace: patterns are not known',
});

/** What of a source passes; the same bounds as the CRD's. A field that is not known could restrict: it is refused. */
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

/** An ObservationFilter, read for what it decides. */
export const filterObject = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: filterSpec,
});
