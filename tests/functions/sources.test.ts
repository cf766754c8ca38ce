import { describe, expect, it } from 'vitest';
import checkov from '../../functions/checkov.ts';
import ingest from '../../functions/ingest.ts';
import kyverno from '../../functions/kyverno.ts';
import sources from '../../functions/sources.ts';
import trivy from '../../functions/trivy.ts';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Discovery, KubernetesObject, ObjectRef, ServedKind } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { createTestContext, handled, type Overrides, ping } from '../pipeline/test-context.ts';

const group = 'aquasecurity.github.io';
const name = 'trivy-aquasecurity-github-io';
const peer = functionInfoOf(trivy, {}, []);
const kyvernoKinds = functionInfoOf(kyverno, {}, []).kinds;
const { kinds } = peer;

const widget: ServedKind = { kind: 'Widget', plural: 'widgets', namespaced: true };
const gadget: ServedKind = { kind: 'Gadget', plural: 'gadgets', namespaced: true };

/** Maps Widgets by their kind, and Gadgets by their plural, both in version `v1` of a group. */
function mappingsOf(of: string, namespace = 'zen-system', source = 'widgets'): KubernetesObject[] {
  const mappings = { severity: '.severity', category: 'operational', eventType: 'broken', message: '.text' };
  const object = (kind: string, name: string, spec: object): KubernetesObject => {
    const metadata = { name, namespace };
    return Object.assign({ apiVersion: 'zen.kube-zen.io/v1alpha1', kind, metadata }, { spec: { ...spec, mappings } });
  };
  const informer = { gvr: { group: of, version: 'v1', resource: 'gadgets' } };
  return [
    object('ObservationMapping', 'm', { sourceName: source, group: of, version: 'v1', kind: 'Widget' }),
    object('Ingester', 'i', { source: 'gadgets', ingester: 'informer', informer }),
    object('Ingester', 'posted', { source: 'posted', ingester: 'webhook', webhook: { path: 'posted' } }),
  ];
}

/** What Knative says of a source whose adapter runs. */
const readyAtOnce = { conditions: [{ type: 'Ready', status: 'True' }] };

/** What a cluster serves, as far as it can be discovered. */
interface World {
  groups: Map<string, string[]> | 'unreachable';
  kinds: Map<string, ServedKind[]>;
}

function served(count = kinds.length): World {
  return {
    groups: new Map([
      ['apps', ['v1']],
      [group, ['v1alpha1']],
    ]),
    kinds: new Map([[`${group}/v1alpha1`, kinds.slice(0, count)]]),
  };
}

const nothing: World = { groups: new Map([['apps', ['v1']]]), kinds: new Map() };

function crdOf(plural: string): KubernetesObject {
  const metadata = { name: `${plural}.${group}` };
  return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata };
}

function createWorld(first: World, context: Overrides = {}, environment: Record<string, string> = {}) {
  let world = first;
  const pinged: string[] = [];
  const writes: string[] = [];
  /** What was asked about what accounts may watch, and what they may not. */
  const asked: string[] = [];
  const forbidden = new Set<string>();
  const discovery: Discovery = {
    async groups() {
      if (world.groups === 'unreachable') throw new Refusal(503, 'discovering API groups failed');
      return world.groups;
    },
    kinds: async (of, version) => world.kinds.get(`${of}/${version}`),
    mayWatch: async (account, kind) => {
      asked.push(`${account.namespace}/${account.name} ${kind.plural}`);
      return !forbidden.has(kind.plural);
    },
  };
  const test = createTestContext(sources, {
    environment,
    context: {
      kinds: discovery,
      functions: [peer],
      async sendTo(url) {
        pinged.push(url);
        return 204;
      },
      ...context,
    },
  });
  const reads: (ObjectRef & { readonly of: KindSelector })[] = [];
  const { apply, delete: remove, get } = test.objects;
  test.objects.get = async (resource, ref, signal) => {
    reads.push({ ...ref, of: resource });
    return get(resource, ref, signal);
  };
  test.objects.apply = async (resource, object, signal) => {
    writes.push(`apply ${object.metadata.name}`);
    await apply(resource, object, signal);
    const made = test.objects.all.find(({ metadata }) => metadata.name === object.metadata.name);
    if (made) Object.assign(made, { status: readyAtOnce });
  };
  test.objects.delete = async (resource, object, signal) => {
    if (!object.metadata.name.includes('.')) writes.push(`delete ${object.metadata.name}`);
    await remove(resource, object, signal);
  };
  return {
    ...test,
    pinged,
    writes,
    asked,
    forbidden,
    reads,
    become: (next: World) => {
      world = next;
    },
    made: (of: string) =>
      test.objects.all.find((object) => object.kind === 'ApiServerSource' && object.metadata.name === of),
    async run() {
      writes.length = 0;
      pinged.length = 0;
      return handled(sources, ping, test.context);
    },
    source: () => test.objects.all.find((object) => object.kind === 'ApiServerSource' && object.metadata.name === name),
  };
}

function kindsIn(object: KubernetesObject | undefined): string[] {
  const { spec } = (object ?? { spec: { resources: [] } }) as unknown as { spec: { resources: { kind: string }[] } };
  return spec.resources.map(({ kind }) => kind);
}

describe('sources', () => {
  it('creates nothing for a group that is not served', async () => {
    const { run, writes, pinged } = createWorld(nothing);
    await run();
    expect([writes, pinged]).toEqual([[], []]);
  });

  it('creates one source per function and group, pings the function twice, and then leaves both alone', async () => {
    const { run, writes, pinged, become, source } = createWorld(nothing);
    await run();
    become(served());
    await run();
    expect(writes).toEqual([`apply ${name}`]);
    expect(pinged).toEqual([peer.url, peer.url]);
    expect(source()).toEqual({
      apiVersion: 'sources.knative.dev/v1',
      kind: 'ApiServerSource',
      metadata: {
        name,
        namespace: 'zen-system',
        labels: { 'app.kubernetes.io/part-of': 'zen-watcher', 'zen.kube-zen.io/made-by': 'sources' },
      },
      spec: {
        mode: 'Reference',
        namespaceSelector: {},
        resources: kinds.map(({ kind }) => ({ apiVersion: `${group}/v1alpha1`, kind })),
        serviceAccountName: 'trivy-source',
        sink: {
          ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name: 'trivy', namespace: 'zen-system' },
        },
      },
      status: readyAtOnce,
    });
    await run();
    expect([writes, pinged]).toEqual([[], []]);
  });

  it('has what the first passes found counted once they are over, and no sooner', async () => {
    const collector = { ...peer, name: 'gc', url: 'http://gc.zen-system.svc.cluster.local', kinds: [] };
    const order: string[] = [];
    const sendTo = async (url: string): Promise<number> => {
      order.push(`${url} begins`);
      await Promise.resolve();
      order.push(`${url} ends`);
      return 204;
    };
    const { run, become } = createWorld(nothing, { functions: [collector, peer], sendTo });
    await run();
    expect(order).toEqual([]);
    become(served());
    await run();
    expect(order).toEqual([peer.url, peer.url, collector.url].flatMap((url) => [`${url} begins`, `${url} ends`]));
  });

  it('makes the ServiceAccount its owner, so that it goes where the function is uninstalled', async () => {
    const { run, writes, objects, source, reads } = createWorld(served());
    await run();
    expect(source()?.metadata).not.toHaveProperty('ownerReferences');
    const metadata = { name: 'trivy-source', namespace: 'zen-system', uid: 'u-1' };
    objects.all.push({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    await run();
    expect(source()?.metadata).toHaveProperty('ownerReferences', [
      { apiVersion: 'v1', kind: 'ServiceAccount', name: 'trivy-source', uid: 'u-1' },
    ]);
    expect(reads).toContainEqual({
      ...{ apiVersion: 'v1', kind: 'ServiceAccount', namespace: 'zen-system', name: 'trivy-source' },
      of: { group: '', versions: ['v1'], kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true },
    });
    await run();
    expect(writes).toEqual([]);
  });

  it('changes the source when a kind is added or removed', async () => {
    const { run, writes, pinged, become, source } = createWorld(served(2));
    await run();
    become(served(3));
    await run();
    expect([writes, pinged, kindsIn(source())]).toEqual([
      [`apply ${name}`],
      [peer.url, peer.url],
      kinds.slice(0, 3).map(({ kind }) => kind),
    ]);
    become(served(1));
    await run();
    expect([writes, kindsIn(source())]).toEqual([[`apply ${name}`], kinds.slice(0, 1).map(({ kind }) => kind)]);
  });

  it('deletes the source when the group is gone', async () => {
    const { run, writes, pinged, become, source } = createWorld(served());
    await run();
    become(nothing);
    await run();
    expect([writes, pinged, source()]).toEqual([[`delete ${name}`], [], undefined]);
    await run();
    expect(writes).toEqual([]);
  });

  it.each<[string, World]>([
    ['nothing can be discovered', { groups: 'unreachable', kinds: new Map() }],
    ["the group's own server is down", { ...served(), kinds: new Map() }],
  ])('leaves the source as it is while %s', async (_case, broken) => {
    const { run, writes, become, source } = createWorld(served());
    await run();
    const before = structuredClone(source());
    become(broken);
    await run().catch((error: unknown) => expect(error).toMatchObject({ status: 503 }));
    expect([writes, source()]).toEqual([[], before]);
  });

  it.each<[string, World]>([
    ['its group', nothing],
    ['its kind', { ...served(), kinds: new Map([[`${group}/v1alpha1`, []]]) }],
  ])('leaves the source as it is while discovery does not list %s but a CRD exists', async (_case, partial) => {
    const { run, writes, reads, become, objects } = createWorld(served(1));
    objects.all.push(crdOf(kinds[0]?.plural ?? ''));
    await run();
    become(partial);
    await run();
    expect(writes).toEqual([]);
    expect(reads).toContainEqual(
      expect.objectContaining({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        name: `${kinds[0]?.plural}.${group}`,
      }),
    );
  });

  it('answers 503 if the groups cannot be discovered, so that the event is retried', async () => {
    const { run } = createWorld({ groups: 'unreachable', kinds: new Map() });
    await expect(run()).rejects.toMatchObject({ status: 503 });
  });

  it('leaves sources alone that it does not own, and warns', async () => {
    const { run, writes, objects, pinged } = createWorld(served());
    const others = [name, 'somebodys'].map((of) => ({
      apiVersion: 'sources.knative.dev/v1',
      kind: 'ApiServerSource',
      spec: { resources: [] },
      metadata: { name: of, namespace: 'zen-system' },
    }));
    objects.all.push(...others);
    const { warnings } = await run();
    expect([writes, pinged]).toEqual([[], []]);
    expect(warnings).toEqual([expect.stringContaining(`${name} is not ours`)]);
  });

  it('reverts what somebody has changed, but not what Knative has filled in', async () => {
    const { run, writes, source } = createWorld(served());
    await run();
    const made = source() as unknown as { spec: Record<string, unknown>; status?: unknown };
    made.spec.filters = [];
    made.status = { conditions: [] };
    await run();
    expect(writes).toEqual([]);
    const { spec } = structuredClone(made);
    const changes: Record<string, unknown>[] = [
      { serviceAccountName: 'default' },
      { namespaceSelector: undefined },
      { sink: null },
      { sink: 'http://elsewhere' },
      { resources: null },
      { resources: {} },
      { resources: [] },
      {
        resources: kinds.map(({ kind }, index) => ({ apiVersion: `${group}/v1alpha1`, kind: index ? 'Other' : kind })),
      },
      { resources: kinds.toReversed().map(({ kind }) => ({ apiVersion: `${group}/v1alpha1`, kind })) },
    ];
    for (const change of changes) {
      const current = source() as unknown as { spec: Record<string, unknown> };
      current.spec = JSON.parse(JSON.stringify({ ...spec, ...change }));
      await run();
      expect([change, writes]).toEqual([change, [`apply ${name}`]]);
      expect(source()).toHaveProperty('spec.resources', spec.resources);
    }
  });

  it('deletes the sources of a function that is gone', async () => {
    const { run, writes, context } = createWorld(served());
    await run();
    Object.assign(context, { functions: [] });
    await run();
    expect(writes).toEqual([`delete ${name}`]);
  });

  it('creates none for groups that every cluster serves, since those are part of the manifests', async () => {
    const { run, writes } = createWorld(
      { ...served(), groups: new Map([['', ['v1']]]) },
      {
        functions: [functionInfoOf(checkov, {}, [])],
      },
    );
    await run();
    expect(writes).toEqual([]);
  });

  it.each([
    [['v1alpha2'], 'v1alpha2'],
    [['v1alpha2', 'v1beta1'], 'v1beta1'],
  ])('watches kinds that are served in %j in version %s, with a source for each group', async (versions, best) => {
    const served = kyvernoKinds.filter((resource) => resource.group === 'wgpolicyk8s.io');
    const { run, made } = createWorld(
      {
        groups: new Map([
          ['openreports.io', ['v1alpha1']],
          ['wgpolicyk8s.io', versions],
        ]),
        kinds: new Map([
          ['openreports.io/v1alpha1', kyvernoKinds.filter((resource) => resource.group === 'openreports.io')],
          ...versions.map((version): [string, ServedKind[]] => [`wgpolicyk8s.io/${version}`, served]),
        ]),
      },
      { functions: [functionInfoOf(kyverno, {}, [])] },
    );
    await run();
    expect(made('kyverno-wgpolicyk8s-io')).toHaveProperty(
      'spec.resources',
      served.map(({ kind }) => ({ apiVersion: `wgpolicyk8s.io/${best}`, kind })),
    );
    expect(kindsIn(made('kyverno-openreports-io'))).toEqual(['Report', 'ClusterReport']);
    expect(made('kyverno-reports-x-k8s-io')).toBeUndefined();
  });

  it('selects by the labels that a function wants', async () => {
    const resource = { group: 'example.com', versions: ['v1'], ...widget, labels: { app: 'x' } };
    const labelled = { name: 'some', url: 'http://some', webhooks: [], kinds: [resource], takesMappedKinds: false };
    const world = { groups: new Map([['example.com', ['v1']]]), kinds: new Map([['example.com/v1', [widget]]]) };
    const { run, made } = createWorld(world, { functions: [labelled] });
    await run();
    expect(made('some-example-com')).toHaveProperty('spec.resources', [
      { apiVersion: 'example.com/v1', kind: 'Widget', selector: { matchLabels: { app: 'x' } } },
    ]);
  });

  it.each([
    ['example.com', 'ingest-example-com', 'example.com/v1'],
    ['', 'ingest-core', 'v1'],
  ])('watches for ingest, and for it alone, what is mapped in the group "%s"', async (of, made, apiVersion) => {
    const world = { groups: new Map([[of, ['v1']]]), kinds: new Map([[`${of}/v1`, [widget, gadget]]]) };
    const test = createWorld(world, { functions: [peer, functionInfoOf(ingest, {}, [])] });
    const [first] = mappingsOf(of);
    if (!first) throw new Error('no mapping');
    const invalid = Object.assign({}, first, { metadata: { name: 'invalid', namespace: 'zen-system' }, spec: {} });
    test.objects.all.push(...mappingsOf(of), invalid);
    await test.run();
    expect(test.writes).toEqual([`apply ${made}`]);
    expect(test.made(made)).toHaveProperty('spec.resources', [
      { apiVersion, kind: 'Gadget' },
      { apiVersion, kind: 'Widget' },
    ]);
    test.become({ ...world, kinds: new Map() });
    await test.run();
    expect(test.writes).toEqual([]);
    const gone = (kind: string): void => {
      const left = test.objects.all.filter((object) => object.kind !== kind);
      test.objects.all.splice(0, test.objects.all.length, ...left);
    };
    gone('ObservationMapping');
    await test.run();
    expect(kindsIn(test.made(made))).toEqual(['Gadget']);
    gone('Ingester');
    await test.run();
    expect(test.writes).toEqual([`delete ${made}`]);
  });

  it.each([
    ['', 'none'],
    ['events.k8s.io', 'none'],
    ['example.com', 'one'],
  ])('makes a source for Events of group "%s": %s', async (of, expected) => {
    const event: ServedKind = { kind: 'Event', plural: 'events', namespaced: true };
    const world = { groups: new Map([[of, ['v1']]]), kinds: new Map([[`${of}/v1`, [event]]]) };
    const test = createWorld(world, { functions: [functionInfoOf(ingest, {}, [])] });
    const [widgets] = mappingsOf(of);
    const spec = { sourceName: 'e', group: of, version: 'v1', kind: 'Event' };
    test.objects.all.push(JSON.parse(JSON.stringify({ ...widgets, spec: { ...Object(widgets).spec, ...spec } })));
    const { warnings } = await test.run();
    expect(test.writes).toHaveLength(expected === 'one' ? 1 : 0);
    expect(warnings).toEqual(expected === 'one' ? [] : [expect.stringContaining('our own Pods')]);
  });

  const mapped = (kinds: readonly ServedKind[]): World => ({
    groups: new Map([['example.com', ['v1']]]),
    kinds: new Map([['example.com/v1', [...kinds]]]),
  });

  it('watches what tenants map by a source of its own, unless the system namespace maps it', async () => {
    const test = createWorld(mapped([widget, gadget]), { functions: [functionInfoOf(ingest, {}, [])] });
    const [widgets] = mappingsOf('example.com');
    test.objects.all.push(...mappingsOf('example.com', 'shop'), ...(widgets ? [widgets] : []));
    await test.run();
    expect(test.writes).toEqual(['apply ingest-example-com', 'apply ingest-example-com-tenants']);
    expect(kindsIn(test.made('ingest-example-com'))).toEqual(['Widget']);
    expect(kindsIn(test.made('ingest-example-com-tenants'))).toEqual(['Gadget']);
    // A tenant's change leaves the system's alone.
    const left = test.objects.all.filter(({ metadata }) => metadata.namespace !== 'shop');
    test.objects.all.splice(0, test.objects.all.length, ...left);
    await test.run();
    expect(test.writes).toEqual(['delete ingest-example-com-tenants']);
  });

  it.each([
    ['example.com', ['Gadget']],
    ['other.com', ['Gadget', 'Widget']],
  ])('watches by the source of tenants no kind that the system namespace maps: that of %s', async (of, left) => {
    const test = createWorld(mapped([widget, gadget]), { functions: [functionInfoOf(ingest, {}, [])] });
    const [widgets] = mappingsOf(of);
    test.objects.all.push(...mappingsOf('example.com', 'shop', 'of-shop'), ...(widgets ? [widgets] : []));
    await test.run();
    expect(kindsIn(test.made('ingest-example-com-tenants')).sort()).toEqual(left);
  });

  it.each(['zen-system', 'shop'])('of what %s maps, does not watch what its account may not', async (namespace) => {
    const made = namespace === 'shop' ? 'ingest-example-com-tenants' : 'ingest-example-com';
    const test = createWorld(mapped([widget, gadget]), { functions: [functionInfoOf(ingest, {}, [])] });
    test.objects.all.push(...mappingsOf('example.com', namespace));
    test.forbidden.add('gadgets');
    await test.run();
    expect(test.asked.sort()).toEqual(['zen-system/ingest-source gadgets', 'zen-system/ingest-source widgets']);
    expect(kindsIn(test.made(made))).toEqual(['Widget']);
    test.forbidden.clear();
    await test.run();
    expect(kindsIn(test.made(made)).sort()).toEqual(['Gadget', 'Widget']);
    test.forbidden.add('gadgets').add('widgets');
    await test.run();
    expect(test.writes).toEqual([`delete ${made}`]);
  });

  it('asks about no kind that a function declares', async () => {
    const test = createWorld(served());
    for (const { plural } of kinds) test.forbidden.add(plural);
    await test.run();
    expect([test.asked, kindsIn(test.source())]).toEqual([[], kinds.map(({ kind }) => kind)]);
  });

  it('asks about nothing that is mapped in the only namespace that it watches', async () => {
    const functions = [functionInfoOf(ingest, {}, [])];
    const test = createWorld(mapped([widget, gadget]), { functions }, { WATCH_NAMESPACE: 'tenant-a' });
    test.objects.all.push(...mappingsOf('example.com', 'tenant-a'));
    test.forbidden.add('widgets').add('gadgets');
    await test.run();
    expect([test.asked, kindsIn(test.made('ingest-example-com')).sort()]).toEqual([[], ['Gadget', 'Widget']]);
  });

  it('leaves everything as it is where it can not tell at all what there is', async () => {
    const test = createWorld(served());
    await test.run();
    Object.assign(test.context.cluster, { kinds: undefined });
    await test.run();
    expect(test.writes).toEqual([]);
    expect(kindsIn(test.source())).toEqual(kinds.map(({ kind }) => kind));
  });

  it('watches no cluster-scoped kind for a tenant', async () => {
    const wide = { ...widget, namespaced: false };
    const test = createWorld(mapped([wide, gadget]), { functions: [functionInfoOf(ingest, {}, [])] });
    test.objects.all.push(...mappingsOf('example.com', 'shop'));
    await test.run();
    expect(kindsIn(test.made('ingest-example-com-tenants'))).toEqual(['Gadget']);
  });

  it('ignores mappings outside its own namespace, for a tenant', async () => {
    const world = {
      groups: new Map([['example.com', ['v1']]]),
      kinds: new Map([['example.com/v1', [widget, gadget]]]),
    };
    const test = createWorld(world, { functions: [functionInfoOf(ingest, {}, [])] }, { WATCH_NAMESPACE: 'tenant-a' });
    test.objects.all.push(...mappingsOf('example.com', 'tenant-b'));
    await test.run();
    expect(test.writes).toEqual([]);
  });

  it('makes nothing of what is mapped while it can not tell what there is', async () => {
    const world = { groups: new Map([['example.com', ['v1']]]), kinds: new Map() };
    const test = createWorld(world, { functions: [functionInfoOf(ingest, {}, [])] });
    test.objects.all.push(...mappingsOf('example.com'));
    await test.run();
    expect(test.writes).toEqual([]);
  });

  it('asks once for the kinds of a group’s version, however many are wanted', async () => {
    const test = createWorld(served());
    const asked: string[] = [];
    const discovery: Discovery = {
      groups: async () => new Map([[group, ['v1alpha1']]]),
      kinds: async (of, version) => {
        asked.push(`${of}/${version}`);
        return kinds;
      },
      mayWatch: async () => true,
    };
    Object.assign(test.context.cluster, { kinds: discovery });
    await test.run();
    expect(asked).toEqual([`${group}/v1alpha1`]);
  });

  it('asks for no CRD where it has no right to, as a tenant’s', async () => {
    const test = createWorld(served(1), {}, { WATCH_NAMESPACE: 'tenant-a' });
    test.objects.all.push(crdOf(kinds[0]?.plural ?? ''));
    await test.run();
    expect(test.writes).toEqual([`apply ${name}`]);
    test.become(nothing);
    await test.run();
    expect(test.writes).toEqual([`delete ${name}`]);
  });

  it('reads no CRD of a group that every cluster serves', async () => {
    const of = 'zen.kube-zen.io';
    const world = { groups: new Map([[of, ['v1']]]), kinds: new Map([[`${of}/v1`, [widget, gadget]]]) };
    const test = createWorld(world, { functions: [functionInfoOf(ingest, {}, [])] });
    const crd = crdOf('widgets');
    test.objects.all.push(...mappingsOf(of), { ...crd, metadata: { name: `widgets.${of}` } });
    await test.run();
    expect(test.writes).toEqual(['apply ingest-zen-kube-zen-io']);
    test.become({ ...world, kinds: new Map([[`${of}/v1`, [gadget]]]) });
    await test.run();
    expect(kindsIn(test.made('ingest-zen-kube-zen-io'))).toEqual(['Gadget']);
  });

  it('drops a kind that nobody wants any more even while discovery is down', async () => {
    const test = createWorld(served());
    await test.run();
    Object.assign(test.context, { functions: [{ ...peer, kinds: kinds.slice(1) }] });
    test.become({ ...served(), kinds: new Map() });
    await test.run();
    expect(kindsIn(test.source())).toEqual(kinds.slice(1).map(({ kind }) => kind));
  });

  it('deletes one of its own sources without kinds while discovery is down', async () => {
    const test = createWorld({ ...served(), kinds: new Map() });
    const labels = { 'zen.kube-zen.io/made-by': 'sources' };
    for (const spec of [{}, { resources: 'none' }]) {
      const empty = { apiVersion: 'sources.knative.dev/v1', kind: 'ApiServerSource', spec };
      test.objects.all.push({ ...empty, metadata: { name, namespace: 'zen-system', labels } } as KubernetesObject);
      await test.run();
      expect(test.writes).toEqual([`delete ${name}`]);
    }
  });

  it('leaves changes to the next run if there was one just now', async () => {
    const { run } = createWorld(served(), { coalesce: async () => undefined });
    expect((await run()).skipped).toEqual({ coalesced: 1 });
  });

  it('leaves a kind to the pass if Knative guesses its plural wrongly, and warns', async () => {
    const world = served(2);
    const [first, ...rest] = world.kinds.get(`${group}/v1alpha1`) ?? [];
    world.kinds.set(`${group}/v1alpha1`, [{ ...first, plural: 'oddities' } as ServedKind, ...rest]);
    const { run, source } = createWorld(world);
    const { warnings } = await run();
    expect(kindsIn(source())).toEqual([kinds[1]?.kind]);
    expect(warnings).toEqual([expect.stringContaining(`only the completeness pass sees oddities.${group}`)]);
  });

  it('pings a function again that does not take its first ping, and warns in the end', async () => {
    const statuses = [503, 199, 300, 204, 204];
    const events: string[] = [];
    const first = createWorld(served(), {
      sendTo: async (_url, { type, source }) => {
        events.push(`${type} ${source}`);
        return statuses.shift() ?? 500;
      },
    });
    expect(await first.run()).toMatchObject({ observed: 1, warnings: [] });
    expect(statuses).toEqual([]);
    const ofTrivy = 'dev.knative.sources.ping /apis/v1/namespaces/zen-system/pingsources/trivy';
    expect(new Set(events)).toEqual(new Set([ofTrivy]));
    const functions = [peer, { ...peer, name: 'gc', kinds: [] }];
    const never = createWorld(served(), { functions, sendTo: async () => 503 });
    expect(await never.run()).toMatchObject({
      observed: 1,
      warnings: [
        'trivy did not take its first ping: its pass runs at the next interval',
        'trivy did not take its first ping: what came meanwhile is found by its pass',
        'gc did not take its first ping: it runs at the next interval',
      ],
    });
  });

  describe('pings again what it has made a source for', () => {
    const gc = { ...peer, name: 'gc', url: 'http://gc', kinds: [], webhooks: [] };
    const ready = { type: 'Ready', status: 'True' };

    /** What happens in which order, until the source's status is the last of these. */
    async function played(statuses: readonly object[], generation?: number) {
      const seen: string[] = [];
      const left = [...statuses];
      const world = createWorld(served(), {
        functions: [peer, gc],
        async sendTo(url) {
          seen.push(`ping ${url}`);
          if (seen.length > 1) return 204;
          Object.assign(world.source() ?? {}, { status: left.shift() });
          Object.assign(world.source()?.metadata ?? {}, { generation });
          return 204;
        },
        async sleep() {
          if (left.length > 0) seen.push('wait');
          Object.assign(world.source() ?? {}, { status: left.shift() ?? statuses.at(-1) });
        },
      });
      const { warnings } = await world.run();
      return { seen, warnings };
    }

    it('once it is ready, and then what collects garbage', async () => {
      const statuses = [
        {},
        { conditions: [{ ...ready, status: 'False' }] },
        { conditions: [{ ...ready, type: 'Deployed' }] },
        { conditions: [ready] },
      ];
      const { seen, warnings } = await played(statuses);
      expect(seen).toEqual([`ping ${peer.url}`, 'wait', 'wait', 'wait', `ping ${peer.url}`, 'ping http://gc']);
      expect(warnings).toEqual([]);
    });

    it('not by what Knative said before it changed', async () => {
      const statuses = [7, 8].map((observedGeneration) => ({ observedGeneration, conditions: [ready] }));
      const { seen } = await played(statuses, 8);
      expect(seen).toEqual([`ping ${peer.url}`, 'wait', `ping ${peer.url}`, 'ping http://gc']);
    });

    it('not at all if it is not ready within two minutes, and warns', async () => {
      const { seen, warnings } = await played([{ conditions: [] }]);
      expect(seen).toEqual([`ping ${peer.url}`, 'ping http://gc']);
      expect(warnings).toEqual([expect.stringContaining(`${name}: not ready yet`)]);
    });

    it('and names all that are not ready', async () => {
      const of = ['a', 'b'].map((letter) => `${letter}.example.com`);
      const world = {
        groups: new Map(of.map((one) => [one, ['v1']])),
        kinds: new Map(of.map((one) => [`${one}/v1`, [widget, gadget]])),
      };
      const test = createWorld(world, { functions: [functionInfoOf(ingest, {}, [])] });
      test.objects.all.push(...mappingsOf(of[0] ?? '', 'shop'), ...mappingsOf(of[1] ?? '', 'pay'));
      const { apply } = test.objects;
      test.objects.apply = async (resource, object, signal) => {
        await apply(resource, object, signal);
        Object.assign(test.made(object.metadata.name) ?? {}, { status: {} });
      };
      expect((await test.run()).warnings).toEqual([
        "ingest-b-example-com-tenants, ingest-a-example-com-tenants: not ready yet, so only ingest's pass sees changes",
      ]);
    });

    it('and leaves the collector alone when nothing has changed', async () => {
      const { run, pinged } = createWorld(served(), { functions: [peer, gc] });
      await run();
      expect(pinged).toEqual([peer.url, peer.url, gc.url]);
      await run();
      expect(pinged).toEqual([]);
    });
  });

  it.each([200, 299])('stops pinging once the response is %i', async (status) => {
    let pings = 0;
    const sendTo = async (): Promise<number> => {
      pings += 1;
      return status;
    };
    expect((await createWorld(served(), { sendTo }).run()).warnings).toEqual([]);
    expect(pings).toBe(2);
  });

  it('pings for a quarter of a minute, since a function may take that long to start', async () => {
    const pauses: number[] = [];
    const sleep = async (milliseconds: number): Promise<void> => void pauses.push(milliseconds);
    await createWorld(served(), { sendTo: async () => 503, sleep }).run();
    expect(pauses.reduce((sum, pause) => sum + pause, 0)).toBe(2 * 15_000);
  });

  it('watches only namespaced kinds, and only in its own namespace, for a tenant', async () => {
    const { run, objects } = createWorld(served(), {}, { WATCH_NAMESPACE: 'tenant-a' });
    await run();
    const made = objects.all.find(({ kind }) => kind === 'ApiServerSource');
    expect(made?.metadata.namespace).toBe('tenant-a');
    expect(made).not.toHaveProperty('spec.namespaceSelector');
    expect(kindsIn(made)).toEqual(kinds.filter(({ namespaced }) => namespaced).map(({ kind }) => kind));
  });

  it('does nothing without ApiServerSources', async () => {
    const { run, writes } = createWorld(served(), { hasApiServerSources: false });
    expect((await run()).skipped).toEqual({ no_api_server_sources: 1 });
    expect(writes).toEqual([]);
  });
});
