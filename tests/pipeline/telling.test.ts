import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import alertmanager from '../../functions/alertmanager.ts';
import announce from '../../functions/announce.ts';
import sender from '../../functions/sender.ts';
import { dueEventType, isOpen } from '../../shared/api/announcement.ts';
import { labels, outboxLabel } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { isSameTold, type Told, toldOf } from '../../shared/api/told.ts';
import { isBelow, parseSeverity, type Severity } from '../../shared/finding/severity.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Answer, Context, Outgoing } from '../../shared/function/context.ts';
import type { SinkFunction } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store, Stored } from '../../shared/function/stores.ts';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import {
  type Change,
  changeWhenAccepted,
  changeWhenReported,
  changeWhenUnreported,
  isAnnounced,
  type LifecycleOptions,
  withOutbox,
} from '../../shared/pipeline/lifecycle.ts';
import { createRandom } from '../host/random.ts';
import { isQuick } from '../quick.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { createAlertModel } from './alert-model.ts';
import { createTestContext, eventOf, handled, ping } from './test-context.ts';

const changes = Number(process.env.CHANGES ?? (isQuick ? 1500 : 10_000));
const findings = 300;
const floor: Severity = 'MEDIUM';
const signal = new AbortController().signal;
const hint = eventOf(dueEventType, undefined);
const minute = 60_000;

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
    async *openOnes(...given) {
      yield* await via(() => Array.fromAsync(store.openOnes(...given)));
    },
    count: (...given) => via(() => store.count(...given)),
    find: (...given) => via(() => store.find(...given)),
    findWhole: (...given) => via(() => store.findWhole(...given)),
    patch: (...given) => via(() => store.patch(...given)),
  };
}

const recordsSchema = z.array(
  z.object({ id: z.string(), observation: z.custom<Observation>((value) => typeof value === 'object') }),
);

function toldIn({ metadata }: Observation): Told {
  return toldOf(metadata.labels, Date.parse(metadata.creationTimestamp ?? ''));
}

/** Two receivers: a model of Alertmanager, and one that drops the ids that it has seen. */
function createReceivers(call: FaultyCall, now: () => number) {
  const model = createAlertModel(now);
  const byId = new Map<string, Told>();
  const ambiguous: string[] = [];
  let posts = 0;

  function take({ url, body }: Outgoing): void {
    posts += 1;
    if (String(url).includes('/api/v2/alerts')) return model.post(body);
    for (const { id, observation } of recordsSchema.parse(JSON.parse(body))) {
      const told = toldIn(observation);
      const known = byId.get(id);
      if (known && !isSameTold(known, told)) ambiguous.push(id);
      byId.set(id, told);
    }
  }

  const post = (outgoing: Outgoing): Promise<Answer> =>
    call('receivers', async () => {
      take(outgoing);
      return { status: 200, retryAfter: undefined, words: '' };
    });
  return { model, byId, ambiguous, post, posts: () => posts };
}

function createWorld(random: Random, deletes = true) {
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') };
  const now = (): number => clock.now;
  const faults: Faults = { rate: 0, away: new Set() };
  const call = createFaultyCall(random, faults);
  const store = createEmbeddedStore({ data: ':memory:', now });
  const receivers = createReceivers(call, now);
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

  const publish = (event: CloudEvent): Promise<void> =>
    call('broker', async () => {
      counts.published += 1;
      await Promise.all([alertmanager, sender].map((sink) => deliver(sink, event)));
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
    run: (event: CloudEvent) => handled(announce, event, contextOf(announce, publish)).catch(() => undefined),
    pass: () => handled(alertmanager, ping, contextOf(alertmanager, nobody)).catch(() => undefined),
  };
}

type World = ReturnType<typeof createWorld>;

const severities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'] as const;

function createdBy(index: number, severity: Severity, now: number) {
  const finding = { ...aFinding(`r${index}`, `ns${index % 7}`), severity };
  const object = anObservationOf(finding, { source: 'kyverno', now, ttl: 7 * 86_400 });
  const isDue = isAnnounced(severity, floor);
  const found = { ...object.metadata.labels, ...(isDue && { [outboxLabel]: 'due' }) };
  return { ...object, metadata: { ...object.metadata, labels: found } };
}

/** What happens next to a finding that is there. */
function decided(stored: Stored, random: Random, options: LifecycleOptions): Change | undefined {
  const deed = random.pick(['reported', 'unreported', 'filtered', 'severity', 'accepted']);
  const severity = deed === 'severity' ? random.pick(severities) : parseSeverity(stored.labels[labels.severity]);
  const digest = deed === 'severity' ? `d-${severity}` : (stored.labels[labels.digest] ?? '');
  if (deed === 'accepted') return changeWhenAccepted(stored, 'shop/x', options);
  if (deed === 'unreported') return changeWhenUnreported(stored, undefined, options);
  if (deed === 'filtered') return changeWhenUnreported(stored, 'filtered', options);
  return changeWhenReported(stored, { digest, severity, isAuthority: true }, options);
}

/** Writes a change as a source does. Resolves to whether it is one of state, acceptance or severity. */
async function changeOne(index: number, random: Random, { store, clock, deletes }: World): Promise<boolean> {
  const { now } = clock;
  const object = createdBy(index, random.pick(severities), now);
  const { namespace, name } = object.metadata;
  const stored = await store.find(namespace, name, signal);
  if (!stored) return (await store.create(object, signal)) === 'created';
  if (deletes && random.below(20) === 0) return store.delete(stored.ref, signal);
  // Heartbeats move the version, and change nothing that is told.
  if (random.below(5) === 0) {
    const repeats = { count: 1, lastObservedTime: new Date(now).toISOString(), seen: [] };
    await store.addSeries(stored.ref, repeats, signal);
    return false;
  }
  const settings = { OBSERVATION_TTL_SECONDS: 7 * 86_400, RESYNC_INTERVAL_MINUTES: 60 };
  const change = decided(stored, random, { now, dueAt: now, settings });
  if (!change) return false;
  const marked = withOutbox(change, stored, floor);
  const severity = marked.labels[labels.severity];
  const facts = severity && { facts: { severity: parseSeverity(severity), details: {} } };
  const isDone = await store.patch(stored, { ...marked, ...facts }, signal);
  return isDone && labels.since in marked.labels;
}

async function allOf({ store }: World): Promise<Observation[]> {
  const all: Observation[] = [];
  for (const { ref } of await Array.fromAsync(store.names({}, signal))) {
    const whole = await store.findWhole(ref.namespace, ref.name, signal);
    if (whole) all.push(whole.observation);
  }
  return all;
}

function keyOf({ metadata, spec }: Observation): string {
  return `${metadata.namespace}/${metadata.name} ${spec.severity.toLowerCase()}`;
}

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
    if (await changeOne(random.below(findings), random, world)) made += 1;
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
    const all = await allOf(world);
    const isWrong = (one: Observation): boolean => {
      const told = toldIn(one);
      const known = receivers.byId.get(`${one.metadata.namespace}/${one.metadata.name}/${told.since}`);
      const isOwed =
        one.metadata.annotations['zen.kube-zen.io/told'] !== undefined || !isBelow(one.spec.severity, floor);
      return isOwed && !(known && isSameTold(known, told));
    };
    console.log(
      `telling: seed ${random.seed}, ${made} changes, ${counts.kills} kills, ${counts.published} published, ${receivers.posts()} posts, ${receivers.byId.size} ids`,
    );
    expect({
      due,
      wrong: all.filter(isWrong).map(keyOf),
      ambiguous: receivers.ambiguous,
      refused: counts.refused,
    }).toEqual({
      due: [],
      wrong: [],
      ambiguous: [],
      refused: 0,
    });
    for (let pass = 0; pass < 4; pass += 1) {
      await world.pass();
      world.clock.now += 10 * minute;
    }
    await world.pass();
    const open = all.filter((one) => isOpen(one, world.clock.now) && !isBelow(one.spec.severity, floor)).map(keyOf);
    expect([...receivers.model.active()].sort()).toEqual(open.sort());
    expect(open.length).toBeGreaterThan(10);
  });

  it('closes what is over, and what has another severity, at once where nothing is killed', {
    timeout: 600_000,
  }, async () => {
    const random = createRandom();
    const world = createWorld(random, false);
    await storm(world, random, 1000, async () => undefined);
    await world.run(ping);
    const all = await allOf(world);
    const open = all.filter((one) => isOpen(one, world.clock.now) && !isBelow(one.spec.severity, floor)).map(keyOf);
    expect([...world.receivers.model.active()].sort(), `seed ${random.seed}`).toEqual(open.sort());
    const told = new Set([...world.receivers.byId.keys()]);
    expect(world.counts.published - told.size, 'told twice').toBe(0);
  });

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
