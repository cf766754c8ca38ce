import type { Counts } from '../finding/finding.ts';
import type { Severity } from '../finding/severity.ts';
import { type CountRow, createCounts } from './count-rows.ts';

/** What one event came to. Used for its log line and the metrics, and for nothing else. */
export interface Summary {
  /** Findings in the event, before filtering. */
  readonly observed: number;
  /** Rows and events that did not become findings, by reason. */
  readonly skipped: Counts;
  /** Findings that were dropped, by the filter's reason. */
  readonly filtered: Counts;
  readonly created: readonly CountRow<'category' | 'severity'>[];
  /** The rules of what was created: the first few. */
  readonly rules: readonly string[];
  /** Findings whose name was already in the store or in the cache. */
  readonly duplicate: number;
  /** Findings that were listed as stored and need no change. */
  readonly unchanged: number;
  /** Observations whose labels were changed, by change: renewed, reopened, missing or resolved. */
  readonly relabelled: Counts;
  /** Observations that were written so that others are to be told. */
  readonly due: number;
  /** Observations that gc deleted. */
  readonly deleted: readonly CountRow<'source' | 'reason'>[];
  /** Items that were refused, of a body that was accepted. */
  readonly dropped: number;
  /** What became of what others are told, by outcome. */
  readonly announced: Counts;
  /** What became of dead letters; `source` is the function that they were meant for. */
  readonly deadLetters: readonly CountRow<'source' | 'reason'>[];
  /** How many Observations exceptions match, by the exceptions' namespace; `undefined` if nobody counted. */
  readonly excepted: readonly CountRow<'namespace'>[] | undefined;
  /** The result of a garbage collection, if the event started one. */
  readonly collection: Collection | undefined;
  /** What an operator should know even if the event itself was handled; each thing once. */
  readonly warnings: readonly string[];
}

/** `unwanted`: an expression or a floor leaves it out. `refused`: not even a retry would help. */
export const announcementOutcomes = ['told', 'unwanted', 'refused', 'failed'] as const;

export type AnnouncementOutcome = (typeof announcementOutcomes)[number];

export interface Collection {
  /** Observations that exist. Namespaces with few of them are counted together as `other`. */
  readonly live: readonly CountRow<'source' | 'severity' | 'namespace'>[];
  /** Those that are neither missing, nor resolved, nor accepted. */
  readonly open: readonly CountRow<'source' | 'severity' | 'namespace'>[];
  /** How many Observations there may be. */
  readonly limit: number;
  /** For how many milliseconds the oldest change has waited to be told; 0 if none waits. */
  readonly waiting: number;
  /** When each source was last heard of; a source that never was is not among them. */
  readonly heard: readonly Heard[];
  readonly errors: readonly CountRow<'operation' | 'errorType'>[];
}

export interface Heard {
  readonly source: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly isSilent: boolean;
}

/**
 * Records what a function does with one event, as it happens. The dispatcher reads it at the end, whether the function
 * has succeeded or thrown.
 */
export interface Tally {
  observed(count: number): void;
  skipped(reason: string, count?: number): void;
  filtered(reason: string, count?: number): void;
  created(category: string, severity: Severity, rule: string): void;
  duplicate(): void;
  unchanged(count: number): void;
  relabelled(change: string): void;
  due(): void;
  deleted(source: string, reason: string, count: number): void;
  dropped(count: number): void;
  announced(outcome: AnnouncementOutcome): void;
  deadLetter(source: string, reason: string): void;
  excepted(rows: readonly CountRow<'namespace'>[]): void;
  collected(collection: Collection): void;
  warning(text: string): void;
  read(): Summary;
}

/** A log line is read by people; what a whole report has made is in the store. */
const maxRules = 5;

export function createTally(): Tally {
  const numbers = { observed: 0, duplicate: 0, unchanged: 0, dropped: 0, due: 0 };
  const skipped: Record<string, number> = {};
  const filtered: Record<string, number> = {};
  const relabelled: Record<string, number> = {};
  const created = createCounts('category', 'severity');
  const deletedRows: Summary['deleted'][number][] = [];
  const announced: Record<string, number> = {};
  const deadLetters = createCounts('source', 'reason');
  const rules = new Set<string>();
  const warnings = new Set<string>();
  let excepted: Summary['excepted'];
  let collection: Collection | undefined;
  return {
    observed(count) {
      numbers.observed += count;
    },
    skipped: (reason, count = 1) => addTo(skipped, reason, count),
    filtered: (reason, count = 1) => addTo(filtered, reason, count),
    created(category, severity, rule) {
      created.add(category, severity);
      if (rules.size < maxRules) rules.add(rule);
    },
    duplicate() {
      numbers.duplicate += 1;
    },
    unchanged(count) {
      numbers.unchanged += count;
    },
    relabelled: (change) => addTo(relabelled, change, 1),
    due() {
      numbers.due += 1;
    },
    deleted: (source, reason, count) => void deletedRows.push({ source, reason, count }),
    dropped(count) {
      numbers.dropped += count;
    },
    announced: (outcome) => addTo(announced, outcome, 1),
    deadLetter: (source, reason) => deadLetters.add(source, reason),
    excepted(rows) {
      excepted = rows;
    },
    collected(found) {
      collection = found;
    },
    warning: (text) => void warnings.add(text),
    read: () => ({
      ...numbers,
      skipped,
      filtered,
      relabelled,
      created: created.rows(),
      rules: [...rules],
      deleted: deletedRows,
      announced,
      deadLetters: deadLetters.rows(),
      excepted,
      collection,
      warnings: [...warnings],
    }),
  };
}

function addTo(counts: Record<string, number>, key: string, count: number): void {
  counts[key] = (counts[key] ?? 0) + count;
}
