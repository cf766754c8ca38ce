import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alertRules } from '../../knative/generator/alerts.ts';
import { dashboards } from '../../knative/generator/dashboards.ts';
import type { Summary } from '../../shared/function/tally.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { createMetrics, type Metrics } from '../../shared/host/metrics.ts';
import { type Program, startProgram, temporaryFolder, within } from '../host/program.ts';
import { differences, expectNone, repeated } from './faults.ts';
import { codeIn, nameIn, tablesOf } from './markdown.ts';

const table = "knative/MONITORING.md's table of metrics";

const rows = tablesOf('knative/MONITORING.md')
  .filter(({ header }) => header[0] === 'metric' && header[1] === 'labels')
  .flatMap((found) => found.rows);
const names = rows.map((row) => `zen_watcher_${nameIn(row)}`);
const documented = new Map(rows.map(([, labels = ''], index) => [names[index] ?? '', codeIn(labels).sort()]));

/** The type of a metric, by the page's rule. */
function typeOf(name: string): string {
  if (name.endsWith('_total')) return 'counter';
  return name.endsWith('_duration_seconds') ? 'histogram' : 'gauge';
}

interface Shown {
  readonly type: string;
  /** The labels of all its series; `undefined` if there are no series yet. */
  readonly labels: Set<string> | undefined;
}

/** The metrics of a scrape: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
function metricsIn(text: string): Map<string, Shown> {
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Map(
    types.map(([, name = '', type = '']) => {
      const series = [...text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{(.*)\\})? \\S+$`, 'gm'))];
      const labels = series.flatMap(([, list = '']) => [...list.matchAll(/(\w+)="(?:\\.|[^"\\])*"/g)]);
      const shown = new Set(labels.map(([, label = '']) => label).filter((label) => label !== 'le'));
      return [name, { type, labels: series.length > 0 ? shown : undefined }];
    }),
  );
}

/** Where the page and a scrape differ about a metric. */
function wrongIn(shown: ReadonlyMap<string, Shown>): string[] {
  return [...shown].flatMap(([name, { type, labels }]) => {
    const said = documented.get(name);
    if (said === undefined) return [];
    const found = labels && [...labels].sort().join(', ');
    return [
      ...(found !== undefined && found !== said.join(', ')
        ? [`${table} says that ${name} has the labels ${said.join(', ') || 'none'}, but it has ${found || 'none'}`]
        : []),
      ...(type === typeOf(name)
        ? []
        : [`knative/MONITORING.md says that ${name} is a ${typeOf(name)}, but it is a ${type}`]),
    ];
  });
}

const one = { source: 'falco', severity: 'HIGH', category: 'security', reason: 'ttl', count: 1 } as const;

/** A summary with something to count in every part. */
const everything: Required<Summary> = {
  observed: 1,
  skipped: { no_rule: 1 },
  filtered: { min_severity: 1 },
  created: [one],
  duplicate: 1,
  unchanged: 1,
  rules: ['Terminal shell in container'],
  relabelled: { missing: 1 },
  deleted: [one],
  dropped: 1,
  due: 1,
  deadLetters: [one],
  announced: { told: 1 },
  excepted: [{ namespace: 'shop', count: 1 }],
  collection: {
    live: [{ source: 'falco', severity: 'HIGH', namespace: 'shop', count: 1 }],
    open: [{ source: 'falco', severity: 'HIGH', namespace: 'shop', count: 1 }],
    limit: 1,
    waiting: 1,
    heard: [{ source: 'falco', at: 0, isSilent: true }],
    errors: [{ operation: 'list', errorType: '503', count: 1 }],
  },
  warnings: [],
};

/** Metrics appear when they first count something, so each gets something to count. */
const uses: Readonly<Record<Exclude<keyof Metrics, 'render'>, (metrics: Metrics) => void>> = {
  begin: (metrics) =>
    metrics.begin({
      ...{ name: 'falco', endpoints: ['/falco/webhook'], categories: ['security'], deadLettersOf: [], collects: [] },
      expressionKinds: ['ObservationFilter'],
      announces: [],
      ...{ isGateway: true, hasState: true, usesFilters: true, isScheduled: true },
    }),
  countSummary: (metrics) => metrics.countSummary('falco', everything),
  countError: (metrics) => metrics.countError('falco', '503'),
  observeDuration: (metrics) => metrics.observeDuration('falco', 1),
  countRequest: (metrics) => metrics.countRequest('/', 204),
  countDropped: (metrics) => metrics.countDropped('/falco/webhook', 1),
  countUnwanted: (metrics) => metrics.countUnwanted(),
  observeCollection: (metrics) => metrics.observeCollection(1),
  countPass: (metrics) => metrics.countPass('gc'),
  showAccess: (metrics) => metrics.showAccess(true),
  countFilterReload: (metrics) => metrics.countFilterReload(true),
  watchUnreadableFilters: (metrics) => metrics.watchUnreadableFilters({ system: () => 1, tenant: () => 0 }),
  watchKnownNames: (metrics) => metrics.watchKnownNames(() => 1),
  countExpressionError: (metrics) => metrics.countExpressionError('ObservationFilter'),
  countEviction: (metrics) => metrics.countEviction(),
  watchClockOffset: (metrics) => metrics.watchClockOffset(() => 1000),
  watchSynced: (metrics) => metrics.watchSynced('observationfilters.zen.kube-zen.io', () => true),
};

async function everyMetric(): Promise<Map<string, Shown>> {
  const metrics = createMetrics();
  for (const use of Object.values(uses)) use(metrics);
  return metricsIn((await metrics.render('')).text);
}

describe(table, () => {
  it('is compared with everything that can be counted', () => {
    const methods = Object.keys(createMetrics()).filter((name) => name !== 'render');
    const missing = methods.filter((name) => !Object.hasOwn(uses, name));
    expectNone(missing.map((name) => `tests/facts/metrics.test.ts does not use ${name}`));
  });

  it('has every metric, and no other', async () => {
    const shown = await everyMetric();
    const labelsOf = (name: string) => [...(shown.get(name)?.labels ?? [])].join(', ') || 'none';
    expectNone(
      differences(shown.keys(), documented.keys(), {
        onlyHere: (name) => `${table} lacks ${name}, with its labels: ${labelsOf(name)}`,
        onlyThere: (name) => `${table} has ${name}, which shared/host/metrics.ts does not make`,
      }),
    );
  });

  it('has the labels and type of each', async () => {
    expectNone(wrongIn(await everyMetric()));
  });

  it('has each once, with its meaning', () => {
    expectNone([
      ...repeated(names).map((name) => `${table} has ${name} more than once`),
      ...rows.filter((cells) => cells.slice(2).includes('')).map(([name]) => `${table} does not explain ${name}`),
    ]);
  });

  it('has every metric that the rules and dashboards use', async () => {
    const asked = [
      ...alertRules(await loadFunctions()),
      ...dashboards().flatMap(({ panels }) => panels.flatMap(({ targets }) => targets)),
    ].flatMap(({ expr }) => expr.match(/zen_watcher_\w+/g) ?? []);
    const unknown = [...new Set(asked)].filter(
      (name) => !documented.has(name) && !documented.has(name.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(asked.length).toBeGreaterThan(10);
    expectNone(unknown.map((name) => `the rules or the dashboards use ${name}, which ${table} lacks`));
  });
});

const unreachable = { PORT: '0', KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '9' };

/** However a metric is made, what a process serves must be on the page. */
describe.each([
  ['all functions', ['--samples', '--port', '0', '--data', temporaryFolder()], {}, 'samples played'],
  ['one function', ['falco'], unreachable, 'listening on'],
])('a process with %s', (_what, args, environment, lastWord) => {
  let program: Program;

  beforeAll(async () => {
    program = await startProgram({ args, environment });
    await within(lastWord, 10, () => program.log.some((line) => line.includes(lastWord)) || undefined);
  });

  afterAll(async () => void (await program.stop()));

  it('shows no other metrics, and no other labels', async () => {
    const headers = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-source': '/tests',
      'ce-id': 'one',
      'ce-type': 'falco.rule.output.v1',
    };
    await fetch(program.url, { method: 'POST', headers, body: '{"priority":"Error"}' });
    const shown = metricsIn(await (await fetch(`${program.url}/metrics`)).text());
    expect(shown.has('zen_watcher_observations_create_errors_total')).toBe(true);
    expectNone([
      ...[...shown.keys()].filter((name) => !documented.has(name)).map((name) => `${table} lacks ${name}`),
      ...wrongIn(shown),
    ]);
  });
});
