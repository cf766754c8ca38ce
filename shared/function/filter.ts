import type { Finding } from '../finding/finding.ts';

/** Why a filter drops a finding, in the order in which a filter's fields are checked. */
export const filterReasons = [
  'source_disabled',
  'include_severity',
  'min_severity',
  'exclude_event_type',
  'include_event_type',
  'exclude_namespace',
  'include_namespace',
  'exclude_kind',
  'include_kind',
  'exclude_category',
  'include_category',
  'exclude_rule',
] as const;

export type FilterReason = (typeof filterReasons)[number];

/**
 * Decides about a source's finding that is to be stored in `namespace`: returns the reason to drop it, or `undefined`
 * to keep it. Throws a Refusal 503 if an applicable filter can't be read.
 */
export type Filter = (source: string, finding: Finding, namespace: string) => FilterReason | undefined;
