import { describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import gc from '../../functions/gc.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import type { Environment } from '../../shared/function/settings.ts';
import { NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import { gcContext, rulesIn, type Seed, seed } from '../functions/gc-seeds.ts';
import { createWorld, kinds, type ReportOptions } from './slot-world.ts';
import { createTestContext, eventOf, handled, ping } from './test-context.ts';

const row = (id: string, more: object = {}) => ({ id, ...more });

/** A world whose namespaces may refuse what is created or changed in them. */
function createRefusingWorld() {
  const creates = new Set<string>();
  const changes = new Set<string>();
  const wrap = (store: Store): Partial<Store> => ({
    async create(object, signal) {
      if (creates.has(object.metadata.namespace)) throw new NamespaceRefusal('full');
      return store.create(object, signal);
    },
    async patch(stored, patch, signal) {
      if (changes.has(stored.ref.namespace)) throw new NamespaceRefusal('denying', 'webhook "w"');
      return store.patch(stored, patch, signal);
    },
    async delete(ref, signal) {
      if (changes.has(ref.namespace)) throw new NamespaceRefusal('denying', 'webhook "w"');
      return store.delete(ref, signal);
    },
  });
  const world = createWorld({ wrap });
  /** Does what another process does that sees a namespace with room again before anybody else does. */
  async function copyTo(namespace: string): Promise<void> {
    const { items } = await world.store.read({ limit: 99 });
    for (const object of items) {
      const copy: Observation = { ...object, metadata: { ...object.metadata, namespace } };
      await world.store.create(copy, new AbortController().signal);
    }
  }
  const places = async (): Promise<string[]> =>
    (await world.seen()).map(({ id, namespace, state }) => `${id} ${namespace} ${state}`).sort();
  return { ...world, creates, changes, copyTo, places };
}

/** Reports by which a finding is one's own, one of a report about many things, or shared. */
const ways: readonly [string, readonly ReportOptions[]][] = [
  ['of one thing', [{}]],
  ['of many things', [{ about: undefined }]],
  ['of many things elsewhere', [{ about: undefined, namespace: 'scanner' }]],
  ['that two slots report', [{}, { about: 'Deployment/web', kind: kinds.checks }]],
];

describe('a finding that is stored twice', () => {
  it.each(ways)('%s is stored once after a pass, and ages like any other', async (_what, reports) => {
    const { creates, copyTo, places, put, pass, later } = createRefusingWorld();
    creates.add('shop');
    const rows = [row('a', { namespace: 'shop' }), row('b', { namespace: 'shop' })];
    const say = (said: readonly unknown[]) => reports.map((report, index) => put(`r${index}`, said, report));
    say(rows);
    await pass();
    expect(await places()).toEqual(['a zen-system open', 'b zen-system open']);
    creates.clear();
    await copyTo('shop');
    await pass();
    expect(await places()).toEqual(['a shop open', 'b shop open']);

    await copyTo('zen-system');
    say(rows.slice(0, 1));
    await pass();
    expect(await places()).toEqual(['a shop open', 'b shop missing']);
    later(60);
    await pass();
    expect(await places()).toEqual(['a shop open', 'b shop resolved']);
  });

  it.each(ways.flatMap(([what, reports]) => ['shop', 'zzz'].map((namespace) => [what, namespace, reports] as const)))(
    '%s is changed where it belongs, by an event, too: in %s',
    async (_what, own, reports) => {
      const { copyTo, seen, put, event } = createRefusingWorld();
      const say = (summary: string) =>
        reports.map((report, index) =>
          put(`r${index}`, [row('a', { namespace: own, summary })], { namespace: own, ...report }),
        );
      for (const report of say('one')) await event(report);
      await copyTo('zen-system');
      for (const report of say('two')) await event(report);
      const [there] = (await seen()).filter(({ namespace }) => namespace === own);
      // What several slots report is mended by the pass.
      expect(there?.summary).toBe(reports.length > 1 ? 'a: one' : 'a: two');
    },
  );
});

describe('a namespace that refuses', () => {
  it('what is to be stored, as the system namespace does, fails the pass, once it has been to all others', async () => {
    const { creates, put, pass, places } = createRefusingWorld();
    put('first', [row('a')], { namespace: 'aaa' });
    put('refused', [row('b')]);
    put('last', [row('c')], { namespace: 'zzz' });
    creates.add('shop').add('zen-system');
    await expect(pass()).rejects.toMatchObject({ status: 503, message: 'the system namespace is full' });
    expect(await places()).toEqual(['a aaa open', 'c zzz open']);
  });

  it('changes keeps none from being made elsewhere, and is named once', async () => {
    const { changes, put, pass, places, later } = createRefusingWorld();
    const say = (namespace: string, ids: readonly string[]) =>
      put(
        'r',
        ids.map((id) => row(id)),
        { namespace },
      );
    for (const namespace of ['shop', 'tail']) say(namespace, ['a', 'b', 'c']);
    await pass();
    for (const namespace of ['shop', 'tail']) say(namespace, ['a']);
    changes.add('shop');
    const warnings = ['namespace shop: the namespace is denying it: webhook "w"'];
    expect((await pass()).warnings).toEqual(warnings);
    const shop = ['a shop open', 'b shop open', 'c shop open'];
    expect(await places()).toEqual([...shop, 'a tail open', 'b tail missing', 'c tail missing'].sort());
    later(60);
    expect((await pass()).warnings).toEqual(warnings);
    expect(await places()).toEqual([...shop, 'a tail open', 'b tail resolved', 'c tail resolved'].sort());
  });

  it('to have a copy deleted keeps no other copy', async () => {
    const { changes, creates, copyTo, put, pass, places } = createRefusingWorld();
    put('r', [row('a')]);
    creates.add('shop');
    await pass();
    await copyTo('shop');
    changes.add('zen-system');
    expect((await pass()).warnings).toEqual(['namespace zen-system: the namespace is denying it: webhook "w"']);
    changes.clear();
    await pass();
    expect(await places()).toEqual(['a shop open']);
  });

  it('what an event finds again has it said in the system namespace, until it lets it be said', async () => {
    const { changes, put, event, pass, seen } = createRefusingWorld();
    const summaries = async () => (await seen()).map(({ namespace, summary }) => `${namespace} ${summary}`).sort();
    await event(put('r', [row('a', { summary: 'one' })]));
    changes.add('shop');
    await event(put('r', [row('a', { summary: 'two' })]));
    await event(put('r', [row('a', { summary: 'three' })]));
    expect(await summaries()).toEqual(['shop a: one', 'zen-system a: three']);
    await pass();
    expect(await summaries()).toEqual(['shop a: one', 'zen-system a: three']);
    changes.clear();
    await pass();
    await pass();
    expect(await summaries()).toEqual(['shop a: three']);
  });
});

describe('an event that is stored twice', () => {
  const alert = (rule: string, namespace: string | undefined) =>
    eventOf('falco.rule.output.v1', {
      ...{ rule, priority: 'Error', time: '2026-03-01T12:00:00Z' },
      output_fields: namespace === undefined ? {} : { 'k8s.ns.name': namespace, 'k8s.pod.name': 'p' },
    });

  it.each([
    ['affected', 'twice shop'],
    ['system', 'twice zen-system'],
  ])('is stored once after gc where EVENT_NAMESPACE=%s says', async (value, left) => {
    const environment = { EVENT_NAMESPACE: value };
    const { store, context } = createTestContext(gc, { environment });
    const tell = async (EVENT_NAMESPACE: string, rule: string, namespace?: string) => {
      const writer = createTestContext(falco, { environment: { EVENT_NAMESPACE }, context: { store } });
      await handled(falco, alert(rule, namespace), writer.context);
    };
    for (const where of ['affected', 'system']) {
      await tell(where, 'twice', 'shop');
      await tell(where, `once ${where}`, 'shop');
      await tell(where, 'of no namespace');
    }
    expect((await handled(gc, ping, context)).deleted).toEqual([{ source: 'falco', reason: 'copy', count: 1 }]);
    const { items } = await store.read({ limit: 9 });
    expect(items.map(({ metadata, spec }) => `${spec.rule} ${metadata.namespace}`).sort()).toEqual(
      [left, 'once affected shop', 'once system zen-system', 'of no namespace zen-system'].sort(),
    );
  });

  const [inShop, inPay, inSystem] = ['shop', 'pay', 'zen-system'].map((namespace) => ({
    ...{ rule: 'r', name: 'same', namespace },
    odd: { [labels.namespace]: namespace === 'zen-system' ? 'shop' : undefined },
  }));

  it.each<[string, Environment, readonly (Seed | undefined)[]]>([
    ['has a state', {}, [inShop, inSystem].map((one) => one && { ...one, state: 'open' })],
    [
      'no source has made',
      {},
      [inShop, inSystem].map((one) => one && { ...one, odd: { ...one.odd, [labels.source]: undefined } }),
    ],
    ['is of no namespace', {}, [inShop, inSystem && { ...inSystem, odd: {} }]],
    ['is of another namespace than its copy', {}, [inPay, inSystem]],
    ['is no copy in the system namespace', {}, [inPay, inShop && { ...inShop, odd: { [labels.namespace]: 'pay' } }]],
    ['is its own copy', {}, [inSystem && { ...inSystem, odd: { [labels.namespace]: 'zen-system' } }]],
    ['is where nobody looks', { EVENT_NAMESPACE: 'system', WATCH_NAMESPACE: 'shop' }, [inPay, inSystem]],
  ])('is left alone by gc if it %s', async (_what, environment, seeds) => {
    const test = gcContext({ environment });
    for (const one of seeds) if (one) await seed(test, one);
    expect((await handled(gc, ping, test.context)).deleted).toEqual([]);
    expect(await rulesIn(test)).toHaveLength(seeds.length);
  });

  it('is left to gc by a namespace that denies deletions, which fails no collection', async () => {
    const deny = (store: Store): Partial<Store> => ({
      async delete(ref, signal) {
        if (ref.namespace === 'shop') throw new NamespaceRefusal('denying', 'webhook "w"');
        return store.delete(ref, signal);
      },
    });
    const { store, context } = createTestContext(gc, { wrap: deny });
    const short = { environment: { OBSERVATION_TTL_SECONDS: '1' }, context: { store, now: () => 0 } };
    for (const namespace of ['shop', 'pay']) {
      await handled(falco, alert('old', namespace), createTestContext(falco, short).context);
    }
    const summary = await handled(gc, ping, context);
    expect(summary.deleted).toEqual([{ source: 'falco', reason: 'ttl', count: 1 }]);
    expect(summary.warnings).toEqual(['namespace shop: the namespace is denying it: webhook "w"']);
    expect(summary.collection?.errors).toEqual([]);
  });
});
