import { type FunctionDefinition, triggersOf } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import type { Trigger } from '../../shared/function/triggers.ts';
import { isTelling } from '../../shared/host/counting.ts';
import type { FilterScope } from '../../shared/host/unreadable-filters.ts';
import { foreignNamespaces, type Manifest } from './manifests.ts';
import { documentUrl } from './repository.ts';

/** https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
}

export interface AlertOptions {
  /** Multiplies every window, because a test can't wait for a week. */
  readonly scale?: number;
}

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** A duration as Prometheus writes it: `5m`, `1d`. */
export function durationOf(seconds: number): string {
  const units = [
    ['d', day],
    ['h', hour],
    ['m', minute],
  ] as const;
  const unit = units.find(([, length]) => seconds % length === 0);
  return unit ? `${seconds / unit[1]}${unit[0]}` : `${seconds}s`;
}

/**
 * How much a counter counted in a window. A function that was asleep starts a new series, and `increase` takes the first
 * value of a series for something counted before it. So of a series that began in the window the whole value is taken.
 */
export function counted(metric: string, window: string, by: string): string {
  return `sum by (${by}) ((max_over_time(${metric}[${window}]) unless ${metric} offset ${window}) or increase(${metric}[${window}]))`;
}

/** The rate of that in a second. */
export function ratePerSecond(metric: string, seconds: number, by: string): string {
  return `${counted(metric, durationOf(seconds), by)} / ${seconds}`;
}

/**
 * The values at the last collection: gc's gauges exist only as long as its pod, some 40 s every hour. Of the pods in the
 * window, the one counts that collected last.
 */
export function atLast(metric: string, window: string): string {
  const ends = `last_over_time(zen_watcher_gc_last_run_timestamp_seconds[${window}])`;
  return `(last_over_time(${metric}[${window}]) and on (instance, pod) (${ends} == scalar(max(${ends}))))`;
}

/** How many events failed that may succeed when they are tried again. What tells others has an alert of its own. */
function failing(definitions: readonly FunctionDefinition[], window: string): string {
  const telling = definitions.filter(isTelling).map(({ name }) => name);
  const labels = `error_type="503",source!~"${telling.join('|')}"`;
  return counted(`zen_watcher_observations_create_errors_total{${labels}}`, window, 'source');
}

/** Whether an installation may be without it, so that nothing says whether it should be there. */
function mayBeLeftOut(definition: FunctionDefinition): boolean {
  return definition.isOptional === true || foreignNamespaces(definition).length > 0;
}

/** Of functions that sleep, what they saw last counts for a while. */
function unreadable(scope: FilterScope, window: string): string {
  return `max by (scope) (last_over_time(zen_watcher_filters_unreadable{scope="${scope}"}[${window}])) > 0`;
}

function defaultTriggers(definition: FunctionDefinition): readonly Trigger[] {
  return triggersOf(definition, parseSettings({}, definition.settings, []));
}

/** The alerts. The runbook in MONITORING.md has a paragraph for each, under the alert's name. */
export function alertRules(definitions: readonly FunctionDefinition[], { scale = 1 }: AlertOptions = {}): AlertRule[] {
  const scaled = (seconds: number): number => Math.max(1, Math.round(seconds * scale));
  const window = (seconds: number): string => durationOf(scaled(seconds));
  const rule = (
    alert: string,
    severity: 'critical' | 'warning' | 'info',
    expr: string,
    [summary, description]: readonly [string, string],
    more: { readonly for?: string; readonly labels?: Readonly<Record<string, string>> } = {},
  ): AlertRule => ({
    alert,
    expr,
    ...(more.for !== undefined && { for: more.for }),
    labels: { severity, ...more.labels },
    annotations: { summary, description, runbook_url: documentUrl('knative/MONITORING.md', alert.toLowerCase()) },
  });
  const five = window(5 * minute);
  const created = counted('zen_watcher_observations_created_total', five, 'source');
  const deduped = counted('zen_watcher_observations_deduped_total', five, 'source');
  const collection = window(2 * hour);

  return [
    rule(
      'ZenWatcherWebhookDrops',
      'critical',
      `${ratePerSecond('zen_watcher_webhook_events_dropped_total', scaled(5 * minute), 'endpoint')} > 10`,
      ['Events are refused at {{ $labels.endpoint }}', '{{ $value | humanize }} events a second are refused.'],
    ),
    rule(
      'ZenWatcherCreateErrors',
      'critical',
      `${ratePerSecond('zen_watcher_observations_create_errors_total', scaled(5 * minute), 'source')} > 1`,
      ['{{ $labels.source }} fails to store findings', '{{ $value | humanize }} events a second fail.'],
    ),
    rule(
      'ZenWatcherCreateErrors',
      'critical',
      `${failing(definitions, five)} > 0`,
      [
        '{{ $labels.source }} fails to store findings',
        'In each five minutes of the last ten, events failed that may succeed when they are tried again.',
      ],
      // The label keeps it apart from the alert of many failures.
      { for: window(10 * minute), labels: { error_type: '503' } },
    ),
    rule(
      'ZenWatcherGCErrors',
      'warning',
      `${counted('zen_watcher_gc_errors_total', window(65 * minute), 'operation, error_type')} > 0`,
      ['Garbage collection fails', 'Operation {{ $labels.operation }} failed: {{ $labels.error_type }}.'],
    ),
    rule(
      'ZenWatcherInformerNotSynced',
      'critical',
      `min by (resource) (last_over_time(zen_watcher_informer_cache_synced[${five}])) < 1`,
      ['The watch of {{ $labels.resource }} is broken', 'Changes to {{ $labels.resource }} have no effect.'],
      { for: window(minute) },
    ),
    rule('ZenWatcherDuplicates', 'info', `${deduped} / (${created} > 0) > 0.5`, [
      '{{ $labels.source }} sends many duplicates',
      '{{ $value | humanize }} duplicates for each new Observation.',
    ]),
    rule(
      'ZenWatcherCriticalFindings',
      'critical',
      `${counted('zen_watcher_events_total{severity="CRITICAL"}', window(10 * minute), 'source, category')} > 0`,
      [
        '{{ $labels.source }} has found something CRITICAL',
        '{{ $value | humanize }} new findings of category {{ $labels.category }}, of severity CRITICAL, in ten minutes.',
      ],
    ),
    rule(
      'ZenWatcherSourceSilent',
      'warning',
      `max by (source) ${atLast('zen_watcher_source_silent', collection)} > 0`,
      ['Nothing comes from {{ $labels.source }}', 'It has been silent for longer than its SOURCE_SILENT_MINUTES.'],
    ),
    rule(
      'ZenWatcherDeadLetters',
      'critical',
      `${counted('zen_watcher_deadletters_total', window(15 * minute), 'source, reason')} > 0`,
      [
        'Events for {{ $labels.source }} could not be delivered',
        '{{ $value | humanize }} events were {{ $labels.reason }}.',
      ],
    ),
    ...definitions.flatMap((definition) =>
      defaultTriggers(definition)
        .filter((trigger) => trigger.type === 'PingSource')
        .map(({ minutes }) => {
          const { name } = definition;
          const interval = minutes * minute;
          const passes = `zen_watcher_passes_total{source="${name}"}`;
          const done = `${counted(passes, window(3 * interval), 'source')} > 0`;
          // Nothing tells whether what may be left out is there, but that it was there a while ago.
          const seen = `sum by (source) (present_over_time(${passes}[${window(day)}]))`;
          return rule(
            'ZenWatcherPassOverdue',
            'warning',
            mayBeLeftOut(definition) ? `${seen} unless ${done}` : `absent(${done})`,
            [`${name} has not completed its scheduled work`, `It is due every ${durationOf(interval)}.`],
            { for: window(interval), labels: { source: name } },
          );
        }),
    ),
    rule(
      'ZenWatcherTellsNobody',
      'warning',
      `${counted('zen_watcher_announcements_total{outcome="failed"}', window(15 * minute), 'sink')} > 0 unless ${counted('zen_watcher_announcements_total{outcome="told"}', window(15 * minute), 'sink')} > 0`,
      [
        '{{ $labels.sink }} reaches nobody',
        'In a quarter of an hour it has failed {{ $value | humanize }} times, and told nothing.',
      ],
      { for: window(10 * minute) },
    ),
    rule(
      'ZenWatcherUntold',
      'warning',
      `max(${atLast('zen_watcher_outbox_oldest_seconds', collection)}) > ${scaled(hour)}`,
      [
        'What has changed is not announced',
        'At the last collection, the oldest change had waited for {{ $value | humanizeDuration }}.',
      ],
      // Longer than from one collection to the next: what is announced because of ANNOUNCE_EXISTING is old from the start.
      { for: window(65 * minute) },
    ),
    rule(
      'ZenWatcherObservationsLimit',
      'warning',
      `sum(${atLast('zen_watcher_observations_live', collection)}) > 0.9 * max(${atLast('zen_watcher_observations_limit', collection)})`,
      [
        'Nine tenths of MAX_OBSERVATIONS are reached',
        'There are {{ $value | humanize }} Observations; those that can best be spared are deleted early.',
      ],
    ),
    rule(
      'ZenWatcherFindingsKeptOut',
      'warning',
      `${counted('zen_watcher_observations_filtered_total{reason="limit"}', window(65 * minute), 'source')} > 0`,
      [
        'New findings of {{ $labels.source }} are not stored',
        '{{ $value | humanize }} were kept out, since there are too many Observations for MAX_OBSERVATIONS.',
      ],
    ),
    rule(
      'ZenWatcherFiltersUnreadable',
      'critical',
      unreadable('system', window(15 * minute)),
      ['A filter cannot be read', 'Events that it applies to are answered 503 until it is repaired.'],
      { for: window(minute) },
    ),
    rule(
      'ZenWatcherFiltersUnreadable',
      'warning',
      unreadable('tenant', window(15 * minute)),
      [
        "A tenant's filter cannot be read",
        'What it applies to, in its namespace, stays as it is until it is repaired.',
      ],
      { for: window(minute) },
    ),
    rule(
      'ZenWatcherWebhookOpen',
      'warning',
      `max(last_over_time(zen_watcher_webhook_open[${window(10 * minute)}])) > 0`,
      ['Anyone who can reach the webhooks may post to them', 'Neither a token nor an address is required.'],
      { for: five },
    ),
  ];
}

const groupName = 'zen-watcher';

/** The rules in the format of a Prometheus rule file. */
export function ruleGroups(rules: readonly AlertRule[], interval = '30s') {
  return { groups: [{ name: groupName, interval, rules }] };
}

/**
 * The rules and the scraping for the Prometheus Operator. Pods are scraped directly, because a scrape through Knative's
 * route would wake a function. A pod lives for 40 s after its last event, so scraping every 10 s misses nothing it counted.
 */
export function monitoringManifests(rules: readonly AlertRule[], namespace: string, podLabels: object): Manifest[] {
  const metadata = { name: groupName, namespace, labels: podLabels };
  return [
    {
      ...{ apiVersion: 'monitoring.coreos.com/v1', kind: 'PodMonitor', metadata },
      spec: {
        selector: { matchLabels: podLabels },
        podMetricsEndpoints: [{ port: 'user-port', path: '/metrics', interval: '10s' }],
      },
    },
    { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', metadata, spec: ruleGroups(rules) },
  ];
}

/**
 * A component: the component `monitoring`, with the label by which kube-prometheus-stack picks what it reads, the name of
 * its Helm release.
 */
export const prometheusStack = {
  apiVersion: 'kustomize.config.k8s.io/v1alpha1',
  kind: 'Component',
  components: ['../monitoring'],
  patches: [
    {
      target: { group: 'monitoring.coreos.com' },
      patch: '- { op: add, path: /metadata/labels/release, value: kube-prometheus-stack }',
    },
  ],
};
