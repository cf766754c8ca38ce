import { describe, expect, it } from 'vitest';
import type { Severity } from '../../shared/finding/severity.ts';
import type { NamesQuery, Stored } from '../../shared/function/stores.ts';
import { createObservationLimit } from '../../shared/pipeline/observation-limit.ts';

const { signal } = new AbortController();

/** What there is, by namespace, and what the system namespace has of others; a count may wait, or fail. */
function createWorld({ limit = 100, watchNamespace }: { limit?: number; watchNamespace?: string } = {}) {
  const there: Record<string, number> = {};
  const inSystem: Record<string, number> = {};
  const counted: (string | undefined)[] = [];
  const listed: NamesQuery[] = [];
  const clock = { now: 0 };
  let read = 0;
  let before: (namespace: string | undefined) => Promise<void> = async () => undefined;
  const one: Stored = {
    ref: { namespace: 'zen-system', name: 'n', uid: 'u', version: '1' },
    ...{ labels: {}, hasAnnotations: false, createdAt: 0 },
  };
  const store = {
    async count(namespace: string | undefined): Promise<number> {
      counted.push(namespace);
      await before(namespace);
      if (namespace !== undefined) return there[namespace] ?? 0;
      return Object.values(there).reduce((sum, count) => sum + count, 0);
    },
    async *names(query: NamesQuery) {
      listed.push(query);
      for (let index = 0; index < (inSystem[query.affected ?? ''] ?? 0); index += 1) {
        read += 1;
        yield one;
      }
    },
  };
  const made = createObservationLimit({
    ...{ store, limit, watchNamespace, systemNamespace: 'zen-system' },
    elapsed: () => clock.now,
  });
  return {
    ...{ there, inSystem, counted, listed, clock },
    created: made.created,
    mayTell: made.mayTell,
    /** How many names were read, as far as anybody wanted them. */
    namesRead: () => read,
    beforeCounts(does: typeof before): void {
      before = does;
    },
    against: (namespace = 'shop', severity: Severity = 'CRITICAL') => made.against(namespace, severity, signal),
  };
}

describe('createObservationLimit', () => {
  it.each<[number, Severity, readonly Severity[] | undefined]>([
    [59, 'LOW', undefined],
    [60, 'LOW', ['LOW', 'UNKNOWN']],
    [60, 'MEDIUM', undefined],
    [80, 'MEDIUM', ['MEDIUM', 'LOW', 'UNKNOWN']],
    [80, 'HIGH', undefined],
    [90, 'CRITICAL', ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN']],
  ])('keeps out by severity: of %i, %s: %j', async (count, severity, severities) => {
    const world = createWorld();
    world.there.others = count;
    expect(await world.against('shop', severity)).toEqual(severities && { severities });
  });

  it.each([
    [41, 10, { namespace: 'shop' }],
    [42, 9, undefined],
    [40, 10, undefined],
  ])('keeps out of a namespace that holds a tenth, of %i others and %i: %j', async (others, here, expected) => {
    const world = createWorld();
    Object.assign(world.there, { others, shop: here });
    expect(await world.against()).toEqual(expected);
    expect(await world.against('zen-system')).toBeUndefined();
  });

  it('counts what a namespace did not take, where that went, and no more of it than it has to', async () => {
    const world = createWorld();
    world.there.others = 55;
    Object.assign(world.inSystem, { shop: 30, pay: 30 });
    world.created('shop', 'zen-system');
    world.created('pay', 'pay');
    expect(await world.against()).toEqual({ namespace: 'shop' });
    expect(world.namesRead()).toBe(10);
    expect(await world.against('pay')).toBeUndefined();
    expect(world.listed).toEqual([{ namespace: 'zen-system', affected: 'shop' }]);
  });

  it('remembers of a thousand namespaces that they did not take something', async () => {
    const world = createWorld();
    world.there.others = 55;
    for (let index = 0; index <= 1000; index += 1) {
      world.inSystem[`n${index}`] = 10;
      world.created(`n${index}`, 'zen-system');
    }
    expect(await world.against('n999')).toEqual({ namespace: 'n999' });
    expect(await world.against('n1000')).toBeUndefined();
  });

  it('counts once a minute, all and each namespace that is asked about, and adds what is created', async () => {
    const world = createWorld();
    Object.assign(world.there, { others: 50, shop: 8, pay: 1 });
    expect(await world.against()).toBeUndefined();
    expect(await world.against('pay')).toBeUndefined();
    world.created('shop', 'shop');
    world.clock.now = 59_999;
    expect(await world.against()).toBeUndefined();
    world.created('shop', 'shop');
    expect(await world.against()).toEqual({ namespace: 'shop' });
    expect(await world.against('pay')).toBeUndefined();
    expect(world.counted).toEqual([undefined, 'shop', 'pay']);
    world.clock.now = 60_000;
    expect(await world.against()).toBeUndefined();
    expect(world.counted).toEqual([undefined, 'shop', 'pay', undefined, 'shop']);
  });

  it('adds to the whole what is created, wherever that is', async () => {
    const world = createWorld();
    world.there.others = 59;
    expect(await world.against('shop', 'LOW')).toBeUndefined();
    world.created('pay', 'pay');
    expect(await world.against('shop', 'LOW')).toEqual({ severities: ['LOW', 'UNKNOWN'] });
  });

  it('counts its one namespace, for a tenant', async () => {
    const world = createWorld({ watchNamespace: 'shop' });
    Object.assign(world.there, { others: 95, shop: 1 });
    expect(await world.against()).toBeUndefined();
    expect(world.counted).toEqual(['shop']);
  });

  it.each([undefined, 'shop'])('counts anew for whoever asks next what it could not count, of %s', async (failing) => {
    const world = createWorld();
    Object.assign(world.there, { others: 45, shop: 10 });
    world.beforeCounts(async (namespace) => {
      if (namespace === failing) throw new Error('away');
    });
    await expect(world.against()).rejects.toThrow('away');
    world.created('shop', 'shop');
    world.beforeCounts(async () => undefined);
    expect(await world.against()).toEqual({ namespace: 'shop' });
  });

  it('keeps a count that one which began before it can not spoil', async () => {
    const world = createWorld();
    world.there.others = 10;
    const late = Promise.withResolvers<void>();
    world.beforeCounts(() => late.promise);
    const first = world.against();
    world.beforeCounts(async () => undefined);
    world.clock.now = 60_000;
    await world.against();
    late.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await world.against();
    expect(world.counted).toEqual([undefined, undefined]);
  });

  it('has the same told once a minute, and forgets that where there is too much else', () => {
    const { mayTell, clock } = createWorld();
    expect([mayTell('a'), mayTell('b'), mayTell('a')]).toEqual([true, true, false]);
    clock.now = 59_999;
    expect(mayTell('a')).toBe(false);
    clock.now = 60_000;
    expect([mayTell('a'), mayTell('a')]).toEqual([true, false]);
    // With a and b that is a thousand.
    for (let index = 0; index < 998; index += 1) mayTell(`${index}`);
    expect(mayTell('a')).toBe(false);
    mayTell('one too many');
    expect(mayTell('a')).toBe(true);
  });
});
