import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { defineTask, triggersOf } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { ServedKind } from '../../shared/function/stores.ts';
import { createLog } from '../../shared/host/log.ts';
import type { FollowOptions } from '../../shared/kubernetes/follow-changes.ts';
import { startKindWatches } from '../../shared/standalone/kind-watches.ts';
import { createTestContext } from '../pipeline/test-context.ts';

const kindOf = (name: string, group: string, more: Partial<KindSelector> = {}): KindSelector => ({
  ...{ group, versions: ['v2', 'v1'], kind: name, plural: `${name.toLowerCase()}s`, namespaced: true },
  ...more,
});

const things = kindOf('Thing', 'example.com');
const others = kindOf('Other', 'other.io');

function handlerOf(name: string, kinds: readonly KindSelector[]) {
  const definition = defineTask({
    ...{ name, settings: z.object({}), permissions: [] },
    triggers: () => [
      { type: 'ApiServerSource', kinds },
      { type: 'PingSource', minutes: 60 },
    ],
    handle: async () => undefined,
  });
  const { context } = createTestContext(definition);
  return { definition, triggers: triggersOf(definition, context.settings), context, hint: () => undefined };
}

interface World {
  /** What is served: by `<group>/<version>`; `undefined` if its server does not answer. */
  served: Record<string, readonly string[] | undefined>;
  /** The names of CRDs. */
  defined: readonly string[];
  isAway: boolean;
}

/** Watches kinds of a world, round after round. */
function start(world: World, wanted: ReturnType<typeof handlerOf>[]) {
  const stop = new AbortController();
  const following = new Map<string, Pick<FollowOptions, 'onStart' | 'onChange' | 'onFault'>>();
  const passes: string[] = [];
  const told: string[] = [];
  let nextRound: (() => void) | undefined;
  const served = (name: string): ServedKind => ({ kind: name, plural: `${name.toLowerCase()}s`, namespaced: true });
  const watches = startKindWatches({
    handlers: wanted,
    mappings: () => [],
    isToldOtherwise: ({ kind }) => kind === 'Kept',
    discovery: {
      async groups() {
        if (world.isAway) throw new Refusal(503, 'the API server can not be reached');
        const versions = Object.keys(world.served).map((key) => key.split('/'));
        return new Map(
          [...Map.groupBy(versions, ([group = '']) => group)].map(([group, all]) => [
            group,
            all.map(([, version = '']) => version),
          ]),
        );
      },
      kinds: async (group, version) => world.served[`${group}/${version}`]?.map(served),
      mayWatch: async () => true,
    },
    objects: {
      get: async (_kind, { name }) =>
        world.defined.includes(name) ? { apiVersion: 'v1', kind: 'X', metadata: { name } } : undefined,
    },
    follow(kind, listeners, signal) {
      const key = `${kind.versions.join()} ${kind.plural} ${kind.namespace ?? ''}`.trim();
      following.set(key, listeners);
      signal.addEventListener('abort', () => following.delete(key));
    },
    onChange: ({ definition }, { ref }) => void told.push(`${definition.name} ${ref.name}`),
    requestPass: ({ definition }) => void passes.push(definition.name),
    settings: createTestContext(handlerOf('any', []).definition).context.settings,
    clock: {
      sleep: (milliseconds) =>
        // The pause after a round, and what settles before the next.
        milliseconds === 1000 && nextRound === undefined
          ? new Promise<void>((resolve) => {
              nextRound = resolve;
            })
          : Promise.resolve(),
    },
    log: createLog('FATAL', 'test'),
    signal: stop.signal,
  });
  const turn = async (): Promise<void> => {
    for (let index = 0; index < 20; index += 1) await new Promise((resolve) => void setImmediate(resolve));
  };
  return {
    watches,
    passes,
    told,
    following,
    names: () => [...following.keys()].sort(),
    async round(): Promise<void> {
      await turn();
      const next = nextRound;
      nextRound = undefined;
      next?.();
      await turn();
    },
    stop: () => stop.abort(),
  };
}

const nothing: World = { served: {}, defined: [], isAway: false };

describe('startKindWatches', () => {
  it('follows what is wanted and served, in the best version, each once', async () => {
    const world = { ...nothing, served: { 'example.com/v1': ['Thing'], 'example.com/v2': ['Thing', 'Unwanted'] } };
    const { names, round, stop } = start(world, [handlerOf('one', [things, others]), handlerOf('two', [things])]);
    await round();
    expect(names()).toEqual(['v2 things']);
    stop();
  });

  it('leaves out what something else tells of', async () => {
    const world = { ...nothing, served: { 'example.com/v1': ['Kept'] } };
    const { names, round, stop } = start(world, [handlerOf('one', [kindOf('Kept', 'example.com')])]);
    await round();
    expect(names()).toEqual([]);
    stop();
  });

  it('asks for a pass of each that wants it once changes are seen of what came later, and tells those of them', async () => {
    const world: World = { ...nothing, served: { 'first.io/v1': ['First'] } };
    const { following, passes, told, round, stop } = start(world, [
      handlerOf('one', [things, kindOf('First', 'first.io')]),
      handlerOf('two', [things]),
      handlerOf('three', [others]),
    ]);
    await round();
    following.get('v1 firsts')?.onStart();
    await round();
    // Whoever has waited for the beginning runs that one.
    expect(passes).toEqual([]);
    world.served = { ...world.served, 'example.com/v1': ['Thing'] };
    await round();
    expect(passes).toEqual([]);
    following.get('v1 things')?.onStart();
    expect(passes).toEqual(['one', 'two']);
    const ref = { apiVersion: 'example.com/v1', kind: 'Thing', name: 'a' };
    following.get('v1 things')?.onChange({ type: 'add', ref });
    expect(told).toEqual(['one a', 'two a']);
    stop();
  });

  it('has begun when each sees changes, or says why not', async () => {
    const world = { ...nothing, served: { 'example.com/v1': ['Thing'], 'other.io/v1': ['Other'] } };
    const { watches, following, round, stop } = start(world, [handlerOf('one', [things, others])]);
    let hasBegun = false;
    void watches.begun.then(() => {
      hasBegun = true;
    });
    await round();
    following.get('v1 things')?.onStart();
    await round();
    expect(hasBegun).toBe(false);
    following.get('v1 others')?.onFault('may not');
    await round();
    expect(hasBegun).toBe(true);
    stop();
  });

  it('finds what is installed later, and lets go what goes', async () => {
    const world: World = { ...nothing };
    const { names, round, stop } = start(world, [handlerOf('one', [things])]);
    await round();
    expect(names()).toEqual([]);
    world.served = { 'example.com/v1': ['Thing'] };
    await round();
    expect(names()).toEqual(['v1 things']);
    world.served = {};
    await round();
    expect(names()).toEqual([]);
    stop();
  });

  it.each<[string, Partial<World>]>([
    ['the API server is away', { isAway: true }],
    ["the group's server does not answer", { served: { 'example.com/v1': undefined } }],
    ['it is not served, but has a definition', { served: {}, defined: ['things.example.com'] }],
  ])('lets nothing go because %s', async (_why, change) => {
    const world: World = { ...nothing, served: { 'example.com/v1': ['Thing'] } };
    const { names, round, stop } = start(world, [handlerOf('one', [things])]);
    await round();
    Object.assign(world, change);
    await round();
    await round();
    expect(names()).toEqual(['v1 things']);
    stop();
  });

  it('follows a kind in each place where it is wanted', async () => {
    const world = { ...nothing, served: { 'example.com/v1': ['Thing'] } };
    const { names, round, stop } = start(world, [
      handlerOf('one', [{ ...things, namespace: 'a' }]),
      handlerOf('two', [{ ...things, namespace: 'b' }]),
    ]);
    await round();
    expect(names()).toEqual(['v1 things a', 'v1 things b']);
    stop();
  });
});
