import { describe, expect, it } from 'vitest';
import sources from '../../functions/sources.ts';
import trivy from '../../functions/trivy.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Discovery, KubernetesObject, ServedKind } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { createTestContext, handled, type Overrides, ping } from '../pipeline/test-context.ts';

const group = 'aquasecurity.github.io';
const name = 'trivy-aquasecurity-github-io';
const peer = functionInfoOf(trivy, {}, []);
const { kinds } = peer;

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
  const discovery: Discovery = {
    async groups() {
      if (world.groups === 'unreachable') throw new Refusal(503, 'discovering API groups failed');
      return world.groups;
    },
    kinds: async (of, version) => world.kinds.get(`${of}/${version}`),
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
  const { apply, delete: remove } = test.objects;
  test.objects.apply = async (resource, object, signal) => {
    writes.push(`apply ${object.metadata.name}`);
    await apply(resource, object, signal);
  };
  test.objects.delete = async (resource, object, signal) => {
    if (!object.metadata.name.includes('.')) writes.push(`delete ${object.metadata.name}`);
    await remove(resource, object, signal);
  };
  return {
    ...test,
    pinged,
    writes,
    become: (next: World) => {
      world = next;
    },
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

  it('creates one source per function and group, pings the function once, and then leaves both alone', async () => {
    const { run, writes, pinged, become, source } = createWorld(nothing);
    await run();
    become(served());
    await run();
    expect(writes).toEqual([`apply ${name}`]);
    expect(pinged).toEqual([peer.url]);
    expect(source()).toMatchObject({
      metadata: { namespace: 'zen-system' },
      spec: {
        mode: 'Reference',
        namespaceSelector: {},
        serviceAccountName: 'trivy-source',
        sink: { ref: { kind: 'Service', name: 'trivy', namespace: 'zen-system' } },
      },
    });
    expect(kindsIn(source())).toEqual(kinds.map(({ kind }) => kind));
    await run();
    expect([writes, pinged]).toEqual([[], []]);
  });

  it('changes the source when a kind is added or removed', async () => {
    const { run, writes, pinged, become, source } = createWorld(served(2));
    await run();
    become(served(3));
    await run();
    expect([writes, pinged, kindsIn(source())]).toEqual([
      [`apply ${name}`],
      [peer.url],
      kinds.slice(0, 3).map(({ kind }) => kind),
    ]);
    become(served(1));
    await run();
    expect([writes, kindsIn(source())]).toEqual([[`apply ${name}`], kinds.slice(0, 1).map(({ kind }) => kind)]);
  });

  it('deletes the source when the group is gone', async () => {
    const { run, writes, become, source } = createWorld(served());
    await run();
    become(nothing);
    await run();
    expect([writes, source()]).toEqual([[`delete ${name}`], undefined]);
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
    const { run, writes, become, objects } = createWorld(served(1));
    objects.all.push(crdOf(kinds[0]?.plural ?? ''));
    await run();
    become(partial);
    await run();
    expect(writes).toEqual([]);
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
    made.spec.serviceAccountName = 'default';
    await run();
    expect(writes).toEqual([`apply ${name}`]);
  });

  it('leaves a kind to the pass if Knative guesses its plural wrongly, and warns', async () => {
    const world = served(2);
    const [first, ...rest] = world.kinds.get(`${group}/v1alpha1`) ?? [];
    world.kinds.set(`${group}/v1alpha1`, [{ ...first, plural: 'oddities' } as ServedKind, ...rest]);
    const { run, source } = createWorld(world);
    const { warnings } = await run();
    expect(kindsIn(source())).toEqual([kinds[1]?.kind]);
    expect(warnings).toEqual([expect.stringContaining('oddities')]);
  });

  it('pings a function again that does not take its first ping, and warns in the end', async () => {
    const statuses = [503, 503, 204];
    const first = createWorld(served(), { sendTo: async () => statuses.shift() ?? 500 });
    expect((await first.run()).warnings).toEqual([]);
    expect(statuses).toEqual([]);
    const never = createWorld(served(), { sendTo: async () => 503 });
    expect((await never.run()).warnings).toEqual([expect.stringContaining('trivy did not take its first ping')]);
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
    await run();
    expect(writes).toEqual([]);
  });
});
