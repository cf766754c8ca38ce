import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import gc from '../../functions/gc.ts';
import { expiresLabel, labels } from '../../shared/api/labels.ts';
import type { Occurrence } from '../../shared/function/context.ts';
import { Refusal, type RefusalStatus } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import { createEmbeddedStore, type EmbeddedStore } from '../../shared/local/embedded-store.ts';
import { createRepeats, type RepeatsOptions } from '../../shared/pipeline/repeats.ts';
import { temporaryFolder } from '../host/program.ts';
import { isQuick } from '../quick.ts';
import { createPassingTime, day, hour, minute, settle, start } from './passing-time.ts';
import { createTestContext, handled, ping } from './test-context.ts';
import { aFinding, events, type Fields, found } from './test-sources.ts';

const signal = AbortSignal.timeout(600_000);
const mebibyte = 1_048_576;

/** What the heap holds once its garbage has gone. */
function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

/** A function of an event source whose repeats are counted, and the time by which they are written. */
function createWorld(
  options: { readonly wrap?: (store: Store) => Partial<Store>; readonly environment?: object } = {},
) {
  const { time, ...clock } = createPassingTime();
  const calls: string[] = [];
  const counting = (store: EmbeddedStore): Partial<Store> => ({
    async create(...given) {
      calls.push('create');
      return store.create(...given);
    },
    async addSeries(...given) {
      calls.push('addSeries');
      return (options.wrap?.(store).addSeries ?? store.addSeries)(...given);
    },
  });
  const test = createTestContext(events, {
    environment: { ...options.environment },
    context: { now: clock.now },
    wrap: (store) => counting(store as EmbeddedStore),
  });
  const { known, store } = test.context;
  const repeats = createRepeats({ store, onThere: known.add, onGone: known.delete, ...clock });
  const context = { ...test.context, repeats };
  let sent = 0;
  return {
    ...{ ...test, context, repeats, time, calls },
    ...{ minute: clock.minute, isWaiting: clock.isWaiting },
    /** Handles an event about a finding; with the id of an earlier one it is a redelivery. */
    async send(fields: Fields = {}, id = `event ${++sent}`) {
      const event = { ...found([aFinding('a', { detectedAt: new Date(time.now).toISOString(), ...fields })]), id };
      return handled(events, event, context);
    },
    async series() {
      return (await test.store.read({ limit: 9 })).items.map(({ status }) => status?.series);
    },
  };
}

/** A store that answers with these outcomes, one after another, before it does what it should. */
function failing(...outcomes: ('changed' | RefusalStatus | Error)[]) {
  return (store: Store): Pick<Store, 'addSeries'> => ({
    async addSeries(...given) {
      const outcome = outcomes.shift();
      if (outcome === undefined) return store.addSeries(...given);
      if (outcome === 'changed') return outcome;
      throw typeof outcome === 'number' ? new Refusal(outcome, 'not now') : outcome;
    },
  });
}

describe('repeats of an event', () => {
  it('are counted, with the last time and what they were about', async () => {
    const world = createWorld();
    await world.send({ repeat: { about: 'shop/a' } });
    await world.send({ repeat: { about: 'shop/b' } });
    world.time.now += 1500;
    await world.send({ repeat: { about: 'shop/c' } });
    await world.send({ repeat: { about: 'shop/b' }, detectedAt: '2026-03-01T11:00:00+01:00' });
    await world.send({ repeat: {} });
    await world.minute();
    expect(await world.series()).toEqual([
      { count: 5, lastObservedTime: '2026-03-01T12:00:01.500Z', seen: ['shop/b', 'shop/c'] },
    ]);
    await world.send({ repeat: { about: 'shop/d' } });
    await world.minute();
    expect(await world.series()).toEqual([
      { count: 6, lastObservedTime: '2026-03-01T12:01:01.500Z', seen: ['shop/b', 'shop/c', 'shop/d'] },
    ]);
  });

  it('are written once a minute, and wait for nothing while there are none', async () => {
    const world = createWorld();
    await world.send();
    expect(world.isWaiting()).toBe(false);
    for (let repeat = 0; repeat < 100; repeat += 1) await world.send();
    await settle();
    expect([world.calls, world.isWaiting()]).toEqual([['create'], true]);
    await world.minute();
    expect([world.calls, world.isWaiting()]).toEqual([['create', 'addSeries'], false]);
    await world.minute();
    expect(world.calls).toHaveLength(2);
    await world.send();
    await world.minute();
    expect(world.calls).toHaveLength(3);
    expect(await world.series()).toMatchObject([{ count: 102 }]);
  });

  it('are one create and a heartbeat a minute, be they a million', async () => {
    const world = createWorld();
    const all = isQuick ? 20_000 : 1_000_000;
    const minutes = 5;
    const perMinute = all / minutes;
    const whole = isQuick ? 200 : 2000;
    await world.send();
    const [stored] = await Array.fromAsync(world.store.names({}, signal));
    for (let passed = 0; passed < minutes; passed += 1) {
      // Most of them without the rest of the pipeline, which has done its work once it has seen the name.
      for (let sent = whole; sent < perMinute; sent += 1) {
        world.repeats.note(occurrence({ ...stored?.ref, event: `${passed} ${sent}` }));
      }
      for (let sent = 0; sent < (passed === 0 ? whole - 1 : whole); sent += 1) await world.send();
      await world.minute();
    }
    // The calls of `addSeries` to the API server are counted in tests/stores/kubernetes-store.test.ts: two or three.
    expect(world.calls).toEqual(['create', ...Array(minutes).fill('addSeries')]);
    expect(await world.series()).toMatchObject([{ count: all }]);
  });

  it('are counted however the name is known: by the cache, or by the store', async () => {
    const world = createWorld({ environment: { DEDUP_CACHE_SIZE: '0' } });
    for (let repeat = 0; repeat < 3; repeat += 1) await world.send();
    await world.minute();
    expect(world.calls).toEqual(['create', 'create', 'create', 'addSeries']);
    expect(await world.series()).toMatchObject([{ count: 3 }]);
  });

  it('are counted where the Observation is, if another namespace had to take it', async () => {
    const world = createWorld();
    const inNode = { resource: { kind: 'Node', name: 'n' } };
    for (let repeat = 0; repeat < 3; repeat += 1) await world.send(inNode);
    await world.minute();
    const { items } = await world.store.read({ limit: 9 });
    expect(items.map(({ metadata, status }) => [metadata.namespace, status?.series?.count])).toEqual([
      ['zen-system', 3],
    ]);
  });

  it('are not redeliveries of an event that the process has seen', async () => {
    const world = createWorld();
    await world.send({}, 'first');
    await world.send({}, 'first');
    expect(world.isWaiting()).toBe(false);
    await world.send({}, 'second');
    await world.send({}, 'second');
    await world.send({}, 'second');
    await world.minute();
    await world.send({}, 'second');
    await world.minute();
    expect(await world.series()).toMatchObject([{ count: 2 }]);
  });

  it('are told from redeliveries by source and id, of whatever length, for at least the latest 10,000 events', async () => {
    const { repeats, minute: pass, added } = createCounter();
    const long = 'x'.repeat(5000);
    const others = (from: number, to: number): void => {
      for (let other = from; other < to; other += 1) repeats.note(occurrence({ name: 'other', event: `${other}` }));
    };
    const note = (event: string) => repeats.note(occurrence({ event }));
    others(0, 9000);
    for (const event of ['one 1', 'two 1', `${long} 1`, `${long} 2`, `${long} 1`]) note(event);
    others(9000, 18_990);
    for (const event of ['one 1', `${long} 2`]) note(event);
    others(18_990, 40_000);
    note('one 1');
    await pass();
    expect(added.find(({ name }) => name === 'name')).toMatchObject({ count: 5 });
  });

  it('are told from redeliveries for no more than the latest 20,000 events, and with no id kept that is long', async () => {
    const { repeats, minute: pass, added } = createCounter();
    const others = (count: number): void => {
      for (let other = 0; other < count; other += 1) repeats.note(occurrence({ name: 'other' }));
    };
    repeats.note(occurrence({ event: 'one' }));
    others(19_999);
    repeats.note(occurrence({ event: 'one' }));
    const before = heapAfterCollection();
    for (let event = 0; event < 16; event += 1) {
      repeats.note(occurrence({ name: 'long', event: `${event} ${'x'.repeat(mebibyte)}` }));
    }
    expect(heapAfterCollection() - before).toBeLessThan(4 * mebibyte);
    await pass();
    expect(added.find(({ name }) => name === 'name')).toMatchObject({ count: 2 });
    expect(added.find(({ name }) => name === 'long')).toMatchObject({ count: 16 });
  });

  it('add up if another process counts, too', async () => {
    const data = temporaryFolder();
    const stores = [1, 2].map(() => createEmbeddedStore({ data, now: () => start }));
    const [first, second] = stores.map((store) => {
      const { time: _time, ...clock } = createPassingTime();
      const test = createTestContext(events, { context: { store } });
      const repeats = createRepeats({ store, onGone: () => undefined, onThere: () => undefined, ...clock });
      return { minute: clock.minute, context: { ...test.context, repeats }, store };
    });
    if (!first || !second) throw new Error('two are needed');
    const send = (process: typeof first, id: string) =>
      handled(events, { ...found([aFinding('a')]), id }, process.context);
    for (let round = 0; round < 3; round += 1) {
      for (let event = 0; event < 10; event += 1) {
        await send(first, `first ${round} ${event}`);
        await send(second, `second ${round} ${event}`);
      }
      await Promise.all([first.minute(), second.minute()]);
    }
    expect((await first.store.read({ limit: 9 })).items.map(({ status }) => status?.series?.count)).toEqual([60]);
    for (const store of stores) store.close();
  });
});

describe('a heartbeat', () => {
  it.each([
    ['somebody else has just changed the Observation', 'changed'],
    ['the store is away', 503],
  ] as const)('leaves everything to the next one if %s', async (_why, outcome) => {
    const world = createWorld({ wrap: failing(outcome, outcome) });
    for (let event = 0; event < 3; event += 1) await world.send();
    await world.minute();
    await world.minute();
    expect(await world.series()).toEqual([undefined]);
    await world.send();
    await world.minute();
    expect(await world.series()).toMatchObject([{ count: 4 }]);
    expect(world.calls).toEqual(['create', 'addSeries', 'addSeries', 'addSeries']);
    expect(world.isWaiting()).toBe(false);
  });

  it.each([
    ['the store calls it invalid', 422],
    ['of a fault of our own', new TypeError('a bug')],
  ] as const)('is given up if %s, and nothing else is', async (_why, outcome) => {
    const world = createWorld({ wrap: failing(outcome) });
    for (const id of ['a', 'a', 'b', 'b']) await world.send({ identity: { id } });
    await world.minute();
    expect(world.isWaiting()).toBe(false);
    expect((await world.series()).map((series) => series?.count).sort()).toEqual([2, undefined]);
    for (const id of ['a', 'b']) await world.send({ identity: { id } });
    await world.minute();
    expect((await world.series()).map((series) => series?.count).sort()).toEqual([2, 3]);
  });

  it('makes the next event create an Observation that is gone', async () => {
    const world = createWorld();
    await world.send();
    await world.send();
    const [stored] = await Array.fromAsync(world.store.names({}, signal));
    if (!stored) throw new Error('not stored');
    await world.store.delete(stored.ref, signal);
    expect(await world.send()).toMatchObject({ created: [], duplicate: 1 });
    await world.minute();
    expect(await world.send()).toMatchObject({ created: [{ count: 1 }], duplicate: 0 });
    await world.send();
    await world.minute();
    expect(await world.series()).toMatchObject([{ count: 2 }]);
  });

  it('holds no event up, however long it takes', async () => {
    const held = Promise.withResolvers<'added'>();
    const world = createWorld({ wrap: () => ({ addSeries: () => held.promise }) });
    await world.send();
    await world.send();
    await world.minute();
    expect(await world.send()).toMatchObject({ duplicate: 1 });
    held.resolve('added');
    await settle();
    expect(world.isWaiting()).toBe(true);
  });
});

describe('an event that goes on', () => {
  it('is one finding for as long as it does, and ends its TTL after the last time', async () => {
    const world = createWorld({ environment: { OBSERVATION_TTL_SECONDS: String((3 * day) / 1000) } });
    const collect = () => handled(gc, ping, world.context);
    let created = 0;
    let writes = 0;
    for (let hours = 0; hours < 30 * 24; hours += 6) {
      for (let event = 0; event < 3; event += 1) {
        created += (await world.send({ repeat: { isOngoing: true } })).created.length;
      }
      await world.minute();
      await collect();
      world.time.now = start + (hours + 6) * hour;
      writes += 1;
    }
    expect(created).toBe(1);
    expect(await world.series()).toMatchObject([{ count: 3 * writes }]);
    const last = start + (30 * 24 - 6) * hour;
    const { items } = await world.store.read({ limit: 9 });
    expect(items.map(({ metadata }) => metadata.labels[labels.expires])).toEqual([expiresLabel(last + 3 * day)]);
    world.time.now = last + 3 * day;
    await collect();
    expect(await world.series()).toHaveLength(1);
    world.time.now += hour;
    await collect();
    expect(await world.series()).toEqual([]);
  });

  it('ends its TTL after the last time, however rare passes are', async () => {
    const environment = { OBSERVATION_TTL_SECONDS: '7200', RESYNC_INTERVAL_MINUTES: '1440' };
    const world = createWorld({ environment });
    await world.send({ repeat: { isOngoing: true } });
    world.time.now += hour;
    await world.send({ repeat: { isOngoing: true } });
    await world.minute();
    const { items } = await world.store.read({ limit: 9 });
    expect(items.map(({ metadata }) => metadata.labels[labels.expires])).toEqual([expiresLabel(start + 3 * hour)]);
  });

  it('is not renewed if its identity has a time', async () => {
    const world = createWorld();
    await world.send();
    world.time.now += 2 * day;
    await world.send();
    await world.minute();
    const { items } = await world.store.read({ limit: 9 });
    const ttl = 7 * day;
    expect(items.map(({ metadata }) => metadata.labels[labels.expires])).toEqual([expiresLabel(start + ttl)]);
  });
});

/** A repeat of an event, with some changes. */
function occurrence(changes: Partial<Occurrence> = {}): Occurrence {
  const { name = 'name', namespace = 'shop', event = crypto.randomUUID() } = changes;
  return { isRepeat: true, time: '2026-03-01T10:00:00Z', ...changes, name, namespace, event };
}

/** Repeats that are counted without a store; it keeps what it is given. */
function createCounter(addSeries?: Store['addSeries'], options: Partial<RepeatsOptions> = {}) {
  const clock = createPassingTime();
  const added: { readonly name: string; readonly count: number; readonly at: number }[] = [];
  const store: Pick<Store, 'addSeries'> = {
    async addSeries(ref, addition, ended) {
      const outcome = (await addSeries?.(ref, addition, ended)) ?? 'added';
      if (outcome === 'added') added.push({ ...ref, ...addition, at: clock.now() });
      return outcome;
    },
  };
  return {
    ...clock,
    added,
    repeats: createRepeats({ store, onGone: () => undefined, onThere: () => undefined, ...clock, ...options }),
  };
}

describe('createRepeats', () => {
  it('says which Observations it has found, changed by somebody else or not', async () => {
    const there: string[] = [];
    const outcomes = ['added', 'changed', 'gone', 'added'] as const;
    let calls = 0;
    const { repeats, minute: pass } = createCounter(async () => outcomes[calls++] ?? 'gone', {
      onThere: (name, namespace) => there.push(`${namespace}/${name}`),
    });
    for (const name of ['a', 'b', 'c']) repeats.note(occurrence({ name }));
    await pass();
    expect(there).toEqual(['shop/a', 'shop/b']);
    await pass();
    expect(there).toEqual(['shop/a', 'shop/b', 'shop/b']);
  });

  it('adds what could not be written to what has come meanwhile', async () => {
    const held = Promise.withResolvers<'changed'>();
    let calls = 0;
    const { repeats, minute: pass, added } = createCounter(async () => (calls++ === 0 ? held.promise : 'added'));
    for (const about of ['shop/a', 'shop/b']) repeats.note(occurrence({ about, time: '2026-03-01T09:00:00Z' }));
    await pass();
    for (const about of ['shop/c', 'shop/b']) repeats.note(occurrence({ about, time: '2026-03-01T10:00:00Z' }));
    held.resolve('changed');
    await settle();
    await pass();
    expect(added).toMatchObject([
      { count: 4, seen: ['shop/c', 'shop/b', 'shop/a'], lastObservedTime: '2026-03-01T10:00:00.000Z' },
    ]);
  });

  it('leaves to the next heartbeat what one does not reach in time', async () => {
    let isAway = true;
    const {
      repeats,
      minute: pass,
      added,
      openDeadlines,
    } = createCounter(async (_ref, _addition, ended) => {
      if (!isAway) return 'added';
      return new Promise((_resolve, reject) => {
        ended.addEventListener('abort', () => reject(new Refusal(503, 'no answer in time')));
      });
    });
    const names = Array.from({ length: 20 }, (_, name) => `${name}`);
    for (const name of names) repeats.note(occurrence({ name }));
    await pass();
    await pass();
    expect([added, openDeadlines()]).toEqual([[], 0]);
    isAway = false;
    await pass();
    expect(added.map(({ name, count }) => `${name} ${count}`).sort()).toEqual(names.map((name) => `${name} 1`).sort());
  });

  it('takes a time that is none, or has not come yet, as now', async () => {
    const { repeats, minute: pass, added } = createCounter();
    for (const [name, time] of Object.entries({ none: 'never', ahead: '2999-01-01T00:00:00Z', before: '' })) {
      repeats.note(occurrence({ name, time }));
    }
    await pass();
    const now = { lastObservedTime: '2026-03-01T12:00:00.000Z' };
    expect(added).toMatchObject([now, now, now]);
  });

  it('renews to the latest time of all that a heartbeat adds', async () => {
    const { repeats, minute: pass, added } = createCounter();
    for (const expires of ['100', '200', '150', undefined]) repeats.note(occurrence({ expires }));
    await pass();
    expect(added).toMatchObject([{ count: 4, expires: '200' }]);
  });

  it('has room for 5,000 Observations: then what has been quiet longest is written at once', async () => {
    const { repeats, minute: pass, added, isWaiting } = createCounter();
    for (let name = 0; name < 5000; name += 1) repeats.note(occurrence({ name: `${name}` }));
    repeats.note(occurrence({ name: '0' }));
    await settle();
    expect(added).toEqual([]);
    repeats.note(occurrence({ name: 'new' }));
    await settle();
    expect(added).toMatchObject([{ name: '1', count: 1 }]);
    await pass();
    expect(added).toHaveLength(5001);
    expect(added.find(({ name }) => name === '0')).toMatchObject({ count: 2 });
    expect(isWaiting()).toBe(false);
  });

  it.each([1, 3])(
    'writes no Observation more than once a minute, however many repeat %d times in it',
    async (rounds) => {
      const { repeats, minute: pass, added, time } = createCounter();
      const names = Array.from({ length: 5500 }, (_, name) => `${name}`);
      for (const order of [names, names.toReversed(), names, names.toReversed()]) {
        time.now += minute / 2;
        for (let round = 0; round < rounds; round += 1) {
          for (const name of order) repeats.note(occurrence({ name }));
          await settle();
        }
        time.now -= minute / 2;
        await pass();
      }
      expect(added.length).toBeGreaterThan(2 * names.length);
      for (const [name, writes] of Map.groupBy(added, (one) => one.name)) {
        const times = writes.map(({ at }) => at);
        const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
        expect(Math.min(...pauses, minute), name).toBeGreaterThanOrEqual(minute);
      }
    },
  );

  it('writes all that has to make room, be it as much as it may, where the store keeps up', async () => {
    const { repeats, minute: pass, added } = createCounter();
    for (let name = 0; name < 11_000; name += 1) {
      repeats.note(occurrence({ name: `${name}` }));
      if (name % 1000 === 999) await settle();
    }
    await pass();
    expect(new Set(added.map(({ name }) => name)).size).toBe(11_000);
  });

  it('keeps no more than 5,000 while the store is away, and as many that wait for it', async () => {
    const back = Promise.withResolvers<'added'>();
    const { repeats, minute: pass, added } = createCounter(() => back.promise);
    for (let name = 0; name < 12_000; name += 1) repeats.note(occurrence({ name: `${name}` }));
    await settle();
    back.resolve('added');
    await settle();
    await pass();
    expect(added).toHaveLength(10_000);
  });

  it('keeps 20 names of what repeats were about, each printable and no longer than others fit', async () => {
    const { repeats, minute: pass, added } = createCounter();
    const about = (name: string, text: string) => repeats.note(occurrence({ name, about: text }));
    for (let pod = 0; pod < 30; pod += 1) about('many', `shop/${pod}`);
    about('odd', 'a\u001b[2J\nb');
    about('odd', '');
    for (let pod = 0; pod < 30; pod += 1) about('long', `${pod}${'x'.repeat(9999)}`);
    await pass();
    const seen = (name: string): readonly string[] => {
      const found = added.find((one) => one.name === name);
      return found && 'seen' in found && Array.isArray(found.seen) ? found.seen : [];
    };
    expect(seen('many')).toEqual(Array.from({ length: 20 }, (_, pod) => `shop/${pod}`));
    expect(seen('odd')).toEqual(['a\\u{1b}[2J b']);
    expect(seen('long').length).toBeGreaterThan(5);
    expect(Buffer.byteLength(JSON.stringify(seen('long')))).toBeLessThanOrEqual(1024);
  });

  describe('when the process ends', () => {
    it('writes what is left, and no heartbeat follows', async () => {
      const { repeats, added, isWaiting } = createCounter();
      for (const name of ['a', 'b', 'b']) repeats.note(occurrence({ name }));
      await repeats.finish(signal);
      expect(added).toMatchObject([
        { name: 'a', count: 1 },
        { name: 'b', count: 2 },
      ]);
      repeats.note(occurrence());
      expect(isWaiting()).toBe(false);
    });

    it('does so again at once if somebody else has changed the Observation', async () => {
      const outcomes = ['changed', 'changed'] as const;
      let calls = 0;
      const { repeats, added } = createCounter(async () => outcomes[calls++] ?? 'added');
      repeats.note(occurrence());
      await repeats.finish(signal);
      expect([calls, added.length]).toEqual([3, 1]);
    });

    it('gives up what somebody else changes again and again', async () => {
      let calls = 0;
      const { repeats } = createCounter(async () => {
        calls += 1;
        return 'changed';
      });
      repeats.note(occurrence());
      await repeats.finish(signal);
      expect(calls).toBe(3);
    });

    it('waits for a heartbeat that is under way, and doubles nothing', async () => {
      const held = Promise.withResolvers<'added'>();
      const { repeats, added, minute: pass } = createCounter(() => held.promise);
      repeats.note(occurrence());
      await pass();
      let isFinished = false;
      const finished = repeats.finish(signal).then(() => {
        isFinished = true;
      });
      await settle();
      expect(isFinished).toBe(false);
      held.resolve('added');
      await finished;
      expect(added).toMatchObject([{ count: 1 }]);
    });

    it('ends with its time, whatever the store does', async () => {
      const ending = new AbortController();
      let calls = 0;
      const hanging: Store['addSeries'] = (_ref, _addition, ended) => {
        calls += 1;
        return new Promise((_resolve, reject) => {
          ended.addEventListener('abort', () => reject(new Refusal(503, 'away')));
        });
      };
      const { repeats, minute: pass } = createCounter(hanging);
      for (let name = 0; name < 9; name += 1) repeats.note(occurrence({ name: `${name}` }));
      await pass();
      let isFinished = false;
      void repeats.finish(ending.signal).then(() => {
        isFinished = true;
      });
      await settle();
      ending.abort();
      await settle();
      expect([isFinished, calls]).toEqual([true, 4]);
    });
  });
});
