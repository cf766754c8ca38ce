import type { Finding } from '../finding/finding.ts';
import { Refusal } from './refusal.ts';

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
  'expression',
] as const;

export type FilterReason = (typeof filterReasons)[number];

/** A filter that applies to a finding can't be read, so nobody knows whether the finding passes. */
export class UnreadableFilter extends Refusal {
  /** Whether it applies to one namespace alone. */
  readonly isTenants: boolean;

  /** `name` is `<namespace>/<name>`. */
  constructor(name: string, isTenants: boolean) {
    super(503, 'an ObservationFilter can not be read', { cause: name, retryAfter: 5 });
    this.isTenants = isTenants;
  }
}

/** What decides besides the finding itself whether a filter applies to it. */
export interface Filtered {
  readonly source: string;
  /** The namespace of what it is about; the system namespace if that is in none. */
  readonly namespace: string;
  /** Whether it is open until no report has it. If not, an event tells of it once. */
  readonly hasState: boolean;
}

/** The field of `details` that has the severity that a filter has changed. */
export const reportedSeverity = 'reportedSeverity';

/** Why a finding is dropped, or the finding as it is kept: with the severity that it has here. */
export type Filtering = FilterReason | Finding;

/**
 * Decides about a source's finding. Throws an UnreadableFilter if a filter that applies can't be read, or a Refusal 503 if
 * filters have not been read yet.
 */
export type Filter = (finding: Finding, about: Filtered) => Filtering;
