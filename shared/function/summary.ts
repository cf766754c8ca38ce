import type { Counts } from '../observation/observation.ts';
import type { Severity } from '../observation/severity.ts';

export interface CreatedCount {
  readonly category: string;
  readonly severity: Severity;
  readonly count: number;
}

/** What a function did with one event: values for the log line and the metrics, nothing else. */
export interface Summary {
  /** Findings that the event holds, before the filter. */
  readonly observed: number;
  /** Rows and events that are no findings, by reason. */
  readonly skipped: Counts;
  /** Findings that were dropped, by the filter's reason. */
  readonly filtered: Counts;
  readonly created: readonly CreatedCount[];
  /** Creates that found the name taken, and names that the cache knew. */
  readonly duplicate: number;
  /** Known already by a list, so not tried. */
  readonly unchanged: number;
  /** Labels changed by the lifecycle: renewed, missing, resolved, open again. */
  readonly relabelled: Counts;
  /** Deleted by gc, by source and reason. */
  readonly deleted: readonly { readonly source: string; readonly reason: string; readonly count: number }[];
  /** Items that were refused of a raw body that was taken. */
  readonly dropped: number;
  /** What became of dead letters; `source` is the function that they were for. */
  readonly deadLetters: readonly { readonly source: string; readonly reason: string; readonly count: number }[];
  /** Only after a garbage collection: what lives, and what went wrong. */
  readonly collection?: Collection;
  /** What an operator should read, though the event itself went well. */
  readonly warnings: readonly string[];
}

export interface Collection {
  /** What exists. */
  readonly live: readonly { readonly source: string; readonly severity: string; readonly count: number }[];
  /** What of it is neither missing nor resolved, by the namespaces that have most of it; `other` is the rest of them. */
  readonly open: readonly {
    readonly source: string;
    readonly severity: string;
    readonly namespace: string;
    readonly count: number;
  }[];
  /** How many there may be. */
  readonly limit: number;
  readonly errors: readonly { readonly operation: string; readonly errorType: string; readonly count: number }[];
}

export const emptySummary: Summary = {
  observed: 0,
  skipped: {},
  filtered: {},
  created: [],
  duplicate: 0,
  unchanged: 0,
  relabelled: {},
  deleted: [],
  dropped: 0,
  deadLetters: [],
  warnings: [],
};

export function summaryOf(parts: Partial<Summary>): Summary {
  return { ...emptySummary, ...parts };
}

function addCounts(a: Counts, b: Counts): Counts {
  const sum: Record<string, number> = { ...a };
  for (const [key, count] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}

/** Rows that differ in their count alone become one. */
function merge<Row extends { readonly count: number }>(a: readonly Row[], b: readonly Row[]): readonly Row[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  const merged = new Map<string, Row>();
  for (const row of [...a, ...b]) {
    const key = JSON.stringify({ ...row, count: 0 });
    merged.set(key, { ...row, count: (merged.get(key)?.count ?? 0) + row.count });
  }
  return [...merged.values()];
}

export function addSummaries(a: Summary, b: Summary): Summary {
  return {
    observed: a.observed + b.observed,
    skipped: addCounts(a.skipped, b.skipped),
    filtered: addCounts(a.filtered, b.filtered),
    created: merge(a.created, b.created),
    duplicate: a.duplicate + b.duplicate,
    unchanged: a.unchanged + b.unchanged,
    relabelled: addCounts(a.relabelled, b.relabelled),
    deleted: merge(a.deleted, b.deleted),
    dropped: a.dropped + b.dropped,
    deadLetters: merge(a.deadLetters, b.deadLetters),
    warnings: [...a.warnings, ...b.warnings],
    ...((b.collection ?? a.collection) ? { collection: b.collection ?? a.collection } : {}),
  };
}
