import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { alertRules } from '../../knative/generator/alerts.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { temporaryFolder } from '../host/program.ts';
import { skipWithout } from '../host/skip-without.ts';

const rulesFile = join(import.meta.dirname, '..', '..', 'knative', 'components', 'monitoring', 'rules.yaml');

interface Case {
  readonly alert: string;
  /** Labels that pick one alert, if several have the name. */
  readonly labels?: string;
  /** The scrape interval: ten seconds, unless the case takes days. */
  readonly step?: string;
  /** The scraped series, with values in promtool's notation: `_` for no sample. */
  readonly series: Readonly<Record<string, string>>;
  /** The times at which it must fire, and at which it must not. */
  readonly fires: readonly string[];
  readonly quiet: readonly string[];
}

const second = (count: number): number => count / 10;
const minutes = (count: number): number => second(count * 60);
/** A pod that starts after a minute, reports one value for 40 s, and is gone. */
const shortLife = (value: number): string => `_x5 ${value}x3 stale`;

const cases: readonly [string, Case][] = [
  [
    'a flood of drops',
    {
      alert: 'ZenWatcherWebhookDrops',
      series: {
        'zen_watcher_webhook_events_dropped_total{endpoint="/falco/webhook",pod="a"}': `0+200x${minutes(10)} 12000x200`,
      },
      fires: ['8m'],
      quiet: ['0m', '20m'],
    },
  ],
  [
    'a few drops',
    {
      alert: 'ZenWatcherWebhookDrops',
      series: { 'zen_watcher_webhook_events_dropped_total{endpoint="/falco/webhook",pod="a"}': '0+50x100' },
      fires: [],
      quiet: ['8m', '15m'],
    },
  ],
  [
    'events that cannot be stored',
    {
      alert: 'ZenWatcherCreateErrors',
      series: {
        'zen_watcher_observations_create_errors_total{source="falco",error_type="503",pod="a"}': `0+20x${minutes(10)} 1200x200`,
      },
      fires: ['8m'],
      quiet: ['0m', '20m'],
    },
  ],
  [
    'a few events that cannot be stored, again and again',
    {
      alert: 'ZenWatcherCreateErrors',
      series: {
        'zen_watcher_observations_create_errors_total{source="audit",error_type="503",pod="a"}': `0+1x${minutes(30)} 180x${minutes(60)}`,
      },
      fires: ['12m', '30m'],
      quiet: ['0m', '9m', '40m'],
    },
  ],
  [
    'one event that cannot be stored, and is tried again by pods that live for 40 s',
    {
      alert: 'ZenWatcherCreateErrors',
      series: Object.fromEntries(
        [1, 3, 6, 10, 14].map((at) => [
          `zen_watcher_observations_create_errors_total{source="falco",error_type="503",pod="p${at}"}`,
          `_x${minutes(at)} 0 1x3 stale`,
        ]),
      ),
      fires: ['12m', '17m'],
      quiet: ['0m', '10m', '22m'],
    },
  ],
  [
    'what an API server answers while it is updated for three minutes',
    {
      alert: 'ZenWatcherCreateErrors',
      series: {
        'zen_watcher_observations_create_errors_total{source="audit",error_type="503",pod="a"}': `0+1x${minutes(3)} 18x${minutes(60)}`,
      },
      fires: [],
      quiet: ['5m', '8m', '12m', '30m'],
    },
  ],
  [
    'a sender of what nobody can read',
    {
      alert: 'ZenWatcherCreateErrors',
      series: { 'zen_watcher_observations_create_errors_total{source="falco",error_type="422",pod="a"}': '0+1x300' },
      fires: [],
      quiet: ['12m', '40m'],
    },
  ],
  [
    'a sink whose receiver is away, of which another alert tells',
    {
      alert: 'ZenWatcherCreateErrors',
      series: { 'zen_watcher_observations_create_errors_total{source="sender",error_type="503",pod="a"}': '0+1x300' },
      fires: [],
      quiet: ['12m', '40m'],
    },
  ],
  [
    'a collection that failed in a short-lived pod',
    {
      alert: 'ZenWatcherGCErrors',
      series: { 'zen_watcher_gc_errors_total{operation="list",error_type="503",pod="a"}': shortLife(1) },
      fires: ['2m', '30m'],
      quiet: ['0m', '80m'],
    },
  ],
  [
    'a collection that failed once in a process that keeps running',
    {
      alert: 'ZenWatcherGCErrors',
      series: { 'zen_watcher_gc_errors_total{operation="list",error_type="503"}': '0x30 1x600' },
      fires: ['6m', '60m'],
      quiet: ['4m', '80m'],
    },
  ],
  [
    'a broken watch',
    {
      alert: 'ZenWatcherInformerNotSynced',
      series: {
        'zen_watcher_informer_cache_synced{resource="observationfilters.zen.kube-zen.io",pod="a"}': '1x6 0x30 1x60',
        'zen_watcher_informer_cache_synced{resource="observationfilters.zen.kube-zen.io",pod="b"}': '1x96',
      },
      fires: ['5m'],
      quiet: ['0m', '8m'],
    },
  ],
  [
    'duplicates',
    {
      alert: 'ZenWatcherDuplicates',
      series: {
        'zen_watcher_observations_deduped_total{source="falco",pod="a"}': `0+6x${minutes(10)} 360x200`,
        'zen_watcher_observations_created_total{source="falco",pod="a"}': `0+6x${minutes(10)} 360x200`,
      },
      fires: ['8m'],
      quiet: ['0m', '20m'],
    },
  ],
  [
    'duplicates in pods that live for 40 s',
    {
      alert: 'ZenWatcherDuplicates',
      series: {
        'zen_watcher_observations_deduped_total{source="falco",pod="a"}': shortLife(9),
        'zen_watcher_observations_created_total{source="falco",pod="b"}': shortLife(2),
      },
      fires: ['3m'],
      quiet: ['10m'],
    },
  ],
  [
    'few duplicates',
    {
      alert: 'ZenWatcherDuplicates',
      series: {
        'zen_watcher_observations_deduped_total{source="falco",pod="a"}': '0+2x100',
        'zen_watcher_observations_created_total{source="falco",pod="a"}': '0+6x100',
      },
      fires: [],
      quiet: ['8m'],
    },
  ],
  [
    'nothing but duplicates',
    {
      alert: 'ZenWatcherDuplicates',
      series: {
        'zen_watcher_observations_deduped_total{source="falco",pod="a"}': '0+6x100',
        'zen_watcher_observations_created_total{source="falco",pod="a"}': '5x100',
      },
      fires: [],
      quiet: ['8m'],
    },
  ],
  [
    'a source that fell silent',
    {
      alert: 'ZenWatcherSourceSilent',
      series: {
        'zen_watcher_source_silent{source="audit",pod="a"}': shortLife(1),
        'zen_watcher_source_silent{source="falco",pod="a"}': shortLife(0),
        'zen_watcher_source_silent{source="audit",pod="b"}': `_x${minutes(60)} 0x3 stale`,
        'zen_watcher_gc_last_run_timestamp_seconds{pod="a"}': shortLife(60),
        'zen_watcher_gc_last_run_timestamp_seconds{pod="b"}': `_x${minutes(60)} 3600x3 stale`,
      },
      fires: ['3m', '59m'],
      quiet: ['0m', '62m'],
    },
  ],
  [
    'a dead letter',
    {
      alert: 'ZenWatcherDeadLetters',
      series: { 'zen_watcher_deadletters_total{source="falco",reason="422",pod="a"}': shortLife(1) },
      fires: ['3m', '12m'],
      quiet: ['0m', '20m'],
    },
  ],
  [
    'a pass that does not come',
    {
      alert: 'ZenWatcherPassOverdue',
      labels: ',source="kyverno"',
      series: { 'zen_watcher_passes_total{source="kyverno",pod="a"}': `${shortLife(1)} _x${minutes(360)} 1x4 stale` },
      fires: ['5h'],
      quiet: ['3h', '6h3m'],
    },
  ],
  [
    'passes of a process that keeps running but hangs',
    {
      alert: 'ZenWatcherPassOverdue',
      labels: ',source="gc"',
      series: { 'zen_watcher_passes_total{source="gc"}': `1x${minutes(60)} 2x${minutes(420)}` },
      fires: ['6h'],
      quiet: ['2h', '4h'],
    },
  ],
  [
    'a pass that does not come of a function that is off by default, and was there today',
    {
      alert: 'ZenWatcherPassOverdue',
      labels: ',source="announce"',
      series: { 'zen_watcher_passes_total{source="announce",pod="a"}': `${shortLife(1)} _x${minutes(120)} 0x3 stale` },
      fires: ['45m', '3h'],
      quiet: ['0m', '25m', '27h'],
    },
  ],
  [
    'passes of a function that is off by default',
    {
      alert: 'ZenWatcherPassOverdue',
      labels: ',source="alertmanager"',
      series: Object.fromEntries(
        Array.from({ length: 12 }, (_, pass) => [
          `zen_watcher_passes_total{source="alertmanager",pod="p${pass}"}`,
          `_x${minutes(10 * pass + 1)} 0 1x3 stale`,
        ]),
      ),
      fires: ['160m'],
      quiet: ['0m', '30m', '60m', '110m'],
    },
  ],
  [
    'kube-bench, where its component is left out',
    { alert: 'ZenWatcherPassOverdue', labels: ',source="kube-bench"', series: {}, fires: [], quiet: ['0m', '6h'] },
  ],
  [
    'a pass that does not come of kube-bench, where it is',
    {
      alert: 'ZenWatcherPassOverdue',
      labels: ',source="kube-bench"',
      series: { 'zen_watcher_passes_total{source="kube-bench",pod="a"}': shortLife(1) },
      fires: ['5h'],
      quiet: ['3h'],
    },
  ],
  [
    'a function that is off by default, and is',
    { alert: 'ZenWatcherPassOverdue', labels: ',source="announce"', series: {}, fires: [], quiet: ['0m', '60m'] },
  ],
  [
    'a sink whose receiver is away, until it is back',
    {
      alert: 'ZenWatcherTellsNobody',
      labels: ',sink="sender"',
      series: {
        'zen_watcher_announcements_total{sink="sender",outcome="failed"}': `0x6 0+1x${minutes(30)} 180x300`,
        'zen_watcher_announcements_total{sink="sender",outcome="told"}': `0x${minutes(32)} 5x300`,
        'zen_watcher_announcements_total{sink="alertmanager",outcome="told"}': '0+1x400',
      },
      fires: ['20m', '31m'],
      quiet: ['0m', '8m', '34m'],
    },
  ],
  [
    'a sink that fails now and then',
    {
      alert: 'ZenWatcherTellsNobody',
      series: {
        'zen_watcher_announcements_total{sink="sender",outcome="failed"}': '0+5x400',
        'zen_watcher_announcements_total{sink="sender",outcome="told"}': '0+1x400',
      },
      fires: [],
      quiet: ['20m', '60m'],
    },
  ],
  [
    'a receiver that is away, and passes of short-lived pods that find it so',
    {
      alert: 'ZenWatcherTellsNobody',
      labels: ',sink="announce"',
      series: Object.fromEntries(
        [1, 11, 21, 31].map((at) => [
          `zen_watcher_announcements_total{sink="announce",outcome="failed",pod="p${at}"}`,
          `_x${minutes(at)} 0 16x3 stale`,
        ]),
      ),
      fires: ['15m', '40m'],
      quiet: ['5m', '60m'],
    },
  ],
  [
    'changes that nobody announces',
    {
      alert: 'ZenWatcherUntold',
      series: Object.fromEntries(
        [0, 4000, 7600, 0].flatMap((waited, hours) => {
          const at = `_x${minutes(60 * hours + 1)}`;
          return [
            [`zen_watcher_outbox_oldest_seconds{pod="p${hours}"}`, `${at} ${waited}x3 stale`],
            [`zen_watcher_gc_last_run_timestamp_seconds{pod="p${hours}"}`, `${at} ${3600 * hours + 60}x3 stale`],
          ];
        }),
      ),
      fires: ['2h10m', '3h'],
      quiet: ['0m', '62m', '2h', '3h5m'],
    },
  ],
  [
    'what is announced because it is old, within the hour',
    {
      alert: 'ZenWatcherUntold',
      series: {
        'zen_watcher_outbox_oldest_seconds{pod="a"}': shortLife(864_000),
        'zen_watcher_outbox_oldest_seconds{pod="b"}': `_x${minutes(61)} 0x3 stale`,
        'zen_watcher_gc_last_run_timestamp_seconds{pod="a"}': shortLife(60),
        'zen_watcher_gc_last_run_timestamp_seconds{pod="b"}': `_x${minutes(61)} 3660x3 stale`,
      },
      fires: [],
      quiet: ['2m', '60m', '70m', '3h'],
    },
  ],
  [
    'too many Observations',
    {
      alert: 'ZenWatcherObservationsLimit',
      series: {
        'zen_watcher_observations_live{source="trivy",severity="HIGH",namespace="shop",pod="a"}': shortLife(5),
        'zen_watcher_observations_live{source="falco",severity="HIGH",namespace="shop",pod="a"}': shortLife(5),
        'zen_watcher_observations_limit{pod="a"}': shortLife(10),
        'zen_watcher_gc_last_run_timestamp_seconds{pod="a"}': shortLife(60),
      },
      fires: ['3m', '60m', '110m'],
      quiet: ['0m', '130m'],
    },
  ],
  [
    'too many Observations, until the next collection counts fewer',
    {
      alert: 'ZenWatcherObservationsLimit',
      series: {
        'zen_watcher_observations_live{source="trivy",severity="HIGH",namespace="shop",pod="a"}': shortLife(10),
        'zen_watcher_observations_live{source="trivy",severity="HIGH",namespace="shop",pod="b"}': `_x${minutes(60)} 5x3 stale`,
        'zen_watcher_observations_limit{pod="a"}': shortLife(10),
        'zen_watcher_observations_limit{pod="b"}': `_x${minutes(60)} 10x3 stale`,
        'zen_watcher_gc_last_run_timestamp_seconds{pod="a"}': shortLife(60),
        'zen_watcher_gc_last_run_timestamp_seconds{pod="b"}': `_x${minutes(60)} 3600x3 stale`,
      },
      fires: ['3m', '59m'],
      quiet: ['0m', '62m'],
    },
  ],
  [
    'a new CRITICAL finding',
    {
      alert: 'ZenWatcherCriticalFindings',
      series: {
        'zen_watcher_events_total{source="falco",category="security",severity="CRITICAL",pod="a"}': shortLife(1),
        'zen_watcher_events_total{source="falco",category="security",severity="HIGH",pod="b"}': '0+1x300',
      },
      fires: ['3m', '10m'],
      quiet: ['0m', '13m'],
    },
  ],
  [
    'no finding that is CRITICAL',
    {
      alert: 'ZenWatcherCriticalFindings',
      series: { 'zen_watcher_events_total{source="falco",category="security",severity="CRITICAL",pod="a"}': '0x100' },
      fires: [],
      quiet: ['1m', '12m'],
    },
  ],
  [
    'a finding that is kept out',
    {
      alert: 'ZenWatcherFindingsKeptOut',
      series: {
        'zen_watcher_observations_filtered_total{source="kyverno",reason="limit",pod="a"}': shortLife(3),
        'zen_watcher_observations_filtered_total{source="trivy",reason="minor",pod="a"}': shortLife(3),
      },
      fires: ['3m', '60m'],
      quiet: ['0m', '80m'],
    },
  ],
  [
    'a filter that cannot be read',
    {
      alert: 'ZenWatcherFiltersUnreadable',
      labels: ',severity="critical"',
      series: { 'zen_watcher_filters_unreadable{scope="system",pod="a"}': `0x6 1x${minutes(90)} 0x100` },
      fires: ['4m', '30m', '90m'],
      quiet: ['0m', '92m'],
    },
  ],
  [
    'a filter that cannot be read, in pods that live for 40 s',
    {
      alert: 'ZenWatcherFiltersUnreadable',
      labels: ',severity="critical"',
      series: { 'zen_watcher_filters_unreadable{scope="system",pod="a"}': shortLife(1) },
      fires: ['3m', '15m'],
      quiet: ['0m', '20m'],
    },
  ],
  [
    "a tenant's filter that cannot be read, as nobody's alarm at night",
    {
      alert: 'ZenWatcherFiltersUnreadable',
      labels: ',severity="critical"',
      series: { 'zen_watcher_filters_unreadable{scope="tenant",pod="a"}': '2x200' },
      fires: [],
      quiet: ['10m', '30m'],
    },
  ],
  [
    "a tenant's filter that cannot be read",
    {
      alert: 'ZenWatcherFiltersUnreadable',
      labels: ',severity="warning"',
      series: { 'zen_watcher_filters_unreadable{scope="tenant",pod="a"}': '2x200' },
      fires: ['10m', '30m'],
      quiet: ['0m'],
    },
  ],
  [
    'an open webhook',
    {
      alert: 'ZenWatcherWebhookOpen',
      series: { 'zen_watcher_webhook_open{pod="a"}': `1x${minutes(10)} 0x60` },
      fires: ['8m'],
      quiet: ['0m', '12m'],
    },
  ],
  [
    'an open webhook that sleeps nearly all the time',
    {
      alert: 'ZenWatcherWebhookOpen',
      series: { 'zen_watcher_webhook_open{pod="a"}': shortLife(1) },
      fires: ['8m'],
      quiet: ['3m', '15m'],
    },
  ],
  [
    'a flood of drops in a pod that lives for 40 s, and began with them',
    {
      alert: 'ZenWatcherWebhookDrops',
      series: { 'zen_watcher_webhook_events_dropped_total{endpoint="/falco/webhook",pod="a"}': shortLife(4000) },
      fires: ['3m'],
      quiet: ['0m', '10m'],
    },
  ],
  [
    'events that can not be stored, in a pod that lives for 40 s',
    {
      alert: 'ZenWatcherCreateErrors',
      series: {
        'zen_watcher_observations_create_errors_total{source="falco",error_type="503",pod="a"}': `_x5 0 200 400x2 stale`,
      },
      fires: ['3m'],
      quiet: ['0m', '10m'],
    },
  ],
];

describe.skipIf(skipWithout('promtool', 'the alerts are'))('the alerts', { timeout: 120_000 }, () => {
  it('are rules that Prometheus accepts', () => {
    expect(execFileSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' })).toContain('SUCCESS');
  });

  it.each(cases)('fire, and stop, for %s', (_name, { alert, labels = '', step = '10s', series, fires, quiet }) => {
    const file = join(temporaryFolder(), 'test.json');
    const firing = `count(ALERTS{alertname="${alert}",alertstate="firing"${labels}}) or vector(0)`;
    const at = (value: number) => (time: string) => ({
      ...{ expr: firing, eval_time: time },
      exp_samples: [{ labels: '{}', value }],
    });
    const test = {
      rule_files: [rulesFile],
      evaluation_interval: step === '10s' ? '30s' : step,
      tests: [
        {
          interval: step,
          input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
          promql_expr_test: [...fires.map(at(1)), ...quiet.map(at(0))],
        },
      ],
    };
    writeFileSync(file, JSON.stringify(test));
    const { stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    expect(stdout + stderr).toContain('SUCCESS');
  });

  it('each have a paragraph in the runbook', async () => {
    const runbook = readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'MONITORING.md'), 'utf8');
    for (const { alert, annotations } of alertRules(await loadFunctions())) {
      expect(runbook).toContain(`### ${alert}\n`);
      const { repository } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'));
      expect(annotations.runbook_url).toBe(`${repository}/blob/main/knative/MONITORING.md#${alert.toLowerCase()}`);
      expect(URL.parse(annotations.runbook_url)?.protocol).toBe('https:');
    }
  });

  it('are all tested', async () => {
    const names = new Set(alertRules(await loadFunctions()).map(({ alert }) => alert));
    expect(new Set(cases.map(([, { alert }]) => alert))).toEqual(names);
  });
});
