import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import { oneLine } from '../finding/one-line.ts';
import type { CountRow } from '../function/count-rows.ts';

/** The help text of each metric, by its name without `zen_watcher_`. */
type HelpTexts<Name extends string> = Readonly<Record<Name, string>>;

type LabelValues = Readonly<Record<string, string>>;

const prefix = 'zen_watcher_';

/** Buckets of the histograms, in seconds. */
const durations = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** How many series a gauge remembers: more than one collection shows in most clusters, so that those long gone are forgotten. */
const mostSeries = 20_000;

/** One registry for each format, since a counter is named differently in OpenMetrics. */
interface Registries {
  readonly plain: Registry;
  readonly open: Registry<OpenMetricsContentType>;
}

export function createRegistries(): Registries {
  const open = new Registry<OpenMetricsContentType>();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return { plain: new Registry(), open };
}

/** In the OpenMetrics format if the scraper accepts it, else in the text exposition format. */
export async function renderMetrics(
  { plain, open }: Registries,
  accept: string,
): Promise<{ readonly contentType: string; readonly text: string }> {
  const registry = accept.includes('application/openmetrics-text') ? open : plain;
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** A value of a label, as a terminal may show it. */
const maxLabelLength = 128;

/** How many values a label may have. What is counted of a source takes nothing from the others. */
const mostValues = 50;

/** Keeps the first values of each label, and makes `other` of those that come later. */
function createBound() {
  const seen = new Map<string, Set<string>>();

  function bounded(key: string, given: string): string {
    const value = oneLine(given, maxLabelLength);
    const values = seen.get(key) ?? new Set<string>();
    if (values.has(value)) return value;
    if (values.size >= mostValues) return 'other';
    seen.set(key, values.add(value));
    return value;
  }

  return (name: string, labels: LabelValues): LabelValues => {
    const source = labels.source === undefined ? '' : bounded(name, labels.source);
    const entries = Object.entries(labels).map(([label, value]) => [
      label,
      label === 'source' ? source : bounded(JSON.stringify([name, label, source]), value),
    ]);
    return Object.fromEntries(entries);
  };
}

export type Count<Name extends string> = (name: Name, labels: LabelValues, by: number) => void;

/**
 * Counters. Each is registered when it is first counted: a metric that nothing updates would only mislead. Some labels,
 * such as the category of what is posted, say what senders choose, so their values are bounded.
 */
export function createCounters<Name extends string>({ plain, open }: Registries, help: HelpTexts<Name>): Count<Name> {
  const counters = new Map<Name, Counter>();
  const bound = createBound();

  function register(name: Name, labels: LabelValues): Counter {
    const counter = new Counter({
      name: prefix + name,
      help: help[name],
      labelNames: Object.keys(labels),
      registers: [plain],
    });
    counters.set(name, counter);
    // To render a counter as OpenMetrics strips `_total` from its name, so that registry gets a stand-in to rename.
    open.registerMetric(Object.create(counter));
    return counter;
  }

  return (name, labels, by) => {
    const counter = counters.get(name) ?? register(name, labels);
    counter.inc(bound(name, labels), by);
  };
}

/** Without seconds, the series begins with nothing observed. */
type Observe<Name extends string> = (name: Name, labels: LabelValues, seconds?: number) => void;

/** Histograms of durations. Each is registered when it first observes one. */
export function createHistograms<Name extends string>(
  { plain, open }: Registries,
  help: HelpTexts<Name>,
): Observe<Name> {
  const histograms = new Map<Name, Histogram>();

  function register(name: Name, labels: LabelValues): Histogram {
    const histogram = new Histogram({
      name: prefix + name,
      help: help[name],
      labelNames: Object.keys(labels),
      buckets: durations,
      registers: [plain, open],
    });
    histograms.set(name, histogram);
    return histogram;
  }

  return (name, labels, seconds) => {
    const histogram = histograms.get(name) ?? register(name, labels);
    if (seconds === undefined) histogram.zero(labels);
    else histogram.observe(labels, seconds);
  };
}

interface ShownGauge {
  readonly gauge: Gauge;
  /** The labels of every series that has been shown, those of the last time at the end. */
  readonly series: Map<string, LabelValues>;
}

function labelsOf<Label extends string>({ count: _, ...labels }: CountRow<Label>): LabelValues {
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [name, oneLine(String(value), maxLabelLength)]),
  );
}

/** Sets the gauge to these rows, and every series that it has shown before and that is not among them to 0. */
function showRows<Label extends string>({ gauge, series }: ShownGauge, rows: readonly CountRow<Label>[]): void {
  for (const labels of rows.map(labelsOf)) {
    const key = JSON.stringify(labels);
    series.delete(key);
    series.set(key, labels);
  }
  const forgotten = series.keys().take(Math.max(0, series.size - mostSeries));
  for (const key of [...forgotten]) series.delete(key);
  gauge.reset();
  for (const labels of series.values()) gauge.set(labels, 0);
  for (const row of rows) gauge.set(labelsOf(row), row.count);
}

export type Show<Name extends string> = <Label extends string>(
  name: Name,
  labelNames: readonly Label[],
  rows: readonly CountRow<Label>[],
) => void;

/**
 * Gauges that are set as a whole. What is no longer among the rows becomes 0 instead of vanishing: a query would go on
 * finding its last value for minutes.
 */
export function createGauges<Name extends string>({ plain, open }: Registries, help: HelpTexts<Name>): Show<Name> {
  const gauges = new Map<Name, ShownGauge>();

  function register(name: Name, labelNames: readonly string[]): ShownGauge {
    const gauge = new Gauge({
      name: prefix + name,
      help: help[name],
      labelNames: [...labelNames],
      registers: [plain, open],
    });
    const shown = { gauge, series: new Map() };
    gauges.set(name, shown);
    return shown;
  }

  return (name, labelNames, rows) => showRows(gauges.get(name) ?? register(name, labelNames), rows);
}

interface Reading {
  readonly labels: LabelValues;
  readonly read: () => number;
}

export type Watch<Name extends string> = (name: Name, labels: LabelValues, read: () => number) => void;

/** Gauges whose values are read when they are scraped. */
export function createWatchedGauges<Name extends string>(
  { plain, open }: Registries,
  help: HelpTexts<Name>,
): Watch<Name> {
  const readings = new Map<Name, Reading[]>();

  function register(name: Name, labels: LabelValues): Reading[] {
    const all: Reading[] = [];
    readings.set(name, all);
    new Gauge({
      name: prefix + name,
      help: help[name],
      labelNames: Object.keys(labels),
      registers: [plain, open],
      collect() {
        for (const reading of all) this.set(reading.labels, reading.read());
      },
    });
    return all;
  }

  return (name, labels, read) => {
    const all = readings.get(name) ?? register(name, labels);
    all.push({ labels, read });
  };
}
