import { describe, expect, it } from 'vitest';
import gc from '../../functions/gc.ts';
import { labels, outboxLabel } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import { handled, ping } from '../pipeline/test-context.ts';
import { gcContext, rulesIn, seed } from './gc-seeds.ts';

const context = gcContext;

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
        { source: 'contract', severity: 'HIGH', namespace: 'shop', count: 1 },
        { source: 'contract', severity: 'LOW', namespace: 'shop', count: 1 },
      ]),
    );
    expect(new Set(open)).toEqual(new Set(live));
    expect({ limit, errors }).toEqual({ limit: 100_000, errors: [] });
    expect(summary.warnings).toEqual([]);
    expect(await rulesIn(test)).toEqual(['week', 'young']);
  });

  it('keeps what has not expired yet, or does not say when it does', async () => {
    const test = context();
    await seed(test, { rule: 'expires now', ageHours: 2, ttlHours: 2 });
    await seed(test, { rule: 'never expires', odd: { [labels.expires]: undefined } });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live).toEqual([{ source: 'contract', severity: 'HIGH', namespace: 'shop', count: 2 }]);
    expect(await rulesIn(test)).toEqual(['expires now', 'never expires']);
  });

  it('counts everything as open that is neither missing nor resolved', async () => {
    const test = context();
    for (const state of ['open', 'missing', 'resolved', undefined] as const)
      await seed(test, { rule: String(state), namespace: `in-${state}`, ...(state && { state }) });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live.reduce((sum, { count }) => sum + count, 0)).toBe(4);
    expect(collection?.open.map(({ namespace }) => namespace).sort()).toEqual(['in-open', 'in-undefined']);
  });

  it('counts nothing as open that is accepted, until that is past', async () => {
    const test = context();
    const seconds = test.clock.now / 1000;
    for (const accepted of ['forever', String(seconds + 1), String(seconds), 'yes'])
      await seed(test, {
        rule: accepted,
        namespace: `in-${accepted}`,
        state: 'open',
        odd: { [labels.accepted]: accepted },
      });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live.reduce((sum, { count }) => sum + count, 0)).toBe(4);
    expect(collection?.open.map(({ namespace }) => namespace).sort()).toEqual([`in-${seconds}`, 'in-yes']);
  });

  it.each<[string, readonly Readonly<Record<string, string | undefined>>[], number]>([
    ['nothing is', [{}], 0],
    ['changed two hours ago and a minute ago', [{ minutes: '120' }, { minutes: '1' }], 120],
    ['changed at a time that nobody can read', [{ [labels.since]: 'yesterday' }], 0],
    ['new, and two hours old', [{ [labels.since]: undefined }], 120],
  ])('says how long the oldest change has waited to be told: what is due %s', async (_what, all, minutes) => {
    const test = context();
    for (const [index, { minutes: ago, ...odd }] of all.entries()) {
      const since = ago === undefined ? {} : { [labels.since]: String(test.clock.now - Number(ago) * 60_000) };
      const isDue = ago !== undefined || labels.since in odd;
      await seed(test, {
        rule: `r${index}`,
        ageHours: 2,
        odd: { ...since, ...odd, ...(isDue && { [outboxLabel]: 'due' }) },
      });
    }
    await seed(test, { rule: 'told long ago', ageHours: 100, state: 'open' });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.waiting).toBe(minutes * 60_000);
  });

  it('counts an Observation without a source or a valid severity as unknown', async () => {
    const odd = { [labels.source]: undefined, [labels.severity]: 'awful' };
    const test = context();
    await seed(test, { rule: 'odd', odd });
    await seed(test, { rule: 'UNKNOWN', severity: 'UNKNOWN', ageHours: 1 });
    const { collection } = await handled(gc, ping, test.context);
    expect(collection?.live).toEqual(
      expect.arrayContaining([
        { source: 'unknown', severity: 'UNKNOWN', namespace: 'shop', count: 1 },
        { source: 'contract', severity: 'UNKNOWN', namespace: 'shop', count: 1 },
      ]),
    );
  });

  it('counts and deletes only what is in its own namespace, for a tenant', async () => {
    const test = context({ environment: { WATCH_NAMESPACE: 'shop', MAX_OBSERVATIONS: '2' } });
    await seed(test, { rule: 'ours', namespace: 'shop' });
    await seed(test, { rule: 'theirs', namespace: 'pay' });
    const { collection, deleted } = await handled(gc, ping, test.context);
    expect(collection?.open.map(({ namespace }) => namespace)).toEqual(['shop']);
    expect(deleted).toEqual([]);
  });

  it('counts a thousand sources as 30, and a thousand namespaces as 500, and others', async () => {
    const test = context();
    for (let index = 0; index < 1000; index += 1)
      await seed(test, { rule: `r${index}`, source: `s${index}`, namespace: `n${index}` });
    const { collection } = await handled(gc, ping, test.context);
    for (const rows of [collection?.live, collection?.open]) {
      expect(new Set(rows?.map(({ namespace }) => namespace)).size).toBe(501);
      expect(new Set(rows?.map(({ source }) => source)).size).toBe(31);
    }
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
      summary: { deleted: [], collection: { heard: [], errors: [{ operation: 'list', errorType: '503', count: 1 }] } },
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

  it.each([
    ['keeps for an hour more', 2.5, 1],
    ['keeps at the end of that hour', 2, 1],
    ['deletes after an hour', 3.5, 0],
  ])('%s what is to be told', async (_what, ageHours, left) => {
    const test = context();
    await seed(test, { rule: 'untold', ageHours, ttlHours: 1, odd: { [outboxLabel]: 'due' } });
    await seed(test, { rule: 'told', ageHours, ttlHours: 1 });
    await handled(gc, ping, test.context);
    expect(await rulesIn(test)).toEqual(left ? ['untold'] : []);
  });

  it.each([
    ['deletes', 'a time that nobody can read, if its end is over', 'soon', 9, 1, []],
    ['keeps', 'a time that nobody can read, if its end is now', 'soon', 1, 1, ['odd']],
    ['keeps', 'a time that nobody can read, if its end is later', 'soon', 1, 9, ['odd']],
    ['keeps', 'no time', undefined, 9, 1, ['odd']],
    ['keeps', 'a time to come, whatever else it says', '9999999999', 9, 1, ['odd']],
  ])('%s what bears as its end %s', async (_deletes, _what, expires, ageHours, ttlHours, left) => {
    // The API server can't select those.
    const test = context({ wrap: () => ({ async *expired() {} }) });
    await seed(test, { rule: 'odd', ageHours, ttlHours, odd: { [labels.expires]: expires } });
    const { deleted } = await handled(gc, ping, test.context);
    expect(await rulesIn(test)).toEqual(left);
    expect(deleted).toEqual(left.length > 0 ? [] : [{ source: 'contract', reason: 'ttl', count: 1 }]);
  });

  it('goes on where one that bears no time of its end is gone before it is read', async () => {
    const test = context({ wrap: () => ({ endOf: async () => undefined }) });
    await seed(test, { rule: 'odd', odd: { [labels.expires]: 'soon' } });
    expect((await handled(gc, ping, test.context)).deleted).toEqual([]);
  });

  it('does not delete what is being deleted already', async () => {
    const wrap = (store: Store): Partial<Store> => ({
      async *expired(now, signal) {
        for await (const stored of store.expired(now, signal)) yield { ...stored, isBeingDeleted: true };
      },
    });
    const test = context({ wrap });
    await seed(test, { rule: 'stuck', ageHours: 9, ttlHours: 1 });
    expect((await handled(gc, ping, test.context)).deleted).toEqual([]);
    expect(await rulesIn(test)).toEqual(['stuck']);
  });

  it('deletes of an event that is stored twice the one that is in the wrong namespace', async () => {
    const test = context({ environment: { EVENT_NAMESPACE: 'system' } });
    const twice = { rule: 'twice', name: 'audit-twice', source: 'audit' };
    await seed(test, { ...twice, namespace: 'shop' });
    await seed(test, { ...twice, namespace: 'zen-system', odd: { [labels.namespace]: 'shop' } });
    await seed(test, { rule: 'once', source: 'audit', namespace: 'shop' });
    expect((await handled(gc, ping, test.context)).deleted).toEqual([{ source: 'audit', reason: 'copy', count: 1 }]);
    const { items } = await test.store.read({ limit: 9 });
    expect(items.map(({ metadata, spec }) => `${spec.rule} ${metadata.namespace}`).sort()).toEqual([
      'once shop',
      'twice zen-system',
    ]);
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
