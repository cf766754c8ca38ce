import type { Finding } from '../finding/finding.ts';

/** Why a filter drops an Observation; the order is the order in which a filter's fields are asked. */
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
 * Decides about one Observation of a source that is to live in `namespace`: the reason to drop it, or `undefined` to keep
 * it. Throws a Refusal 503 where a filter applies that can't be read.
 */
export type Filter = (source: string, observation: Finding, namespace: string) => FilterReason | undefined;
