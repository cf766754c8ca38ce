import { describe, expect, it } from 'vitest';
import { acceptanceIn } from '../../shared/api/acceptance.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { KubernetesObject, ObservationsQuery, Store } from '../../shared/function/stores.ts';
import { judgeStored } from '../../shared/pipeline/judge-stored.ts';
import { isException, readException } from '../../shared/rules/exception.ts';
import { anException } from '../rules/an-exception.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { createTestContext, tallied } from './test-context.ts';
import { boxes } from './test-sources.ts';

const { signal } = new AbortController();

interface Stored {
  readonly namespace?: string;
  readonly severity?: Severity;
  readonly hasState?: boolean;
}

/** What is stored, and the queries by which it is read. `patch` stands in for the store's. */
function createWorld(environment: Record<string, string> = {}, patch?: (store: Store) => Store['patch']) {
  const queries: ObservationsQuery[] = [];
  const wrap = (store: Store): Partial<Store> => ({
    observations(query, ended) {
      queries.push(query);
      return store.observations(query, ended);
    },
    ...(patch && { patch: patch(store) }),
  });
  const test = createTestContext(boxes, { environment, wrap });
  const { now } = test.clock;
  const settings = test.context.settings;
  return {
    ...test,
    queries,
    async put(rule: string, { namespace = 'shop', severity = 'HIGH', hasState = true }: Stored = {}): Promise<void> {
      await test.store.create(anObservationOf({ ...aFinding(rule, namespace), severity }, { now, hasState }), signal);
    },
    judge(objects: readonly KubernetesObject[]) {
      const exceptions = objects.map((object) => readException(object, { settings, now })).filter(isException);
      return tallied(test.context, (context) => judgeStored(exceptions, context));
    },
    /** By which exception each is accepted, by its rule. */
    async marks(): Promise<Record<string, string | undefined>> {
      const { items } = await test.store.read({ limit: 99 });
      return Object.fromEntries(
        items.map(({ metadata, spec }) => [spec.rule, acceptanceIn(metadata.annotations)?.exception]),
      );
    },
  };
}

const every = { match: { rules: ['*'] } };

/** Exceptions of so many namespaces. */
function ofNamespaces(count: number): KubernetesObject[] {
  return Array.from({ length: count }, (_, index) => anException('e', every, `n${index}`));
}

describe('judgeStored', () => {
  const marked = { namespace: undefined, isMarked: true };
  const unmarkedIn = (namespace: string) => ({ namespace, isMarked: false });
  const ended = (until: string) => anException('over', { ...every, until }, 'pay');

  it.each<[what: string, exceptions: readonly KubernetesObject[], queries: readonly ObservationsQuery[]]>([
    ['what is marked where there are no exceptions', [], [marked]],
    ['what is marked where all have ended', [ended('2026-03-01T12:00:00Z')], [marked]],
    [
      'the namespace of an exception, and what it could not take',
      [anException('e', every, 'shop'), ended('2026-01-01T00:00:00Z')],
      [marked, unmarkedIn('shop'), unmarkedIn('zen-system')],
    ],
    ['all where one holds for all', [anException('e', every), ...ofNamespaces(2)], [{ namespace: undefined }]],
    [
      'each of a few namespaces',
      ofNamespaces(16),
      [marked, ...Array.from({ length: 16 }, (_, index) => unmarkedIn(`n${index}`)), unmarkedIn('zen-system')],
    ],
    ['all where there are many namespaces', ofNamespaces(17), [{ namespace: undefined }]],
  ])('reads %s, and nothing else', async (_what, exceptions, queries) => {
    const world = createWorld();
    await world.judge(exceptions);
    expect(world.queries).toEqual(queries);
  });

  it.each([
    ['no exception', []],
    ['one of it', [anException('e', every, 'shop')]],
  ])('reads no other namespace than that of a tenant, with %s', async (_what, exceptions) => {
    const world = createWorld({ WATCH_NAMESPACE: 'shop' });
    await world.judge(exceptions);
    expect(new Set(world.queries.map(({ namespace }) => namespace))).toEqual(new Set(['shop']));
  });

  it('accepts nothing that an event has told, by an exception of a namespace', async () => {
    const world = createWorld();
    await world.put('finding');
    await world.put('event', { hasState: false });
    await world.judge([anException('e', every, 'shop')]);
    expect(await world.marks()).toEqual({ finding: 'shop/e', event: undefined });
  });

  it('has others told of what matters to them, and of nothing else', async () => {
    const world = createWorld({ ANNOUNCE: 'true' });
    await world.put('grave');
    for (const rule of ['slight', 'slight too']) await world.put(rule, { severity: 'LOW' });
    const summary = await world.judge([anException('e', every)]);
    expect(summary).toMatchObject({ relabelled: { accepted: 3 }, due: 1 });
  });

  /** A store in which something happens to each Observation of a rule just before it is changed, so often. */
  function interrupted(rule: string, times: number, does: 'touch' | 'delete') {
    let left = times;
    return (store: Store): Store['patch'] =>
      async (stored, ...rest) => {
        const whole = await store.findWhole(stored.ref.namespace, stored.ref.name, signal);
        if (whole?.observation.spec.rule === rule && left > 0) {
          left -= 1;
          if (does === 'delete') await store.delete(whole.ref, signal);
          else await store.patch(whole, { labels: { [labels.expires]: String(900_000 + left) } }, signal);
        }
        return store.patch(stored, ...rest);
      };
  }

  it.each(['a', 'b', 'c'])(
    'judges again what somebody else has changed meanwhile, that one alone: %s',
    async (rule) => {
      const world = createWorld({}, interrupted(rule, 3, 'touch'));
      for (const one of ['a', 'b', 'c']) await world.put(one);
      expect(await world.judge([anException('e', every)])).toMatchObject({ relabelled: { accepted: 3 } });
      expect(await world.marks()).toEqual({ a: 'zen-system/e', b: 'zen-system/e', c: 'zen-system/e' });
    },
  );

  it('leaves alone what somebody else has accepted meanwhile', async () => {
    let isFirst = true;
    const world = createWorld({}, (store) => async (stored, ...rest) => {
      const isDone = await store.patch(stored, ...rest);
      const isLost = isFirst;
      isFirst = false;
      return isDone && !isLost;
    });
    await world.put('a');
    expect(await world.judge([anException('e', every)])).toMatchObject({ relabelled: {}, warnings: [] });
    expect(await world.marks()).toEqual({ a: 'zen-system/e' });
  });

  it('neither counts nor accepts what is resolved, and counts all the others that an exception matches', async () => {
    const world = createWorld();
    for (const rule of ['a', 'b', 'gone']) await world.put(rule);
    const all = await Array.fromAsync(world.store.observations({ namespace: 'shop' }, signal));
    const gone = all.find(({ observation }) => observation.spec.rule === 'gone');
    if (gone) await world.store.patch(gone, { labels: { [labels.state]: 'resolved' } }, signal);
    const exception = readException(anException('e', every), {
      settings: world.context.settings,
      now: world.clock.now,
    });
    expect(isException(exception) && [...(await judgeStored([exception], world.context)).values()]).toEqual([2]);
    expect(await world.marks()).toEqual({ a: 'zen-system/e', b: 'zen-system/e', gone: undefined });
  });

  it('lets go of what is deleted meanwhile', async () => {
    const world = createWorld({}, interrupted('a', 1, 'delete'));
    for (const one of ['a', 'b']) await world.put(one);
    expect(await world.judge([anException('e', every)])).toMatchObject({ relabelled: { accepted: 1 }, warnings: [] });
    expect(await world.marks()).toEqual({ b: 'zen-system/e' });
  });

  it('is tried again if one keeps changing', async () => {
    const world = createWorld({}, interrupted('a', 10, 'touch'));
    await world.put('a');
    const judged = world.judge([anException('e', every)]);
    await expect(judged).rejects.toMatchObject({ status: 503, message: 'an Observation keeps changing' });
    expect(await world.judge([anException('e', every)])).toMatchObject({ relabelled: { accepted: 1 } });
  });
});
