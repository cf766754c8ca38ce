import { describe, expect, it } from 'vitest';
import { createTally, type Tally } from '../../shared/function/tally.ts';
import { createMetrics } from '../../shared/host/metrics.ts';

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
    const row = { source: word, severity: word, count: 1 };
    tally.collected({ live: [row], open: [{ ...row, namespace: word }], limit: 1, errors: [] });
    metrics.countSummary(word, tally.read());
    for (const accept of ['', 'application/openmetrics-text']) {
      const { text } = await metrics.render(accept);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(600);
    }
  });
});
