import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import type { Counts } from '../finding/finding.ts';
import type { CountRow } from '../function/count-rows.ts';
import type { Collection, Summary } from '../function/tally.ts';

export interface Metrics {
  countSummary(source: string, summary: Summary): void;
  /** A create that failed, or an event that could not be handled; `errorType` is a short constant. */
  countError(source: string, errorType: string): void;
  observeDuration(source: string, seconds: number): void;
  countRequest(endpoint: string, status: number): void;
  countDropped(endpoint: string, count: number): void;
  /** An event that no function has asked for. */
  countUnwanted(): void;
  observeCollection(seconds: number): void;
  /** Work on a schedule that came to its end. */
  countPass(source: string): void;
  /** Whether whoever reaches the webhooks may post to them. */
  showAccess(isOpen: boolean): void;
  /** The filters were compiled anew; whether all of them could be read. */
  countFilterReload(isReadable: boolean): void;
  /** The cache of known names: read when scraped. */
  watchKnownNames(count: () => number): void;
  countEviction(): void;
  /** Whether the watches of these resources follow the API server: asked when scraped. */
  watchSynced(resource: string, isSynced: () => boolean): void;
  /** In the OpenMetrics format where a scraper accepts it, else in the text exposition format. */
  render(accept: string): Promise<{ readonly contentType: string; readonly text: string }>;
}

type LabelValues = Readonly<Record<string, string>>;

const durations = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Of one gauge: more than one collection ever shows, so that only what is long gone is forgotten. */
const mostSeries = 5000;

/** Counters exist from their first count on: a metric that nothing updates would only mislead. */
export function createMetrics(): Metrics {
  const plain = new Registry();
  const open = new Registry<OpenMetricsContentType>();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const registers = [plain, open];
  const counters = new Map<string, Counter>();

  function count(name: string, help: string, labels: LabelValues, by: number): void {
    let counter = counters.get(name);
    if (!counter) {
      const labelNames = Object.keys(labels);
      counter = new Counter({ name: `zen_watcher_${name}`, help, labelNames, registers: [plain] });
      counters.set(name, counter);
      // Rendering a counter as OpenMetrics takes `_total` from its name: from that of a stand-in.
      open.registerMetric(Object.create(counter));
    }
    if (by > 0) counter.inc(labels, by);
  }

  function countReasons(source: string, reasons: Counts): void {
    for (const [reason, by] of Object.entries(reasons)) {
      count(
        'observations_filtered_total',
        'Findings and rows that made no Observation, by reason.',
        { source, reason },
        by,
      );
    }
  }

  const histograms = new Map<string, Histogram>();
  function observe(name: string, help: string, labels: LabelValues, seconds: number): void {
    let histogram = histograms.get(name);
    if (!histogram) {
      const labelNames = Object.keys(labels);
      histogram = new Histogram({
        name: `zen_watcher_${name}`,
        help,
        labelNames,
        buckets: durations,
        registers,
      });
      histograms.set(name, histogram);
    }
    histogram.observe(labels, seconds);
  }

  const synced = new Map<string, () => boolean>();

  const gauges = new Map<string, { readonly gauge: Gauge; readonly shown: Map<string, LabelValues> }>();
  /** Replaces what the gauge has shown before. What is no longer there is 0: a query would go on to find its last value. */
  function show<Name extends string>(name: string, help: string, labelNames: Name[], rows: readonly CountRow<Name>[]) {
    const made = () => ({
      gauge: new Gauge({ name: `zen_watcher_${name}`, help, labelNames, registers }),
      shown: new Map(),
    });
    const { gauge, shown } = gauges.get(name) ?? made();
    gauges.set(name, { gauge, shown });
    for (const { count: _, ...labels } of rows) {
      const key = JSON.stringify(labels);
      shown.delete(key);
      shown.set(key, labels);
    }
    const spare = shown.keys().take(Math.max(0, shown.size - mostSeries));
    for (const key of [...spare]) shown.delete(key);
    gauge.reset();
    for (const labels of shown.values()) gauge.set(labels, 0);
    for (const { count: value, ...labels } of rows) gauge.set(labels, value);
  }

  function countCollection({ live, open: opened, limit, errors }: Collection): void {
    show('observations_live', 'Observations that exist, at the last collection.', ['source', 'severity'], live);
    const openLabels = ['source', 'severity', 'namespace'] as const;
    show('observations_open', 'Of these, those neither missing nor resolved.', [...openLabels], opened);
    show('observations_limit', 'How many there may be: MAX_OBSERVATIONS.', [], [{ count: limit }]);
    count('gc_runs_total', 'Garbage collections.', {}, 1);
    for (const { operation, errorType, count: by } of errors) {
      count('gc_errors_total', 'Failures of garbage collection.', { operation, error_type: errorType }, by);
    }
  }

  return {
    countSummary(source, summary) {
      for (const { category, severity, count: by } of summary.created) {
        count('events_total', 'Observations created.', { source, category, severity }, by);
        count('observations_created_total', 'Observations created.', { source }, by);
      }
      count(
        'observations_deduped_total',
        'Observations that existed when they were written.',
        { source },
        summary.duplicate,
      );
      count('observations_unchanged_total', 'Findings that a list showed as known.', { source }, summary.unchanged);
      countReasons(source, summary.skipped);
      countReasons(source, summary.filtered);
      for (const { source: of, reason, count: by } of summary.deleted) {
        count('observations_deleted_total', 'Observations deleted.', { source: of, reason }, by);
      }
      for (const { source: of, reason, count: by } of summary.deadLetters) {
        count('deadletters_total', 'Events that could not be delivered.', { source: of, reason }, by);
      }
      if (summary.collection) countCollection(summary.collection);
    },
    countError(source, errorType) {
      const labels = { source, error_type: errorType };
      count('observations_create_errors_total', 'Events whose Observations could not all be stored.', labels, 1);
    },
    observeDuration(source, seconds) {
      observe('event_processing_duration_seconds', 'Time from an event to its answer.', { source }, seconds);
    },
    countRequest(endpoint, status) {
      const labels = { endpoint, status: String(status) };
      count('webhook_requests_total', 'Requests answered.', labels, 1);
    },
    countDropped(endpoint, by) {
      count('webhook_events_dropped_total', 'Events turned away or refused at a webhook.', { endpoint }, by);
    },
    countUnwanted() {
      countReasons('none', { not_wanted: 1 });
    },
    countFilterReload(isReadable) {
      const result = isReadable ? 'success' : 'error';
      count('filter_reload_total', 'Changes of the filters, by whether all could be read.', { result }, 1);
    },
    observeCollection(seconds) {
      observe('gc_duration_seconds', 'Time of a garbage collection.', {}, seconds);
    },
    countPass(source) {
      count('passes_total', 'Completeness passes and other work on a schedule that came to their end.', { source }, 1);
    },
    showAccess(isOpen) {
      const help = 'Whether whoever reaches the webhooks may post to them.';
      show('webhook_open', help, [], [{ count: isOpen ? 1 : 0 }]);
    },
    watchKnownNames(read) {
      new Gauge({
        name: 'zen_watcher_dedup_cache_size',
        help: 'Names in the cache of Observations known to exist.',
        registers,
        collect() {
          this.set(read());
        },
      });
    },
    watchSynced(resource, isSynced) {
      synced.set(resource, isSynced);
      if (synced.size > 1) return;
      new Gauge({
        name: 'zen_watcher_informer_cache_synced',
        help: 'Whether a watch follows the API server now.',
        labelNames: ['resource'],
        registers,
        collect() {
          for (const [of, read] of synced) this.set({ resource: of }, read() ? 1 : 0);
        },
      });
    },
    countEviction() {
      count('dedup_evictions_total', 'Names that left the cache because it was full.', {}, 1);
    },
    async render(accept) {
      const registry = accept.includes('application/openmetrics-text') ? open : plain;
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
