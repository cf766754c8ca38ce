import { atLast, counted, durationOf, ratePerSecond } from './alerts.ts';
import type { Manifest } from './manifests.ts';

/** https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly [key: string]: unknown;
}

export interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string; readonly refId: string }[];
  readonly [key: string]: unknown;
}

/** The windows of the queries; tests make them shorter. */
export interface Windows {
  /** For rates, in seconds. */
  readonly rate: number;
  /** For counts of what is new. */
  readonly recent: string;
  /** Long enough to include the last garbage collection. */
  readonly collection: string;
}

const windows: Windows = { rate: 300, recent: '1h', collection: '2h' };

type Kind = 'stat' | 'timeseries' | 'bargauge';
type Row = readonly [title: string, kind: Kind, expr: string, legend: string, unit?: string];

const width = 12;
const height = 8;

function dashboard(uid: string, title: string, rows: readonly Row[]): Dashboard {
  const datasource = { type: 'prometheus', uid: '$datasource' };
  return {
    uid,
    title,
    tags: ['zen-watcher'],
    schemaVersion: 39,
    ...{ editable: true, refresh: '1m', time: { from: 'now-24h', to: 'now' }, timezone: 'browser' },
    templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }] },
    panels: rows.map(([name, type, expr, legendFormat, unit = 'short'], index) => ({
      id: index + 1,
      title: name,
      type,
      datasource,
      gridPos: { x: (index % 2) * width, y: Math.floor(index / 2) * height, w: width, h: height },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      targets: [{ refId: 'A', datasource, expr, legendFormat, instant: type !== 'timeseries' }],
    })),
  };
}

/** The two dashboards: what is wrong in the cluster, and how zen-watcher itself is doing. */
export function dashboards({ rate, recent, collection }: Windows = windows): Dashboard[] {
  const open = (by: string): string => `sum by (${by}) ${atLast('zen_watcher_observations_open', collection)}`;
  const perMinute = (metric: string, by: string): string => `${ratePerSecond(`zen_watcher_${metric}`, rate, by)} * 60`;
  const quantile = (share: number): string =>
    `histogram_quantile(${share}, sum by (le, source) (rate(zen_watcher_event_processing_duration_seconds_bucket[${durationOf(rate)}])))`;
  const handled = 'zen_watcher_event_processing_duration_seconds_count';
  const recently = (metric: string, by: string): string => counted(`zen_watcher_${metric}`, recent, by);
  return [
    dashboard('zen-watcher-security', 'zen-watcher: what is wrong', [
      ['Open findings by severity', 'stat', open('severity'), '{{severity}}'],
      ['Open findings by source', 'bargauge', open('source'), '{{source}}'],
      ['Namespaces with the most open findings', 'bargauge', `topk(10, ${open('namespace')})`, '{{namespace}}'],
      [
        'Namespaces with the most critical open findings',
        'bargauge',
        `topk(10, ${critical(collection)})`,
        '{{namespace}}',
      ],
      ['Open findings over time', 'timeseries', open('severity'), '{{severity}}'],
      ['New in the last hour, by severity', 'timeseries', recently('events_total', 'severity'), '{{severity}}'],
      ['New in the last hour, by source', 'timeseries', recently('events_total', 'source'), '{{source}}'],
      ['New in the last hour, by category', 'timeseries', recently('events_total', 'category'), '{{category}}'],
    ]),
    dashboard('zen-watcher-operations', 'zen-watcher: operations', [
      ['Events per minute', 'timeseries', perMinute('event_processing_duration_seconds_count', 'source'), '{{source}}'],
      ['Time to answer, 99th percentile', 'timeseries', quantile(0.99), '{{source}}', 's'],
      ['Time to answer, median', 'timeseries', quantile(0.5), '{{source}}', 's'],
      ['Starts in the last hour', 'timeseries', starts(handled, recent), '{{source}}'],
      [
        'Observations created per minute',
        'timeseries',
        perMinute('observations_created_total', 'source'),
        '{{source}}',
      ],
      ['Duplicates per minute', 'timeseries', perMinute('observations_deduped_total', 'source'), '{{source}}'],
      [
        'Known findings reported again per minute',
        'timeseries',
        perMinute('observations_unchanged_total', 'source'),
        '{{source}}',
      ],
      [
        'Dropped by filters and rules per minute',
        'timeseries',
        perMinute('observations_filtered_total', 'reason'),
        '{{reason}}',
      ],
      [
        'Answers per minute',
        'timeseries',
        perMinute('webhook_requests_total', 'endpoint, status'),
        '{{endpoint}} {{status}}',
      ],
      [
        'Events refused per minute',
        'timeseries',
        perMinute('webhook_events_dropped_total', 'endpoint'),
        '{{endpoint}}',
      ],
      [
        'Failures in the last hour',
        'timeseries',
        recently('observations_create_errors_total', 'source, error_type'),
        '{{source}} {{error_type}}',
      ],
      [
        'Dead letters in the last hour',
        'timeseries',
        recently('deadletters_total', 'source, reason'),
        '{{source}} {{reason}}',
      ],
      ['Passes in the last hour', 'timeseries', recently('passes_total', 'source'), '{{source}}'],
      [
        'Stored Observations',
        'timeseries',
        `sum by (source) ${atLast('zen_watcher_observations_live', collection)}`,
        '{{source}}',
      ],
      [
        'Namespaces with the most stored Observations',
        'bargauge',
        `topk(10, sum by (namespace) ${atLast('zen_watcher_observations_live', collection)})`,
        '{{namespace}}',
      ],
      ['Limit of stored Observations', 'stat', `max(${atLast('zen_watcher_observations_limit', collection)})`, 'limit'],
      [
        'Names in the deduplication cache',
        'timeseries',
        'sum by (pod, instance) (zen_watcher_dedup_cache_size)',
        '{{pod}}',
      ],
    ]),
  ];
}

function critical(collection: string): string {
  return `sum by (namespace) ${atLast('zen_watcher_observations_open{severity="CRITICAL"}', collection)}`;
}

/** Counts new series, because a process that starts begins one. */
function starts(metric: string, window: string): string {
  return `count by (source) (max_over_time(${metric}[${window}]) unless ${metric} offset ${window})`;
}

/** A ConfigMap with the label that Grafana's sidecar looks for. */
export function dashboardsManifest(namespace: string, labels: object): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'zen-watcher-dashboards', namespace, labels: { ...labels, grafana_dashboard: '1' } },
    data: Object.fromEntries(dashboards().map((one) => [`${one.uid}.json`, JSON.stringify(one)])),
  };
}
