import type { Counts } from '../finding/finding.ts';
import type { Severity } from '../finding/severity.ts';
import { type CountRow, createCounts } from './count-rows.ts';

/** What came of one event: values for the log line and the metrics, nothing else. */
export interface Summary {
  /** Findings that the event holds, before the filter. */
  readonly observed: number;
  /** Rows and events that are no findings, by reason. */
  readonly skipped: Counts;
  /** Findings that were dropped, by the filter's reason. */
  readonly filtered: Counts;
  readonly created: readonly CountRow<'category' | 'severity'>[];
  /** Creates that found the name taken, and names that the cache knew. */
  readonly duplicate: number;
  /** Known already by a list, so not tried. */
  readonly unchanged: number;
  /** Labels changed by the lifecycle: renewed, missing, resolved, open again. */
  readonly relabelled: Counts;
  /** Deleted by gc, by source and reason. */
  readonly deleted: readonly CountRow<'source' | 'reason'>[];
  /** Items that were refused of a raw body that was taken. */
  readonly dropped: number;
  /** What became of dead letters; `source` is the function that they were for. */
  readonly deadLetters: readonly CountRow<'source' | 'reason'>[];
  /** Only after a garbage collection: what lives, and what went wrong. */
  readonly collection: Collection | undefined;
  /** What an operator should read, though the event itself went well. */
  readonly warnings: readonly string[];
}

export interface Collection {
  /** What exists. */
  readonly live: readonly CountRow<'source' | 'severity'>[];
  /** What of it is neither missing nor resolved, by the namespaces that have most of it; `other` is the rest of them. */
  readonly open: readonly CountRow<'source' | 'severity' | 'namespace'>[];
  /** How many there may be. */
  readonly limit: number;
  readonly errors: readonly CountRow<'operation' | 'errorType'>[];
}

/**
 * What a function does with one event, written as it happens. Whoever gave the event reads it at the end, whether that
 * end is an answer or a fault.
 */
export interface Tally {
  observed(count: number): void;
  skipped(reason: string, count?: number): void;
  filtered(reason: string, count?: number): void;
  created(category: string, severity: Severity): void;
  duplicate(): void;
  unchanged(count: number): void;
  relabelled(change: string): void;
  deleted(source: string, reason: string, count: number): void;
  dropped(count: number): void;
  deadLetter(source: string, reason: string): void;
  collected(collection: Collection): void;
  warning(text: string): void;
  read(): Summary;
}

export function createTally(): Tally {
  const numbers = { observed: 0, duplicate: 0, unchanged: 0, dropped: 0 };
  const skipped: Record<string, number> = {};
  const filtered: Record<string, number> = {};
  const relabelled: Record<string, number> = {};
  const created = createCounts('category', 'severity');
  const deletedRows: Summary['deleted'][number][] = [];
  const deadLetters = createCounts('source', 'reason');
  const warnings: string[] = [];
  let collection: Collection | undefined;
  return {
    observed(count) {
      numbers.observed += count;
    },
    skipped: (reason, count = 1) => addTo(skipped, reason, count),
    filtered: (reason, count = 1) => addTo(filtered, reason, count),
    created: (category, severity) => created.add(category, severity),
    duplicate() {
      numbers.duplicate += 1;
    },
    unchanged(count) {
      numbers.unchanged += count;
    },
    relabelled: (change) => addTo(relabelled, change, 1),
    deleted: (source, reason, count) => void deletedRows.push({ source, reason, count }),
    dropped(count) {
      numbers.dropped += count;
    },
    deadLetter: (source, reason) => deadLetters.add(source, reason),
    collected(found) {
      collection = found;
    },
    warning: (text) => void warnings.push(text),
    read: () => ({
      ...numbers,
      skipped,
      filtered,
      relabelled,
      created: created.rows(),
      deleted: deletedRows,
      deadLetters: deadLetters.rows(),
      collection,
      warnings,
    }),
  };
}

function addTo(counts: Record<string, number>, key: string, count: number): void {
  counts[key] = (counts[key] ?? 0) + count;
}
