import { describe, expect, it } from 'vitest';
import gc from '../../functions/gc.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import {
  createTestContext,
  handled,
  ping,
  type TestContext,
  type TestContextOptions,
} from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const hour = 3_600_000;

interface Seed {
  readonly rule: string;
  readonly source?: string;
  readonly namespace?: string;
  readonly severity?: Severity;
  readonly state?: 'open' | 'missing' | 'resolved';
  readonly ageHours?: number;
  readonly ttlHours?: number;
}

async function seed(
  test: TestContext,
  { rule, source, namespace = 'shop', severity = 'HIGH', state, ageHours = 0, ttlHours = 168 }: Seed,
): Promise<void> {
  const now = test.clock.now;
  test.clock.now = now - ageHours * hour;
  const observation = { ...aFinding(rule, namespace), severity };
  const object = anObservationOf(observation, {
    now: test.clock.now,
    ttl: ttlHours * 3600,
    hasState: state !== undefined,
  });
  const withState = {
    ...object.metadata.labels,
    ...(state && { [labels.state]: state }),
    ...(source && { [labels.source]: source }),
  };
  const metadata = { ...object.metadata, labels: withState };
  await test.context.store.create({ ...object, metadata }, test.context.event.signal);
  test.clock.now = now;
}

async function rulesIn({ store }: TestContext): Promise<unknown[]> {
  return (await store.read({ limit: 10_000 })).items.map(({ spec }) => spec.details.rule).sort();
}

const context = (options?: TestContextOptions): TestContext => createTestContext(gc, options);

describe('gc', () => {
  it('deletes what has expired and nothing else, and counts the rest', async () => {
    const test = context();
    await seed(test, { rule: 'due', ageHours: 10, ttlHours: 2 });
    await seed(test, { rule: 'due too', ageHours: 200, state: 'resolved' });
    await seed(test, { rule: 'young', ageHours: 1, ttlHours: 2 });
    await seed(test, { rule: 'week', ageHours: 100, severity: 'LOW' });
    const summary = await handled(gc, ping, test.context);
    expect(summary.deleted).toEqual([{ source: 'contract', reason: 'ttl', count: 2 }]);
    expect(summary.collection?.live).toEqual(
      expect.arrayContaining([
        { source: 'contract', severity: 'HIGH', count: 1 },
        { source: 'contract', severity: 'LOW', count: 1 },
      ]),
    );
    expect(await rulesIn(test)).toEqual(['week', 'young']);
  });

  it('above the limit deletes resolved findings, then missing ones, then events: lowest severity and oldest first', async () => {
    const seeds: Seed[] = [
      { rule: 'open low', state: 'open', severity: 'LOW', ageHours: 90 },
      { rule: 'resolved critical', state: 'resolved', severity: 'CRITICAL' },
      { rule: 'missing low', state: 'missing', severity: 'LOW' },
      { rule: 'event low old', severity: 'LOW', ageHours: 9 },
      { rule: 'event low new', severity: 'LOW', ageHours: 1 },
      { rule: 'event high', severity: 'HIGH', ageHours: 99 },
    ];
    const gone = ['resolved critical', 'missing low', 'event low old', 'event low new', 'event high'];
    for (let excess = 1; excess <= 5; excess += 1) {
      const test = context({ environment: { MAX_OBSERVATIONS: String(6 - excess) } });
      for (const one of seeds) await seed(test, one);
      const summary = await handled(gc, ping, test.context);
      expect(summary.deleted).toEqual([{ source: 'contract', reason: 'limit', count: excess }]);
      const expected = seeds.map(({ rule }) => rule).filter((rule) => !gone.slice(0, excess).includes(rule));
      expect(await rulesIn(test)).toEqual(expected.sort());
    }
  });

  it('counts a thousand sources and namespaces in a few series', async () => {
    const test = context();
    for (let index = 0; index < 1000; index += 1)
      await seed(test, { rule: `r${index}`, source: `s${index}`, namespace: `n${index}` });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live).toHaveLength(31);
    const namespaces = new Set(collection?.open.map(({ namespace }) => namespace));
    expect(namespaces.size).toBe(31);
    expect(collection?.live.reduce((sum, { count }) => sum + count, 0)).toBe(1000);
  });

  it('never deletes an open finding, and warns if those alone exceed the limit', async () => {
    const test = context({ environment: { MAX_OBSERVATIONS: '1' } });
    for (const rule of ['a', 'b', 'c']) await seed(test, { rule, state: 'open' });
    const summary = await handled(gc, ping, test.context);
    expect(summary.deleted).toEqual([]);
    expect(summary.warnings.join()).toContain('open findings alone exceed MAX_OBSERVATIONS');
    expect(await rulesIn(test)).toEqual(['a', 'b', 'c']);
  });

  it('counts every failure, goes on, and answers 503', async () => {
    let calls = 0;
    const wrap = (store: Store): Partial<Store> => ({
      async delete(ref, signal) {
        calls += 1;
        if (calls % 2 === 0) throw new Refusal(503, 'away');
        return store.delete(ref, signal);
      },
    });
    const test = context({ wrap });
    for (let index = 0; index < 10; index += 1) await seed(test, { rule: `r${index}`, ageHours: 9, ttlHours: 1 });
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({
      status: 503,
      summary: { collection: { errors: [{ operation: 'delete', errorType: '503', count: 5 }] } },
    });
    expect(await rulesIn(test)).toHaveLength(5);
  });

  it('counts what it deletes even if it cannot count the rest', async () => {
    const wrap = (): Partial<Store> => ({
      // biome-ignore lint/correctness/useYield: it fails before the first item.
      async *names() {
        throw new Refusal(503, 'away');
      },
    });
    const test = context({ wrap });
    for (let index = 0; index < 100; index += 1) await seed(test, { rule: `r${index}`, ageHours: 9, ttlHours: 1 });
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({
      status: 503,
      summary: {
        deleted: [{ source: 'contract', reason: 'ttl', count: 100 }],
        collection: { errors: [{ operation: 'list', errorType: '503', count: 1 }] },
      },
    });
    expect(await rulesIn(test)).toEqual([]);
  });

  it('keeps what was renewed after it was listed', async () => {
    const wrap = (store: Store): Partial<Store> => ({
      async *expired(now, signal) {
        for await (const stored of store.expired(now, signal)) {
          await store.relabel(stored.ref, { [labels.expires]: '999999' }, signal);
          yield stored;
        }
      },
    });
    const test = context({ wrap });
    await seed(test, { rule: 'renewed', state: 'open', ageHours: 9, ttlHours: 1 });
    expect(await handled(gc, ping, test.context)).toMatchObject({ deleted: [] });
    expect(await rulesIn(test)).toEqual(['renewed']);
  });

  it('is correct when two run at the same time', async () => {
    const test = context();
    for (let index = 0; index < 100; index += 1)
      await seed(test, { rule: `r${index}`, ageHours: 9, ttlHours: index % 2 === 0 ? 1 : 99 });
    const both = await Promise.all([handled(gc, ping, test.context), handled(gc, ping, test.context)]);
    const deleted = both.flatMap((summary) => summary.deleted).reduce((sum, { count }) => sum + count, 0);
    expect(deleted).toBe(50);
    expect(await rulesIn(test)).toHaveLength(50);
  });
});
