import { describe, expect, it } from 'vitest';
import gc from '../../functions/gc.ts';
import { labels, oldSubjectLabel } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Store } from '../../shared/function/stores.ts';
import type { Summary } from '../../shared/function/tally.ts';
import { createCoalescer } from '../../shared/host/coalesce.ts';
import { handled, ping, type TestContext } from '../pipeline/test-context.ts';
import { gcContext, rulesIn, type Seed, seed } from './gc-seeds.ts';

/** So many seeds that differ in what `of` says. */
function many(count: number, of: (index: number) => Seed): Seed[] {
  return Array.from({ length: count }, (_, index) => of(index));
}

async function limited(limit: number, seeds: readonly Seed[], more: Parameters<typeof gcContext>[0] = {}) {
  const test = gcContext({ ...more, environment: { MAX_OBSERVATIONS: String(limit) } });
  for (const one of seeds) await seed(test, one);
  return test;
}

/** What is left, by source. */
async function left({ store }: TestContext): Promise<Readonly<Record<string, number>>> {
  const { items } = await store.read({ limit: 10_000 });
  const counts: Record<string, number> = {};
  for (const { spec } of items) counts[spec.source] = (counts[spec.source] ?? 0) + 1;
  return counts;
}

function deletedBy(summaries: readonly Summary[]): number {
  return summaries.flatMap(({ deleted }) => deleted).reduce((sum, { count }) => sum + count, 0);
}

const foreign: Seed = { rule: 'foreign', odd: { [labels.source]: undefined } };
const critical: Seed = { rule: 'critical', state: 'open', severity: 'CRITICAL' };

describe('gc above nine tenths of MAX_OBSERVATIONS', () => {
  it.each([
    [90, 90],
    [91, 80],
    [100, 80],
    [150, 80],
  ])('leaves of %i events, with a limit of 100, %i', async (count, expected) => {
    const test = await limited(
      100,
      many(count, (index) => ({ rule: `r${index}` })),
    );
    const summary = await handled(gc, ping, test.context);
    expect(await rulesIn(test)).toHaveLength(expected);
    expect(summary.warnings).toEqual(
      count === expected
        ? []
        : [`${count} Observations are more than nine tenths of MAX_OBSERVATIONS: deleting ${count - expected}`],
    );
    expect(summary.collection?.limit).toBe(100);
  });

  it('deletes first what no source wrote, then resolved findings, missing ones, open LOW and UNKNOWN ones, events', async () => {
    const seeds: Seed[] = [
      { rule: 'open medium', state: 'open', severity: 'MEDIUM', ageHours: 90 },
      foreign,
      { rule: 'resolved critical', state: 'resolved', severity: 'CRITICAL' },
      { rule: 'missing high', state: 'missing' },
      { rule: 'open unknown', state: 'open', severity: 'UNKNOWN' },
      { rule: 'open low', state: 'open', severity: 'LOW', ageHours: 90 },
      { rule: 'event low', severity: 'LOW' },
      { rule: 'event critical', severity: 'CRITICAL', ageHours: 99 },
    ];
    const order = [
      ...['foreign', 'resolved critical', 'missing high', 'open unknown', 'open low', 'event low', 'event critical'],
      'open medium',
    ];
    // Enough to be above nine tenths, whatever has to go.
    const kept = many(100, (index) => ({ ...critical, rule: `kept ${index}` }));
    for (let excess = 1; excess <= 7; excess += 1) {
      const limit = Math.ceil(((108 - excess) * 5) / 4);
      if (108 * 10 <= limit * 9) continue;
      const test = await limited(limit, [...seeds, ...kept]);
      const count = 108 - Math.floor((limit * 4) / 5);
      await handled(gc, ping, test.context);
      const rules = (await rulesIn(test)).filter((rule) => !String(rule).startsWith('kept'));
      // A tenth of the limit may be events, so none of them goes here.
      const gone = order.slice(0, Math.min(count, 5));
      expect(rules).toEqual(order.filter((rule) => !gone.includes(rule)).sort());
    }
  });

  it.each<[string, Seed]>([
    ['no label of a source', foreign],
    ['the label of a source that nobody has', { ...foreign, odd: { [labels.source]: 'nobody' } }],
    ['the state of a finding, but no slot', { ...critical, odd: { [labels.report]: undefined } }],
    ['a name that no source gives', { ...critical, name: 'by-hand-#' }],
    ['a name of its source without a hash', { ...critical, name: 'contract-by-hand-#' }],
    ['a name of its source with more than a hash', { ...critical, name: `contract-#-${'0f'.repeat(16)}-copy` }],
    ['a name of no source with a hash', { ...critical, name: `by-hand-#-${'0f'.repeat(16)}` }],
    ['the name of another source', { ...critical, odd: { [labels.source]: 'falco' } }],
    [
      'nothing but the state of a finding',
      { ...critical, odd: { [labels.source]: undefined, [labels.report]: undefined } },
    ],
  ])('deletes what has %s, and no event of another', async (_what, made) => {
    const byHand = many(70, (index) => ({
      ...made,
      rule: `made ${index}`,
      ...(made.name && { name: made.name.replace('#', String(index)) }),
    }));
    const events = many(30, (index) => ({ source: 'audit', rule: `done ${index}` }));
    const test = await limited(50, [...byHand, ...events]);
    await handled(gc, ping, test.context);
    expect(await left(test)).toMatchObject({ audit: 30 });
    expect(await rulesIn(test)).toHaveLength(40);
  });

  it('says how many it deletes, of many that can be spared', async () => {
    const resolved = many(150, (index) => ({ rule: `${index}`, state: 'resolved' as const }));
    const test = await limited(100, resolved);
    const { warnings } = await handled(gc, ping, test.context);
    expect(warnings).toEqual(['150 Observations are more than nine tenths of MAX_OBSERVATIONS: deleting 70']);
    expect(await rulesIn(test)).toHaveLength(80);
  });

  it('deletes one of no source as one of an unknown source', async () => {
    const test = await limited(1, [foreign]);
    const { deleted } = await handled(gc, ping, test.context);
    expect(deleted).toEqual([{ source: 'unknown', reason: 'limit', count: 1 }]);
  });

  it('deletes what says no known severity as it deletes UNKNOWN: the newest first', async () => {
    const severities = ['awful', 'UNKNOWN', undefined, 'UNKNOWN', 'LOW'];
    const test = await limited(
      5,
      severities.map((severity, index) => ({
        ...{ rule: 'shell', id: String(index), ageHours: 5 - index },
        odd: { [labels.severity]: severity },
      })),
    );
    const kept: unknown[] = [];
    for (let runs = 0; runs < 4; runs += 1) {
      await handled(gc, ping, { ...test.context, settings: { ...test.context.settings, MAX_OBSERVATIONS: 5 - runs } });
      const { items } = await test.store.read({ limit: 9 });
      kept.push(items.map(({ metadata }) => metadata.labels[labels.severity] ?? 'none').sort());
    }
    expect(kept).toEqual([['LOW', 'UNKNOWN', 'awful', 'none'], ['LOW', 'UNKNOWN', 'awful'], ['LOW', 'awful'], ['LOW']]);
  });

  it.each<[string, object]>([
    ['an ObservationMapping', { kind: 'ObservationMapping', spec: { sourceName: 'mapped' } }],
    ['an Ingester, even one that is not accepted', { kind: 'Ingester', spec: { source: 'mapped', ingester: 'fax' } }],
  ])('knows the source that %s names', async (_what, object) => {
    const test = await limited(10, [
      ...many(9, (index) => ({ ...critical, source: 'mapped', rule: `${index}` })),
      foreign,
    ]);
    const metadata = { name: 'm', namespace: 'shop' };
    test.objects.all.push({ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: '', metadata, ...object });
    await handled(gc, ping, test.context);
    expect(await rulesIn(test)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8']);
  });

  it('deletes nothing if it cannot know which sources there are', async () => {
    const test = await limited(
      10,
      many(20, () => foreign).map((one, index) => ({ ...one, id: `${index}` })),
    );
    test.objects.failing = true;
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({ status: 503 });
    expect(await rulesIn(test)).toHaveLength(20);
  });

  it('leaves open what an old version found', async () => {
    const odd = { [labels.report]: undefined, [oldSubjectLabel]: 'x' };
    const test = await limited(
      10,
      many(12, (index) => ({ ...critical, rule: `${index}`, odd })),
    );
    await handled(gc, ping, test.context);
    expect(await rulesIn(test)).toHaveLength(12);
  });

  it('never deletes an open finding that is more than LOW, and warns if those alone are too many', async () => {
    const seeds = (['CRITICAL', 'HIGH', 'MEDIUM'] as const).map((severity) => ({
      rule: severity,
      state: 'open' as const,
      severity,
    }));
    const test = await limited(1, seeds);
    const summary = await handled(gc, ping, test.context);
    expect(summary.deleted).toEqual([]);
    expect(summary.warnings).toEqual([
      '3 Observations are more than nine tenths of MAX_OBSERVATIONS: deleting 0',
      expect.stringContaining('filter more'),
    ]);
    expect(await rulesIn(test)).toEqual(['CRITICAL', 'HIGH', 'MEDIUM']);
  });

  it('does not let the alerts of one container push out what another source saw', async () => {
    const audit = many(30, (index) => ({
      source: 'audit',
      rule: `done ${index}`,
      severity: 'MEDIUM' as const,
      ageHours: 10,
    }));
    const falco = many(60, (index) => ({ source: 'falco', rule: 'shell', id: String(index) }));
    const test = await limited(50, [...audit, ...falco]);
    await handled(gc, ping, test.context);
    expect(await left(test)).toEqual({ audit: 30, falco: 10 });
  });

  it('does not let LOW findings of a namespace push out events', async () => {
    const low = many(70, (index) => ({
      source: 'kyverno',
      rule: `low ${index}`,
      state: 'open' as const,
      severity: 'LOW' as const,
      namespace: 'tenant',
    }));
    const audit = many(30, (index) => ({ source: 'audit', rule: `done ${index}` }));
    const test = await limited(50, [...low, ...audit]);
    await handled(gc, ping, test.context);
    expect(await left(test)).toEqual({ audit: 30, kyverno: 10 });
  });

  it('does not let the LOW findings of one namespace push out those of another', async () => {
    const low = (namespace: string, count: number): Seed[] =>
      many(count, (index) => ({ rule: `${namespace} ${index}`, state: 'open', severity: 'LOW', namespace }));
    const test = await limited(50, [...low('shop', 60), ...low('pay', 10)]);
    await handled(gc, ping, test.context);
    const rules = await rulesIn(test);
    expect(rules.filter((rule) => String(rule).startsWith('pay'))).toHaveLength(10);
    expect(rules).toHaveLength(40);
  });

  it('tells groups apart by the affected namespace, wherever the event is kept', async () => {
    const inSystem = (namespace: string, count: number): Seed[] =>
      many(count, (index) => ({
        rule: 'shell',
        id: `${namespace}${index}`,
        namespace: 'zen-system',
        odd: { [labels.namespace]: namespace },
      }));
    const test = await limited(50, [...inSystem('shop', 60), ...inSystem('pay', 10)]);
    await handled(gc, ping, test.context);
    const { items } = await test.store.read({ limit: 100 });
    expect(items.filter(({ metadata }) => metadata.labels[labels.namespace] === 'pay')).toHaveLength(10);
    expect(items).toHaveLength(40);
  });

  it('keeps of a group the most severe, and of those the oldest', async () => {
    const events = many(20, (index) => ({
      rule: 'shell',
      id: String(index),
      severity: index < 4 ? ('CRITICAL' as const) : ('LOW' as const),
      ageHours: index,
    }));
    const test = await limited(10, events);
    const ages = async (): Promise<unknown[]> =>
      (await test.store.read({ limit: 100 })).items
        .map(({ metadata }) => Math.round((test.clock.now - Date.parse(metadata.creationTimestamp ?? '')) / 3_600_000))
        .sort((a, b) => a - b);
    await handled(gc, ping, test.context);
    expect(await ages()).toEqual([0, 1, 2, 3, 16, 17, 18, 19]);
  });

  it('leaves a tenth of the limit to events, however many findings are open', async () => {
    const open = many(100, (index) => ({ ...critical, rule: `open ${index}` }));
    const events = many(30, (index) => ({ rule: 'event', id: String(index) }));
    const test = await limited(100, [...open, ...events]);
    const { warnings } = await handled(gc, ping, test.context);
    expect((await rulesIn(test)).filter((rule) => rule === 'event')).toHaveLength(10);
    expect(warnings).toEqual([
      '130 Observations are more than nine tenths of MAX_OBSERVATIONS: deleting 20',
      expect.stringContaining('filter more'),
    ]);
  });

  it('does not choose what is being deleted already', async () => {
    const wrap = (store: Store): Partial<Store> => ({
      async *names(query, signal) {
        for await (const one of store.names(query, signal)) {
          yield { ...one, isBeingDeleted: one.ref.namespace === 'stuck' };
        }
      },
      async *events(signal) {
        for await (const one of store.events(signal)) {
          yield { ...one, isBeingDeleted: one.ref.namespace === 'stuck' };
        }
      },
      async *expired() {},
    });
    const stuck = many(60, (index) => ({ rule: `stuck ${index}`, namespace: 'stuck', state: 'resolved' as const }));
    const resolved = many(60, (index) => ({ rule: `resolved ${index}`, state: 'resolved' as const }));
    const test = await limited(100, [...stuck, ...resolved], { wrap });
    const summary = await handled(gc, ping, test.context);
    expect(deletedBy([summary])).toBe(40);
    expect((await rulesIn(test)).filter((rule) => String(rule).startsWith('stuck'))).toHaveLength(60);
    const events = many(60, (index) => ({ rule: `stuck ${index}`, namespace: index % 2 === 0 ? 'stuck' : 'shop' }));
    const other = await limited(50, events, { wrap });
    expect(deletedBy([await handled(gc, ping, other.context)])).toBe(20);
    expect(
      (await other.store.read({ limit: 90 })).items.filter(({ metadata }) => metadata.namespace === 'stuck'),
    ).toHaveLength(30);
  });

  it('leaves all events where there are fewer than a tenth of the limit', async () => {
    const open = many(100, (index) => ({ ...critical, rule: `open ${index}` }));
    const events = many(5, (index) => ({ rule: 'event', id: String(index) }));
    const test = await limited(100, [...open, ...events]);
    expect(deletedBy([await handled(gc, ping, test.context)])).toBe(0);
  });

  it('deletes no more than it must, although others delete much at the same time', async () => {
    let isFirst = true;
    const test = await limited(
      200,
      many(1300, (index) => ({ rule: 'event', id: String(index) })),
      {
        wrap: hooked(async (call) => {
          if (call !== 'delete' || !isFirst) return;
          isFirst = false;
          const { signal } = new AbortController();
          const all = await Array.fromAsync(test.store.names({}, signal));
          const byName = all.map(({ ref }) => ref).sort((a, b) => (a.name < b.name ? -1 : 1));
          for (const ref of byName.slice(0, 600)) await test.store.delete(ref, signal);
        }),
      },
    );
    await handled(gc, ping, test.context);
    expect(await rulesIn(test)).toHaveLength(160);
  });
});

/** What one collection does before each of its calls. */
function hooked(hook: (call: string) => Promise<void>) {
  return (store: Store): Partial<Store> => ({
    async *names(query, signal) {
      await hook('names');
      yield* store.names(query, signal);
    },
    async *events(signal) {
      await hook('events');
      yield* store.events(signal);
    },
    async count(namespace, signal) {
      await hook('count');
      return store.count(namespace, signal);
    },
    async delete(ref, signal) {
      await hook('delete');
      return store.delete(ref, signal);
    },
  });
}

describe('two collections at once', () => {
  const seeds = [
    ...many(60, (index) => ({ rule: `resolved ${index}`, state: 'resolved' as const })),
    ...many(90, (index) => ({ rule: 'event', id: String(index) })),
  ];

  it.each([
    ...['names', 'events', 'count', 'delete'].flatMap((call) => [1, 2, 3, 20].map((nth) => [call, nth] as const)),
  ])(
    'remove together what one would, if the second runs before the first one calls %s for the %i. time',
    async (call, nth) => {
      let other: (() => Promise<Summary>) | undefined;
      const calls: string[] = [];
      const others: Summary[] = [];
      const test = await limited(100, seeds, {
        wrap: hooked(async (made) => {
          calls.push(made);
          if (made !== call || calls.filter((one) => one === call).length !== nth) return;
          const run = other;
          other = undefined;
          if (run) others.push(await run());
        }),
      });
      other = () => handled(gc, ping, test.context);
      const own = await handled(gc, ping, test.context);
      expect(await rulesIn(test)).toHaveLength(80);
      expect(deletedBy([own, ...others])).toBe(70);
      expect((await rulesIn(test)).filter((rule) => rule === 'event')).toHaveLength(80);
    },
  );

  it('remove no more than the excess if they run side by side', async () => {
    const test = await limited(100, seeds);
    const both = await Promise.all([handled(gc, ping, test.context), handled(gc, ping, test.context)]);
    expect(deletedBy(both)).toBe(70);
    expect(await rulesIn(test)).toHaveLength(80);
  });

  it('leave a tenth to events even if each has seen more', async () => {
    const open = many(100, (index) => ({ ...critical, rule: `open ${index}` }));
    const events = many(30, (index) => ({ rule: 'event', id: String(index) }));
    const test = await limited(100, [...open, ...events]);
    await Promise.all([handled(gc, ping, test.context), handled(gc, ping, test.context)]);
    expect((await rulesIn(test)).filter((rule) => rule === 'event')).toHaveLength(10);
  });

  it('share a run, if they are of one process', async () => {
    let lists = 0;
    const { signal } = new AbortController();
    const test = await limited(100, seeds, {
      context: { coalesce: createCoalescer({ elapsed: () => 0, sleep: async () => undefined, signal }) },
      wrap: hooked(async (call) => {
        if (call === 'names') lists += 1;
      }),
    });
    const both = await Promise.all([handled(gc, ping, test.context), handled(gc, ping, test.context)]);
    expect(both.map(({ skipped }) => skipped)).toEqual([{}, { coalesced: 1 }]);
    // What there is, what is stored twice, and what to remove: each once.
    expect(lists).toBe(3);
  });

  it('leave the rest alone if another has brought it below nine tenths', async () => {
    let lists = 0;
    let isFirst = true;
    const test = await limited(100, seeds, {
      wrap: hooked(async (call) => {
        if (call !== 'names') return;
        lists += 1;
        if (lists !== 2 || !isFirst) return;
        isFirst = false;
        const { signal } = new AbortController();
        let left = 60;
        for await (const { ref } of test.store.names({}, signal)) {
          if (left > 0) await test.store.delete(ref, signal);
          left -= 1;
        }
      }),
    });
    expect(deletedBy([await handled(gc, ping, test.context)])).toBe(0);
    expect(await rulesIn(test)).toHaveLength(90);
  });

  it('go on when one delete fails', async () => {
    let deletes = 0;
    const test = await limited(100, seeds, {
      wrap: hooked(async (call) => {
        if (call !== 'delete') return;
        deletes += 1;
        if (deletes === 5) throw new Refusal(503, 'away');
      }),
    });
    await expect(handled(gc, ping, test.context)).rejects.toMatchObject({ status: 503 });
    expect(await rulesIn(test)).toHaveLength(81);
  });
});
