import type { Counts } from '../finding/finding.ts';
import type { Collection, Summary } from '../function/tally.ts';
import {
  type Count,
  createCounters,
  createGauges,
  createHistograms,
  createRegistries,
  createWatchedGauges,
  renderMetrics,
  type Show,
} from './metric-kinds.ts';
import { beginAtZero, type Counting } from './metric-zeros.ts';
import { type FilterScope, filterScopes } from './unreadable-filters.ts';

export interface Metrics {
  /** Shows the series of a function that has counted nothing yet. */
  begin(counting: Counting): void;
  countSummary(source: string, summary: Summary): void;
  /** A create that failed, or an event that could not be handled; `errorType` is a short constant. */
  countError(source: string, errorType: string): void;
  observeDuration(source: string, seconds: number): void;
  countRequest(endpoint: string, status: number): void;
  countDropped(endpoint: string, count: number): void;
  /** An event that no function has asked for. */
  countUnwanted(): void;
  observeCollection(seconds: number): void;
  /** Scheduled work that has finished. */
  countPass(source: string): void;
  /** Whether the webhooks accept posts from anyone who can reach them. */
  showAccess(isOpen: boolean): void;
  /** The filters were compiled anew; whether all of them could be read. */
  countFilterReload(isReadable: boolean): void;
  /** How many filters can't be read, by whose they are: read when scraped. */
  watchUnreadableFilters(count: Readonly<Record<FilterScope, () => number>>): void;
  /** An expression of an object of this kind could not be answered. */
  countExpressionError(kind: string): void;
  /** The size of the cache of known names: read when scraped. */
  watchKnownNames(count: () => number): void;
  countEviction(): void;
  /** How far the API server's clock is ahead of ours, in milliseconds, if that is known: read when scraped. */
  watchClockOffset(offset: () => number | undefined): void;
  /** Whether the watch of this resource follows the API server: read when scraped. */
  watchSynced(resource: string, isSynced: () => boolean): void;
  /** In the OpenMetrics format if the scraper accepts it, else in the text exposition format. */
  render(accept: string): Promise<{ readonly contentType: string; readonly text: string }>;
}

const counters = {
  events_total: 'Observations created.',
  observations_created_total: 'Observations created.',
  observations_deduped_total: 'Observations that existed when they were written.',
  observations_unchanged_total: 'Findings that a list showed to be known.',
  observations_filtered_total: 'Findings and rows that made no Observation, by reason.',
  observations_deleted_total: 'Observations deleted.',
  observations_create_errors_total: 'Events whose Observations could not all be stored.',
  deadletters_total: 'Events that could not be delivered.',
  announcements_total: 'What was announced, and what each sink was told, by outcome.',
  gc_runs_total: 'Garbage collections.',
  gc_errors_total: 'Garbage collection failures.',
  webhook_requests_total: 'Requests answered.',
  webhook_events_dropped_total: 'Events turned away or refused at a webhook.',
  filter_reload_total: 'Changes of the filters, by whether all could be read.',
  expression_errors_total: 'Expressions that could not be answered, by the kind of the object.',
  passes_total: 'Completeness passes and other scheduled work that finished.',
  dedup_evictions_total: 'Names that left the cache because it was full.',
};

const histograms = {
  event_processing_duration_seconds: 'Time from an event to its answer.',
  gc_duration_seconds: 'Duration of a garbage collection.',
};

const gauges = {
  observations_live: 'Observations that exist, at the last collection.',
  observations_open: 'Observations neither missing, nor resolved, nor accepted, at the last collection.',
  exceptions_matched: 'Observations that exceptions match, at the last pass.',
  observations_limit: 'How many Observations there may be: MAX_OBSERVATIONS.',
  outbox_oldest_seconds: 'How long the oldest change had waited to be told, at the last collection.',
  source_last_heard_timestamp_seconds: 'When a source was last heard of, in seconds since 1970.',
  source_silent: 'Whether a source has been silent for too long.',
  gc_last_run_timestamp_seconds: 'When the last collection ended, in seconds since 1970.',
  webhook_open: 'Whether the webhooks accept posts from anyone who can reach them.',
};

const watchedGauges = {
  dedup_cache_size: 'Names in the cache of Observations known to exist.',
  filters_unreadable: "Filters that can't be read now, by whose they are.",
  clock_offset_seconds: "How far the API server's clock is ahead of ours.",
  informer_cache_synced: 'Whether a watch follows the API server now.',
};

type CountMetric = Count<keyof typeof counters>;
type ShowMetric = Show<keyof typeof gauges>;

function countReasons(count: CountMetric, source: string, reasons: Counts): void {
  for (const [reason, by] of Object.entries(reasons)) count('observations_filtered_total', { source, reason }, by);
}

function countSummary(count: CountMetric, source: string, summary: Summary): void {
  for (const { category, severity, count: by } of summary.created) {
    count('events_total', { source, category, severity }, by);
    count('observations_created_total', { source }, by);
  }
  if (summary.duplicate > 0) count('observations_deduped_total', { source }, summary.duplicate);
  if (summary.unchanged > 0) count('observations_unchanged_total', { source }, summary.unchanged);
  countReasons(count, source, summary.skipped);
  countReasons(count, source, summary.filtered);
  for (const { source: of, reason, count: by } of summary.deleted) {
    count('observations_deleted_total', { source: of, reason }, by);
  }
  for (const [outcome, by] of Object.entries(summary.announced))
    count('announcements_total', { sink: source, outcome }, by);
  for (const { source: of, reason, count: by } of summary.deadLetters) {
    count('deadletters_total', { source: of, reason }, by);
  }
}

function showCollection(
  count: CountMetric,
  show: ShowMetric,
  { live, open, limit, waiting, heard, errors }: Collection,
  now: number,
): void {
  show('observations_live', ['source', 'severity', 'namespace'], live);
  show('observations_open', ['source', 'severity', 'namespace'], open);
  show('observations_limit', [], [{ count: limit }]);
  show('outbox_oldest_seconds', [], [{ count: Math.round(waiting / 1000) }]);
  const lastHeard = heard.map(({ source, at }) => ({ source, count: Math.round(at / 1000) }));
  show('source_last_heard_timestamp_seconds', ['source'], lastHeard);
  const silent = heard.map(({ source, isSilent }) => ({ source, count: isSilent ? 1 : 0 }));
  show('source_silent', ['source'], silent);
  show('gc_last_run_timestamp_seconds', [], [{ count: Math.round(now / 1000) }]);
  count('gc_runs_total', {}, 1);
  for (const { operation, errorType, count: by } of errors) {
    count('gc_errors_total', { operation, error_type: errorType }, by);
  }
}

/** `now` gives milliseconds since 1970. */
export function createMetrics(now = Date.now): Metrics {
  const registries = createRegistries();
  const count = createCounters(registries, counters);
  const observe = createHistograms(registries, histograms);
  const show = createGauges(registries, gauges);
  const watch = createWatchedGauges(registries, watchedGauges);
  return {
    begin: (counting) => beginAtZero(counting, { zero: (name, labels) => count(name, labels, 0), observe }),
    countSummary(source, summary) {
      countSummary(count, source, summary);
      if (summary.excepted) show('exceptions_matched', ['namespace'], summary.excepted);
      if (summary.collection) showCollection(count, show, summary.collection, now());
    },
    countError(source, errorType) {
      count('observations_create_errors_total', { source, error_type: errorType }, 1);
    },
    observeDuration: (source, seconds) => observe('event_processing_duration_seconds', { source }, seconds),
    observeCollection: (seconds) => observe('gc_duration_seconds', {}, seconds),
    countRequest(endpoint, status) {
      count('webhook_requests_total', { endpoint, status: String(status) }, 1);
    },
    countDropped: (endpoint, by) => count('webhook_events_dropped_total', { endpoint }, by),
    countUnwanted: () => countReasons(count, 'none', { not_wanted: 1 }),
    countPass: (source) => count('passes_total', { source }, 1),
    countEviction: () => count('dedup_evictions_total', {}, 1),
    countFilterReload: (isReadable) => count('filter_reload_total', { result: isReadable ? 'success' : 'error' }, 1),
    countExpressionError: (kind) => count('expression_errors_total', { kind }, 1),
    showAccess: (isOpen) => show('webhook_open', [], [{ count: isOpen ? 1 : 0 }]),
    watchKnownNames(read) {
      watch('dedup_cache_size', {}, read);
      count('dedup_evictions_total', {}, 0);
    },
    watchUnreadableFilters(read) {
      for (const scope of filterScopes) watch('filters_unreadable', { scope }, read[scope]);
    },
    watchClockOffset: (offset) => watch('clock_offset_seconds', {}, () => Math.round((offset() ?? 0) / 1000)),
    watchSynced: (resource, isSynced) => watch('informer_cache_synced', { resource }, () => (isSynced() ? 1 : 0)),
    render: (accept) => renderMetrics(registries, accept),
  };
}
