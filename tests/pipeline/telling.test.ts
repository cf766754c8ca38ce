import { describe, expect, it } from 'vitest';
import alertmanager from '../../functions/alertmanager.ts';
import announce from '../../functions/announce.ts';
import sender from '../../functions/sender.ts';
import { dueEventType } from '../../shared/api/announcement.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Answer, Context, Outgoing } from '../../shared/function/context.ts';
import type { SinkFunction } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { createRandom } from '../host/random.ts';
import { isQuick } from '../quick.ts';
import { createAlertModel } from './alert-model.ts';
import { allOf, changeOne, createdBy, createReceiver, openOf } from './tellings.ts';
import { createTestContext, eventOf, handled, ping } from './test-context.ts';

const changes = Number(process.env.CHANGES ?? (isQuick ? 1500 : 10_000));
const signal = new AbortController().signal;
const hint = eventOf(dueEventType, undefined);
const minute = 60_000;

/** How many turns of others something may wait on its way. */
const maxLate = 200;

/** What breaks, and how often: before it is done, or after, so that only the answer is lost. */
interface Faults {
  /** The share of calls that fail. */
  rate: number;
  readonly away: Set<'api' | 'broker' | 'receivers'>;
}

type Random = ReturnType<typeof createRandom>;

class Killed extends Error {}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function createFaultyCall(random: Random, faults: Faults) {
  return async <Result>(place: 'api' | 'broker' | 'receivers', work: () => Promise<Result>): Promise<Result> => {
    const dice = random.random();
    // Others get their turn at any call.
    if (random.below(3) === 0) await nextTurn();
    if (faults.away.has(place) || dice < faults.rate / 2) throw new Refusal(503, `${place} is away`);
    const result = await work();
    if (random.below(3) === 0) await nextTurn();
    if (dice < faults.rate) throw new Refusal(503, `the answer of ${place} is lost`);
    return result;
  };
}

type FaultyCall = ReturnType<typeof createFaultyCall>;

/** The API server as one process sees it. A process that was killed gets nothing done any more. */
function throughFaults(store: Store, call: FaultyCall, isKilled: () => boolean): Store {
  const via = <Result>(work: () => Promise<Result>): Promise<Result> =>
    call('api', () => {
      if (isKilled()) throw new Killed();
      return work();
    });
  return {
    ...store,
    async *names(...given) {
      yield* await via(() => Array.fromAsync(store.names(...given)));
    },
    async *observations(...given) {
      yield* await via(() => Array.fromAsync(store.observations(...given)));
    },
    count: (...given) => via(() => store.count(...given)),
    find: (...given) => via(() => store.find(...given)),
    findWhole: (...given) => via(() => store.findWhole(...given)),
    patch: (...given) => via(() => store.patch(...given)),
  };
}

/** Two receivers: a model of Alertmanager, and one that drops the ids that it has seen. Each post is `late` on its way. */
function createReceivers(call: FaultyCall, now: () => number, late: () => Promise<void>) {
  const model = createAlertModel(now);
  const others = createReceiver();
  let posts = 0;

  function take({ url, body }: Outgoing): void {
    posts += 1;
    if (String(url).includes('/api/v2/alerts')) model.post(body);
    else others.take(body);
  }

  const post = (outgoing: Outgoing): Promise<Answer> =>
    call('receivers', async () => {
      await late();
      take(outgoing);
      return { status: 200, retryAfter: undefined, words: '' };
    });
  return { model, others, post, posts: () => posts };
}

interface WorldOptions {
  /** Whether findings are deleted, too. */
  readonly deletes?: boolean;
  /** Whether the Broker answers as soon as it has an event, and delivers it whenever it likes, as one on Kafka. */
  readonly keepsEvents?: boolean;
}

function createWorld(random: Random, { deletes = true, keepsEvents = false }: WorldOptions = {}) {
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') };
  const now = (): number => clock.now;
  const faults: Faults = { rate: 0, away: new Set() };
  const call = createFaultyCall(random, faults);
  const store = createEmbeddedStore({ data: ':memory:', now });
  const late = async (): Promise<void> => {
    for (let turns = keepsEvents ? random.below(maxLate) : 0; turns > 0; turns -= 1) await nextTurn();
  };
  const receivers = createReceivers(call, now, late);
  const counts = { published: 0, kills: 0, refused: 0 };
  let generation = 0;

  const living = new Map<string, { readonly born: number; readonly context: Context }>();

  /** The process of a function, which lives until the next kill. */
  function contextOf(
    definition: SinkFunction | typeof announce,
    publish: (event: CloudEvent) => Promise<void>,
  ): Context {
    const known = living.get(definition.name);
    if (known?.born === generation) return known.context;
    const born = generation;
    const environment = { ALERTMANAGER_URL: 'http://alertmanager', SINK_URL: 'http://siem' };
    const test = createTestContext(definition, {
      environment,
      context: { now, publish, post: receivers.post, elapsed: () => performance.now() },
    });
    test.store.close();
    const context = { ...test.context, store: throughFaults(store, call, () => born !== generation) };
    living.set(definition.name, { born, context });
    return context;
  }

  const nobody = async (): Promise<void> => undefined;

  /** Tries a few times, as a Broker does while its publisher waits. */
  async function deliver(sink: SinkFunction, event: CloudEvent): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return void (await handled(sink, event, contextOf(sink, nobody)));
      } catch (error) {
        if (Refusal.from(error).status === 422) counts.refused += 1;
        if (attempt === 3) throw error;
      }
    }
  }

  const kept = new Set<Promise<void>>();

  async function deliverLater(sink: SinkFunction, event: CloudEvent): Promise<void> {
    await late();
    await deliver(sink, event);
  }

  const publish = (event: CloudEvent): Promise<void> =>
    call('broker', async () => {
      counts.published += 1;
      if (!keepsEvents) return void (await Promise.all([alertmanager, sender].map((sink) => deliver(sink, event))));
      for (const sink of [alertmanager, sender]) {
        const delivery = deliverLater(sink, event);
        kept.add(delivery);
        delivery.finally(() => kept.delete(delivery));
      }
    });

  return {
    clock,
    deletes,
    faults,
    store,
    receivers,
    counts,
    kill(): void {
      generation += 1;
      counts.kills += 1;
    },
    /** Resolves when the Broker has delivered what it has. */
    delivered: () => Promise.all(kept),
    run: (event: CloudEvent) => handled(announce, event, contextOf(announce, publish)).catch(() => undefined),
    pass: () => handled(alertmanager, ping, contextOf(alertmanager, nobody)).catch(() => undefined),
  };
}

type World = ReturnType<typeof createWorld>;

/** Kills or cuts something, or mends it; mostly nothing. */
async function disturb(world: World, random: Random): Promise<void> {
  const dice = random.below(200);
  if (dice === 0) world.kill();
  if (dice === 1) world.faults.away.add(random.pick(['api', 'broker', 'receivers']));
  if (dice >= 2 && dice < 10) world.faults.away.clear();
  if (dice === 10) world.faults.rate = random.pick([0, 0.05, 0.3]);
  if (dice === 11) world.receivers.model.forget();
  if (dice === 12) await world.pass();
}

/** Makes so many changes while `announce` runs, with something else before each. */
async function storm(world: World, random: Random, count: number, before: () => Promise<void>): Promise<number> {
  let made = 0;
  let isOver = false;
  const telling = (async () => {
    while (!isOver) {
      await world.run(random.below(4) === 0 ? ping : hint);
      await nextTurn();
    }
  })();
  while (made < count) {
    world.clock.now += random.below(40);
    const { store, clock, deletes } = world;
    if (await changeOne(random, { store, now: clock.now, deletes })) made += 1;
    await before();
    if (random.below(3) === 0) await nextTurn();
  }
  isOver = true;
  await telling;
  return made;
}

describe('telling', () => {
  it('is at least once, and ends where the findings do', { timeout: 600_000 }, async () => {
    const random = createRandom();
    const world = createWorld(random);
    const { receivers, counts, faults, store } = world;
    const made = await storm(world, random, changes, () => disturb(world, random));
    faults.away.clear();
    faults.rate = 0;
    await world.run(ping);
    const due = await Array.fromAsync(store.names({ isDue: true }, signal));
    const all = await allOf(store);
    const { byId, ambiguous, twice, untold } = receivers.others;
    console.log(
      `telling: seed ${random.seed}, ${made} changes, ${counts.kills} kills, ${counts.published} published, ${receivers.posts()} posts, ${byId.size} ids`,
    );
    expect({ due, untold: untold(all), ambiguous, twice, refused: counts.refused }).toEqual({
      due: [],
      untold: [],
      ambiguous: [],
      twice: [],
      refused: 0,
    });
    for (let pass = 0; pass < 4; pass += 1) {
      await world.pass();
      world.clock.now += 10 * minute;
    }
    await world.pass();
    const open = openOf(all, world.clock.now);
    expect([...receivers.model.active()].sort()).toEqual(open);
    expect(open.length).toBeGreaterThan(10);
  });

  it.each([
    { broker: 'answers when its subscribers did', keepsEvents: false },
    { broker: 'answers at once, and keeps no order', keepsEvents: true },
  ])(
    'closes what is over, and what has another severity, at once where nothing is killed and the Broker $broker',
    {
      timeout: 600_000,
    },
    async ({ keepsEvents }) => {
      const random = createRandom();
      const world = createWorld(random, { deletes: false, keepsEvents });
      await storm(world, random, 1000, async () => undefined);
      await world.run(ping);
      await world.delivered();
      const open = openOf(await allOf(world.store), world.clock.now);
      expect([...world.receivers.model.active()].sort(), `seed ${random.seed}`).toEqual(open);
      expect(world.counts.published - world.receivers.others.byId.size, 'told twice').toBe(0);
    },
  );

  it('costs one write an announced change, and none otherwise', async () => {
    const random = createRandom();
    const world = createWorld(random);
    const calls = { create: 0, patch: 0 };
    const counting: Store = {
      ...world.store,
      create(...given) {
        calls.create += 1;
        return world.store.create(...given);
      },
      patch(...given) {
        calls.patch += 1;
        return world.store.patch(...given);
      },
    };
    const { context } = createTestContext(announce, { context: { publish: async () => undefined } });
    for (let index = 0; index < 100; index += 1) {
      await counting.create(createdBy(index, index % 2 === 0 ? 'HIGH' : 'LOW', world.clock.now), signal);
    }
    await handled(announce, ping, { ...context, store: counting });
    expect(calls).toEqual({ create: 100, patch: 50 });
    await handled(announce, ping, { ...context, store: counting });
    expect(calls).toEqual({ create: 100, patch: 50 });
  });
});
