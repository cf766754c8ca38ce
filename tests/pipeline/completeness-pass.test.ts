import { describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { labels } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import { createTally } from '../../shared/function/tally.ts';
import { createCoalescer } from '../../shared/host/coalesce.ts';
import { observeEvent } from '../../shared/pipeline/observe.ts';
import { ageOrphans, reconcilePass } from '../../shared/pipeline/pass.ts';
import {
  createTestContext,
  handled,
  ping,
  referenceTo,
  type TestContext,
  type TestContextOptions,
  tallied,
} from './test-context.ts';
import { aFinding, anObject, box, boxes, crate, events, found } from './test-sources.ts';

const minute = 60_000;
const inNode = { resource: { kind: 'Node', name: 'n' } };
const inNamespace = (namespace: string) => ({ resource: { kind: 'Pod', namespace, name: 'p' } });

async function statesOf({ store }: TestContext): Promise<Record<string, string>> {
  const { items } = await store.read({ limit: 5000 });
  const all = items.map(({ metadata, spec }): [string, string] => [
    String(spec.details.id ?? spec.eventType),
    metadata.labels[labels.state] ?? 'none',
  ]);
  return Object.fromEntries(all);
}

function createWorld(objects: readonly ReturnType<typeof anObject>[], options: TestContextOptions = {}) {
  const test = createTestContext(boxes, options);
  test.objects.all.push(...objects);
  return {
    ...test,
    pass: () => handled(boxes, ping, test.context),
    states: () => statesOf(test),
    remove(name: string) {
      test.objects.all.splice(
        test.objects.all.findIndex(({ metadata }) => metadata.name === name),
        1,
      );
    },
  };
}

/** Records the kinds and namespaces that a pass lists, and the namespaces whose stored names it reads. */
function watchLists({ context }: TestContext) {
  const lists: string[] = [];
  const queries: (string | undefined)[] = [];
  const {
    cluster: { objects },
    store,
  } = context;
  return {
    lists,
    queries,
    context: {
      ...context,
      cluster: {
        ...context.cluster,
        objects: {
          ...objects,
          list: (...args: Parameters<typeof objects.list>) => {
            lists.push(`${args[0].kind} ${args[1] ?? 'all'}`);
            return objects.list(...args);
          },
        },
      },
      store: {
        ...store,
        names: (...args: Parameters<typeof store.names>) => {
          queries.push(args[0].namespace);
          return store.names(...args);
        },
      },
    },
  };
}

/** Reads the names of a store one by one, each when it is needed, as with pages of one item. */
function inPagesOfOne(store: Store): Store['names'] {
  return async function* (...args) {
    let after = '';
    for (;;) {
      const all = await Array.fromAsync(store.names(...args));
      const next = all.find(({ ref }) => `${ref.namespace}/${ref.name}` > after);
      if (!next) return;
      after = `${next.ref.namespace}/${next.ref.name}`;
      yield next;
    }
  };
}

describe('pings that come during a pass', () => {
  it('share the next one, however many they are', async () => {
    const { signal } = new AbortController();
    let passes = 0;
    const { context } = createTestContext(boxes, {
      context: { coalesce: createCoalescer({ elapsed: () => 0, sleep: async () => undefined, signal }) },
      wrap: (store) => ({
        stripped(...args) {
          passes += 1;
          return store.stripped(...args);
        },
      }),
    });
    const summaries = await Promise.all(Array.from({ length: 60 }, () => handled(boxes, ping, context)));
    expect(passes).toBe(1);
    expect(summaries.filter(({ skipped }) => skipped.coalesced)).toHaveLength(59);
    await handled(boxes, ping, context);
    expect(passes).toBe(2);
  });
});

describe('a pass', () => {
  it('makes what is stored match what all objects report, including those without a namespace', async () => {
    const world = createWorld([
      anObject('a'),
      anObject('b', { namespace: 'pay', findings: [aFinding('b', inNamespace('pay'))] }),
      anObject('c', { resource: crate, findings: [aFinding('c', inNode)] }),
    ]);
    expect(await world.pass()).toMatchObject({ observed: 3, created: [{ count: 3 }], unchanged: 0 });
    expect(await world.pass()).toMatchObject({ observed: 3, created: [], unchanged: 3, duplicate: 0, relabelled: {} });
    for (const name of ['a', 'b', 'c']) world.remove(name);
    expect(await world.pass()).toMatchObject({ observed: 0, relabelled: { missing: 3 } });
    world.clock.now += 31 * minute;
    expect(await world.pass()).toMatchObject({ relabelled: { resolved: 3 } });
    world.clock.now += 30 * minute;
    expect(await world.pass()).toMatchObject({ relabelled: {} });
  });

  it('stores a finding once that several objects report, and marks it as missing when none does', async () => {
    const same = { findings: [aFinding('same')] };
    const world = createWorld([
      anObject('a', same),
      anObject('b', same),
      anObject('c', { ...same, namespace: 'pay' }),
      anObject('d', { resource: crate, ...same }),
    ]);
    expect(await world.pass()).toMatchObject({ observed: 4, created: [{ count: 1 }] });
    expect(await world.pass()).toMatchObject({ created: [], relabelled: {} });
    for (const name of ['a', 'b', 'c']) {
      world.remove(name);
      await world.pass();
      expect(await world.states()).toEqual({ same: 'open' });
    }
    world.remove('d');
    await world.pass();
    expect(await world.states()).toEqual({ same: 'missing' });
  });

  it('keeps findings open that are in another namespace than their object, or in the system namespace', async () => {
    const findings = [
      aFinding('first', inNamespace('aaa')),
      aFinding('last', inNamespace('zzz')),
      aFinding('n', inNode),
    ];
    const world = createWorld([
      anObject('middle', { namespace: 'mmm', findings }),
      anObject('x', { namespace: 'zzzz', findings: [aFinding('x', inNamespace('zen-system'))] }),
      anObject('y', { namespace: 'zen-system', findings: [aFinding('y', inNamespace('aaa'))] }),
    ]);
    await world.pass();
    const open = { first: 'open', last: 'open', n: 'open', x: 'open', y: 'open' };
    expect(await world.pass()).toMatchObject({ created: [], relabelled: {}, unchanged: 5, duplicate: 0 });
    expect(await world.states()).toEqual(open);
    world.remove('middle');
    await world.pass();
    expect(await world.states()).toEqual({ ...open, first: 'missing', last: 'missing', n: 'missing' });
  });

  it('is correct with more findings than it compares at once', async () => {
    const objects = Array.from({ length: 6 }, (_, index) =>
      anObject(`o${index}`, { findings: Array.from({ length: 100 }, (_one, row) => aFinding(`${index}-${row}`)) }),
    );
    const world = createWorld(objects);
    expect(await world.pass()).toMatchObject({ observed: 600, created: [{ count: 600 }] });
    expect(await world.pass()).toMatchObject({ created: [], unchanged: 600, duplicate: 0, relabelled: {} });
    world.remove('o3');
    expect(await world.pass()).toMatchObject({ unchanged: 500, relabelled: { missing: 100 } });
  });

  it('writes a finding once even if the objects that report it are in different batches', async () => {
    const rows = Array.from({ length: 500 }, (_, index) => aFinding(`f${index}`));
    const world = createWorld([anObject('a', { findings: rows }), anObject('b', { findings: rows.slice(0, 10) })]);
    expect(await world.pass()).toMatchObject({ observed: 510, created: [{ count: 500 }], duplicate: 0 });
    expect(await world.pass()).toMatchObject({ observed: 510, created: [], unchanged: 500 });
  });

  it('makes no more queries for more namespaces if findings are in those of their objects', async () => {
    const objects = ['a', 'b', 'c', 'd', 'e'].map((namespace) =>
      anObject(namespace, { namespace, findings: [aFinding(namespace, inNamespace(namespace))] }),
    );
    const world = createWorld(objects);
    await world.pass();
    const { context, queries } = watchLists(world);
    await handled(boxes, ping, context);
    expect(queries.toSorted()).toEqual(['zen-system', undefined]);
  });

  it('reads only its own namespace, and no cluster-scoped kinds, for a tenant', async () => {
    const world = createWorld(
      [
        anObject('mine'),
        anObject('theirs', { namespace: 'pay', findings: [aFinding('theirs', inNamespace('pay'))] }),
        anObject('c', { resource: crate }),
      ],
      { environment: { WATCH_NAMESPACE: 'shop' } },
    );
    const { context, lists, queries } = watchLists(world);
    await handled(boxes, ping, context);
    expect(lists.sort()).toEqual(['Box shop', 'Jar shop']);
    expect(new Set(queries)).toEqual(new Set(['shop']));
    expect(await world.states()).toEqual({ mine: 'open' });
    expect(await handled(boxes, ping, context)).toMatchObject({ created: [], unchanged: 1, relabelled: {} });
    world.remove('mine');
    await handled(boxes, ping, context);
    expect(await world.states()).toEqual({ mine: 'missing' });
  });

  it('lists each kind in all namespaces, or in the one that its trigger names, for the whole cluster', async () => {
    const world = createWorld([]);
    const { context, lists } = watchLists(world);
    await handled(boxes, ping, context);
    expect(lists.sort()).toEqual(['Box all', 'Crate all', 'Jar jars']);
  });

  it('does not age findings of another source, or without a state', async () => {
    const world = createWorld([]);
    await handled(events, found([aFinding('event'), aFinding('node', inNode)]), world.context);
    world.objects.all.push(anObject('broken', { findings: 7 }), anObject('c', { resource: crate, findings: 7 }));
    await world.pass();
    world.objects.all.length = 0;
    expect(await world.pass()).toMatchObject({ relabelled: { missing: 2 } });
    expect(await world.states()).toEqual({ event: 'none', node: 'none', 'unreadable-object': 'missing' });
  });

  it.each([
    ['shop', inNamespace('shop')],
    ['the system namespace', inNode],
  ])('adds no state to a finding that was written without one, in %s', async (_case, fields) => {
    const world = createWorld([anObject('a', { findings: [aFinding('a', fields)] })]);
    await observeEvent(boxes.source, found([aFinding('a', fields)]), world.context);
    expect(await world.states()).toEqual({ a: 'none' });
    await world.pass();
    expect(await world.states()).toEqual({ a: 'none' });
  });

  it('marks nothing as missing if the source has objects that it cannot list', async () => {
    const world = createWorld([anObject('a'), anObject('b')]);
    await world.pass();
    world.remove('a');
    const pass = (unseen: readonly KindSelector[]) =>
      tallied(world.context, (context) => reconcilePass(boxes.source, context, unseen));
    expect(await pass([box])).toMatchObject({ unchanged: 1, relabelled: {} });
    expect(await world.states()).toEqual({ a: 'open', b: 'open' });
    expect(await pass([])).toMatchObject({ relabelled: { missing: 1 } });
  });

  it.each([
    ['opened again', 1000, true],
    ['written for the first time', 1000, false],
    ['written for the first time, in the same second', 100, false],
  ])('does not mark a finding as missing that was %s after it started', async (_case, milliseconds, isKnown) => {
    const late = anObject('late', { namespace: 'zzz', findings: [aFinding('late', inNamespace('zzz'))] });
    const first = anObject('first', { namespace: 'aaa', findings: [aFinding('first', inNamespace('aaa'))] });
    const world = createWorld(isKnown ? [first, late] : [first]);
    world.clock.now += 500;
    await world.pass();
    if (isKnown) world.remove('late');
    await world.pass();
    world.clock.now += 60 * minute;
    const {
      cluster: { objects },
      store,
    } = world.context;
    const list = async function* (...args: Parameters<typeof objects.list>) {
      const listed = await Array.fromAsync(objects.list(...args));
      if (args[0].kind === 'Box') {
        // After this list has been read, and before the names in its namespace are.
        world.objects.all.push(late);
        world.clock.now += milliseconds;
        await handled(boxes, referenceTo(late), world.context);
      }
      yield* listed;
    };
    const context = {
      ...world.context,
      cluster: { ...world.context.cluster, objects: { ...objects, list } },
      store: { ...store, names: inPagesOfOne(store) },
    };
    expect(await handled(boxes, ping, context)).toMatchObject({ relabelled: {} });
    expect(await world.states()).toEqual({ first: 'open', late: 'open' });
    world.remove('late');
    expect(await world.pass()).toMatchObject({ relabelled: { missing: 1 } });
  });

  it.each([
    [
      'the newest of its reports was made',
      ['2026-03-01T10:00:00Z', '2026-03-01T11:30:00Z', undefined],
      '2026-03-01T11:30:00Z',
    ],
    ['there are none', [], undefined],
  ])('notes when %s', async (_what, created, newest) => {
    const noted: number[] = [];
    const life = { note: () => undefined, isDue: () => false, noteReport: async (at: number) => void noted.push(at) };
    const objects = created.map((creationTimestamp, index) =>
      anObject(`o${index}`, { metadata: { creationTimestamp } }),
    );
    await createWorld(objects, { context: { life } }).pass();
    expect(noted).toEqual([newest === undefined ? 0 : Date.parse(newest)]);
  });

  it('is done, with a warning, if it can not be noted that its source is alive', async () => {
    const noteReport = (): Promise<never> => Promise.reject(new Refusal(503, 'away'));
    const life = { note: () => undefined, isDue: () => false, noteReport };
    const world = createWorld([anObject('a')], { context: { life } });
    expect(await world.pass()).toMatchObject({
      created: [{ count: 1 }],
      warnings: ['that this source is alive could not be noted in its Lease'],
    });
  });

  it('closes its lists when it fails', async () => {
    const world = createWorld([anObject('a', { namespace: 'a' }), anObject('b', { namespace: 'b' })]);
    const { objects } = world;
    let open = 0;
    const counting = {
      ...objects,
      async *list(...args: Parameters<typeof objects.list>) {
        open += 1;
        try {
          yield* objects.list(...args);
        } finally {
          open -= 1;
        }
      },
    };
    const create = async () => Promise.reject(new Error('away'));
    const context = {
      ...world.context,
      cluster: { ...world.context.cluster, objects: counting },
      store: { ...world.context.store, create },
    };
    await expect(handled(boxes, ping, context)).rejects.toMatchObject({ status: 503 });
    expect(open).toBe(0);
  });
});

describe('ageOrphans', () => {
  async function createOrphans(options: TestContextOptions = {}) {
    const here = anObject('a');
    const there = anObject('b', { namespace: 'pay', findings: [aFinding('b', inNamespace('pay'))] });
    const world = createWorld([here, there], options);
    await reconcilePass(boxes.source, world.context);
    await handled(events, found([aFinding('event')]), world.context);
    return world;
  }

  it('takes orphans from open to missing to resolved, and leaves findings without a state alone', async () => {
    const world = await createOrphans();
    const all = () => tallied(world.context, (context) => ageOrphans(() => true, context));
    expect(await all()).toEqual({ ...createTally().read(), relabelled: { missing: 2 } });
    expect(await all()).toEqual(createTally().read());
    world.clock.now += 31 * minute;
    expect(await all()).toEqual({ ...createTally().read(), relabelled: { resolved: 2 } });
    expect(await world.states()).toEqual({ a: 'resolved', b: 'resolved', event: 'none' });
  });

  it('checks only findings with a state, and leaves those alone that are not orphans', async () => {
    const world = await createOrphans();
    const checked: (string | undefined)[] = [];
    await ageOrphans(({ labels: { [labels.source]: source }, ref }) => {
      checked.push(source);
      return ref.namespace === 'pay';
    }, world.context);
    expect(checked).toEqual(['boxes', 'boxes']);
    expect(await world.states()).toEqual({ a: 'open', b: 'missing', event: 'none' });
  });

  it('handles only its own namespace, for a tenant', async () => {
    const world = await createOrphans();
    const tenant = createTestContext(boxes, { environment: { WATCH_NAMESPACE: 'shop' } });
    const context = { ...world.context, settings: tenant.context.settings };
    const aged = await tallied(context, (own) => ageOrphans(() => true, own));
    expect(aged).toMatchObject({ relabelled: { missing: 1 } });
    expect(await world.states()).toEqual({ a: 'missing', b: 'open', event: 'none' });
  });
});
