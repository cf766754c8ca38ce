import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { contentHash } from '../../shared/finding/canonical-json.ts';
import { findingDigest, observationName } from '../../shared/finding/name.ts';
import type { Filter } from '../../shared/function/filter.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { KubernetesObject, NamesQuery, Store } from '../../shared/function/stores.ts';
import { createTestContext, eventOf, handled, ping, referenceTo, type TestContextOptions } from './test-context.ts';
import { aFinding, anObject, boxes, crate, found, jar } from './test-sources.ts';

const minute = 60_000;
const hour = 60 * minute;

function createWorld(objects: readonly KubernetesObject[] = [], options: TestContextOptions = {}) {
  const test = createTestContext(boxes, options);
  test.objects.all.push(...objects);
  const items = async () => (await test.store.read({ limit: 1000 })).items;
  return {
    ...test,
    items,
    handle: (event: Parameters<typeof boxes.handle>[0]) =>
      handled(boxes, event, test.context).catch((error: unknown) => error),
    async states(): Promise<Record<string, string>> {
      const all = (await items()).map(({ metadata, spec }): [string, string] => [
        String(spec.details.id ?? spec.eventType),
        metadata.labels[labels.state] ?? 'none',
      ]);
      return Object.fromEntries(all);
    },
  };
}

/** Records the queries to a store, and makes it throw the error that `refuse` returns for an object, if any. */
function recording(refuse: (object: Observation) => Error | undefined = () => undefined) {
  const queries: NamesQuery[] = [];
  const wrap = (store: Store): Partial<Store> => ({
    names(query, signal) {
      queries.push(query);
      return store.names(query, signal);
    },
    async create(object, signal) {
      const error = refuse(object);
      if (error) throw error;
      return store.create(object, signal);
    },
  });
  return { queries, wrap };
}

const reference = (data: unknown) => eventOf('dev.knative.apiserver.ref.add', data);
const inNode = { resource: { kind: 'Node', name: 'n' } };
const inPay = { resource: { kind: 'Pod', namespace: 'pay', name: 'p' } };
const about = (name: string) => ({ resource: { kind: 'Pod', namespace: 'shop', name } });

describe('a reference', () => {
  const ref = { apiVersion: 'example.com/v1', kind: 'Box', namespace: 'shop', name: 'a' };
  const aJar = { apiVersion: 'v1', kind: 'Jar', name: 'a' };

  it('stores the findings of its object, open, with labels for their slot and what they say', async () => {
    const findings = [aFinding('a'), aFinding('b', inNode), aFinding('c', inPay)];
    const { handle, items } = createWorld([anObject('x', { findings })]);
    expect(await handle(referenceTo(anObject('x')))).toMatchObject({ observed: 3, created: [{ count: 3 }] });
    const stored = await items();
    expect(stored.map(({ metadata, spec }) => [metadata.namespace, spec.details.id]).sort()).toEqual([
      ['pay', 'c'],
      ['shop', 'a'],
      ['zen-system', 'b'],
    ]);
    for (const { metadata, spec } of stored) {
      expect(metadata.labels).toMatchObject({
        [labels.source]: 'boxes',
        [labels.state]: 'open',
        [labels.report]: contentHash({ source: 'boxes', namespace: 'shop' }),
        [labels.digest]: findingDigest(findings.find(({ rule }) => rule === spec.rule) ?? aFinding('none')),
        [labels.expires]: String(492_324 + 7 * 24),
      });
    }
  });

  it.each<[string, object]>([
    ['as it is sent', ref],
    ['with more fields than needed', { ...ref, uid: 'u' }],
    ['as a whole object', { ...anObject('a'), findings: [] }],
  ])('may come %s, since the object itself is read', async (_case, data) => {
    const { handle, states } = createWorld([anObject('a')]);
    await handle(reference(data));
    expect(await states()).toEqual({ a: 'open' });
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['text', 'text'],
    ['no kind', { ...ref, kind: undefined }],
    ['an empty kind', { ...ref, kind: '' }],
    ['no name', { ...ref, name: undefined }],
    ['an empty name', { ...ref, name: '' }],
    ['no apiVersion', { ...ref, apiVersion: undefined }],
    ['an empty apiVersion', { ...ref, apiVersion: '' }],
    ['a namespace that is not text', { ...ref, namespace: 7 }],
    ['an object without a name', { ...anObject('a'), metadata: { namespace: 'shop' } }],
    ['an object with an empty name', { ...anObject('a'), metadata: { name: '' } }],
  ])('to %s is refused', async (_case, data) => {
    const { handle, states } = createWorld([anObject('a')]);
    const outcome = await handle(reference(data));
    expect(outcome).toBeInstanceOf(Refusal);
    expect(outcome).toMatchObject({ status: 422, path: expect.stringMatching(/^data/) });
    expect(await states()).toEqual({});
  });

  it.each<[string, object]>([
    ['of another kind', { ...ref, kind: 'Bag' }],
    ['of another group', { ...ref, apiVersion: 'example.org/v1' }],
    ['of the core group', { ...ref, apiVersion: 'v1' }],
    ['of a group of one letter', { ...ref, apiVersion: 'x/v1' }],
    ['in another version than those that are watched', { ...ref, apiVersion: 'example.com/v2' }],
    ['in a version with a longer name', { ...ref, apiVersion: 'example.com/v1beta1' }],
    ['in a namespace that is not watched, which nobody may have the right to read', { ...aJar, namespace: 'shop' }],
  ])('to an object %s is skipped, without a look at it', async (_case, data) => {
    const { handle, objects } = createWorld([anObject('a')]);
    const read: unknown[] = [];
    objects.get = async (...args) => void read.push(args);
    expect(await handle(reference(data))).toMatchObject({ skipped: { not_wanted: 1 }, created: [] });
    expect(read).toEqual([]);
  });

  it.each([
    ['../v1', {}],
    ['example.com/v1?limit=9999', {}],
    ['example.com/v1/secrets', {}],
    ['example.com/v1#', {}],
    ['example.com/%2e%2e', {}],
    ['example.com/v1', { kind: 'Box/../Secret' }],
  ])('that would lead elsewhere is refused: %s %j', async (apiVersion, fields) => {
    const { handle, objects } = createWorld([anObject('a')]);
    const read: unknown[] = [];
    objects.get = async (...args) => void read.push(args);
    expect(await handle(reference({ ...ref, apiVersion, ...fields }))).toMatchObject({ status: 422 });
    expect(read).toEqual([]);
  });

  it.each<[string, object, object]>([
    ['its label and namespace', { metadata: { labels: { app: 'tool', more: 'x' } }, namespace: 'jars' }, {}],
    ['another label', { metadata: { labels: { app: 'else' } }, namespace: 'jars' }, { not_wanted: 1 }],
    ['no label', { namespace: 'jars' }, { not_wanted: 1 }],
    ['another namespace', { metadata: { labels: { app: 'tool' } } }, { not_wanted: 1 }],
  ])('to an object with %s is accepted or skipped, and a pass does the same', async (_case, options, skipped) => {
    const object = anObject('a', { resource: jar, ...options });
    const { handle, states } = createWorld([object]);
    expect(await handle(referenceTo(object))).toMatchObject({ skipped });
    const seen = await states();
    expect(Object.keys(seen)).toHaveLength('not_wanted' in skipped ? 0 : 1);
    const passed = createWorld([object]);
    await passed.handle(ping);
    expect(await passed.states()).toEqual(seen);
  });

  it('to a cluster-scoped object is skipped if only one namespace is watched', async () => {
    const object = anObject('c', { resource: crate });
    const { handle, states } = createWorld([object], { environment: { WATCH_NAMESPACE: 'shop' } });
    expect(await handle(referenceTo(object))).toMatchObject({ skipped: { not_wanted: 1 } });
    expect(await states()).toEqual({});
  });

  it('to an object without findings writes nothing', async () => {
    const { queries, wrap } = recording();
    const object = anObject('a', { findings: [] });
    const { handle, states } = createWorld([object], { wrap });
    expect(await handle(referenceTo(object))).toMatchObject({ skipped: { nothing_reported: 1 } });
    expect(await states()).toEqual({});
    expect(queries).toHaveLength(1);
  });

  it('drops findings about zen-watcher itself, and what the filter drops', async () => {
    const own = { resource: { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', namespace: 'shop', name: 'o' } };
    const filter: Filter = (finding) => (finding.severity === 'LOW' ? 'min_severity' : finding);
    const object = anObject('a', { findings: [aFinding('a', own), aFinding('b', { severity: 'LOW' }), aFinding('c')] });
    const { handle, states } = createWorld([object], { context: { filter } });
    expect(await handle(referenceTo(object))).toMatchObject({ observed: 3, filtered: { self: 1, min_severity: 1 } });
    expect(await states()).toEqual({ c: 'open' });
  });

  it.each([
    ['a reference', referenceTo(anObject('a'))],
    ['a pass', ping],
  ])('through %s, has what looks like a secret masked wherever it may be', async (_case, event) => {
    const secret = {
      summary: 'the Pod is started with --password hunter2',
      remediation: 'replace token=hunter2',
      details: { command: 'curl --password hunter2' },
    };
    const { handle, items } = createWorld([anObject('a', { findings: [aFinding('a', secret)] })]);
    await handle(event);
    expect((await items())[0]?.spec).toMatchObject({
      summary: 'the Pod is started with --password ***',
      remediation: 'replace token=***',
      details: { command: 'curl --password ***' },
    });
  });

  it.each<[string, string | undefined, string, string]>([
    ['a reference', '2026-03-01T11:00:00Z', '2026-03-01T11:00:00Z', 'reference'],
    ['a pass', '2026-03-01T11:00:00Z', '2026-03-01T11:00:00Z', 'ping'],
    ['a reference', undefined, '2026-03-01T12:00:00Z', 'reference'],
    ['a pass', undefined, '2026-03-01T12:00:00.000Z', 'ping'],
  ])(
    'through %s, to an object created at %s, gives a finding without a time %s',
    async (_case, creationTimestamp, time, kind) => {
      const object = anObject('a', { findings: [aFinding('a', { detectedAt: '' })], metadata: { creationTimestamp } });
      const { handle, items } = createWorld([object]);
      await handle(kind === 'ping' ? ping : referenceTo(object));
      expect((await items())[0]?.spec.detectedAt).toBe(time);
    },
  );

  it('renews, reopens and creates at the same time, and counts each', async () => {
    const { handle, objects, clock, states } = createWorld([
      anObject('a', { findings: [aFinding('old'), aFinding('gone')] }),
      anObject('new', { findings: [aFinding('fresh')] }),
    ]);
    objects.all.pop();
    await handle(ping);
    objects.all[0] = anObject('a', { findings: [aFinding('old')] });
    await handle(ping);
    expect(await states()).toEqual({ old: 'open', gone: 'missing' });
    clock.now += 4 * 24 * hour;
    objects.all[0] = anObject('a', { findings: [aFinding('old'), aFinding('gone'), aFinding('new')] });
    expect(await handle(referenceTo(anObject('a')))).toMatchObject({
      created: [{ count: 1 }],
      relabelled: { renewed: 1, reopened: 1 },
      unchanged: 0,
    });
    expect(await handle(referenceTo(anObject('a')))).toMatchObject({ created: [], relabelled: {}, unchanged: 3 });
    expect(await states()).toEqual({ old: 'open', gone: 'open', new: 'open' });
  });

  it('counts everything that it relabels', async () => {
    const findings = Array.from({ length: 12 }, (_, index) => aFinding(`f${index}`));
    const { handle, clock } = createWorld([anObject('a', { findings })]);
    await handle(ping);
    clock.now += 4 * 24 * hour;
    expect(await handle(referenceTo(anObject('a')))).toMatchObject({ relabelled: { renewed: 12 } });
  });

  it('queries the store once, by the slot of its report, wherever its findings are', async () => {
    const findings = Array.from({ length: 30 }, (_, index) => aFinding(`f${index}`, about(`p${index}`)));
    const { queries, wrap } = recording();
    const world = createWorld([anObject('a', { findings: [...findings, aFinding('c', inPay)] })], { wrap });
    const slots = [contentHash({ source: 'boxes', namespace: 'shop' }), 'shared'];
    for (const counted of [{ created: [{ count: 31 }] }, { unchanged: 31 }]) {
      queries.length = 0;
      expect(await world.handle(referenceTo(anObject('a')))).toMatchObject({ duplicate: 0, ...counted });
      expect(queries).toEqual([{ source: 'boxes', slots, namespace: undefined }]);
    }
  });
});

describe('a failure', () => {
  const away = new Refusal(503, 'away', { retryAfter: 7 });

  it.each([
    ['a reference', referenceTo(anObject('a'))],
    ['a pass', ping],
  ])('of %s is passed on with what was done before it', async (_case, event) => {
    const { wrap } = recording(({ spec }) => (spec.details.id === 'bad' ? away : undefined));
    const findings = [aFinding('good'), aFinding('bad')];
    const { handle, states } = createWorld([anObject('a', { findings })], { wrap });
    const outcome = await handle(event);
    expect(outcome).toBeInstanceOf(Refusal);
    expect(outcome).toMatchObject({ status: 503, message: 'away', retryAfter: 7 });
    expect(outcome).toMatchObject({ summary: { observed: 2, created: [{ count: 1 }] } });
    expect(await states()).toEqual({ good: 'open' });
  });

  it('while relabelling is passed on', async () => {
    const findings = [aFinding('a'), aFinding('b')];
    const world = createWorld([anObject('a', { findings })]);
    await world.handle(ping);
    world.objects.all[0] = anObject('a', { findings: [aFinding('a')] });
    await world.handle(ping);
    world.objects.all[0] = anObject('a', { findings });
    const patch = async () => Promise.reject(away);
    const context = { ...world.context, store: { ...world.context.store, patch } };
    const failed = handled(boxes, referenceTo(anObject('a')), context);
    await expect(failed).rejects.toMatchObject({ status: 503, summary: { observed: 2, created: [] } });
  });

  it('in the list of names of a reference is passed on with what was observed', async () => {
    const names = () => {
      throw away;
    };
    const { handle } = createWorld([anObject('a')], { wrap: () => ({ names }) });
    expect(await handle(referenceTo(anObject('a')))).toMatchObject({ status: 503, summary: { observed: 1 } });
  });

  it('in the last step of a pass is passed on with everything that was done before it', async () => {
    const world = createWorld([anObject('a'), anObject('b')]);
    await world.handle(ping);
    world.objects.all.splice(0, 1, anObject('c'));
    const patch = async () => Promise.reject(away);
    const context = { ...world.context, store: { ...world.context.store, patch } };
    await expect(handled(boxes, ping, context)).rejects.toMatchObject({
      status: 503,
      summary: { observed: 2, unchanged: 1, created: [{ count: 1 }] },
    });
  });
});

describe('a fault that is not the object’s', () => {
  it.each([new TypeError('a bug'), Object.assign(new Error('of another library'), { status: 422 })])(
    'is not recorded as an unreadable object: %s',
    async (fault) => {
      const filter = () => {
        throw fault;
      };
      for (const event of [ping, referenceTo(anObject('a'))]) {
        const { handle, states } = createWorld([anObject('a')], { context: { filter } });
        const outcome = await handle(event);
        expect(outcome).toBeInstanceOf(Error);
        expect(outcome instanceof Refusal && outcome.status === 422).toBe(false);
        expect(await states()).toEqual({});
      }
    },
  );
});

describe('an object that cannot be read', () => {
  const broken = (name: string, options = {}) => anObject(name, { findings: 7, ...options });
  const unreadable = async ({ items }: ReturnType<typeof createWorld>) =>
    (await items()).filter(({ spec }) => spec.eventType === 'unreadable-object');

  it.each([
    ['a reference', referenceTo(broken('a'))],
    ['a pass', ping],
  ])('is recorded once by %s, in its own namespace, with the reason', async (_case, event) => {
    const world = createWorld([broken('a')]);
    const first = await world.handle(event);
    expect(first).toMatchObject({ ...(first instanceof Refusal ? { status: 422 } : { skipped: { unreadable: 1 } }) });
    world.clock.now += minute;
    await world.handle(event);
    const [recorded, ...more] = await unreadable(world);
    expect(more).toEqual([]);
    expect(recorded?.metadata.namespace).toBe('shop');
    const resource = { apiVersion: 'example.com/v1', kind: 'Box', namespace: 'shop', name: 'a' };
    const reason = 'the data breaks the schema: data.findings Invalid input: expected array, received number';
    expect(recorded?.spec).toEqual({
      source: 'boxes',
      category: 'operations',
      severity: 'HIGH',
      eventType: 'unreadable-object',
      rule: 'unreadable-object',
      summary: `Box a can't be read: ${reason}`,
      resource,
      details: { message: reason, field: 'data.findings' },
      detectedAt: '2026-03-01T12:00:00.000Z',
      ttlSecondsAfterCreation: 604_800,
    });
    const identity = { object: 'example.com/Box/shop/a' };
    const { category, severity, eventType } = recorded?.spec ?? aFinding('none');
    const identified = { ...aFinding('a'), category, severity, eventType, resource, identity };
    expect(recorded?.metadata.name).toBe(observationName('boxes', identified));
    expect(recorded?.metadata.labels[labels.state]).toBe('open');
  });

  it('is recorded in the system namespace if it has none', async () => {
    const world = createWorld([broken('c', { resource: crate })]);
    await world.handle(ping);
    expect((await unreadable(world)).map(({ metadata }) => metadata.namespace)).toEqual(['zen-system']);
  });

  it('is counted, and so is its record', async () => {
    const world = createWorld([broken('a'), broken('b'), anObject('c')]);
    expect(await world.handle(ping)).toMatchObject({
      observed: 1,
      skipped: { unreadable: 2 },
      created: [
        { category: 'operations', count: 2 },
        { category: 'security', count: 1 },
      ],
    });
    const again = await createWorld([broken('a')]).handle(referenceTo(broken('a')));
    expect(again).toMatchObject({ status: 422, summary: { created: [{ category: 'operations', count: 1 }] } });
  });

  it('is answered with the error of the store if it cannot be recorded', async () => {
    for (const refusal of [new Refusal(503, 'away'), new Refusal(422, 'invalid')]) {
      const { wrap } = recording(() => refusal);
      const { status, message } = refusal;
      for (const event of [ping, referenceTo(broken('a'))]) {
        const { handle } = createWorld([broken('a')], { wrap });
        expect(await handle(event)).toMatchObject({ status, message });
      }
    }
  });

  it('may also be one with a finding that the store refuses as invalid', async () => {
    const invalid = new Refusal(422, 'invalid', { path: 'spec.details', cause: new Error('too long') });
    const { wrap } = recording(({ spec }) => (spec.details.id === 'bad' ? invalid : undefined));
    const world = createWorld([anObject('a', { findings: [aFinding('bad'), aFinding('good')] })], { wrap });
    expect(await world.handle(ping)).toMatchObject({ created: [{ count: 1 }, { count: 1 }] });
    const [recorded] = await unreadable(world);
    expect(recorded?.spec.resource).toEqual({
      apiVersion: 'example.com/v1',
      kind: 'Box',
      namespace: 'shop',
      name: 'a',
    });
    expect(recorded?.spec.details).toEqual({ message: 'too long', field: 'spec.details' });
    expect(await world.handle(referenceTo(anObject('a')))).toMatchObject({
      status: 422,
      message: 'invalid',
      path: 'spec.details',
      summary: { observed: 2, unchanged: 2, duplicate: 0 },
    });
  });

  it('is recorded with the message of the store if there is no other cause', async () => {
    const { wrap } = recording(({ spec }) => (spec.details.id ? new Refusal(422, 'invalid') : undefined));
    const world = createWorld([anObject('a')], { wrap });
    await world.handle(ping);
    expect((await unreadable(world))[0]?.spec.details).toEqual({ message: 'invalid' });
  });
});

describe('a source without objects', () => {
  it('accepts its own events', async () => {
    const { handle, states } = createWorld();
    await handle(found([aFinding('a')]));
    expect(await states()).toEqual({ a: 'none' });
  });
});
