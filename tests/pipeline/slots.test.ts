import { describe, expect, it } from 'vitest';
import { exceptionAnnotation, historyAnnotation, labels } from '../../shared/api/labels.ts';
import { type Filter, UnreadableFilter } from '../../shared/function/filter.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type KubernetesObject, NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import { settle } from './passing-time.ts';
import { createWorld, kinds, type ReportOptions } from './slot-world.ts';

const row = (id: string, more: object = {}) => ({ id, ...more });

function replicaSet(name: string, replicas: number): KubernetesObject {
  const object = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name, namespace: 'shop' } };
  return Object.assign(object, { spec: { replicas } });
}

describe('an event about a report', () => {
  it('creates what is not stored, with two calls and one look before and after', async () => {
    const { put, event, states, calls } = createWorld();
    await event(put('r', [row('a'), row('b')]));
    expect(await states()).toEqual({ a: 'open', b: 'open' });
    expect(calls.filter((call) => call.startsWith('metadata'))).toHaveLength(2);
    expect(calls.filter((call) => call.startsWith('get'))).toEqual(['get Scan']);
  });

  it('costs two calls if nothing has changed, its own read among them', async () => {
    const { put, event, calls } = createWorld();
    const rows = Array.from({ length: 300 }, (_, index) => row(`${index}`));
    await event(put('r', rows));
    calls.length = 0;
    const again = put('r', rows.toReversed(), { uid: 'another', created: '2026-03-02T10:00:00Z' });
    const { unchanged, filtered } = await event(again);
    expect([calls, unchanged, filtered]).toEqual([['get Scan', 'names'], 300, {}]);
  });

  it.each<[string, (world: ReturnType<typeof createWorld>) => KubernetesObject]>([
    ['something of it is missing', ({ put }) => put('r', [row('b')])],
    ['the tool itself has accepted it', ({ put }) => put('r', [row('a', { accepted: 'shop/why' })])],
    [
      'another slot says something else of it',
      ({ put }) => put('s', [row('a', { fixedIn: '2' })], { kind: kinds.checks }),
    ],
  ])('costs two calls, too, while %s', async (_what, change) => {
    const world = createWorld();
    await world.event(world.put('r', [row('a'), row('b')]));
    const changed = change(world);
    await world.event(changed);
    world.calls.length = 0;
    await world.event(changed);
    expect(world.calls).toEqual([`get ${changed.kind}`, 'names']);
  });

  it('costs two calls, too, if a filter has come that drops some of it', async () => {
    let drops = false;
    const filter: Filter = (finding) => (drops ? 'exclude_rule' : finding);
    const { put, event, calls, states } = createWorld({ context: { filter } });
    const object = put('r', [row('a')]);
    await event(object);
    drops = true;
    calls.length = 0;
    await event(object);
    expect(calls).toEqual(['get Scan', 'names']);
    expect(await states()).toEqual({ a: 'open' });
  });

  it.each([
    [9, { created: [{ count: 10 }] }],
    [10, { status: 503, message: 'the reports keep changing' }],
  ])('is handled to its end while its report changes, or again: %i times', async (times, outcome) => {
    const { put, event, beforeCalls } = createWorld();
    let rows = [row('0')];
    let looks = 0;
    beforeCalls(async (call) => {
      if (call !== 'metadata Scan') return;
      looks += 1;
      // The second look of a round is the one after it has written.
      if (looks % 2 !== 0 || rows.length > times) return;
      rows = [...rows, row(`${rows.length}`)];
      put('r', rows);
    });
    const handled = await event(put('r', rows)).catch((error: unknown) => error);
    expect(handled).toMatchObject(outcome);
  });

  it('closes nothing of another report that is made anew while it is read', async () => {
    const { put, remove, event, beforeCalls, states } = createWorld();
    put('s', [row('b')]);
    await event(put('r', [row('a')]));
    await event(put('s', [row('b')]));
    const changed = put('s', [row('b'), row('c')]);
    let reads = 0;
    beforeCalls(async (call) => {
      if (call === 'get Scan') {
        reads += 1;
        if (reads === 2) remove('r');
      }
      if (call === 'metadata Scan' && reads === 2) put('r', [row('a')]);
    });
    const { relabelled, created } = await event(changed);
    expect([relabelled, created.length]).toEqual([{}, 1]);
    expect(await states()).toEqual({ a: 'open', b: 'open', c: 'open' });
  });

  it.each<[string, number, ReportOptions]>([
    ['once what is stored, wherever that is', 1, { about: undefined }],
    ['once what is stored in the system namespace', 1, { kind: kinds.clusterScans, about: 'Node/n' }],
    ['twice what is stored in its own namespace, or in the system namespace', 2, {}],
  ])('lists %s', async (_what, lists, report) => {
    const { put, event, calls } = createWorld();
    await event(put('r', [row('a')], report));
    expect(calls.filter((call) => call === 'names')).toHaveLength(lists);
  });

  it('changes nothing but what it may: what is left out, and what is missing, is for the pass', async () => {
    let drops = false;
    const filter: Filter = (finding) => (drops && finding.rule === 'a' ? 'exclude_rule' : finding);
    const { put, event, states, later } = createWorld({ context: { filter } });
    await event(put('r', [row('a'), row('b')]));
    await event(put('r', [row('a')]));
    expect(await states()).toEqual({ a: 'open', b: 'missing' });
    drops = true;
    later(61);
    const { relabelled } = await event(put('r', [row('a'), row('c')]));
    expect([relabelled, await states()]).toEqual([{}, { a: 'open', b: 'missing', c: 'open' }]);
  });

  it('changes nothing because its report goes as soon as it has been read', async () => {
    const { put, remove, event, states, beforeCalls } = createWorld();
    await event(put('r', [row('a')]));
    const changed = put('r', [row('b')]);
    beforeCalls(async (call) => {
      if (call === 'metadata Scan') remove('r');
    });
    expect(await event(changed)).toMatchObject({ created: [], relabelled: {} });
    expect(await states()).toEqual({ a: 'open' });
  });

  it('makes missing at once what its report no longer has', async () => {
    const { put, event, states } = createWorld();
    await event(put('r', [row('a'), row('b')]));
    await event(put('r', [row('b')]));
    expect(await states()).toEqual({ a: 'missing', b: 'open' });
  });

  it('leaves open what another report of the slot still says', async () => {
    const { put, event, states } = createWorld();
    put('other', [row('a')], { about: 'Pod/web-7d9c5b6f4d-x2x9z' });
    await event(put('r', [row('a'), row('b')]));
    await event(put('r', []));
    expect(await states()).toEqual({ a: 'open', b: 'missing' });
  });

  it('looks at the reports of its slot once if they say together what is stored', async () => {
    const { put, event, calls } = createWorld();
    put('other', [row('a')], { about: 'Pod/web-7d9c5b6f4d-x2x9z' });
    await event(put('r', [row('a'), row('b')]));
    const changed = put('r', [row('b')]);
    calls.length = 0;
    expect((await event(changed)).relabelled).toEqual({});
    expect(calls).toEqual(['get Scan', 'names', 'metadata Scan', 'get Scan', 'names']);
  });

  it('is handled again, and closes nothing, if the reports of its slot can not be listed', async () => {
    const { put, event, states, beforeCalls } = createWorld();
    await event(put('r', [row('a')]));
    const changed = put('r', [row('b')]);
    beforeCalls(async (call) => {
      if (call === 'metadata Scan') throw new Refusal(503, 'away');
    });
    await expect(event(changed)).rejects.toMatchObject({ status: 503, message: 'away' });
    expect(await states()).toEqual({ a: 'open' });
  });

  it('leaves alone what another slot says', async () => {
    const { put, event, states } = createWorld();
    await event(put('other', [row('a')], { about: 'Deployment/api' }));
    await event(put('check', [row('b')], { kind: kinds.checks }));
    await event(put('r', [row('c')]));
    await event(put('r', []));
    expect(await states()).toEqual({ a: 'open', b: 'open', c: 'missing' });
  });

  it('changes nothing because a report is gone', async () => {
    const { put, remove, event, states, calls } = createWorld();
    const object = put('r', [row('a')]);
    await event(object);
    remove('r');
    calls.length = 0;
    const { skipped } = await event(object);
    expect(skipped).toEqual({ gone: 1 });
    expect(await states()).toEqual({ a: 'open' });
    expect(calls).toEqual(['get Scan']);
  });

  it('reads what is stored in the namespace of a report about one thing, and in all for any other', async () => {
    const namespaces: (string | undefined)[] = [];
    const wrap = (store: Store): Partial<Store> => ({
      names(query, signal) {
        namespaces.push(query.namespace);
        return store.names(query, signal);
      },
    });
    const { put, event } = createWorld({ wrap });
    const inApps = row('a', { namespace: 'apps' });
    for (const [about, rows, expected] of [
      ['Deployment/web', [row('a')], 'shop'],
      ['Deployment/web', [row('a'), inApps], undefined],
      [undefined, [row('a')], undefined],
    ] as const) {
      const object = put('r', rows, { about });
      await event(object);
      namespaces.length = 0;
      const { unchanged, duplicate } = await event(object);
      expect([namespaces, unchanged, duplicate]).toEqual([[expected], rows.length, 0]);
    }
    const node = put('n', [row('n')], { kind: kinds.clusterScans, about: 'Node/n' });
    await event(node);
    namespaces.length = 0;
    await event(node);
    expect(namespaces).toEqual(['zen-system']);
  });

  it('makes missing what is elsewhere, of a report about many things', async () => {
    const { put, event, states } = createWorld();
    const wide = { about: undefined };
    await event(put('r', [row('a', { namespace: 'apps' }), row('b')], wide));
    await event(put('r', [row('b')], wide));
    expect(await states()).toEqual({ a: 'missing', b: 'open' });
  });

  it('asks only for kinds that the reports of its slot may have', async () => {
    const { put, event, calls, states } = createWorld();
    const asked = () => new Set(calls.splice(0).filter((call) => call.startsWith('metadata')));
    await event(put('r', [row('a')], { about: undefined }));
    expect(asked()).toEqual(new Set(['metadata Scan', 'metadata Check', 'metadata Check (old)']));
    const node = { kind: kinds.clusterScans, about: 'Node/n' };
    await event(put('n', [row('b'), row('c')], node));
    await event(put('n', [row('c')], node));
    expect(asked()).toEqual(new Set(['metadata ClusterScan']));
    expect(await states()).toEqual({ a: 'open', b: 'missing', c: 'open' });
  });

  it('keeps the facts as the report says, with one patch', async () => {
    const { put, event, seen, calls } = createWorld();
    await event(put('r', [row('a', { severity: 'low' })]));
    calls.length = 0;
    await event(put('r', [row('a', { severity: 'critical', summary: 'worse', fixedIn: '2' })]));
    expect(calls.filter((call) => call === 'patch')).toHaveLength(1);
    expect(await seen()).toMatchObject([
      { state: 'open', severity: 'CRITICAL', summary: 'a: worse', details: { fixedIn: '2' } },
    ]);
    await event(put('r', [row('a', { severity: 'critical' })]));
    expect((await seen())[0]?.details).toEqual({});
  });

  it('writes the facts of what it opens again', async () => {
    const { put, event, seen } = createWorld();
    await event(put('r', [row('a', { fixedIn: '1' })]));
    await event(put('r', []));
    await event(put('r', [row('a', { fixedIn: '1', severity: 'low' })]));
    expect(await seen()).toMatchObject([{ state: 'open', severity: 'LOW', details: { fixedIn: '1' } }]);
  });

  it('keeps a history of states and severities, newest first', async () => {
    const { put, event, later, store } = createWorld();
    await event(put('r', [row('a')]));
    later(1);
    await event(put('r', []));
    later(1);
    await event(put('r', [row('a')]));
    later(1);
    await event(put('r', [row('a', { severity: 'low' })]));
    const [item] = (await store.read({ limit: 1 })).items;
    expect(JSON.parse(item?.metadata.annotations['zen.kube-zen.io/history'] ?? '')).toEqual([
      { time: '2026-03-01T12:03:00.000Z', state: 'open', severity: 'LOW', reason: 'severity' },
      { time: '2026-03-01T12:02:00.000Z', state: 'open', severity: 'HIGH', reason: 'reported' },
      { time: '2026-03-01T12:01:00.000Z', state: 'missing', severity: 'HIGH', reason: 'unreported' },
    ]);
    expect(item?.metadata.labels[labels.since]).toBe(String(Date.parse('2026-03-01T12:03:00Z')));
  });

  it('takes the facts of the newest report of the slot', async () => {
    const { put, event, seen } = createWorld();
    const old = put('old', [row('a', { summary: 'old', detectedAt: '2026-03-01T10:00:00Z' })]);
    put('new', [row('a', { summary: 'new', detectedAt: '2026-03-01T11:00:00Z' })]);
    await event(old);
    expect(await seen()).toMatchObject([{ summary: 'a: new' }]);
  });
});

describe('a slot of many reports', () => {
  const kind = kinds.checks;

  /** A Deployment, its ReplicaSets and their Pods, with a report each. */
  function reportsOf({ put }: ReturnType<typeof createWorld>, pods: number): KubernetesObject[] {
    const hashes = ['7d9c5b6f4d', '6c8b4d5f9d', '5b7f4d6c8b'];
    const names = [
      'Deployment/web',
      ...hashes.map((hash) => `ReplicaSet/web-${hash}`),
      ...Array.from({ length: pods }, (_, index) => `Pod/web-7d9c5b6f4d-x2x${'bcdfghjklmnpqrstvwxz24'[index] ?? ''}z`),
    ];
    return names.map((about, index) => put(`report-${index}`, [row('a'), row('b')], { kind, about }));
  }

  it('takes at most 25 calls an event, one of 20 reports differing', async () => {
    const world = createWorld();
    const [first] = reportsOf(world, 16);
    await world.event(first ?? world.put('none', []));
    const differing = world.put('report-9', [row('a'), row('b'), row('c')], {
      kind,
      about: 'Pod/web-7d9c5b6f4d-x2xjz',
    });
    world.calls.length = 0;
    await world.event(differing);
    expect(await world.states()).toEqual({ a: 'open', b: 'open', c: 'open' });
    // An API group that is not served is not asked each time.
    expect(world.calls.filter((call) => !call.includes('(old)')).length).toBeLessThanOrEqual(25);
    await world.event(world.put('report-9', [row('a')], { kind, about: 'Pod/web-7d9c5b6f4d-x2xjz' }));
    expect(await world.states()).toEqual({ a: 'open', b: 'open', c: 'missing' });
  });

  it('is left to the pass where there are more than 20, but for what is new', async () => {
    const world = createWorld();
    const [first] = reportsOf(world, 17);
    await world.event(first ?? world.put('none', []));
    const differing = world.put('report-9', [row('a'), row('c')], { kind, about: 'Pod/web-7d9c5b6f4d-x2xjz' });
    world.calls.length = 0;
    await world.event(differing);
    expect(await world.states()).toEqual({ a: 'open', b: 'open', c: 'open' });
    expect(world.calls.length).toBeLessThanOrEqual(10);
    for (let index = 0; index < 21; index += 1) world.remove(`report-${index}`, { kind });
    world.put('report-1', [row('a')], { kind, about: 'ReplicaSet/web-7d9c5b6f4d' });
    await world.pass();
    expect(await world.states()).toEqual({ a: 'open', b: 'missing', c: 'missing' });
  });

  it('is read whole by a pass if one of them changes meanwhile', async () => {
    const world = createWorld();
    const [first] = reportsOf(world, 17);
    if (first) await world.event(first);
    let looks = 0;
    world.beforeCalls(async (call) => {
      if (call === 'metadata Check') looks += 1;
      if (call !== 'metadata Check' || looks !== 2) return;
      for (let index = 0; index < 21; index += 1) {
        const about = index === 0 ? 'Deployment/web' : `Pod/web-7d9c5b6f4d-x2x${'bcdfghjklmnpqrstvwxz24'[index]}z`;
        world.put(`report-${index}`, [row('a')], { kind, about });
      }
    });
    world.put('report-0', [row('a'), row('b'), row('c')], { kind, about: 'Deployment/web' });
    await world.pass();
    expect(await world.states()).toEqual({ a: 'open', b: 'missing', c: 'missing' });
  });

  it('is one slot in two API groups', async () => {
    const { put, event, states } = createWorld();
    put('old', [row('a'), row('b')], { kind: kinds.oldChecks });
    await event(put('new', [row('a'), row('b')], { kind }));
    await event(put('new', [row('a')], { kind }));
    expect(await states()).toEqual({ a: 'open', b: 'open' });
    await event(put('old', [row('a')], { kind: kinds.oldChecks }));
    expect(await states()).toEqual({ a: 'open', b: 'missing' });
  });
});

describe('a rollout', () => {
  const before = 'ReplicaSet/web-7d9c5b6f4d';
  const after = 'ReplicaSet/web-6c8b4d5f9d';

  it('to a version with the same flaws writes nothing', async () => {
    const { put, event, calls, states } = createWorld();
    await event(put('old', [row('a'), row('b')], { about: before }));
    calls.length = 0;
    await event(put('new', [row('a'), row('b')], { about: after, created: '2026-03-01T11:00:00Z' }));
    expect(calls).toEqual(['get Scan', 'names']);
    expect(await states()).toEqual({ a: 'open', b: 'open' });
  });

  it('keeps open what the old version has for as long as it runs', async () => {
    const { put, event, objects, states, pass } = createWorld();
    const old = replicaSet('web-7d9c5b6f4d', 1);
    objects.all.push(old, replicaSet('web-6c8b4d5f9d', 1));
    await event(put('old', [row('a'), row('b')], { about: before }));
    await event(put('new', [row('b')], { about: after, created: '2026-03-01T11:00:00Z' }));
    expect(await states()).toEqual({ a: 'open', b: 'open' });
    Object.assign(old, { spec: { replicas: 0 } });
    await pass();
    expect(await states()).toEqual({ a: 'missing', b: 'open' });
  });

  it('takes no facts of an old version that another report confirms', async () => {
    const { put, pass, seen, objects } = createWorld();
    objects.all.push(replicaSet('web-7d9c5b6f4d', 0));
    put('old', [row('a', { fixedIn: '1' })], { about: before, created: '2026-03-01T11:30:00Z' });
    put('pod', [row('a', { fixedIn: '1' })], { about: 'Pod/web-6c8b4d5f9d-x2x9z' });
    put('web', [row('a', { fixedIn: '2' })], { created: '2026-03-01T11:00:00Z' });
    await pass();
    expect(await seen()).toMatchObject([{ details: { fixedIn: '2' } }]);
  });

  const [old, latest] = ['web-7d9c5b6f4d', 'web-6c8b4d5f9d'];
  const later = '2026-03-01T11:00:00Z';

  /** What is open after a pass, of a version that has the flaws a and b, and a later one that has b and c. */
  async function openAfter(replicaSets: readonly KubernetesObject[], more: object): Promise<string[]> {
    const { mayAsk, ofDeployment, isReversed, created } = {
      ...{ mayAsk: true, ofDeployment: false, isReversed: false, created: later },
      ...more,
    };
    const { put, objects, pass, states, beforeCalls } = createWorld();
    objects.all.push(...replicaSets);
    put('a', [row('a'), row('b')], { about: before, created: '2026-03-01T10:00:00Z' });
    put('b', [row('b'), row('c')], { about: after, created });
    if (ofDeployment) put('web', [row('d')]);
    if (isReversed) objects.all.reverse();
    beforeCalls(async (call) => {
      if (call === 'get ReplicaSet' && !mayAsk) throw new Refusal(503, 'may not get replicasets');
    });
    await pass();
    expect(new Set(Object.values(await states()))).toEqual(new Set(['open']));
    return Object.keys(await states());
  }

  const unsaid = (spec: unknown): KubernetesObject => Object.assign(replicaSet(old, 1), { spec });

  it.each<[string, string, KubernetesObject[], object?]>([
    ['both run', 'abc', [replicaSet(old, 1), replicaSet(latest, 2)]],
    ['the later one runs', 'bc', [replicaSet(old, 0), replicaSet(latest, 1)]],
    ['the later one runs, and the old one is gone', 'bc', [replicaSet(latest, 1)]],
    ['the old one runs again', 'ab', [replicaSet(old, 1), replicaSet(latest, 0)]],
    ['the old one does not say how many Pods it has', 'abc', [unsaid({}), replicaSet(latest, 1)]],
    ['the old one says nothing', 'abc', [unsaid(undefined), replicaSet(latest, 1)]],
    ['neither runs', 'bc', [replicaSet(old, 0), replicaSet(latest, 0)]],
    ['neither runs, and both are as old', 'ab', [], { created: '2026-03-01T10:00:00Z' }],
    ['nobody may ask', 'bc', [replicaSet(old, 1), replicaSet(latest, 0)], { mayAsk: false }],
    ['nobody may ask', 'bcd', [replicaSet(old, 1)], { mayAsk: false, ofDeployment: true }],
    ['neither runs, but the Deployment has a report', 'd', [replicaSet(old, 0)], { ofDeployment: true }],
    ['one runs, and the Deployment has a report', 'bcd', [replicaSet(latest, 1)], { ofDeployment: true }],
  ])('counts the versions that run: if %s, %s', async (_case, open, replicaSets, more = {}) => {
    expect((await openAfter(replicaSets, more)).join('')).toBe(open);
    // The order in which the cluster lists them says nothing.
    expect((await openAfter(replicaSets, { ...more, isReversed: true })).join('')).toBe(open);
  });

  it('counts what the version that runs accepts, if they differ in that alone', async () => {
    const { put, pass, objects, store } = createWorld();
    objects.all.push(replicaSet(old, 1), replicaSet(latest, 0));
    put('a', [row('a')], { about: before });
    await pass();
    put('a', [row('a', { accepted: 'shop/old' })], { about: before });
    put('b', [row('a', { accepted: 'shop/latest' })], { about: after, created: later });
    await pass();
    const { items } = await store.read({ limit: 9 });
    expect(items.map(({ metadata }) => metadata.annotations[exceptionAnnotation])).toEqual(['shop/old']);
  });

  it('asks for ReplicaSets as the API server has them', async () => {
    const { put, pass, objects } = createWorld();
    const { get } = objects;
    const asked: unknown[] = [];
    objects.get = async (resource, ref, ...rest) => {
      if (resource.kind === 'ReplicaSet') asked.push({ ...resource, of: ref.apiVersion });
      return get(resource, ref, ...rest);
    };
    put('a', [row('a')], { about: before });
    put('b', [], { about: after });
    await pass();
    const kind = { group: 'apps', versions: ['v1'], kind: 'ReplicaSet', plural: 'replicasets', namespaced: true };
    expect(asked).toEqual([1, 2].map(() => ({ ...kind, of: 'apps/v1' })));
  });

  it('asks for no ReplicaSet if all say the same', async () => {
    const { put, pass, calls, states } = createWorld();
    for (const about of [before, after]) put(about.slice(-10), [row('a'), row('b')], { about });
    await pass();
    expect(await states()).toEqual({ a: 'open', b: 'open' });
    expect(calls).not.toContain('get ReplicaSet');
  });

  it('believes the newest ReplicaSet where it may not ask which one runs', async () => {
    const { put, event, states } = createWorld();
    await event(put('old', [row('a'), row('b')], { about: before }));
    // There is no such ReplicaSet, so neither of them runs.
    await event(put('new', [row('b')], { about: after, created: '2026-03-01T11:00:00Z' }));
    expect(await states()).toEqual({ a: 'missing', b: 'open' });
  });
});

describe('a report that can not be read', () => {
  it('says the cause as it is by now', async () => {
    const { put, event, seen } = createWorld();
    await expect(event(put('r', [{}]))).rejects.toMatchObject({ status: 422 });
    await expect(event(put('r', [{}, {}]))).rejects.toMatchObject({ status: 422 });
    expect(await seen()).toMatchObject([{ id: 'unreadable-object', summary: expect.stringContaining('2 rows') }]);
  });

  it('keeps the facts of what another slot reports, too', async () => {
    const { put, event, pass, seen } = createWorld();
    await event(put('r', [row('a', { fixedIn: '1' })]));
    await event(put('check', [row('a', { fixedIn: '1' })], { kind: kinds.checks }));
    put('r', [row('a', { fixedIn: '2' }), {}], { created: '2026-03-01T11:00:00Z' });
    await pass();
    expect(await seen()).toMatchObject([{ id: 'a', details: { fixedIn: '1' } }, { id: 'unreadable-object' }]);
    put('r', [row('a', { fixedIn: '2' })], { created: '2026-03-01T11:00:00Z' });
    await pass();
    expect(await seen()).toMatchObject([{ id: 'a', details: { fixedIn: '2' } }, { state: 'missing' }]);
  });

  it('keeps everything of its slot open, and is said so once', async () => {
    const { put, event, states, pass, later, seen } = createWorld();
    await event(put('r', [row('a'), row('b')]));
    await expect(event(put('r', [row('b'), { severity: 1 }]))).rejects.toMatchObject({ status: 422 });
    later(61);
    await pass();
    expect(await states()).toEqual({ a: 'open', b: 'open', 'unreadable-object': 'open' });
    expect((await seen()).at(-1)?.summary).toContain('rows[1].id');
  });

  it('is over once it has been mended', async () => {
    const { put, event, states, pass, later } = createWorld();
    await expect(event(put('r', [row('b'), {}]))).rejects.toMatchObject({ status: 422 });
    await event(put('r', [row('b')]));
    expect(await states()).toEqual({ b: 'open', 'unreadable-object': 'missing' });
    later(61);
    await pass();
    expect(await states()).toEqual({ b: 'open', 'unreadable-object': 'resolved' });
  });

  it('keeps open nothing of another slot', async () => {
    const { put, remove, event, states, pass } = createWorld();
    await event(put('other', [row('a')], { about: 'Deployment/api' }));
    await expect(event(put('r', [{}]))).rejects.toMatchObject({ status: 422 });
    remove('other', {});
    await pass();
    expect(await states()).toEqual({ a: 'missing', 'unreadable-object': 'open' });
  });
});

describe('what the tool itself has accepted', () => {
  const accepted = row('a', { accepted: 'shop/because' });

  async function acceptance({ store }: ReturnType<typeof createWorld>) {
    const { items } = await store.read({ limit: 9 });
    return items.map(({ metadata }) => [
      metadata.labels[labels.state],
      metadata.labels[labels.accepted],
      metadata.annotations[exceptionAnnotation],
    ]);
  }

  it.each(['event', 'pass'] as const)('stays open, as accepted: seen by an %s', async (kind) => {
    const world = createWorld();
    await world.event(world.put('r', [row('a')]));
    world.later(1);
    const object = world.put('r', [accepted]);
    await (kind === 'event' ? world.event(object) : world.pass());
    expect(await acceptance(world)).toEqual([['open', 'forever', 'shop/because']]);
    world.calls.length = 0;
    await (kind === 'event' ? world.event(object) : world.pass());
    expect(world.calls.filter((call) => call === 'patch')).toEqual([]);
    await world.event(world.put('r', [row('a')]));
    expect((await acceptance(world))[0]?.slice(0, 2)).toEqual(['open', undefined]);
    const [item] = (await world.store.read({ limit: 1 })).items;
    const reasons = JSON.parse(item?.metadata.annotations[historyAnnotation] ?? '').map(
      ({ reason }: { reason: string }) => reason,
    );
    expect(reasons).toEqual(['unaccepted', 'accepted']);
  });

  it('stays open in the system namespace, too', async () => {
    const world = createWorld();
    const ofNode = { kind: kinds.clusterScans, about: 'Node/n' };
    world.put('n', [row('a')], ofNode);
    await world.pass();
    world.put('n', [accepted], ofNode);
    for (let pass = 0; pass < 2; pass += 1) {
      await world.pass();
      expect(await acceptance(world)).toEqual([['open', 'forever', 'shop/because']]);
    }
  });

  it('is not created, and not opened', async () => {
    const world = createWorld();
    await world.event(world.put('r', [accepted]));
    await world.pass();
    expect(await world.states()).toEqual({});
    await world.event(world.put('r', [row('a')]));
    await world.event(world.put('r', []));
    await world.event(world.put('r', [accepted]));
    expect(await world.states()).toEqual({ a: 'missing' });
    world.later(61);
    await world.pass();
    expect(await world.states()).toEqual({ a: 'resolved' });
  });

  it('is renewed as long as it goes on, and is over when it is over', async () => {
    const world = createWorld();
    await world.event(world.put('r', [row('a')]));
    world.put('r', [accepted]);
    for (let pass = 0; pass < 9; pass += 1) {
      await world.pass();
      world.later(24 * 60);
    }
    const signal = new AbortController().signal;
    expect(await Array.fromAsync(world.store.expired(world.clock.now, signal))).toEqual([]);
    await world.event(world.put('r', []));
    expect(await world.states()).toEqual({ a: 'missing' });
  });
});

describe('the pass', () => {
  it('makes missing, and later resolved, what no report has', async () => {
    const { put, remove, event, states, pass, later } = createWorld();
    await event(put('r', [row('a')]));
    remove('r');
    await pass();
    expect(await states()).toEqual({ a: 'missing' });
    await pass();
    expect(await states()).toEqual({ a: 'missing' });
    later(60);
    await pass();
    expect(await states()).toEqual({ a: 'resolved' });
  });

  it('creates, mends and opens what events were lost for', async () => {
    const { put, event, seen, pass } = createWorld();
    await event(put('r', [row('a', { fixedIn: '1' }), row('b')]));
    await event(put('r', [row('a', { fixedIn: '1' })]));
    put('r', [row('a', { fixedIn: '2' }), row('b'), row('c')]);
    await pass();
    expect(await seen()).toMatchObject([
      { id: 'a', state: 'open', details: { fixedIn: '2' } },
      { id: 'b', state: 'open' },
      { id: 'c', state: 'open' },
    ]);
  });

  it('writes nothing if nothing has changed, and looks at everything once', async () => {
    const { put, pass, calls } = createWorld();
    put('r', [row('a'), row('b')]);
    put('s', [row('a'), row('c')], { about: undefined });
    put('t', [row('a')], { kind: kinds.clusterScans, about: 'Node/n' });
    await pass();
    calls.length = 0;
    await pass();
    const kindNames = ['Check', 'Check (old)', 'ClusterScan', 'Scan'];
    expect(calls.toSorted()).toEqual([
      ...kindNames.map((kind) => `list ${kind}`),
      ...kindNames.map((kind) => `metadata ${kind}`),
      'names',
      'names',
    ]);
  });

  it.each([
    [0, 'open'],
    [1, 'resolved'],
  ])('resolves what a filter now drops: %i', async (dropped, state) => {
    let drops = false;
    const { put, event, states, pass, store } = createWorld({
      context: { filter: (finding) => (drops && finding.rule === 'a' ? 'exclude_rule' : finding) },
    });
    await event(put('r', [row('a'), row('b')]));
    drops = dropped === 1;
    await pass();
    expect(await states()).toEqual({ a: state, b: 'open' });
    if (!drops) return;
    const [item] = (await store.read({ limit: 9 })).items.filter(({ spec }) => spec.rule === 'a');
    expect(item?.metadata.annotations['zen.kube-zen.io/history']).toContain('filtered');
  });

  it.each<[string, ReportOptions[]]>([
    ['of a report about many things', [{ about: undefined, namespace: 'one' }]],
    [
      'of two slots about many things',
      [
        { about: undefined, namespace: 'one' },
        { about: undefined, namespace: 'two' },
      ],
    ],
    ['of two slots about one thing', [{}, { kind: kinds.checks }]],
  ])('resolves what a filter now drops %s', async (_case, reports) => {
    let drops = false;
    const { put, event, states, pass } = createWorld({
      context: { filter: (finding) => (drops ? 'exclude_rule' : finding) },
    });
    for (const report of reports) await event(put('r', [row('a', { namespace: 'shop' })], report));
    drops = true;
    await pass();
    expect(await states()).toEqual({ a: 'resolved' });
  });

  it('sees findings that are elsewhere than their report', async () => {
    const { put, seen, pass, later } = createWorld();
    put('r', [row('a', { namespace: 'other' }), row('b', { namespace: 'apps' })], { about: undefined });
    await pass();
    later(61);
    put('r', [row('a', { namespace: 'other' })], { about: undefined });
    await pass();
    expect(await seen()).toMatchObject([
      { id: 'a', namespace: 'other', state: 'open' },
      { id: 'b', namespace: 'apps', state: 'missing' },
    ]);
  });

  it('keeps what two slots report until neither does', async () => {
    const { put, remove, event, states, pass, later } = createWorld();
    await event(put('r', [row('a', { namespace: 'apps' })], { about: undefined, namespace: 'one' }));
    await event(put('s', [row('a', { namespace: 'apps' })], { about: undefined, namespace: 'two' }));
    await event(put('r', [], { about: undefined, namespace: 'one' }));
    expect(await states()).toEqual({ a: 'open' });
    await pass();
    expect(await states()).toEqual({ a: 'open' });
    remove('s', { namespace: 'two' });
    later(61);
    await pass();
    expect(await states()).toEqual({ a: 'missing' });
  });

  it.each([['apps'], [undefined]])(
    'gives a shared finding back to the slot that is left, in namespace %s',
    async (own) => {
      const { put, event, pass, store, seen } = createWorld();
      const a = row('a', { ...(own && { namespace: own }) });
      await event(put('r', [a], { about: undefined, namespace: 'one' }));
      const [first] = (await store.read({ limit: 1 })).items;
      const slot = first?.metadata.labels[labels.report];
      await event(put('s', [a], { about: undefined, namespace: 'two' }));
      const reportOf = async () => (await store.read({ limit: 1 })).items[0]?.metadata.labels[labels.report];
      expect(await reportOf()).toBe('shared');
      await pass();
      expect(await reportOf()).toBe('shared');
      put('s', [{ ...a, summary: 'new', detectedAt: '2026-03-01T11:00:00Z' }], { about: undefined, namespace: 'two' });
      await pass();
      expect(await seen()).toMatchObject([{ namespace: own ?? 'zen-system', state: 'open', summary: 'a: new' }]);
      await event(put('s', [], { about: undefined, namespace: 'two' }));
      await pass();
      expect(await reportOf()).toBe(slot);
      put('r', [], { about: undefined, namespace: 'one' });
      await pass();
      expect(await seen()).toMatchObject([{ state: 'missing' }]);
    },
  );

  it('tells what is gone from what another report leaves out', async () => {
    const filter: Filter = (finding) => (finding.severity === 'LOW' ? 'min_severity' : finding);
    const { put, event, pass, states } = createWorld({ context: { filter } });
    await event(put('r', [row('a', { namespace: 'apps' })]));
    put('s', [row('a', { namespace: 'apps', severity: 'low' })], { about: undefined });
    put('r', []);
    await pass();
    expect(await states()).toEqual({ a: 'missing' });
  });

  it.each([
    ['aaa', false],
    ['zzz', false],
    [undefined, false],
    ['zzz', true],
  ])(
    'leaves open what a filter that can not be read keeps from being judged, in namespace %s (full: %s)',
    async (namespace, isFull) => {
      let isReadable = true;
      const wrap = (store: Store): Partial<Store> => ({
        async create(object, signal) {
          if (isFull && object.metadata.namespace === namespace) throw new NamespaceRefusal('full');
          return store.create(object, signal);
        },
      });
      const filter: Filter = (finding) => {
        if (!isReadable) throw new UnreadableFilter('shop/f', true);
        return finding;
      };
      const { put, pass, states, later } = createWorld({ context: { filter }, wrap });
      put('r', [row('a', { ...(namespace && { namespace }) })], { about: undefined });
      await pass();
      isReadable = false;
      for (let passes = 0; passes < 2; passes += 1) {
        later(61);
        expect((await pass()).warnings).toEqual(['an ObservationFilter can not be read: shop/f']);
        expect(await states()).toEqual({ a: 'open' });
      }
    },
  );

  describe('while reports change', () => {
    /** Does something once, before the call of this name that is the given one of them. */
    function once({ beforeCalls }: ReturnType<typeof createWorld>, name: string, at: number, does: () => void): void {
      let calls = 0;
      beforeCalls(async (call) => {
        if (call !== name) return;
        calls += 1;
        if (calls !== at) return;
        // Lists that have begun are read first.
        await settle();
        does();
      });
    }

    it('stores what comes while they are read', async () => {
      const world = createWorld();
      world.put('r', [row('a')]);
      once(world, 'list Scan', 1, () => world.put('r', [row('a'), row('b')]));
      await world.pass();
      expect(await world.states()).toEqual({ a: 'open', b: 'open' });
    });

    it('ends well if all reports of a slot go, and says so the next time', async () => {
      const world = createWorld();
      world.put('r', [row('a')]);
      once(world, 'metadata Scan', 2, () => world.remove('r'));
      await world.pass();
      world.beforeCalls(undefined);
      expect(await world.states()).toEqual({ a: 'open' });
      await world.pass();
      expect(await world.states()).toEqual({ a: 'missing' });
    });

    it('opens again what comes back while it is marked as missing', async () => {
      const world = createWorld();
      await world.event(world.put('r', [row('a')]));
      world.remove('r');
      once(world, 'patch', 1, () => world.put('r', [row('a')]));
      await world.pass();
      expect(await world.states()).toEqual({ a: 'open' });
    });

    it('leaves open what comes back of a finding that two slots have reported', async () => {
      const world = createWorld();
      await world.event(world.put('r', [row('a')]));
      await world.event(world.put('s', [row('a')], { kind: kinds.checks }));
      world.put('r', []);
      world.put('s', [], { kind: kinds.checks });
      once(world, 'metadata Scan', 2, () => world.put('r', [row('a')]));
      expect((await world.pass()).relabelled).toEqual({});
      expect(await world.states()).toEqual({ a: 'open' });
      world.beforeCalls(undefined);
      world.put('r', []);
      await world.pass();
      expect(await world.states()).toEqual({ a: 'missing' });
    });

    it('leaves to two slots what one of them had no longer when it was read, and has again', async () => {
      const world = createWorld();
      const check = { kind: kinds.checks };
      await world.event(world.put('r', [row('a')]));
      await world.event(world.put('s', [row('a')], check));
      world.put('s', [], check);
      once(world, 'metadata Scan', 2, () => world.put('s', [row('a')], check));
      await world.pass();
      world.beforeCalls(undefined);
      await world.event(world.put('r', []));
      expect(await world.states()).toEqual({ a: 'open' });
      await world.pass();
      expect(await world.states()).toEqual({ a: 'open' });
    });

    it('marks as missing what no report has, whichever others change', async () => {
      const world = createWorld();
      world.put('r', [row('a')]);
      world.put('s', [row('b')], { about: 'Deployment/api' });
      await world.pass();
      world.put('r', []);
      once(world, 'metadata Scan', 2, () => world.put('s', [row('b'), row('c')], { about: 'Deployment/api' }));
      await world.pass();
      expect(await world.states()).toEqual({ a: 'missing', b: 'open', c: 'open' });
    });

    it('writes of a finding that two slots report nothing that neither says any more', async () => {
      const world = createWorld();
      const say = (name: string, summary: string) =>
        world.put(name, [row('a', { namespace: 'apps', summary })], { about: `Deployment/${name}` });
      for (const name of ['web', 'api']) await world.event(say(name, 'one'));
      await world.pass();
      for (const name of ['web', 'api']) say(name, 'two');
      once(world, 'metadata Scan', 2, () => say('api', 'three'));
      await world.pass();
      expect((await world.seen())[0]?.summary).toBe('a: one');
      say('web', 'three');
      await world.pass();
      expect((await world.seen())[0]?.summary).toBe('a: three');
    });

    it.each<[string, Error, object]>([
      ['that nothing can take', new NamespaceRefusal('full'), { status: 503, message: 'the system namespace is full' }],
      ['that is invalid', new Refusal(422, 'invalid'), { created: [{ category: 'operations', count: 1 }] }],
    ])('fails if one comes %s, unless it can be recorded', async (_case, fault, outcome) => {
      const wrap = (store: Store): Partial<Store> => ({
        async create(object, signal) {
          if (object.spec.rule === 'a') throw fault;
          return store.create(object, signal);
        },
      });
      const world = createWorld({ wrap });
      world.put('s', [row('b')], { about: 'Deployment/api' });
      await world.pass();
      world.put('s', [], { about: 'Deployment/api' });
      once(world, 'metadata Scan', 2, () => world.put('r', [row('a')]));
      expect(await world.pass().catch((error: unknown) => error)).toMatchObject(outcome);
    });

    it('marks nothing as missing if they can not be listed once more', async () => {
      const world = createWorld();
      await world.event(world.put('r', [row('a')]));
      world.remove('r');
      once(world, 'metadata Scan', 2, () => {
        throw new Refusal(503, 'away');
      });
      await expect(world.pass()).rejects.toMatchObject({ status: 503, message: 'away' });
      expect(await world.states()).toEqual({ a: 'open' });
    });
  });

  describe('over a finding that two slots report', () => {
    type World = ReturnType<typeof createWorld>;
    const reportOf = async ({ store }: World) => {
      const { items } = await store.read({ limit: 9 });
      return items.find(({ spec }) => spec.rule === 'a')?.metadata.labels[labels.report];
    };
    const check = { kind: kinds.checks };

    it.each<[string, string, string, string | undefined]>([
      ['the later', '2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z', 'a: api'],
      ['the later', '2026-03-01T11:00:00Z', '2026-03-01T10:00:00Z', 'a: web'],
      ['always the same', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z', undefined],
    ])('shows what %s one says, in whatever order they came', async (_case, one, other, expected) => {
      const shown: (string | undefined)[] = [];
      const reports = [
        ['web', row('a', { namespace: 'apps', summary: 'web', detectedAt: one })],
        ['api', row('a', { namespace: 'apps', summary: 'api', detectedAt: other })],
      ] as const;
      for (const order of [reports, reports.toReversed()]) {
        const world = createWorld();
        for (const [name, said] of order) await world.event(world.put(name, [said], { about: `Deployment/${name}` }));
        await world.pass();
        expect(await reportOf(world)).toBe('shared');
        shown.push((await world.seen())[0]?.summary);
      }
      expect(shown).toEqual([expected ?? shown[0], expected ?? shown[0]]);
    });

    it('leaves it to both while one of them can not be read, and open when the other has it no longer', async () => {
      const world = createWorld();
      await world.event(world.put('r', [row('a')]));
      await world.event(world.put('s', [row('a')], check));
      world.put('r', [{}]);
      await world.pass();
      expect(await reportOf(world)).toBe('shared');
      await world.event(world.put('s', [], check));
      for (let pass = 0; pass < 2; pass += 1) {
        world.later(61);
        await world.pass();
        expect(await world.states()).toEqual({ a: 'open', 'unreadable-object': 'open' });
      }
      world.put('r', []);
      await world.pass();
      expect(await world.states()).toEqual({ a: 'missing', 'unreadable-object': 'missing' });
    });
  });

  it('says that a report is mended while another one of its slot is not', async () => {
    const { put, pass, seen } = createWorld();
    put('r', [{}]);
    put('s', [{}]);
    await pass();
    put('r', [row('a')]);
    await pass();
    const own = (await seen()).filter(({ id }) => id === 'unreadable-object');
    const states = own.map(({ summary = '', state }) => [summary.split(' ')[1], state]).sort();
    expect(states).toEqual([
      ['r', 'missing'],
      ['s', 'open'],
    ]);
  });

  it('deletes what the system namespace had to take once the namespace of it has it, too', async () => {
    let isFull = true;
    const wrap = (store: Store): Partial<Store> => ({
      async create(object, signal) {
        if (isFull && object.metadata.namespace === 'shop') throw new NamespaceRefusal('full');
        return store.create(object, signal);
      },
    });
    const { put, pass, seen, context, store } = createWorld({ wrap });
    put('r', [row('a'), row('b')]);
    await pass();
    isFull = false;
    const [copied] = (await store.read({ limit: 9 })).items.filter(({ spec }) => spec.rule === 'a');
    if (!copied) throw new Error('not stored');
    const metadata = { ...copied.metadata, namespace: 'shop' };
    await store.create({ ...copied, metadata }, context.event.signal);
    const { deleted, created, relabelled } = await pass();
    expect([deleted, created, relabelled]).toEqual([[{ source: 'scanner', reason: 'copy', count: 1 }], [], {}]);
    expect((await seen()).map(({ id, namespace, state }) => [id, namespace, state])).toEqual([
      ['a', 'shop', 'open'],
      ['b', 'zen-system', 'open'],
    ]);
    expect((await pass()).deleted).toEqual([]);
  });
});
