import { describe, expect, it } from 'vitest';
import trivy from '../../functions/trivy.ts';
import { oldSubjectLabel } from '../../shared/api/labels.ts';
import type { Store } from '../../shared/function/stores.ts';
import { type OldFinding, oldObservation } from '../cluster/version-0.1.0.ts';
import { createWorld } from './slot-world.ts';
import { createTestContext, handled, ping } from './test-context.ts';

type World = ReturnType<typeof createWorld>;

const rows = (...ids: string[]) => ids.map((id) => ({ id }));
const api = { about: 'Deployment/api' };
const wide = { about: undefined };

const old: OldFinding = {
  ...{ source: 'scanner', category: 'security', severity: 'HIGH', eventType: 'flaw' },
  ...{ resource: { kind: 'Deployment', namespace: 'shop', name: 'web' }, identity: { id: 'a' }, details: {} },
  ...{ detectedAt: '2026-03-01T10:00:00Z', hasState: true },
};
const ofApi: OldFinding = { ...old, resource: { ...old.resource, name: 'api' } };

/** What is left of version 0.1.0, by what it is about. */
async function left({ store }: World): Promise<string[]> {
  const { items } = await store.read({ limit: 100 });
  const isOld = (one: (typeof items)[number]): boolean =>
    one.metadata.labels[oldSubjectLabel] !== undefined || one.spec.rule === undefined;
  return items
    .filter(isOld)
    .map(({ spec }) => spec.resource?.name ?? 'nothing')
    .sort();
}

async function store({ store: into, clock }: World, ...findings: readonly OldFinding[]): Promise<void> {
  for (const finding of findings) {
    await into.create(oldObservation(finding, clock.now), new AbortController().signal);
  }
}

interface Case {
  readonly name: string;
  /** What is stored, if not what version 0.1.0 says of both Deployments. */
  readonly stored?: readonly OldFinding[];
  prepare(world: World): Promise<void> | void;
  readonly left: readonly string[];
}

const cases: readonly Case[] = [
  { name: 'nothing that has a state', prepare: ({ put }) => void put('r', rows('a')), left: [] },
  {
    name: 'what it said of a workload whose report comes after the others were listed, and all they say was there',
    prepare: async ({ put, event, beforeCalls }) => {
      await event(put('r', rows('a')));
      let lists = 0;
      beforeCalls(async (call) => {
        if (call === 'metadata Scan') lists += 1;
        if (lists === 2) put('s', rows('a'), api);
      });
    },
    left: ['api'],
  },
  {
    name: 'events, and what it said about itself',
    stored: [
      { ...old, hasState: false },
      { ...ofApi, hasState: false, category: 'operations' },
    ],
    prepare: ({ put }) => void put('r', rows('a')),
    left: ['api', 'web'],
  },
  {
    name: 'what it said of a workload whose report can not be read',
    prepare: ({ put }) => {
      put('r', [{ id: 7 }]);
      put('s', rows('a'), api);
    },
    left: ['web'],
  },
  {
    name: 'what it said of a workload one of whose reports has a bad row',
    prepare: ({ put }) => {
      put('r', rows('a'));
      put('s', [{ id: 7 }, { id: 'b' }]);
    },
    left: ['web'],
  },
  {
    name: 'what it said of a Pod whose report can not be read, and not of its Deployment, whose report can',
    stored: [old, { ...old, resource: { kind: 'Pod', namespace: 'shop', name: 'web-7d9c5b6f4d-x2x9z' } }],
    prepare: ({ put }) => {
      put('r', rows('a'));
      put('s', [{ id: 7 }], { about: 'Pod/web-7d9c5b6f4d-x2x9z' });
    },
    left: ['web-7d9c5b6f4d-x2x9z'],
  },
  {
    name: 'everything while a report about many things can not be read',
    prepare: ({ put }) => void put('r', [{ id: 7 }], wide),
    left: ['api', 'web'],
  },
  {
    name: 'what it said of a workload whose report changes while it is read',
    prepare: ({ put, beforeCalls }) => {
      put('r', rows('a'));
      put('s', rows('a'), api);
      beforeCalls(async (call) => {
        if (call === 'list Scan') put('r', [{ id: 7 }]);
      });
    },
    left: ['web'],
  },
  {
    name: 'what it said of a workload whose report comes while the pass runs',
    prepare: ({ put, beforeCalls }) => {
      put('s', rows('a'), api);
      beforeCalls(async (call) => {
        if (call === 'create') put('r', rows('a'));
      });
    },
    left: ['web'],
  },
];

describe('a pass over what version 0.1.0 has left', () => {
  it.each(cases)('keeps $name', async ({ stored = [old, ofApi], prepare, left: expected }) => {
    const world = createWorld();
    await store(world, ...stored);
    await prepare(world);
    const summary = await world.pass();
    expect(await left(world)).toEqual(expected);
    const migrated = { source: 'scanner', reason: 'migrated', count: 1 };
    expect(summary.deleted).toEqual(Array(stored.length - expected.length).fill(migrated));
  });

  it('takes it away once it has been able to read everything', async () => {
    const world = createWorld();
    await store(world, old, ofApi);
    world.put('r', [{ id: 7 }], wide);
    await world.pass();
    world.put('r', rows('a'), wide);
    await world.pass();
    expect(await left(world)).toEqual([]);
  });

  it('keeps nothing for an unreadable report that is about something else, by its kind', async () => {
    const { context, store: into, objects, clock } = createTestContext(trivy);
    const { signal } = new AbortController();
    await into.create(oldObservation({ ...old, source: 'trivy', eventType: 'vulnerability' }, clock.now), signal);
    const bad = {
      apiVersion: 'aquasecurity.github.io/v1alpha1',
      kind: 'ClusterComplianceReport',
      metadata: { name: 'c' },
    };
    objects.all.push(Object.assign(bad, { status: 7 }));
    const { skipped, deleted } = await handled(trivy, ping, context);
    expect([skipped, deleted]).toEqual([{ unreadable: 1 }, [{ source: 'trivy', reason: 'migrated', count: 1 }]]);
  });

  it('leaves what it keeps as it is, in the system namespace, too', async () => {
    const world = createWorld();
    await store(world, { ...old, resource: { kind: 'Node', namespace: undefined, name: 'n' } });
    world.put('r', [{ id: 7 }], wide);
    const { relabelled } = await world.pass();
    expect([relabelled, await left(world)]).toEqual([{}, ['n']]);
  });

  it.each(['subject', 'state'])('leaves alone what it can not have written, without the label %s', async (label) => {
    const world = createWorld();
    const { metadata, ...object } = oldObservation(old, world.clock.now);
    const kept = Object.entries(metadata.labels).filter(([name]) => !name.endsWith(`/${label}`));
    const { signal } = new AbortController();
    await world.store.create({ ...object, metadata: { ...metadata, labels: Object.fromEntries(kept) } }, signal);
    world.put('r', rows('b'));
    expect((await world.pass()).deleted).toEqual([]);
    expect(await left(world)).toEqual(['web']);
  });

  it('takes nothing away while a list fails', async () => {
    const world = createWorld();
    await store(world, old, ofApi);
    world.put('r', rows('a'));
    world.objects.failing = true;
    await expect(world.pass()).rejects.toMatchObject({ status: 503 });
    expect(await left(world)).toEqual(['api', 'web']);
  });
});

describe('a pass over findings that have lost their facts', () => {
  async function passAfter(lost: (all: Store) => Store['stripped']) {
    let isOver = false;
    const world = createWorld({
      wrap: (all) => ({
        async *stripped(...given) {
          if (!isOver) yield* lost(all)(...given);
        },
      }),
    });
    world.put('r', rows('a'));
    world.put('s', rows('b'), wide);
    world.put('t', [{ id: 'c', namespace: 'pay' }], wide);
    await world.pass();
    const first = (await world.pass()).relabelled;
    isOver = true;
    return [first, (await world.pass()).relabelled];
  }

  it('writes them again, wherever they are, and once', async () => {
    const all =
      (of: Store): Store['stripped'] =>
      (source, namespace, signal) =>
        of.names({ source, namespace }, signal);
    expect(await passAfter(all)).toEqual([{ updated: 3 }, {}]);
  });

  it('writes nothing if there are none', async () => {
    expect(await passAfter((of) => of.stripped)).toEqual([{}, {}]);
  });
});
