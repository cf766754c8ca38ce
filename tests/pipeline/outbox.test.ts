import { describe, expect, it } from 'vitest';
import { labels, outboxLabel, toldAnnotation } from '../../shared/api/labels.ts';
import type { Store } from '../../shared/function/stores.ts';
import { recordOperations } from '../../shared/pipeline/operations.ts';
import {
  createTestContext,
  eventOf,
  handled,
  ping,
  referenceTo,
  type TestContextOptions,
  tallied,
} from './test-context.ts';
import { aFinding, anObject, boxes, events, found } from './test-sources.ts';

const on = { ANNOUNCE: 'true' };

/** A store that counts what is written. */
function counting() {
  const calls = { create: 0, patch: 0 };
  const wrap = (store: Store): Partial<Store> => ({
    create(object, signal) {
      calls.create += 1;
      return store.create(object, signal);
    },
    patch(stored, patch, signal) {
      calls.patch += 1;
      return store.patch(stored, patch, signal);
    },
  });
  return { calls, wrap };
}

function createWorld(environment: Record<string, string>, options: TestContextOptions = {}) {
  const counted = counting();
  const test = createTestContext(boxes, { environment, wrap: counted.wrap, ...options });
  return {
    ...test,
    calls: counted.calls,
    async report(name: string, findings: ReturnType<typeof aFinding>[]) {
      const object = anObject(name, { findings });
      const index = test.objects.all.findIndex(({ metadata }) => metadata.name === name);
      if (index >= 0) test.objects.all.splice(index, 1);
      test.objects.all.push(object);
      return handled(boxes, referenceTo(object), test.context);
    },
    async outbox(): Promise<Record<string, string | undefined>> {
      const { items } = await test.store.read({ limit: 1000 });
      return Object.fromEntries(
        items.map(({ metadata, spec }) => [String(spec.details.id), metadata.labels[outboxLabel]]),
      );
    },
  };
}

const low = { severity: 'LOW' } as const;

describe('what is to be told', () => {
  it('is marked in the create, from the floor on', async () => {
    const world = createWorld(on);
    const summary = await world.report('x', [
      aFinding('a'),
      aFinding('b', low),
      aFinding('c', { severity: 'UNKNOWN' }),
    ]);
    expect(summary.due).toBe(2);
    expect(await world.outbox()).toEqual({ a: 'due', b: undefined, c: 'due' });
    expect(world.calls).toEqual({ create: 3, patch: 0 });
  });

  it('is marked from the severity on that the user has set', async () => {
    const world = createWorld({ ...on, ANNOUNCE_MIN_SEVERITY: 'LOW' });
    await world.report('x', [aFinding('a'), aFinding('b', low)]);
    expect(await world.outbox()).toEqual({ a: 'due', b: 'due' });
  });

  it('is not marked where nobody is told', async () => {
    const world = createWorld({});
    const summary = await world.report('x', [aFinding('a')]);
    await world.report('x', []);
    expect(summary.due).toBe(0);
    expect(await world.outbox()).toEqual({ a: undefined });
    expect(world.calls).toEqual({ create: 1, patch: 1 });
  });

  it('is marked in the write that makes it missing, open again or worse', async () => {
    const world = createWorld(on);
    await world.report('x', [aFinding('a', low)]);
    expect(await world.outbox()).toEqual({ a: undefined });
    const worse = await world.report('x', [aFinding('a')]);
    expect(worse).toMatchObject({ due: 1, relabelled: { updated: 1 } });
    expect(await world.outbox()).toEqual({ a: 'due' });
    await untold(world);
    await world.report('x', []);
    expect(await world.outbox()).toEqual({ a: 'due' });
    await untold(world);
    await world.report('x', [aFinding('a')]);
    expect(await world.outbox()).toEqual({ a: 'due' });
    expect(world.calls).toEqual({ create: 1, patch: 3 });
  });

  it('is marked below the floor if anything of it was told', async () => {
    const world = createWorld(on);
    await world.report('x', [aFinding('a')]);
    await told(world);
    await world.report('x', [aFinding('a', low)]);
    expect(await world.outbox()).toEqual({ a: 'due' });
    await told(world);
    await world.report('x', []);
    expect(await world.outbox()).toEqual({ a: 'due' });
  });

  it('is not marked by a pass that only renews it', async () => {
    const world = createWorld(on);
    await world.report('x', [aFinding('a')]);
    await told(world);
    world.clock.now += 4 * 24 * 3_600_000;
    const summary = await handled(boxes, ping, world.context);
    expect(summary).toMatchObject({ due: 0, relabelled: { renewed: 1 } });
    expect(await world.outbox()).toEqual({ a: undefined });
  });

  it('is marked by an event source, too, and by what is said about zen-watcher itself', async () => {
    const { context, store } = createTestContext(events, { environment: on });
    const summary = await handled(events, found([aFinding('a'), aFinding('b', low)]), context);
    expect(summary.due).toBe(1);
    const about = {
      eventType: 'source-silent',
      summary: 's',
      identity: { a: '1' },
      details: {},
      detectedAt: 'x',
    } as const;
    const said = await tallied(context, (own) =>
      recordOperations('gc', { ...about, detectedAt: eventOf('t', 1).time }, own),
    );
    expect(said.due).toBe(1);
    const { items } = await store.read({ limit: 10 });
    expect(items.filter(({ metadata }) => metadata.labels[outboxLabel] === 'due')).toHaveLength(2);
  });

  it('has a floor of its own where the source says so', () => {
    const floor = (announcedFrom: 'LOW' | undefined, environment: Record<string, string>) => {
      const source = { ...events.source, ...(announcedFrom && { announcedFrom }) };
      return createTestContext({ ...events, source }, { environment }).context.announcedFrom;
    };
    expect(floor(undefined, {})).toBeUndefined();
    expect(floor('LOW', {})).toBeUndefined();
    expect(floor(undefined, on)).toBe('MEDIUM');
    expect(floor('LOW', on)).toBe('LOW');
    expect(floor('LOW', { ...on, ANNOUNCE_MIN_SEVERITY: 'CRITICAL' })).toBe('CRITICAL');
  });
});

type World = ReturnType<typeof createWorld>;

/** Takes the mark off, as nobody but `announce` does, and keeps what was told if it is given. */
async function untold({ store }: World, kept?: string): Promise<void> {
  const signal = new AbortController().signal;
  for await (const stored of store.names({}, signal)) {
    await store.patch(stored, { labels: { [outboxLabel]: null }, ...(kept !== undefined && { told: kept }) }, signal);
  }
}

async function told(world: World): Promise<void> {
  await untold(world, '{}');
  const { items } = await world.store.read({ limit: 10 });
  expect(items.map(({ metadata }) => metadata.annotations[toldAnnotation])).toContain('{}');
  expect(items.map(({ metadata }) => metadata.labels[labels.state])).not.toContain(undefined);
}
