import { describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import { labels } from '../../shared/api/labels.ts';
import { type Filter, UnreadableFilter } from '../../shared/function/filter.ts';
import { createWorld, type ReportOptions } from './slot-world.ts';
import { createTestContext, eventOf, handled } from './test-context.ts';

const row = (id: string, more: object = {}) => ({ id, ...more });

/** A world in which the filter of a namespace may be one that can't be read. */
function createFilteredWorld() {
  const unreadable = new Set<string>();
  const filter: Filter = (finding, { namespace }) => {
    if (unreadable.has('zen-system')) throw new UnreadableFilter('zen-system/f', false);
    if (unreadable.has(namespace)) throw new UnreadableFilter(`${namespace}/f`, true);
    return finding;
  };
  const world = createWorld({ context: { filter } });
  const places = async (): Promise<string[]> =>
    (await world.seen()).map(({ id, namespace, state }) => `${id} ${namespace} ${state}`).sort();
  return { ...world, unreadable, places };
}

describe('a filter that can not be read', () => {
  it('holds its namespace, and no other', async () => {
    const { put, pass, places, unreadable, later } = createFilteredWorld();
    const say = (ids: readonly string[]) => {
      for (const namespace of ['aaa', 'shop', 'zzz'])
        put(
          'r',
          ids.map((id) => row(id)),
          { namespace },
        );
    };
    say(['a', 'b']);
    await pass();
    unreadable.add('shop');
    say(['a', 'c']);
    const warnings = ['an ObservationFilter can not be read: shop/f'];
    expect(await pass()).toMatchObject({ warnings, skipped: { unreadable_filter: 2 } });
    const missing = ['a aaa open', 'b aaa missing', 'c aaa open', 'a zzz open', 'b zzz missing', 'c zzz open'];
    // What no report has is over, whatever the filter says.
    const held = ['a shop open', 'b shop missing'];
    expect(await places()).toEqual([...missing, ...held].sort());
    later(60);
    unreadable.clear();
    await pass();
    expect(await places()).toContain('c shop open');
  });

  it.each<[string, ReportOptions]>([
    ['one thing', {}],
    ['many things', { about: undefined, namespace: 'scanner' }],
  ])('leaves the rest of a report about %s to be written, and answers the event 503', async (_what, options) => {
    const { put, event, places, unreadable } = createFilteredWorld();
    const rows = ['a', 'b'].flatMap((id) => [row(id, { namespace: 'shop' }), row(`${id}2`, { namespace: 'pay' })]);
    unreadable.add('shop');
    await expect(event(put('r', rows, options))).rejects.toMatchObject({ status: 503, cause: 'shop/f' });
    expect(await places()).toEqual(['a2 pay open', 'b2 pay open']);
    unreadable.clear();
    await event(put('r', rows, options));
    expect(await places()).toHaveLength(4);
    unreadable.add('shop');
    await expect(event(put('r', rows.slice(0, 2), options))).rejects.toMatchObject({ status: 503 });
    expect(await places()).toEqual(['a shop open', 'a2 pay open', 'b shop missing', 'b2 pay missing']);
  });

  it('in the system namespace holds its source, and fails the pass', async () => {
    const { put, pass, places, unreadable } = createFilteredWorld();
    put('r', [row('a')]);
    await pass();
    unreadable.add('zen-system');
    put('r', [row('a'), row('b')]);
    await expect(pass()).rejects.toMatchObject({ status: 503, cause: 'zen-system/f' });
    expect(await places()).toEqual(['a shop open']);
  });
});

describe('EVENT_NAMESPACE', () => {
  const alert = eventOf('falco.rule.output.v1', {
    ...{ rule: 'r', priority: 'Error', time: '2026-03-01T12:00:00Z' },
    output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' },
  });

  it.each([
    ['affected', 'shop', undefined],
    ['system', 'zen-system', 'shop'],
  ])('is %s: what events tell is kept in %s', async (value, place, label) => {
    const { context, store } = createTestContext(falco, { environment: { EVENT_NAMESPACE: value } });
    await handled(falco, alert, context);
    expect((await handled(falco, alert, context)).duplicate).toBe(1);
    const { items } = await store.read({ limit: 9 });
    expect(items.map(({ metadata }) => [metadata.namespace, metadata.labels[labels.namespace]])).toEqual([
      [place, label],
    ]);
    expect(items[0]?.spec.resource?.namespace).toBe('shop');
  });

  it('moves no finding that has a state', async () => {
    const { put, pass, seen } = createWorld({ environment: { EVENT_NAMESPACE: 'system' } });
    put('r', [row('a')]);
    await pass();
    expect((await seen()).map(({ namespace }) => namespace)).toEqual(['shop']);
  });
});
