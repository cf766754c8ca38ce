import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createTally, type Tally } from '../../shared/function/tally.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { type Program, startProgram } from './program.ts';

/** The series of a counter, with what they count, after some sources have counted something. */
async function seriesOf(name: string, work: (count: (source: string, does: (tally: Tally) => void) => void) => void) {
  const metrics = createMetrics();
  work((source, does) => {
    const tally = createTally();
    does(tally);
    metrics.countSummary(source, tally.read());
  });
  const { text } = await metrics.render('');
  const lines = [...text.matchAll(new RegExp(`^zen_watcher_${name}\\{(.*)\\} (\\d+)$`, 'gm'))];
  return new Map(lines.map(([, labels = '', count]) => [labels, Number(count)]));
}

const total = (series: ReadonlyMap<string, number>): number =>
  [...series.values()].reduce((sum, count) => sum + count, 0);

describe('what senders choose', () => {
  it('makes few series of events_total, of 400 categories', async () => {
    const series = await seriesOf('events_total', (count) => {
      for (let index = 0; index < 400; index += 1) {
        count('ingest', (tally) => tally.created(`category ${index}`, 'LOW', 'r'));
      }
      count('trivy', (tally) => tally.created('security', 'HIGH', 'r'));
    });
    expect(series.size).toBe(52);
    expect(series.get('source="ingest",category="other",severity="LOW"')).toBe(350);
    expect(series.get('source="trivy",category="security",severity="HIGH"')).toBe(1);
    expect(total(series)).toBe(401);
  });

  it('goes on counting the categories that came first', async () => {
    const series = await seriesOf('events_total', (count) => {
      for (let round = 0; round < 2; round += 1) {
        for (let index = 0; index < 60; index += 1) {
          count('ingest', (tally) => tally.created(`category ${index}`, 'LOW', 'r'));
        }
      }
    });
    expect(series.get('source="ingest",category="category 0",severity="LOW"')).toBe(2);
    expect(series.get('source="ingest",category="other",severity="LOW"')).toBe(20);
  });

  it.each<[string, (tally: Tally, index: number) => void]>([
    ['observations_deleted_total', (tally, index) => tally.deleted(`source ${index}`, 'ttl', 1)],
    ['observations_filtered_total', (tally, index) => tally.skipped(`reason ${index}`)],
    ['deadletters_total', (tally, index) => tally.deadLetter(`source ${index}`, 'recorded')],
  ])('makes few series of %s, however often it is counted', async (name, does) => {
    const series = await seriesOf(name, (count) => {
      for (let index = 0; index < 400; index += 1) count('gc', (tally) => does(tally, index));
    });
    expect(series.size).toBe(51);
    expect(total(series)).toBe(400);
  });

  it('is short in a label, and gives no orders to whoever reads it on a terminal', async () => {
    const metrics = createMetrics();
    const word = '\u001b[2J\u009b\u202e\n'.repeat(1000);
    const tally = createTally();
    tally.created(word, 'LOW', word);
    tally.deadLetter(word, word);
    const row = { source: word, severity: word, namespace: word, count: 1 };
    const heard = [{ source: word, at: 0, isSilent: true }];
    tally.collected({ live: [row], open: [row], limit: 1, waiting: 1, heard, errors: [] });
    metrics.countSummary(word, tally.read());
    for (const accept of ['', 'application/openmetrics-text']) {
      const { text } = await metrics.render(accept);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(600);
    }
  });
});

/** Nothing is there to answer: whatever a function counts, it has not counted yet. */
const unreachable = {
  PORT: '0',
  KUBERNETES_SERVICE_HOST: '127.0.0.1',
  KUBERNETES_SERVICE_PORT: '9',
  LOG_LEVEL: 'FATAL',
};

/** Series that each function, or each of a sort, begins with. */
const beginnings: Readonly<Record<string, readonly string[]>> = {
  audit: [
    'events_total{source="audit",category="security",severity="CRITICAL"}',
    'events_total{source="audit",category="operations",severity="HIGH"}',
    'observations_created_total{source="audit"}',
    'observations_deduped_total{source="audit"}',
    'observations_create_errors_total{error_type="503",source="audit"}',
    'observations_filtered_total{source="audit",reason="min_severity"}',
    'event_processing_duration_seconds_count{source="audit"}',
    'webhook_requests_total{endpoint="/",status="204"}',
    'filter_reload_total{result="error"}',
    'filters_unreadable{scope="system"}',
    'filters_unreadable{scope="tenant"}',
    'dedup_evictions_total',
  ],
  trivy: ['observations_unchanged_total{source="trivy"}', 'passes_total{source="trivy"}'],
  ingest: ['observations_unchanged_total{source="ingest"}', 'passes_total{source="ingest"}'],
  gc: [
    'gc_runs_total',
    'gc_errors_total{operation="delete",error_type="503"}',
    'gc_duration_seconds_count',
    'observations_deleted_total{source="trivy",reason="limit"}',
    'passes_total{source="gc"}',
  ],
  deadletter: [
    'deadletters_total{source="falco",reason="recorded"}',
    'deadletters_total{source="other",reason="redelivered"}',
    'events_total{source="deadletter",category="operations",severity="HIGH"}',
  ],
  webhook: [
    'webhook_requests_total{endpoint="/falco/webhook",status="503"}',
    'webhook_requests_total{endpoint="/audit/webhook",status="401"}',
    'webhook_events_dropped_total{endpoint="/falco/webhook"}',
    'event_processing_duration_seconds_count{source="webhook"}',
  ],
};

/** Labels in one order. */
const canonical = (series: string): string => {
  const [, name, labels = ''] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(series) ?? [];
  return `${name} ${labels.split(',').sort().join(',')}`;
};

describe('a function that has just started', { timeout: 120_000 }, () => {
  const programs = new Map<string, Program>();

  beforeAll(async () => {
    for (const name of Object.keys(beginnings)) {
      programs.set(name, await startProgram({ args: [name], environment: unreachable }));
    }
  });

  afterAll(async () => void (await Promise.all([...programs.values()].map((program) => program.stop()))));

  it.each(Object.entries(beginnings))('shows at 0 what %s may count', async (name, series) => {
    const text = await (await fetch(`${programs.get(name)?.url}/metrics`)).text();
    const lines = [...text.matchAll(/^zen_watcher_(\S+) (\S+)$/gm)];
    const shown = new Map(lines.map(([, one = '', value]) => [canonical(one), Number(value)]));
    expect(series.filter((one) => shown.get(canonical(one)) !== 0)).toEqual([]);
    const counted = [...shown].filter(([one, value]) => /_total |_count /.test(one) && value !== 0);
    expect(counted).toEqual([]);
  });

  it('shows nothing that it never counts', async () => {
    const text = await (await fetch(`${programs.get('webhook')?.url}/metrics`)).text();
    expect(text).not.toMatch(/^zen_watcher_(observations_created|gc_runs|passes|deadletters)_total/m);
  });
});
