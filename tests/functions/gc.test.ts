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
  /** Labels to change, as somebody else may have done; `undefined` removes one. */
  readonly odd?: Readonly<Record<string, string | undefined>>;
}

async function seed(
  test: TestContext,
  { rule, source, namespace = 'shop', severity = 'HIGH', state, ageHours = 0, ttlHours = 168, odd = {} }: Seed,
): Promise<void> {
  const now = test.clock.now;
  test.clock.now = now - ageHours * hour;
  const finding = { ...aFinding(rule, namespace), severity };
  const object = anObservationOf(finding, {
    now: test.clock.now,
    ttl: ttlHours * 3600,
    hasState: state !== undefined,
    ...(source !== undefined && { source }),
  });
  const withState = {
    ...object.metadata.labels,
    ...(state && { [labels.state]: state }),
  };
  const present = Object.entries({ ...withState, ...odd }).filter(([, value]) => value !== undefined);
  const metadata = { ...object.metadata, labels: Object.fromEntries(present) as typeof object.metadata.labels };
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
    await seed(test, { rule: 'expired', ageHours: 10, ttlHours: 2 });
    await seed(test, { rule: 'expired too', ageHours: 200, state: 'resolved' });
    await seed(test, { rule: 'young', ageHours: 1, ttlHours: 2 });
    await seed(test, { rule: 'week', ageHours: 100, severity: 'LOW' });
    const summary = await handled(gc, ping, test.context);
    expect(summary.deleted).toEqual([{ source: 'contract', reason: 'ttl', count: 2 }]);
    const { live, open, limit, errors } = summary.collection ?? {};
    expect(new Set(live)).toEqual(
      new Set([
        { source: 'contract', severity: 'HIGH', count: 1 },
        { source: 'contract', severity: 'LOW', count: 1 },
      ]),
    );
    expect(new Set(open)).toEqual(new Set(live?.map((row) => ({ ...row, namespace: 'shop' }))));
    expect({ limit, errors }).toEqual({ limit: 200_000, errors: [] });
    expect(summary.warnings).toEqual([]);
    expect(await rulesIn(test)).toEqual(['week', 'young']);
  });

  it('keeps what has not expired yet, or does not say when it does', async () => {
    const test = context();
    await seed(test, { rule: 'expires now', ageHours: 2, ttlHours: 2 });
    await seed(test, { rule: 'never expires', odd: { [labels.expires]: undefined } });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live).toEqual([{ source: 'contract', severity: 'HIGH', count: 2 }]);
    expect(await rulesIn(test)).toEqual(['expires now', 'never expires']);
  });

  it('counts everything as open that is neither missing nor resolved', async () => {
    const test = context();
    for (const state of ['open', 'missing', 'resolved', undefined] as const)
      await seed(test, { rule: String(state), namespace: `in-${state}`, ...(state && { state }) });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live).toMatchObject([{ count: 4 }]);
    expect(collection?.open.map(({ namespace }) => namespace).sort()).toEqual(['in-open', 'in-undefined']);
  });

  it('counts an Observation without a source or a valid severity as unknown', async () => {
    const odd = { [labels.source]: undefined, [labels.severity]: 'awful' };
    const test = context({ environment: { MAX_OBSERVATIONS: '1' } });
    await seed(test, { rule: 'odd', odd });
    await seed(test, { rule: 'UNKNOWN', severity: 'UNKNOWN', ageHours: 1 });
    const { collection, deleted } = await handled(gc, ping, test.context);
    expect(collection?.live).toEqual(
      expect.arrayContaining([
        { source: 'unknown', severity: 'UNKNOWN', count: 1 },
        { source: 'contract', severity: 'UNKNOWN', count: 1 },
      ]),
    );
    // Both have the lowest severity; the one without a valid severity goes first although it is newer.
    expect(deleted).toEqual([{ source: 'unknown', reason: 'limit', count: 1 }]);
    expect(await rulesIn(test)).toEqual(['UNKNOWN']);
  });

  it('counts and deletes only what is in its own namespace, for a tenant', async () => {
    const test = context({ environment: { WATCH_NAMESPACE: 'shop', MAX_OBSERVATIONS: '1' } });
    await seed(test, { rule: 'ours', namespace: 'shop' });
    await seed(test, { rule: 'theirs', namespace: 'pay' });
    const { collection, deleted } = await handled(gc, ping, test.context);
    expect(collection?.open.map(({ namespace }) => namespace)).toEqual(['shop']);
    expect(deleted).toEqual([]);
  });

  it.each([
    [3, 3, []],
    [3, 4, []],
    [3, 2, [/exceeded by 1: deleting 1 /]],
    [3, 1, [/exceeded by 2: deleting 2 /]],
  ])('with %i Observations and a limit of %i warns %j', async (count, limit, warnings) => {
    const test = context({ environment: { MAX_OBSERVATIONS: String(limit) } });
    for (let index = 0; index < count; index += 1) await seed(test, { rule: `r${index}` });
    const summary = await handled(gc, ping, test.context);
    expect(summary.warnings).toEqual(warnings.map((warning) => expect.stringMatching(warning)));
    expect(summary.collection?.limit).toBe(limit);
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
    expect(new Set(collection?.open.map(({ source }) => source)).size).toBe(31);
    expect(collection?.live.reduce((sum, { count }) => sum + count, 0)).toBe(1000);
  });

  it('counts what it deletes from forty sources in a few series', async () => {
    const test = context();
    for (let index = 0; index < 40; index += 1)
      await seed(test, { rule: `r${index}`, source: `s${index}`, ageHours: 9, ttlHours: 1 });
    const { deleted } = await handled(gc, ping, test.context);
    expect(deleted).toHaveLength(31);
    expect(deleted).toContainEqual({ source: 'other', reason: 'ttl', count: 10 });
  });

  it('never deletes an open finding, and warns if those alone exceed the limit', async () => {
    const test = context({ environment: { MAX_OBSERVATIONS: '1' } });
    for (const rule of ['a', 'b', 'c']) await seed(test, { rule, state: 'open' });
    const summary = await handled(gc, ping, test.context);
    expect(summary.deleted).toEqual([]);
    expect(summary.warnings).toEqual([
      expect.stringContaining('exceeded by 2: deleting 0 '),
      expect.stringContaining('open findings alone exceed MAX_OBSERVATIONS'),
    ]);
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

  it.each([
    [new Refusal(503, 'away'), '503'],
    [new Refusal(403, 'no right'), '403'],
    [new TypeError('a bug'), 'unexpected'],
  ])('counts failures by their type: %s', async (error, errorType) => {
    const test = context({ wrap: () => ({ delete: async () => Promise.reject(error) }) });
    await seed(test, { rule: 'expired', ageHours: 9, ttlHours: 1 });
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({
      status: 503,
      message: 'the garbage collection is incomplete',
      summary: { collection: { errors: [{ operation: 'delete', errorType, count: 1 }] } },
    });
  });

  it('reports that it cannot list what has expired, and then deletes nothing for the limit', async () => {
    const wrap = (): Partial<Store> => ({
      // biome-ignore lint/correctness/useYield: it fails before the first item.
      async *expired() {
        throw new Refusal(503, 'away');
      },
    });
    const test = context({ wrap, environment: { MAX_OBSERVATIONS: '1' } });
    for (const rule of ['a', 'b']) await seed(test, { rule });
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({
      status: 503,
      summary: { deleted: [], collection: { errors: [{ operation: 'list', errorType: '503', count: 1 }] } },
    });
    expect(await rulesIn(test)).toEqual(['a', 'b']);
  });

  it('stops trying when the process shuts down', async () => {
    const stopping = new AbortController();
    let calls = 0;
    const wrap = (): Partial<Store> => ({
      async delete() {
        calls += 1;
        stopping.abort();
        throw new Refusal(503, 'shutting down');
      },
    });
    const test = context({ wrap, context: { signal: stopping.signal } });
    for (let index = 0; index < 100; index += 1) await seed(test, { rule: `r${index}`, ageHours: 9, ttlHours: 1 });
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({ status: 503 });
    expect(calls).toBeLessThan(50);
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
          await store.patch(stored, { labels: { [labels.expires]: '999999' } }, signal);
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
