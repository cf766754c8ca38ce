import { describe, expect, it } from 'vitest';
import ingest from '../../functions/ingest.ts';
import { labels } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type KubernetesObject, NamespaceRefusal, NotServed } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { createTestContext, eventOf, handled, ping, referenceTo } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const peers = (await loadFunctions()).map((definition) => functionInfoOf(definition, {}, []));
const mappings = { severity: '.severity', category: 'operational', eventType: 'widget-broken', message: '.text' };

function aMapping(name: string, spec: object = {}, namespace = 'zen-system', more: object = {}): KubernetesObject {
  const base = { sourceName: 'widgets', group: 'example.com', version: 'v1', kind: 'Widget', mappings };
  return {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'ObservationMapping',
    metadata: { name, namespace, generation: 1, ...more },
    spec: { ...base, ...spec },
  } as KubernetesObject;
}

function anIngester(name: string, spec: object = {}, namespace = 'zen-system', more: object = {}): KubernetesObject {
  const base = { source: 'hooks', ingester: 'webhook', webhook: { path: 'hooks' }, mappings };
  return {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'Ingester',
    metadata: { name, namespace, generation: 1, ...more },
    spec: { ...base, ...spec },
  } as KubernetesObject;
}

const later = { creationTimestamp: '2026-02-01T00:00:00Z' };
const earlier = { creationTimestamp: '2026-01-01T00:00:00Z' };

const informer = (more: object = {}) => ({
  source: 'gadgets',
  ingester: 'informer',
  webhook: undefined,
  informer: { gvr: { group: 'example.com', version: 'v1', resource: 'gadgets' }, ...more },
});

function aWidget(name: string, namespace = 'shop', more: object = {}, kind = 'Widget'): KubernetesObject {
  const metadata = { name, namespace, creationTimestamp: '2026-03-01T11:00:00Z', labels: { tier: 'a' } };
  return {
    apiVersion: 'example.com/v1',
    kind,
    metadata,
    severity: 'HIGH',
    text: `${name} broke`,
    ...more,
  } as KubernetesObject;
}

const groups = new Map([['example.com', ['v1']]]);

function createWorld(...objects: KubernetesObject[]) {
  const test = createTestContext(ingest, { context: { functions: peers } });
  test.objects.all.push(...objects);
  Object.assign(test.context.cluster, {
    watched: ({ kind }: { kind: string }) => test.objects.all.filter((one) => one.kind === kind),
  });
  const conditions = (name: string) => {
    const object = test.objects.all.find(({ metadata }) => metadata.name === name) as unknown as {
      status?: { conditions: { type: string; status: string; reason: string; message: string }[] };
    };
    return object?.status?.conditions ?? [];
  };
  return {
    ...test,
    all: test.objects.all,
    pass: () => handled(ingest, ping, test.context),
    see: (object: KubernetesObject) => handled(ingest, referenceTo(object), test.context),
    post: (path: string, data: unknown, time = '2026-03-01T12:00:00Z') =>
      handled(ingest, { ...eventOf('io.kube-zen.ingest.v1', data), source: path, time }, test.context),
    async stored() {
      const { items } = await test.store.read({ limit: 100 });
      return items
        .map(({ metadata, spec }) => `${metadata.namespace}: ${spec.source} ${spec.severity} ${spec.details.message}`)
        .sort();
    },
    conditionsOf(name: string): Record<string, string> {
      return Object.fromEntries(conditions(name).map(({ type, reason }) => [type, reason]));
    },
    conditionOf: (name: string, wanted: string) => conditions(name).find(({ type }) => type === wanted),
  };
}

describe('a mapped kind', () => {
  it('is observed through a reference and a pass, but only once', async () => {
    const { see, pass, stored } = createWorld(aMapping('m'), aWidget('a'), aWidget('b'));
    await see(aWidget('a'));
    expect(await stored()).toEqual(['shop: widgets HIGH a broke']);
    await pass();
    await pass();
    expect(await stored()).toEqual(['shop: widgets HIGH a broke', 'shop: widgets HIGH b broke']);
  });

  it('is observed as soon as its mapping is created or changed', async () => {
    const { see, all, stored } = createWorld(aWidget('a'));
    const mapping = aMapping('m');
    all.push(mapping);
    await see(mapping);
    expect(await stored()).toEqual(['shop: widgets HIGH a broke']);
    Object.assign(mapping, aMapping('m', { mappings: { ...mappings, eventType: 'other', message: 'changed' } }));
    await see(mapping);
    expect(await stored()).toContain('shop: widgets HIGH changed');
  });

  it('is not observed if its mapping is gone or disabled', async () => {
    const { all, see, stored } = createWorld(aMapping('m', { enabled: false }), aWidget('a'));
    expect((await see(aWidget('a'))).skipped).toEqual({ not_wanted: 1 });
    all.splice(0, 1);
    expect((await see(aWidget('a'))).skipped).toEqual({ not_wanted: 1 });
    expect(await stored()).toEqual([]);
  });

  it.each<[string, (all: KubernetesObject[]) => void, string]>([
    ['gone', (all) => void all.splice(0, 1), 'missing'],
    ['disabled', (all) => void all.splice(0, 1, aMapping('m', { enabled: false })), 'missing'],
    ['no longer accepted', (all) => void all.splice(0, 1, aMapping('m', { items: '..' })), 'open'],
    ['still there', () => undefined, 'open'],
  ])('whose mapping is %s has findings that are then in the right state', async (_case, change, state) => {
    const { all, pass, store, clock } = createWorld(aMapping('m'), aWidget('a'));
    await pass();
    change(all);
    clock.now += 60_000;
    await pass();
    expect(
      (await store.read({ limit: 9 })).items.map(({ metadata }) => metadata.labels['zen.kube-zen.io/state']),
    ).toEqual([state]);
  });

  it('may have two mappings: each makes its own findings, and does not age those of the other', async () => {
    const second = aMapping('n', { mappings: { ...mappings, eventType: 'second', message: 'twice' } });
    const { pass, stored, store } = createWorld(aMapping('m'), second, aWidget('a'));
    await pass();
    await pass();
    expect(await stored()).toEqual(['shop: widgets HIGH a broke', 'shop: widgets HIGH twice']);
    const states = (await store.read({ limit: 9 })).items.map(
      ({ metadata }) => metadata.labels['zen.kube-zen.io/state'],
    );
    expect(states).toEqual(['open', 'open']);
  });

  it('keeps a finding open where one of two mappings can not read it any more', async () => {
    const listed = aWidget('a', 'shop', { list: [{ severity: 'HIGH', text: 'listed' }] });
    const each = aMapping('n', { items: '.list', mappings: { ...mappings, eventType: 'listed' } });
    const { pass, all, store, clock } = createWorld(aMapping('m'), each, listed);
    await pass();
    all.splice(all.indexOf(listed), 1, aWidget('a'));
    clock.now += 60_000;
    await pass();
    const states = (await store.read({ limit: 9 })).items.map(({ metadata }) => metadata.labels[labels.state]);
    expect(states).toEqual(['open', 'open']);
  });

  it('may share a source with another kind', async () => {
    const gadget = aMapping('n', { kind: 'Gadget' });
    const { pass, stored } = createWorld(aMapping('m'), gadget, aWidget('a'), aWidget('g', 'shop', {}, 'Gadget'));
    await pass();
    expect(await stored()).toEqual(['shop: widgets HIGH a broke', 'shop: widgets HIGH g broke']);
  });

  it('is counted as skipped for each mapping that leaves it out', async () => {
    const half = { when: [{ path: '.severity', in: ['LOW'] }] };
    const strict = { ...informer(), source: 'widgets', filters: { minSeverity: 'CRITICAL' } };
    strict.informer.gvr.resource = 'widgets';
    const { see, stored } = createWorld(
      ...[aMapping('m', half), aMapping('n', half), anIngester('i', strict), anIngester('j', strict), aWidget('a')],
    );
    expect((await see(aWidget('a'))).skipped).toEqual({ when: 2, min_severity: 2 });
    expect(await stored()).toEqual([]);
  });

  it('is kept for the TTL of the first mapping of its source that has one', async () => {
    const timed = { ...informer(), source: 'widgets', ttl: { default: '1h' } };
    timed.informer.gvr.resource = 'widgets';
    const ingester = anIngester('i', timed, 'zen-system', later);
    const { see, store } = createWorld(aMapping('m', {}, 'zen-system', earlier), ingester, aWidget('a'));
    await see(aWidget('a'));
    const ttls = (await store.read({ limit: 9 })).items.map(({ spec }) => spec.ttlSecondsAfterCreation);
    expect(new Set(ttls)).toEqual(new Set([3600]));
  });

  it('is observed even if only discovery knows its plural', async () => {
    const irregular = { ...informer() };
    irregular.informer.gvr.resource = 'gadgetry';
    const { pass, context, stored } = createWorld(anIngester('i', irregular), aWidget('a', 'shop', {}, 'Gadget'));
    const kinds = async () => [{ kind: 'Gadget', plural: 'gadgetry', namespaced: true }];
    Object.assign(context.cluster, { kinds: { groups: async () => groups, kinds } });
    await pass();
    expect(await stored()).toEqual(['shop: gadgets HIGH a broke']);
  });

  it('has a finding that becomes missing when it is no longer reported', async () => {
    const { pass, all, store, clock } = createWorld(
      aMapping('m', { when: [{ path: '.severity', in: ['HIGH'] }] }),
      aWidget('a'),
    );
    await pass();
    Object.assign(all[1] ?? {}, { severity: 'LOW' });
    clock.now += 60_000;
    await pass();
    expect((await store.read({ limit: 9 })).items[0]?.metadata.labels['zen.kube-zen.io/state']).toBe('missing');
  });

  it('is selected by an Ingester’s namespace and labels, filtered, and kept for its TTL', async () => {
    const more = { filters: { minSeverity: 'HIGH' }, ttl: { default: '12h' }, deduplication: { windowSeconds: 300 } };
    const spec = { ...informer({ namespace: 'shop', labelSelector: 'tier in (a),!skip' }), ...more };
    const low = aWidget('low', 'shop', { severity: 'LOW' }, 'Gadget');
    const other = aWidget('other', 'pay', {}, 'Gadget');
    const unlabelled = { ...aWidget('plain', 'shop', {}, 'Gadget'), metadata: { name: 'plain', namespace: 'shop' } };
    const { pass, see, stored, store } = createWorld(
      anIngester('i', spec),
      aWidget('a', 'shop', {}, 'Gadget'),
      low,
      other,
      unlabelled,
    );
    await pass();
    for (const object of [low, other, unlabelled]) await see(object);
    expect(await stored()).toEqual(['shop: gadgets HIGH a broke']);
    expect((await store.read({ limit: 1 })).items[0]?.spec.ttlSecondsAfterCreation).toBe(43_200);
  });

  it('that cannot be listed does not stop the pass of other sources', async () => {
    const broken = aMapping('broken', { sourceName: 'broken', kind: 'Broken' }, 'zen-system', {
      creationTimestamp: '2020-01-01T00:00:00Z',
    });
    const { pass, stored, objects } = createWorld(broken, aMapping('m'), aWidget('a'));
    const { list } = objects;
    objects.list = (resource, ...rest) => {
      if (resource.kind === 'Broken') throw new Error('broken');
      return list(resource, ...rest);
    };
    await expect(pass()).rejects.toMatchObject({ status: 503 });
    expect(await stored()).toEqual(['shop: widgets HIGH a broke']);
  });
});

describe('a reference', () => {
  const path = '/apis/example.com/v1/namespaces/shop';

  it.each<[string, object, string, string]>([
    ['its mapping', { resource: 'widgetry' }, `${path}/widgetz/abc`, 'widgetry'],
    ['its subject', {}, `${path}/widgetz/abc`, 'widgetz'],
    ['its kind, if the subject is not a path', {}, 'widgetz', 'widgets'],
    ['its kind, if the subject is longer', {}, `${path}/widgetz/abc/`, 'widgets'],
    ['its kind, if there is no subject', {}, '', 'widgets'],
  ])('is read by the plural of %s', async (_case, spec, subject, plural) => {
    const { context, objects } = createWorld(aMapping('m', spec));
    const resources: unknown[] = [];
    objects.get = async (resource) => void resources.push(resource);
    await handled(ingest, { ...referenceTo(aWidget('abc')), ...(subject !== '' && { subject }) }, context);
    await handled(ingest, referenceTo({ ...aWidget('abc'), metadata: { name: 'abc' } }), context);
    const kind = { group: 'example.com', versions: ['v1'], kind: 'Widget' };
    expect(resources[0]).toEqual({ ...kind, plural, namespaced: true });
    expect(resources[1]).toMatchObject({ ...kind, namespaced: false });
  });

  it.each([
    ['another group’s Ingester', { apiVersion: 'example.com/v1', kind: 'Ingester' }],
    ['another kind of ours', { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' }],
    ['a kind that nothing maps', { apiVersion: 'example.com/v1', kind: 'Gizmo' }],
  ])('to %s is skipped', async (_case, of) => {
    const { see, stored } = createWorld(aMapping('m'), anIngester('i'), aWidget('a'));
    expect((await see({ ...aWidget('x'), ...of })).skipped).toEqual({ not_wanted: 1 });
    expect(await stored()).toEqual([]);
  });

  it('that fails for one source still reports what was done for another', async () => {
    const second = aMapping('n', { sourceName: 'others' }, 'zen-system', later);
    const { see, objects } = createWorld(aMapping('m', {}, 'zen-system', earlier), second, aWidget('a'));
    const { get } = objects;
    let reads = 0;
    objects.get = async (...args) => {
      reads += 1;
      if (reads > 1) throw new Refusal(503, 'away');
      return get(...args);
    };
    await expect(see(aWidget('a'))).rejects.toMatchObject({ status: 503, summary: { created: [{ count: 1 }] } });
  });

  it('is observed by all sources that map its kind', async () => {
    const { see, stored } = createWorld(aMapping('m'), aMapping('n', { sourceName: 'others' }), aWidget('a'));
    expect((await see(aWidget('a'))).created).toEqual([{ category: 'operational', severity: 'HIGH', count: 2 }]);
    expect(await stored()).toEqual(['shop: others HIGH a broke', 'shop: widgets HIGH a broke']);
  });

  it('to an object with invalid labels results in nothing', async () => {
    const odd = aWidget('a');
    Object.assign(odd.metadata, { labels: { tier: 1 } });
    const { see } = createWorld(aMapping('m'), odd);
    expect((await see(odd)).skipped).toEqual({ nothing_reported: 1 });
  });
});

describe('the webhook of ingest', () => {
  const [webhook] = peers.find(({ name }) => name === 'ingest')?.webhooks ?? [];
  if (!webhook) throw new Error('ingest has no webhook');

  it('takes a body as it is, with the same id every time', () => {
    const one = webhook.split({ a: 1, b: [2] });
    expect(one).toEqual({
      items: [{ id: expect.stringMatching(/^[0-9a-f]{32}$/), data: { a: 1, b: [2] } }],
      refused: [],
      unwanted: 0,
    });
    expect(webhook.split({ b: [2], a: 1 }).items[0]?.id).toBe(one.items[0]?.id);
    expect(webhook.split({ a: 1, b: [3] }).items[0]?.id).not.toBe(one.items[0]?.id);
    expect(webhook).toMatchObject({ path: '/ingest/*', inFlight: 100, senderRetries: true });
  });

  it('refuses a body that is nested too deeply', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
    expect(() => webhook.split(deep)).toThrow(
      expect.objectContaining({ status: 422, message: 'the body is nested too deeply', path: 'body' }),
    );
  });

  it('serves the path below /ingest/ of each accepted Ingester', () => {
    const { context } = createWorld(
      aMapping('m'),
      anIngester('i'),
      anIngester('j', { source: 'more', webhook: { path: 'more/hooks' } }),
      anIngester('bad', { source: 'gc', webhook: { path: 'gc' } }),
    );
    const isServed = (path: string): boolean | undefined => webhook.isServed?.(path, context);
    const open = ['/ingest/hooks', '/ingest/more/hooks'];
    const closed = ['/ingest/gc', '/ingest/other', '/ingest/undefined', '/hooks', 'hooks'];
    expect([...closed, ...open].filter(isServed)).toEqual(open);
  });
});

describe('a post', () => {
  it('is observed by its Ingester', async () => {
    const each = { ...mappings, eventType: '.type' };
    const { post, stored } = createWorld(anIngester('i', { items: '.list', mappings: each }));
    await post('/ingest/hooks', {
      list: [
        { severity: 'low', text: 'a', type: 'one' },
        { severity: 'high', text: 'b', type: 'another' },
      ],
    });
    expect(await stored()).toEqual(['zen-system: hooks HIGH b', 'zen-system: hooks LOW a']);
  });

  it('is told of which expressions could not be answered, and is kept', async () => {
    const failing = 'details.missing == 1';
    const world = createWorld(
      anIngester('i', { expression: failing, filters: { expression: failing, minSeverity: 'HIGH' } }),
    );
    const noted: string[] = [];
    const note = ({ kind }: { kind: string }, { metadata }: KubernetesObject, message: string) =>
      void noted.push(`${kind} ${metadata.name} ${message.split(':')[0]}`);
    Object.assign(world.context, { expressionErrors: { ...world.context.expressionErrors, note } });
    await world.post('/ingest/hooks', { severity: 'HIGH', text: 'a' });
    expect(noted).toEqual(['Ingester i spec.expression', 'Ingester i spec.filters.expression']);
    expect(await world.stored()).toEqual(['zen-system: hooks HIGH a']);
  });

  it('is what its Ingester keeps of a list, and the others are counted', async () => {
    const list = ['low', 'high', 'low'].map((severity) => ({ severity, text: severity }));
    const { post, stored } = createWorld(anIngester('i', { items: '.list', filters: { minSeverity: 'HIGH' } }));
    const { skipped, filtered } = await post('/ingest/hooks', { list });
    expect({ skipped, filtered }).toEqual({ skipped: { min_severity: 2 }, filtered: {} });
    expect(await stored()).toEqual(['zen-system: hooks HIGH high']);
  });

  it.each([
    ['shop', true],
    ['zen-system', false],
  ])('that an Ingester of %s takes may be filtered by a tenant: %s', async (namespace, isTenants) => {
    const world = createWorld(anIngester('i', {}, namespace));
    const seen: unknown[] = [];
    const { filter } = world.context;
    Object.assign(world.context, {
      filter: (...[finding, about]: Parameters<typeof filter>) => {
        seen.push([about.hasState, about.namespace]);
        return filter(finding, about);
      },
    });
    await world.post('/ingest/hooks', { severity: 'HIGH', text: 'a' });
    expect(seen).toEqual([[isTenants, namespace]]);
  });

  it('makes the same finding if it is repeated within the window', async () => {
    const { post, stored } = createWorld(anIngester('i', { deduplication: { windowSeconds: 60 } }));
    const body = { severity: 'low', text: 'a' };
    await post('/ingest/hooks', body, '2026-03-01T12:00:01Z');
    await post('/ingest/hooks', body, '2026-03-01T12:00:59Z');
    expect(await stored()).toHaveLength(1);
    await post('/ingest/hooks', body, '2026-03-01T12:01:01Z');
    expect(await stored()).toHaveLength(2);
  });

  it('is not acknowledged without an Ingester', async () => {
    const { post } = createWorld();
    await expect(post('/ingest/hooks', {})).rejects.toMatchObject({
      status: 503,
      message: 'no Ingester has this path',
      retryAfter: 2,
    });
  });

  it('is observed by the Ingester of its path alone', async () => {
    const { post, stored } = createWorld(
      anIngester('i'),
      anIngester('j', { source: 'more', webhook: { path: 'more' } }),
    );
    await post('/ingest/more', { severity: 'low', text: 'a' });
    expect(await stored()).toEqual(['zen-system: more LOW a']);
  });

  it('is kept for the TTL of its Ingester', async () => {
    const { post, store } = createWorld(anIngester('i', { ttl: { default: '1h' } }));
    await post('/ingest/hooks', { severity: 'low', text: 'a' });
    expect((await store.read({ limit: 1 })).items[0]?.spec.ttlSecondsAfterCreation).toBe(3600);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', 'text'],
    ['a list', [1, 2]],
    ['text for items', { list: 'no' }],
  ])('may contain %s', async (_case, data) => {
    const { post } = createWorld(anIngester('i', { items: '.list' }));
    const { skipped, warnings } = await post('/ingest/hooks', data);
    expect(skipped).toEqual({ no_items: 1 });
    const what = 'Ingester zen-system/i finds nothing in what was posted';
    expect(warnings).toEqual([`${what}: spec.items leads to neither a list nor null`]);
  });

  it.each<[string, object, unknown, readonly string[]]>([
    ['an empty list', {}, { list: [] }, []],
    ['null for a list', {}, { list: null }, []],
    ['what is not wanted', { when: [{ path: '.severity', in: ['high'] }] }, { list: [{ severity: 'low' }] }, []],
    [
      'what tells nothing apart',
      { identity: ['.id'] },
      { list: [{ severity: 'low' }] },
      ['Ingester zen-system/i finds nothing in what was posted: no_identity'],
    ],
    [
      'that, beside what is not wanted',
      { identity: ['.id'], when: [{ path: '.severity', in: ['high'] }] },
      { list: [{ severity: 'low' }, { severity: 'high' }] },
      ['Ingester zen-system/i finds nothing in what was posted: when, no_identity'],
    ],
  ])('is warned of only if something is wrong with it: %s', async (_case, more, data, expected) => {
    const { post } = createWorld(anIngester('i', { items: '.list', ...more }));
    expect((await post('/ingest/hooks', data)).warnings).toEqual(expected);
  });
});

describe('the conditions of', () => {
  it.each<[string, KubernetesObject[], string, object]>([
    ['a mapping', [aMapping('it')], 'it', { Accepted: 'Valid', Ready: 'Ready' }],
    ['a disabled mapping', [aMapping('it', { enabled: false })], 'it', { Accepted: 'Valid', Ready: 'Disabled' }],
    ['an Ingester for posts', [anIngester('it')], 'it', { Accepted: 'Valid', Ready: 'Ready' }],
    ['an Ingester for objects', [anIngester('it', informer())], 'it', { Accepted: 'Valid', Ready: 'Ready' }],
    [
      'a built-in source',
      [aMapping('it', { sourceName: 'trivy' })],
      'it',
      { Accepted: 'SourceTaken', Ready: 'NotAccepted' },
    ],
    [
      'a built-in source in another spelling',
      [aMapping('it', { sourceName: 'kubebench' })],
      'it',
      { Accepted: 'SourceTaken', Ready: 'NotAccepted' },
    ],
    [
      'the source of another function',
      [anIngester('it', { source: 'gc' })],
      'it',
      { Accepted: 'SourceTaken', Ready: 'NotAccepted' },
    ],
    [
      'a built-in source, for a tenant',
      [aMapping('it', { sourceName: 'falco' }, 'shop')],
      'it',
      { Accepted: 'SourceTaken', Ready: 'NotAccepted' },
    ],
    [
      'a source of the system namespace, for a tenant',
      [aMapping('it', {}, 'shop', earlier), aMapping('theirs', {}, 'zen-system', later)],
      'it',
      { Accepted: 'SourceTaken', Ready: 'NotAccepted' },
    ],
    [
      'a source of another tenant',
      [aMapping('it', {}, 'shop'), aMapping('theirs', {}, 'pay')],
      'it',
      { Accepted: 'Valid', Ready: 'Ready' },
    ],
    [
      'a path that is taken',
      [anIngester('it', {}, 'shop', later), anIngester('theirs', { source: 'x' }, 'pay', earlier)],
      'it',
      { Accepted: 'PathTaken', Ready: 'NotAccepted' },
    ],
    [
      'a path that a newer Ingester wants, too',
      [anIngester('it', {}, 'shop', earlier), anIngester('theirs', { source: 'x' }, 'pay', later)],
      'it',
      { Accepted: 'Valid', Ready: 'Ready' },
    ],
    [
      'a path that the system namespace wants, too, however new that is',
      [anIngester('it', {}, 'shop', earlier), anIngester('theirs', { source: 'x' }, 'zen-system', later)],
      'it',
      { Accepted: 'PathTaken', Ready: 'NotAccepted' },
    ],
    [
      'a path of the system namespace, though a tenant has had it',
      [anIngester('theirs', {}, 'shop', earlier), anIngester('it', { source: 'x' }, 'zen-system', later)],
      'it',
      { Accepted: 'Valid', Ready: 'Ready' },
    ],
    [
      'more than 50 in its namespace',
      [
        ...Array.from({ length: 50 }, (_, index) => aMapping(`m${index}`, { sourceName: `s${index}` }, 'shop', later)),
        aMapping('it', {}, 'shop', { creationTimestamp: '2026-02-02T00:00:00Z' }),
      ],
      'it',
      { Accepted: 'TooMany', Ready: 'NotAccepted' },
    ],
    [
      'more than 50 newer ones in its namespace',
      [
        ...Array.from({ length: 60 }, (_, index) => aMapping(`m${index}`, { sourceName: `s${index}` }, 'shop', later)),
        aMapping('it', {}, 'shop', earlier),
      ],
      'it',
      { Accepted: 'Valid', Ready: 'Ready' },
    ],
    [
      'more than 50 in zen-system',
      [...Array.from({ length: 60 }, (_, index) => aMapping(`m${index}`, {}, 'zen-system', earlier)), aMapping('it')],
      'it',
      { Accepted: 'Valid', Ready: 'Ready' },
    ],
    [
      'more in its spec than fits',
      [aMapping('it', { items: 'x'.repeat(200_000) }, 'shop')],
      'it',
      { Accepted: 'TooLarge', Ready: 'NotAccepted' },
    ],
    [
      'another namespace, for a tenant',
      [anIngester('it', informer({ namespace: 'pay' }), 'shop')],
      'it',
      { Accepted: 'NamespaceNotAllowed', Ready: 'NotAccepted' },
    ],
    [
      'its own namespace, for a tenant',
      [anIngester('it', informer({ namespace: 'shop' }), 'shop')],
      'it',
      { Accepted: 'Valid', Ready: 'Ready' },
    ],
    ['an invalid path', [aMapping('it', { items: '..x' })], 'it', { Accepted: 'Invalid', Ready: 'NotAccepted' }],
    [
      'a field of a newer version',
      [aMapping('it', { mappings: { ...mappings, colour: 'red' } })],
      'it',
      { Accepted: 'Invalid', Ready: 'NotAccepted' },
    ],
    [
      'an invalid duration',
      [anIngester('it', { ttl: { default: 'soon' } })],
      'it',
      { Accepted: 'Invalid', Ready: 'NotAccepted' },
    ],
    [
      'an invalid selector',
      [anIngester('it', informer({ labelSelector: 'a in b' }))],
      'it',
      { Accepted: 'Invalid', Ready: 'NotAccepted' },
    ],
    [
      'both in and notIn',
      [aMapping('it', { when: [{ path: '.a', in: ['1'], notIn: ['2'] }] })],
      'it',
      { Accepted: 'Invalid', Ready: 'NotAccepted' },
    ],
  ])('%s', async (_case, objects, name, expected) => {
    const { pass, conditionsOf } = createWorld(...objects);
    await pass();
    expect(conditionsOf(name)).toEqual(expected);
  });
});

describe('a pass', () => {
  const open = { source: 'x', now: Date.parse('2026-03-01T11:00:00Z') };
  const statesIn = async ({ store }: ReturnType<typeof createWorld>): Promise<string[]> => {
    const { items } = await store.read({ limit: 100 });
    return items
      .map(({ metadata, spec }) => `${metadata.namespace} ${spec.source} ${metadata.labels['zen.kube-zen.io/state']}`)
      .sort();
  };

  it('ages findings that no mapping makes, but none of a built-in source or of a mapping that may be fixed', async () => {
    const broken = { mappings: { ...mappings, colour: 'red' } };
    const world = createWorld(
      aMapping('m', { ...broken, sourceName: 'of-mapping' }),
      anIngester('i', { ...broken, source: 'of-ingester' }),
      anIngester('t', { ...broken, source: 'of-tenant' }, 'pay'),
      aMapping('off', { enabled: false, sourceName: 'off' }),
    );
    for (const source of ['trivy', 'of-mapping', 'of-ingester', 'of-tenant', 'of-nothing']) {
      const object = anObservationOf(aFinding('r', 'shop'), { ...open, source });
      await world.store.create(object, world.context.event.signal);
    }
    const nobodys = anObservationOf(aFinding('of nobody', 'shop'), { ...open, source: 'of-nobody' });
    const { 'zen.kube-zen.io/source': _source, ...labels } = nobodys.metadata.labels;
    const metadata = { ...nobodys.metadata, labels: labels as typeof nobodys.metadata.labels };
    await world.store.create({ ...nobodys, metadata }, world.context.event.signal);
    expect((await world.pass()).relabelled).toEqual({ missing: 2 });
    expect(await statesIn(world)).toEqual([
      'shop of-ingester open',
      'shop of-mapping open',
      'shop of-nobody missing',
      'shop of-nothing missing',
      'shop of-tenant open',
      'shop trivy open',
    ]);
  });

  it.each(['ObservationMapping', 'Ingester'])('ages nothing while the kind %s is not served', async (kind) => {
    const { pass, objects, context, store, clock, all } = createWorld(aMapping('m'), aWidget('a'));
    await pass();
    all.splice(0, 1);
    const { list } = objects;
    const cluster = {
      ...context.cluster,
      objects: {
        ...objects,
        async *list(...given: Parameters<typeof list>) {
          if (given[0].kind === kind) throw new NotServed(given[0]);
          yield* list(...given);
        },
      },
    };
    clock.now += 60_000;
    await expect(handled(ingest, ping, { ...context, cluster })).rejects.toMatchObject({ status: 503 });
    const states = (await store.read({ limit: 9 })).items.map(({ metadata }) => metadata.labels[labels.state]);
    expect(states).toEqual(['open']);
  });

  it.each<[string, unknown, object]>([
    ['lead nowhere', undefined, { a: 'open', b: 'open' }],
    ['are no list', { moved: [] }, { a: 'open', b: 'open' }],
    ['have lost what tells them apart', [{ name: 'a' }], { a: 'open', b: 'open' }],
    ['are fewer', [{ key: 'a' }], { a: 'open', b: 'missing' }],
    ['are none', [], { a: 'missing', b: 'missing' }],
    ['are null', null, { a: 'missing', b: 'missing' }],
  ])('closes of an object what its items say is over: they %s', async (_case, list, expected) => {
    const rules = { items: '.list', identity: ['.key'], mappings: { ...mappings, message: '.key', severity: 'HIGH' } };
    const keys = [{ key: 'a' }, { key: 'b' }];
    const { pass, see, store, clock, all } = createWorld(aMapping('m', rules), aWidget('w', 'shop', { list: keys }));
    await pass();
    const changed = aWidget('w', 'shop', { list });
    all.splice(1, 1, changed);
    clock.now += 60_000;
    await see(changed);
    await pass();
    const { items } = await store.read({ limit: 9 });
    const states = items.map(({ metadata, spec }) => [spec.details.message, metadata.labels[labels.state]]);
    expect(Object.fromEntries(states)).toEqual(expected);
  });

  it('ages findings with the source of a tenant’s mapping outside its namespace, but not inside', async () => {
    const world = createWorld(anIngester('t', { source: 'of-tenant' }, 'pay'));
    for (const namespace of ['pay', 'shop']) {
      const object = anObservationOf(aFinding('r', namespace), { ...open, source: 'of-tenant' });
      await world.store.create(object, world.context.event.signal);
    }
    await world.pass();
    expect(await statesIn(world)).toEqual(['pay of-tenant open', 'shop of-tenant missing']);
  });

  it('leaves the findings of a source alone that only gets posts now', async () => {
    const world = createWorld(anIngester('i'));
    await world.store.create(
      anObservationOf(aFinding('r', 'shop'), { ...open, source: 'hooks' }),
      world.context.event.signal,
    );
    await world.pass();
    expect(await statesIn(world)).toEqual(['shop hooks open']);
  });

  it('ages the findings of a source that gets posts and also reads objects', async () => {
    const both = { ...informer(), source: 'hooks' };
    const world = createWorld(anIngester('i', {}, 'zen-system', earlier), anIngester('j', both, 'zen-system', later));
    world.all.push(aWidget('a', 'shop', {}, 'Gadget'));
    await world.pass();
    expect(await statesIn(world)).toEqual(['shop hooks open']);
    world.all.pop();
    world.clock.now += 60_000;
    await world.pass();
    expect(await statesIn(world)).toEqual(['shop hooks missing']);
    expect(world.conditionsOf('i')).toEqual({ Accepted: 'Valid', Ready: 'Ready' });
  });

  it('reports what it has done even if it could not do everything', async () => {
    const broken = aMapping('broken', { sourceName: 'broken', kind: 'Broken' }, 'zen-system', later);
    const world = createWorld(aMapping('m', {}, 'zen-system', earlier), broken, aWidget('a'));
    const { list } = world.objects;
    world.objects.list = (resource, ...rest) => {
      if (resource.kind === 'Broken') throw new Refusal(503, 'away');
      return list(resource, ...rest);
    };
    const created = [{ category: 'operational', severity: 'HIGH', count: 1 }];
    await expect(world.pass()).rejects.toMatchObject({ status: 503, summary: { created } });
    world.objects.list = list;
    expect(await world.pass()).toMatchObject({ created: [], unchanged: 1 });
  });

  it('sets the conditions of each mapping and Ingester', async () => {
    const world = createWorld(aMapping('m'), anIngester('i'), aMapping('off', { enabled: false, sourceName: 'off' }));
    await world.pass();
    const conditions = (of: string): unknown => world.all.find(({ metadata }) => metadata.name === of);
    for (const name of ['m', 'i']) {
      expect(conditions(name)).toMatchObject({
        status: {
          conditions: [
            { type: 'Accepted', status: 'True', reason: 'Valid', message: '', observedGeneration: 1 },
            { type: 'Ready', status: 'True', reason: 'Ready', message: '', observedGeneration: 1 },
          ],
        },
      });
    }
    expect(conditions('off')).toMatchObject({
      status: { conditions: [{ status: 'True' }, { status: 'False', reason: 'Disabled' }] },
    });
  });

  it('says nothing new of a mapping whose kind could not be looked up', async () => {
    const world = createWorld(aMapping('m'));
    const groups = async (): Promise<never> => {
      throw new Refusal(503, 'away');
    };
    const { kinds } = world.context.cluster;
    Object.assign(world.context.cluster, { kinds: { groups } });
    await expect(world.pass()).rejects.toMatchObject({ status: 503 });
    expect(world.conditionsOf('m')).toEqual({ Accepted: 'Valid' });
    Object.assign(world.context.cluster, { kinds });
    await world.pass();
    expect(world.conditionsOf('m')).toEqual({ Accepted: 'Valid', Ready: 'Ready' });
    Object.assign(world.context.cluster, { kinds: { groups } });
    await expect(world.pass()).rejects.toMatchObject({ status: 503 });
    expect(world.conditionsOf('m')).toEqual({ Accepted: 'Valid', Ready: 'Ready' });
  });

  it('handles only its own namespace, for a tenant’s zen-watcher', async () => {
    const world = createWorld(aMapping('mine', {}, 'shop'), aMapping('theirs', {}, 'pay'), anIngester('i', {}, 'pay'));
    Object.assign(world.context.settings, { WATCH_NAMESPACE: 'shop', SYSTEM_NAMESPACE: 'shop' });
    await world.pass();
    expect(world.conditionsOf('mine')).toEqual({ Accepted: 'Valid', Ready: 'Ready' });
    expect([world.conditionsOf('theirs'), world.conditionsOf('i')]).toEqual([{}, {}]);
  });

  it('is left to the next one if there was one just now', async () => {
    const world = createWorld(aMapping('m'), aWidget('a'));
    expect((await world.pass()).skipped).toEqual({});
    Object.assign(world.context, { coalesce: async () => undefined });
    expect((await world.pass()).skipped).toEqual({ coalesced: 1 });
    expect((await world.see(aMapping('m'))).skipped).toEqual({ coalesced: 1 });
  });
});

describe('a tenant’s mapping', () => {
  it('sees only its own namespace', async () => {
    const { pass, see, stored } = createWorld(aMapping('m', {}, 'shop'), aWidget('mine'), aWidget('theirs', 'pay'));
    await pass();
    await see(aWidget('theirs', 'pay'));
    expect(await stored()).toEqual(['shop: widgets HIGH mine broke']);
  });

  it('writes only to its own namespace, whatever its mapping rules say', async () => {
    const elsewhere = { ...mappings, resource: { kind: 'Pod', namespace: 'pay', name: 'p' } };
    const nowhere = { ...mappings, resource: { kind: 'Node', name: 'n' } };
    const { pass, post, stored } = createWorld(
      aMapping('m', { mappings: elsewhere }, 'shop'),
      aMapping('n', { mappings: nowhere, sourceName: 'nodes' }, 'shop'),
      anIngester('i', { mappings: elsewhere }, 'shop'),
      aWidget('mine'),
    );
    const summary = await pass();
    expect(summary.filtered).toEqual({ outside_namespace: 1 });
    expect((await post('/ingest/hooks', { severity: 'HIGH', text: 'posted' })).filtered).toEqual({
      outside_namespace: 1,
    });
    expect(await stored()).toEqual(['shop: nodes HIGH mine broke']);
  });

  it('does not age findings of another tenant with the same source', async () => {
    const { pass, all, store, clock } = createWorld(
      aMapping('m', {}, 'shop'),
      aMapping('n', {}, 'pay'),
      aWidget('a'),
      aWidget('b', 'pay'),
    );
    await pass();
    all.splice(
      all.findIndex(({ metadata }) => metadata.name === 'a'),
      1,
    );
    clock.now += 60_000;
    await pass();
    const states = (await store.read({ limit: 9 })).items.map(
      ({ metadata }) => `${metadata.namespace} ${metadata.labels['zen.kube-zen.io/state']}`,
    );
    expect(states).toEqual(['pay open', 'shop missing']);
  });

  it('fails no pass if its namespace refuses what it finds, and keeps no condition from being set', async () => {
    const { pass, context, conditionsOf, stored, objects } = createWorld(
      aMapping('m', {}, 'shop'),
      aMapping('n', {}, 'pay'),
      aWidget('a'),
      aWidget('b', 'pay'),
    );
    const { create } = context.store;
    const { setStatus } = objects;
    Object.assign(context.store, {
      create: async (object: Parameters<typeof create>[0], signal: AbortSignal) => {
        if (object.metadata.namespace === 'shop') throw new NamespaceRefusal('denying', 'webhook "w"');
        return create(object, signal);
      },
    });
    objects.setStatus = async (resource, object, ...rest) => {
      if (object.metadata.namespace === 'shop') throw new NamespaceRefusal('denying', 'webhook "w"');
      return setStatus(resource, object, ...rest);
    };
    expect((await pass()).warnings).toEqual([
      'what is mapped in namespace shop: the system namespace denies it: webhook "w"',
      'namespace shop: the namespace is denying it: webhook "w"',
    ]);
    expect(await stored()).toEqual(['pay: widgets HIGH b broke']);
    expect(conditionsOf('n')).toEqual({ Accepted: 'Valid', Ready: 'Ready' });
  });

  it.each([
    ['shop', ['what is mapped in namespace shop: the system namespace is full']],
    ['zen-system', undefined],
  ])('of %s fails no pass if there is no room for it, unless it is the system namespace', async (of, warnings) => {
    const { pass, context } = createWorld(aMapping('m', {}, of), aWidget('a', of));
    Object.assign(context.store, { create: () => Promise.reject(new NamespaceRefusal('full', new Error('no'))) });
    const ended = await pass().then(
      (summary) => summary.warnings,
      (error: unknown) => error,
    );
    if (warnings) expect(ended).toEqual(warnings);
    else expect(ended).toMatchObject({ status: 503, message: 'the system namespace is full' });
  });

  it('cannot use a cluster-scoped kind, and has a condition that says so', async () => {
    const discovery = {
      groups: async () => groups,
      kinds: async () => [{ kind: 'Widget', plural: 'widgets', namespaced: false }],
    };
    const { pass, context, conditionsOf } = createWorld(aMapping('m', {}, 'shop'));
    Object.assign(context.cluster, { kinds: discovery, hasApiServerSources: true });
    await pass();
    expect(conditionsOf('m')).toEqual({ Accepted: 'Valid', Ready: 'NamespaceNotAllowed' });
  });
});

describe('in a cluster', () => {
  const served = [{ kind: 'Widget', plural: 'widgets', namespaced: true }];
  const source = (status: string): KubernetesObject =>
    ({
      apiVersion: 'sources.knative.dev/v1',
      kind: 'ApiServerSource',
      metadata: { name: 'ingest-example-com', namespace: 'zen-system' },
      status: { conditions: [{ type: 'Ready', status, message: 'because' }] },
    }) as KubernetesObject;

  const tenants = (kinds: readonly string[], status = 'True', name = 'ingest-example-com'): KubernetesObject =>
    ({
      ...source(status),
      metadata: { name, namespace: 'zen-system' },
      spec: { resources: kinds.map((kind) => ({ kind })) },
    }) as KubernetesObject;
  const other = { kind: 'Other', plural: 'othery', namespaced: true };
  const gadget = { kind: 'Gadget', plural: 'gadgets', namespaced: true };
  const [mine, ofShop] = [() => aMapping('m'), () => aMapping('m', {}, 'shop')];
  const ready = ['True', 'Ready', ''];
  const isReady = { type: 'Ready', status: 'True' };
  const unready = (why: string, name = 'ingest-example-com') => [
    'False',
    'SourceNotReady',
    `ApiServerSource ${name}: ${why}`,
  ];
  const notServed = (what: string) => ['False', 'KindNotServed', `the cluster does not serve ${what}`];

  it.each<
    [string, string[], () => KubernetesObject, object[] | undefined, KubernetesObject[]?, Map<string, string[]>?]
  >([
    ['a kind that is not served', notServed('Widget of example.com/v1'), mine, [other]],
    ['a group that is not served', notServed('Widget of example.com/v1'), mine, served, [], new Map()],
    ['another version', notServed('Widget of example.com/v1'), mine, served, [], new Map([['example.com', ['v2']]])],
    ['the core group', notServed('Widget of v1'), () => aMapping('m', { group: '' }), [], [], new Map([['', ['v1']]])],
    ['a plural that is not served', notServed('gadgets of example.com/v1'), () => anIngester('m', informer()), served],
    ['a plural', unready('does not exist yet'), () => anIngester('m', informer()), [other, gadget]],
    [
      'a group whose server does not respond',
      ['False', 'NotDiscovered', 'the server of Widget of example.com/v1 does not respond'],
      mine,
      undefined,
    ],
    ['a kind without its ApiServerSource', unready('does not exist yet'), mine, served],
    ['a kind whose ApiServerSource is not ready', unready('because'), mine, served, [source('False')]],
    ['a kind whose ApiServerSource is ready', ready, mine, served, [source('True')]],
    [
      'a kind whose ApiServerSource says nothing yet',
      unready('does not exist yet'),
      mine,
      served,
      [Object.assign(source('True'), { status: undefined })],
    ],
    [
      'a kind whose ApiServerSource has other conditions, too',
      ready,
      mine,
      served,
      [Object.assign(source('True'), { status: { conditions: [{ type: 'Deployed', status: 'False' }, isReady] } })],
    ],
    [
      'a kind that only tenants watch, for one of them',
      ready,
      ofShop,
      served,
      [tenants(['Widget'], 'True', 'ingest-example-com-tenants')],
    ],
    ['a kind whose ApiServerSource is for others, too', ready, mine, served, [tenants(['Other'])]],
    [
      'a kind whose plural Knative guesses wrongly',
      ['True', 'PassOnly', 'only the completeness pass sees changes: Knative does not guess the plural widgetry'],
      mine,
      [{ ...served[0], plural: 'widgetry' }],
    ],
    ['a kind that the system watches, for a tenant', ready, ofShop, served, [tenants(['Other', 'Widget'])]],
    [
      'a kind that only tenants watch',
      unready('does not exist yet', 'ingest-example-com-tenants'),
      ofShop,
      served,
      [tenants(['Other'])],
    ],
    [
      'a kind that nobody watches, for a tenant',
      unready('because', 'ingest-example-com-tenants'),
      ofShop,
      served,
      [source('True'), tenants(['Widget'], 'False', 'ingest-example-com-tenants')],
    ],
    [
      'a kind that has no namespaces, for a tenant',
      [
        'False',
        'NamespaceNotAllowed',
        'Widget of example.com/v1 is cluster-scoped: only a mapping in the system namespace can use it',
      ],
      ofShop,
      [{ ...served[0], namespaced: false }],
    ],
    ['a kind that has no namespaces', unready('does not exist yet'), mine, [{ ...served[0], namespaced: false }]],
    ['a path', ready, () => anIngester('m'), served],
    [
      'what is disabled',
      ['False', 'Disabled', 'spec.enabled is false'],
      () => aMapping('m', { enabled: false }),
      served,
    ],
    [
      'what is not accepted',
      ['False', 'NotAccepted', 'see the condition Accepted'],
      () => aMapping('m', { items: '..x' }),
      served,
    ],
  ])('the condition Ready of %s is %j', async (_case, expected, mapping, kinds, objects = [], known = groups) => {
    const world = createWorld(mapping(), ...objects);
    const { pass, context, conditionOf } = world;
    Object.assign(context.cluster, {
      kinds: { groups: async () => known, kinds: async () => kinds },
      hasApiServerSources: true,
    });
    const { list, get } = world.objects;
    world.objects.get = (resource, ref, ...rest) => {
      if (resource.kind === 'ApiServerSource') expect(ref.apiVersion).toBe('sources.knative.dev/v1');
      return get(resource, ref, ...rest);
    };
    world.objects.list = (resource, ...rest) => {
      // What is not served is not asked for.
      expect(resource.kind).toBeDefined();
      return list(resource, ...rest);
    };
    await pass();
    const { status, reason, message } = conditionOf('m', 'Ready') ?? {};
    expect([status, reason, message]).toEqual(expected);
  });

  const forbidden = new Refusal(503, 'listing was refused');
  const allow = (what: string) =>
    `listing was refused. Allow get, list and watch on ${what} in a ClusterRole with the label zen.kube-zen.io/aggregate-to-ingest: "true"`;

  it.each<[string, object, Error, string[]]>([
    ['may not be listed', {}, forbidden, ['False', 'NotReadable', allow('widgets.example.com')]],
    ['of the core group may not be listed', { group: '' }, forbidden, ['False', 'NotReadable', allow('widgets')]],
    [
      'is gone meanwhile',
      {},
      new NotServed({ group: 'example.com', plural: 'widgets' }),
      ['False', 'KindNotServed', 'widgets.example.com is not served: is its CRD installed?'],
    ],
  ])('the condition Ready says of a kind that %s why', async (_case, spec, error, expected) => {
    const { pass, context, conditionOf, objects } = createWorld(aMapping('m', spec));
    const kinds = { groups: async () => new Map([...groups, ['', ['v1']]]), kinds: async () => served };
    Object.assign(context.cluster, { kinds, hasApiServerSources: true });
    const { list } = objects;
    objects.list = (resource, ...rest) => {
      if (resource.kind === 'Widget') throw error;
      return list(resource, ...rest);
    };
    await pass();
    const { status, reason, message } = conditionOf('m', 'Ready') ?? {};
    expect([status, reason, message]).toEqual(expected);
  });

  it.each(['zen-system', 'shop'])('fails a pass in which something else happens than a refusal: of %s', async (of) => {
    const { pass, context, objects } = createWorld(aMapping('m', {}, of));
    const kinds = { groups: async () => groups, kinds: async () => served };
    Object.assign(context.cluster, { kinds, hasApiServerSources: true });
    const { list } = objects;
    objects.list = (resource, ...rest) => {
      if (resource.kind === 'Widget') throw new Error('a fault of ours');
      return list(resource, ...rest);
    };
    await expect(pass()).rejects.toThrow('an unexpected fault');
  });

  it('asks for no other objects than those with the labels of an Ingester', async () => {
    const { pass, context, objects } = createWorld(anIngester('m', informer({ labelSelector: 'tier=b' })));
    Object.assign(context.cluster, { kinds: { groups: async () => groups, kinds: async () => [gadget] } });
    const asked: unknown[] = [];
    const { list } = objects;
    objects.list = (resource, ...rest) => {
      if (resource.kind === 'Gadget') asked.push(`${resource.versions} ${resource.labelSelector}`);
      return list(resource, ...rest);
    };
    await pass();
    expect(new Set(asked)).toEqual(new Set(['v1 tier=b']));
  });

  it.each<[string, Map<string, string[]>, object[] | undefined, string]>([
    ['whose server does not respond', groups, undefined, 'open'],
    ['that is no longer served', groups, [], 'open'],
    ['whose group is gone', new Map(), undefined, 'open'],
    ['that has no objects any more', groups, served, 'missing'],
  ])('a finding of a kind %s gets the right state', async (_case, known, kinds, state) => {
    const { pass, context, objects, store, clock } = createWorld(aMapping('m'), aWidget('a'));
    await pass();
    Object.assign(context.cluster, {
      kinds: { groups: async () => known, kinds: async () => kinds },
      hasApiServerSources: true,
    });
    objects.all.splice(1);
    clock.now += 60_000;
    await pass();
    expect(
      (await store.read({ limit: 9 })).items.map(({ metadata }) => metadata.labels['zen.kube-zen.io/state']),
    ).toEqual([state]);
  });

  it('the condition Ready names the rule that is missing to list a kind, and no finding of its source becomes missing', async () => {
    const { pass, context, objects, conditionsOf, all, store, clock } = createWorld(
      aMapping('m'),
      aMapping('n', { kind: 'Gadget' }),
      aWidget('a'),
      aWidget('g', 'shop', {}, 'Gadget'),
    );
    await pass();
    const kinds = [...served, { kind: 'Gadget', plural: 'gadgets', namespaced: true }];
    Object.assign(context.cluster, {
      kinds: { groups: async () => groups, kinds: async () => kinds },
      hasApiServerSources: true,
    });
    const { list } = objects;
    objects.list = (resource, ...rest) => {
      if (resource.kind === 'Gadget')
        throw new Refusal(503, 'listing gadgets.example.com was refused (Forbidden): check the Role');
      return list(resource, ...rest);
    };
    clock.now += 60_000;
    await pass();
    expect(conditionsOf('n').Ready).toBe('NotReadable');
    const message = JSON.stringify(all.find(({ metadata }) => metadata.name === 'n'));
    expect(message).toContain('get, list and watch on gadgets.example.com');
    expect(message).toContain('zen.kube-zen.io/aggregate-to-ingest');
    const states = (await store.read({ limit: 9 })).items.map(
      ({ metadata }) => metadata.labels['zen.kube-zen.io/state'],
    );
    expect(states).toEqual(['open', 'open']);
    all.push(aWidget('b'));
    await pass();
    expect((await store.read({ limit: 9 })).items).toHaveLength(3);
  });
});
