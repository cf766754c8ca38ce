import { describe, expect, it } from 'vitest';
import { historyAnnotation, labels } from '../../shared/api/labels.ts';
import type { ResourceRef } from '../../shared/finding/finding.ts';
import { observationName } from '../../shared/finding/name.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type KubernetesObject, NamespaceRefusal, type NamesQuery, type Store } from '../../shared/function/stores.ts';
import { callsInFlight } from '../../shared/pipeline/concurrency.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { createWorld, kinds } from './slot-world.ts';
import { createTestContext, handled, ping, type TestContextOptions } from './test-context.ts';
import { aFinding as anEventFinding, anObject, boxes, events, found } from './test-sources.ts';

const minute = 60_000;

function limited(limit: number, options: TestContextOptions = {}) {
  let counted = 0;
  const wrap = (store: Store): Partial<Store> => {
    const { count = store.count, ...wrapped } = options.wrap?.(store) ?? {};
    return {
      ...wrapped,
      count(namespace, signal) {
        counted += 1;
        return count(namespace, signal);
      },
    };
  };
  const world = createWorld({ ...options, wrap, environment: { MAX_OBSERVATIONS: String(limit) } });
  /** How often Observations were counted since this was asked last. */
  const countsMade = (): number => {
    const made = counted;
    counted = 0;
    return made;
  };
  return { ...world, countsMade };
}

type World = ReturnType<typeof limited>;

/** So many rows of one severity. */
function rows(count: number, severity: string, id = severity): readonly object[] {
  return Array.from({ length: count }, (_, index) => ({ id: `${id}-${index}`, severity }));
}

/** Stores so many Observations of another source, without an event. */
async function fill({ store }: World, count: number, namespace = 'others', from = 0): Promise<void> {
  const { signal } = new AbortController();
  for (let index = from; index < from + count; index += 1) {
    await store.create(anObservationOf(aFinding(`filler ${index}`, namespace), { hasState: false }), signal);
  }
}

/** How many findings of each severity the source has. */
async function counts(world: World): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  for (const { id, severity } of await world.seen()) {
    if (!id.startsWith('filler') && id !== 'limit-reached') found[severity] = (found[severity] ?? 0) + 1;
  }
  return found;
}

/** What is told of the limit: which namespace, if it is about one, and its state. */
async function told({ store }: World): Promise<readonly (readonly [unknown, string | undefined])[]> {
  const { items } = await store.read({ limit: 100_000 });
  return items
    .filter(({ spec }) => spec.eventType === 'limit-reached')
    .map(({ metadata, spec }) => [spec.details.namespace ?? spec.details.severities, metadata.labels[labels.state]]);
}

const countOf = (all: readonly string[], call: string): number => all.filter((one) => one === call).length;

describe('a new finding', () => {
  it.each<[string, number, Readonly<Record<string, number>>]>([
    ['LOW', 59, { LOW: 1 }],
    ['LOW', 60, {}],
    ['UNKNOWN', 59, { UNKNOWN: 1 }],
    ['UNKNOWN', 60, {}],
    ['MEDIUM', 79, { MEDIUM: 1 }],
    ['MEDIUM', 80, {}],
    ['HIGH', 89, { HIGH: 1 }],
    ['HIGH', 90, {}],
    ['CRITICAL', 89, { CRITICAL: 1 }],
    ['CRITICAL', 90, {}],
    ['CRITICAL', 500, {}],
  ])('of severity %s is stored beside %i of 100 Observations, or not: %j', async (severity, there, expected) => {
    const world = limited(100);
    await fill(world, there);
    const summary = await world.event(world.put('a', rows(1, severity)));
    expect(await counts(world)).toEqual(expected);
    expect(summary.filtered).toEqual(Object.keys(expected).length === 0 ? { limit: 1 } : {});
  });

  it('that is CRITICAL is stored while there are as many LOW ones as there may be', async () => {
    const world = limited(1000);
    const summary = await world.event(world.put('low', rows(700, 'low'), { namespace: 'zen-system' }));
    expect(summary.filtered).toEqual({ limit: 100 });
    await world.event(world.put('bad', rows(1, 'critical'), { about: 'Deployment/other' }));
    expect(await counts(world)).toEqual({ LOW: 600, CRITICAL: 1 });
  });

  it.each([
    ['more than half is there, and its namespace holds a tenth', 51, 10, 0],
    ['no more than half is there', 50, 10, 1],
    ['its namespace holds less than a tenth', 51, 9, 1],
  ])('is kept out or not if %s', async (_what, there, here, expected) => {
    const world = limited(100);
    await fill(world, there - here);
    await fill(world, here, 'shop', there);
    await world.event(world.put('a', rows(1, 'critical')));
    expect(await counts(world)).toEqual(expected ? { CRITICAL: 1 } : {});
  });

  it('of the system namespace is stored, whatever that holds', async () => {
    const world = limited(100);
    await fill(world, 55, 'zen-system');
    await world.event(world.put('a', rows(1, 'critical'), { namespace: 'zen-system' }));
    await world.event(world.put('b', rows(1, 'high'), { kind: kinds.clusterScans, about: 'Node/n' }));
    expect(await counts(world)).toEqual({ CRITICAL: 1, HIGH: 1 });
  });

  it('of an event source is always stored', async () => {
    const test = createTestContext(events, { environment: { MAX_OBSERVATIONS: '1' } });
    const all = ['a', 'b', 'c'].map((id) => anEventFinding(id, { severity: 'LOW' }));
    const summary = await handled(events, found(all), test.context);
    expect(summary).toMatchObject({ created: [{ count: 3 }], filtered: {} });
  });

  it('is kept out of a namespace whose findings went to the system namespace', async () => {
    const refusing = (store: Store): Partial<Store> => ({
      async create(object, signal) {
        if (object.metadata.namespace === 'shop') throw new NamespaceRefusal('full');
        return store.create(object, signal);
      },
    });
    const world = limited(100, { wrap: refusing });
    await fill(world, 50);
    await world.event(world.put('a', rows(5, 'critical', 'first')));
    world.later(2);
    await world.event(world.put('b', rows(30, 'critical', 'second'), { about: 'Deployment/other' }));
    const { CRITICAL: count } = await counts(world);
    // Those that are in flight may be more.
    expect(count).toBeGreaterThanOrEqual(10);
    expect(count).toBeLessThan(10 + callsInFlight);
    expect(await told(world)).toEqual([['shop', 'open']]);
  });

  it('is stored again once there is room', async () => {
    const world = limited(100);
    await fill(world, 60);
    const report = world.put('a', rows(2, 'low'));
    await world.event(report);
    const { signal } = new AbortController();
    for await (const { ref } of world.store.names({ source: 'contract' }, signal))
      await world.store.delete(ref, signal);
    await world.event(report);
    expect(await counts(world)).toEqual({});
    world.later(1);
    await world.event(report);
    expect(await counts(world)).toEqual({ LOW: 2 });
  });

  it('is not stored before it can be counted, and the event is retried', async () => {
    let isAway = true;
    const world = limited(100, {
      wrap: (store) => ({
        async count(namespace, signal) {
          if (isAway) throw new Refusal(503, 'away');
          return store.count(namespace, signal);
        },
      }),
    });
    const report = world.put('a', rows(2, 'low'));
    await expect(world.event(report)).rejects.toMatchObject({ status: 503 });
    isAway = false;
    await world.event(report);
    expect(await counts(world)).toEqual({ LOW: 2 });
  });
});

describe('counting', () => {
  it('is one call a minute, and adds what is written meanwhile', async () => {
    const world = limited(100);
    for (let index = 0; index < 20; index += 1) {
      await world.event(world.put(`r${index}`, rows(2, 'high', `r${index}`), { about: `Deployment/d${index}` }));
    }
    expect(world.countsMade()).toBe(1);
    world.later(1);
    await world.event(world.put('later', rows(1, 'high', 'later'), { about: 'Deployment/later' }));
    expect(world.countsMade()).toBe(1);
  });

  it('is one call more for each namespace, above half', async () => {
    const world = limited(100);
    await fill(world, 55);
    for (const namespace of ['a', 'b', 'a', 'b']) {
      await world.event(
        world.put(`r${world.calls.length}`, rows(1, 'high', `${world.calls.length}`), {
          namespace,
          about: `Deployment/d${world.calls.length}`,
        }),
      );
    }
    expect(world.countsMade()).toBe(3);
  });

  it('costs nothing where all is stored already', async () => {
    const world = limited(100);
    const report = world.put('a', rows(5, 'high'));
    await world.event(report);
    world.later(10);
    world.countsMade();
    await world.event(report);
    await world.pass();
    expect(world.countsMade()).toBe(0);
  });

  it('takes no failed create for an Observation', async () => {
    let isAway = true;
    const world = limited(100, {
      wrap: (store) => ({
        async create(object, signal) {
          if (isAway) throw new Refusal(503, 'away');
          return store.create(object, signal);
        },
      }),
    });
    const report = world.put('a', rows(50, 'low'));
    for (let attempt = 0; attempt < 10; attempt += 1) await world.event(report).catch(() => undefined);
    isAway = false;
    await world.event(report);
    expect(await counts(world)).toEqual({ LOW: 50 });
  });
});

describe('what is stored, when the limit keeps out what is new', () => {
  async function fullWorld() {
    const world = limited(100);
    await world.event(world.put('a', rows(3, 'low')));
    await fill(world, 90);
    world.later(1);
    return world;
  }

  it('is opened again', async () => {
    const world = await fullWorld();
    world.put('a', []);
    await world.pass();
    world.later(40);
    await world.pass();
    expect(Object.values(await world.states()).filter((state) => state === 'resolved')).toHaveLength(3);
    await world.event(world.put('a', rows(4, 'low')));
    expect(await counts(world)).toEqual({ LOW: 3 });
    expect(Object.entries(await world.states()).filter(([id]) => id.startsWith('low'))).toEqual([
      ['low-0', 'open'],
      ['low-1', 'open'],
      ['low-2', 'open'],
    ]);
  });

  it('is kept as its report says, and renewed', async () => {
    const world = await fullWorld();
    world.later(4 * 24 * 60);
    const changed = rows(3, 'low').map((row) => ({ ...row, severity: 'high', summary: 'worse' }));
    await world.event(world.put('a', changed));
    expect(await counts(world)).toEqual({ HIGH: 3 });
    const { items } = await world.store.read({ source: 'scanner', limit: 10 });
    const left = items
      .filter(({ spec }) => spec.eventType === 'flaw')
      .map(({ metadata }) => Number(metadata.labels[labels.expires]) * 60 * minute - world.clock.now);
    for (const milliseconds of left) expect(milliseconds).toBeGreaterThan(6 * 24 * 60 * minute);
  });

  it('becomes missing and is resolved when it is no longer reported', async () => {
    const world = await fullWorld();
    await world.event(world.put('a', rows(1, 'low')));
    expect(Object.entries(await world.states()).filter(([, state]) => state === 'missing')).toHaveLength(2);
  });

  it('is shared with another slot that reports it, too, and outlives the first', async () => {
    const world = await fullWorld();
    world.put('b', rows(3, 'low'), { kind: kinds.checks });
    await world.pass();
    world.remove('a');
    for (let pass = 0; pass < 3; pass += 1) {
      world.later(60);
      await world.pass();
    }
    expect(await counts(world)).toEqual({ LOW: 3 });
    expect(Object.values(await world.states()).filter((state) => state === 'resolved')).toHaveLength(0);
    // It belongs to the other slot by now, whose events change it.
    await world.event(world.put('b', rows(1, 'low'), { kind: kinds.checks }));
    expect(Object.values(await world.states()).filter((state) => state === 'missing')).toHaveLength(2);
  });

  it('is changed in the system namespace, where its own did not take it', async () => {
    let isFull = true;
    const world = limited(100, {
      wrap: (store) => ({
        async create(object, signal) {
          if (isFull && object.metadata.namespace === 'shop') throw new NamespaceRefusal('full');
          return store.create(object, signal);
        },
      }),
    });
    await world.event(world.put('a', rows(2, 'low')));
    isFull = false;
    await fill(world, 90);
    world.later(1);
    await world.event(world.put('a', [...rows(2, 'medium', 'low'), ...rows(1, 'low', 'new')]));
    expect(await counts(world)).toEqual({ MEDIUM: 2 });
  });
});

describe('what is kept out', () => {
  it('costs each event of its report two calls, besides the count', async () => {
    const world = limited(100);
    await fill(world, 95, 'zen-system');
    const report = world.put('a', rows(50, 'low'), { namespace: 'zen-system' });
    await world.event(report);
    for (let minutes = 0; minutes < 3; minutes += 1) {
      world.calls.length = 0;
      const { filtered } = await world.event(report);
      expect(filtered).toEqual({ limit: 50 });
      expect(world.calls).toEqual(['get Scan', 'names']);
      world.later(0.1);
    }
  });

  it('costs each pass no call, besides the counts', async () => {
    const callsOf = async (count: number): Promise<readonly string[]> => {
      const world = limited(100);
      await fill(world, 95);
      for (let index = 0; index < 10; index += 1) {
        world.put(`r${index}`, rows(count, 'low', `r${index}`), { about: `Deployment/d${index}` });
      }
      await world.pass();
      world.later(60);
      world.calls.length = 0;
      world.countsMade();
      expect((await world.pass()).filtered).toEqual(count > 0 ? { limit: 10 * count } : {});
      expect(world.countsMade()).toBe(count > 0 ? 1 : 0);
      return world.calls;
    };
    const many = await callsOf(50);
    expect(countOf(many, 'create') + countOf(many, 'patch')).toBe(0);
    const lists = (calls: readonly string[]): readonly string[] => calls.filter((call) => call.startsWith('metadata'));
    expect(lists(many)).toEqual(lists(await callsOf(0)));
    expect(many).toEqual(await callsOf(1));
  });

  it('is counted beside what is stored', async () => {
    const world = limited(100);
    await fill(world, 60);
    const report = world.put('a', [...rows(2, 'low'), ...rows(1, 'high')]);
    await world.event(report);
    const { unchanged, filtered } = await world.event(report);
    expect([unchanged, filtered]).toEqual([1, { limit: 2 }]);
  });

  it('keeps nothing that is written beside it from being looked at again', async () => {
    const world = limited(100);
    await fill(world, 60);
    const older = world.put('a', [...rows(1, 'low'), ...rows(1, 'high')]);
    world.beforeCalls(async (call) => {
      if (call !== 'create') return;
      world.beforeCalls(undefined);
      await world.event(world.put('a', rows(1, 'low')));
    });
    await world.event(older);
    expect(await world.states()).toMatchObject({ 'high-0': 'missing' });
  });

  it('is neither missing nor resolved, and is written by a pass once there is room', async () => {
    const world = limited(100);
    await fill(world, 60);
    world.put('a', rows(3, 'low'));
    for (let pass = 0; pass < 3; pass += 1) {
      const summary = await world.pass();
      expect(summary).toMatchObject({ filtered: { limit: 3 }, created: pass === 0 ? [{ count: 1 }] : [] });
      expect(summary.relabelled).toEqual({});
      world.later(60);
    }
    const { signal } = new AbortController();
    for await (const { ref } of world.store.names({ source: 'contract' }, signal))
      await world.store.delete(ref, signal);
    await world.pass();
    expect(await counts(world)).toEqual({ LOW: 3 });
  });

  it('that says that an object can not be read is counted, too', async () => {
    const world = limited(100);
    await fill(world, 90);
    const bad = world.put('a', [{ id: 7 }]);
    await expect(world.event(bad)).rejects.toMatchObject({ status: 422, summary: { filtered: { limit: 1 } } });
    expect(await told(world)).toEqual([[['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'], 'open']]);
  });
});

describe('limit-reached', () => {
  it('says which severities are kept out, of what, and whose', async () => {
    const world = limited(100);
    await fill(world, 80, 'zen-system');
    for (const namespace of ['shop', 'pay']) world.put('a', [...rows(3, 'low'), ...rows(1, 'medium')], { namespace });
    await world.pass();
    const { items } = await world.store.read({ source: 'scanner', limit: 10 });
    expect(items.map(({ metadata, spec }) => [metadata.namespace, spec])).toEqual([
      [
        'zen-system',
        expect.objectContaining({
          category: 'operations',
          severity: 'HIGH',
          eventType: 'limit-reached',
          summary:
            'no new findings of MEDIUM, LOW, UNKNOWN are stored: too many Observations for MAX_OBSERVATIONS (100); left out in pay, shop',
          details: {
            limit: 'MAX_OBSERVATIONS',
            maximum: 100,
            severities: ['MEDIUM', 'LOW', 'UNKNOWN'],
            namespaces: ['pay', 'shop'],
          },
        }),
      ],
    ]);
  });

  it.each<[string, (world: World, object: KubernetesObject) => Promise<unknown>]>([
    ['a pass', (world) => world.pass()],
    ['events within a minute', (world, object) => world.event(object)],
  ])('names a namespace that holds too many, one Observation each: by %s', async (_what, handle) => {
    const world = limited(100);
    for (const namespace of ['shop', 'pay']) await fill(world, 30, namespace, namespace === 'pay' ? 30 : 0);
    for (const namespace of ['shop', 'pay', 'other']) {
      await handle(world, world.put('a', rows(2, 'high', namespace), { namespace }));
    }
    expect(await told(world)).toEqual(
      expect.arrayContaining([
        ['shop', 'open'],
        ['pay', 'open'],
      ]),
    );
    expect(await told(world)).toHaveLength(2);
    expect(await counts(world)).toEqual({ HIGH: 2 });
  });

  it('says all of a namespace that holds too many', async () => {
    const world = limited(100);
    await fill(world, 55, 'shop');
    await world.event(world.put('a', rows(1, 'high')));
    const { items } = await world.store.read({ source: 'scanner', limit: 10 });
    const resource = { apiVersion: 'v1', kind: 'Namespace', name: 'shop' };
    expect(items.map(({ spec }) => spec)).toEqual([
      expect.objectContaining({
        resource,
        summary:
          'no new findings in namespace shop are stored: it holds a tenth of MAX_OBSERVATIONS (100), half of which is used',
        details: { limit: 'MAX_OBSERVATIONS', maximum: 100, namespace: 'shop' },
      }),
    ]);
    const identity = { limit: 'MAX_OBSERVATIONS', namespace: 'shop' };
    expect(items[0]?.metadata.name).toBe(nameOfLimit(identity, resource));
  });

  /** A name must not differ between versions. */
  function nameOfLimit(identity: Readonly<Record<string, string>>, resource?: ResourceRef): string {
    const fields = { category: 'operations', eventType: 'limit-reached', rule: 'limit-reached' };
    return observationName('scanner', anEventFinding('limit', { ...fields, identity, resource }));
  }

  it('says that nothing at all is stored, under the same name', async () => {
    const world = limited(100);
    await fill(world, 95, 'zen-system');
    await world.event(world.put('a', rows(1, 'high')));
    const [told] = (await world.store.read({ source: 'scanner', limit: 10 })).items;
    expect(told?.spec.summary).toMatch(/^no new findings are stored: too many Observations/);
    expect(told?.metadata.name).toBe(nameOfLimit({ limit: 'MAX_OBSERVATIONS' }));
  });

  it('is not changed by events, which do not see all that is kept out', async () => {
    const world = limited(100);
    await fill(world, 70);
    const namespaces = async () => {
      const { items } = await world.store.read({ source: 'scanner', limit: 10 });
      return items.map(({ spec }) => spec.details.namespaces);
    };
    await world.event(world.put('a', rows(1, 'low')));
    world.later(2);
    await world.event(world.put('b', rows(1, 'low'), { namespace: 'pay' }));
    expect(await namespaces()).toEqual([['shop']]);
    await world.pass();
    expect(await namespaces()).toEqual([['pay', 'shop']]);
  });

  it('fails the event if nothing can take it', async () => {
    const world = limited(100, {
      wrap: (store) => ({
        async create(object, signal) {
          if (object.spec.eventType === 'limit-reached') throw new NamespaceRefusal('full');
          return store.create(object, signal);
        },
      }),
    });
    await fill(world, 70);
    const handled = world.event(world.put('a', rows(1, 'low')));
    await expect(handled).rejects.toMatchObject({ status: 503, message: 'the system namespace is full' });
  });

  it('is looked for by itself alone', async () => {
    const queries: NamesQuery[] = [];
    const world = limited(100, {
      wrap: (store) => ({
        names(query, signal) {
          queries.push(query);
          return store.names(query, signal);
        },
      }),
    });
    await fill(world, 70);
    await world.event(world.put('a', rows(1, 'low')));
    expect(queries.at(-1)).toEqual({ source: 'scanner', slots: [expect.any(String)], namespace: 'zen-system' });
  });

  it('is written by the first event that keeps something out, once, and costs the next ones a call a minute', async () => {
    const world = limited(100);
    await fill(world, 90, 'zen-system');
    const report = world.put('a', rows(2, 'low'), { namespace: 'zen-system' });
    await world.event(report);
    expect(await told(world)).toHaveLength(1);
    world.later(1);
    world.calls.length = 0;
    for (let index = 0; index < 5; index += 1) await world.event(report);
    expect(countOf(world.calls, 'names')).toBe(6);
    expect(countOf(world.calls, 'create') + countOf(world.calls, 'patch')).toBe(0);
  });

  it('is over with the first pass that keeps nothing out, and opens again', async () => {
    const world = limited(100);
    await fill(world, 70);
    world.put('a', rows(2, 'low'));
    await world.pass();
    expect((await told(world)).map(([, state]) => state)).toEqual(['open']);
    world.later(60);
    await world.pass();
    expect((await told(world)).map(([, state]) => state)).toEqual(['open']);
    const { signal } = new AbortController();
    for await (const { ref } of world.store.names({ source: 'contract' }, signal))
      await world.store.delete(ref, signal);
    world.later(60);
    await world.pass();
    expect((await told(world)).map(([, state]) => state)).toEqual(['resolved']);
    const [over] = (await world.store.read({ source: 'scanner', limit: 10 })).items.filter(
      ({ spec }) => spec.eventType === 'limit-reached',
    );
    expect(over?.metadata.annotations[historyAnnotation]).toContain('"reason":"mended"');
    world.calls.length = 0;
    await world.pass();
    // From then on, passes don't ask for it.
    expect(countOf(world.calls, 'names')).toBe(2);
    await fill(world, 70, 'others', 1000);
    world.later(60);
    await world.event(world.put('b', rows(1, 'low', 'new'), { about: 'Deployment/b' }));
    expect((await told(world)).map(([, state]) => state)).toEqual(['open']);
  });

  it('is written though nothing else is', async () => {
    const world = limited(10);
    await fill(world, 20);
    world.put('a', rows(2, 'critical'));
    await world.pass();
    expect((await world.seen()).filter(({ id }) => id === 'limit-reached')).toHaveLength(1);
  });

  it('lets nothing in that a tool calls so', async () => {
    const test = createTestContext(boxes, { environment: { MAX_OBSERVATIONS: '1' } });
    await test.store.create(anObservationOf(aFinding('filler', 'others')), test.context.event.signal);
    const fields = { category: 'operations', eventType: 'limit-reached', rule: 'limit-reached' };
    const findings = [anEventFinding('a', fields), anEventFinding('b', fields)];
    test.objects.all.push(anObject('x', { findings }));
    expect(await handled(boxes, ping, test.context)).toMatchObject({ observed: 2, filtered: { limit: 2 } });
  });
});
