import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import { createWorld } from './slot-world.ts';

const { signal } = new AbortController();
const both = ['event', 'pass'] as const;

type World = ReturnType<typeof createWorld>;

/** Writes what a report says by now, by its event or by a pass. */
function write(world: World, by: (typeof both)[number], rows: readonly object[], report?: object) {
  const object = world.put('r', rows, report);
  return by === 'event' ? world.event(object) : world.pass();
}

/** Somebody else writes to everything that is stored, as a renewal does. */
async function touchAll({ store }: World): Promise<void> {
  for (const stored of await Array.fromAsync(store.names({}, signal))) {
    const expires = Number(stored.labels[labels.expires]) + 1;
    await store.patch(stored, { labels: { [labels.expires]: String(expires) } }, signal);
  }
}

describe.each(both)('writing a slot, by an %s,', (by) => {
  it.each([
    [9, { relabelled: { updated: 1 } }],
    [10, { status: 503, message: 'an Observation keeps changing' }],
  ])('is tried again if somebody else was quicker: %i times', async (times, outcome) => {
    const world = createWorld();
    await world.event(world.put('r', [{ id: 'a' }]));
    let left = times;
    world.beforeCalls(async (call) => {
      if (call === 'patch' && left-- > 0) await touchAll(world);
    });
    const written = await write(world, by, [{ id: 'a', summary: 'new' }]).catch((error: unknown) => error);
    expect(written).toMatchObject(outcome);
  });

  it('is given up if what is there is never found', async () => {
    const wrap = (): Partial<Store> => ({ create: async () => 'exists' });
    const world = createWorld({ wrap });
    await expect(write(world, by, [{ id: 'a' }])).rejects.toMatchObject({
      status: 503,
      message: 'an Observation keeps vanishing',
    });
  });

  it('changes what has come under its name since it was listed', async () => {
    const world = createWorld();
    let isFirst = true;
    world.beforeCalls(async (call) => {
      if (call !== 'create' || !isFirst) return;
      isFirst = false;
      await world.event(world.put('r', [{ id: 'a', summary: 'old' }]));
      world.put('r', [{ id: 'a', summary: 'new' }]);
    });
    await write(world, by, [{ id: 'a', summary: 'new' }]);
    expect(await world.seen()).toMatchObject([{ id: 'a', state: 'open', summary: 'a: new' }]);
  });

  /** A store that takes no changes in some namespaces, for some reason. */
  function refusing(namespaces: readonly string[], fault: Error) {
    return (store: Store): Partial<Store> => ({
      async patch(stored, ...rest) {
        if (namespaces.includes(stored.ref.namespace)) throw fault;
        return store.patch(stored, ...rest);
      },
    });
  }

  const denied = new NamespaceRefusal('denying', 'a webhook');
  const invalid = new Refusal(422, 'invalid');

  it.each([
    ['denies it', denied],
    ['makes it invalid', invalid],
  ])('says in the system namespace as well what its own %s', async (_why, fault) => {
    const world = createWorld({ wrap: refusing(['shop'], fault) });
    await world.event(world.put('r', [{ id: 'a' }, { id: 'b' }]));
    expect(await write(world, by, [{ id: 'a', summary: 'new' }, { id: 'b' }])).toMatchObject({
      created: [{ count: 1 }],
      unchanged: 1,
      relabelled: {},
    });
    const seen = (await world.seen()).map(
      ({ id, namespace, summary }) => `${id} ${namespace} ${summary?.split(' ')[1]}`,
    );
    expect(seen.sort()).toEqual(['a shop something', 'a zen-system new', 'b shop something']);
  });

  it.each([
    ['denies it', denied, { status: 503, message: 'the system namespace denies it' }],
    ['makes it invalid', invalid, { status: 422 }],
  ])('fails if the system namespace is where it is, and %s', async (_why, fault, outcome) => {
    const report = { about: 'Node/n', namespace: 'zen-system' };
    const world = createWorld({ wrap: refusing(['zen-system'], fault) });
    await world.event(world.put('r', [{ id: 'a' }], report));
    await expect(write(world, by, [{ id: 'a', summary: 'new' }], report)).rejects.toMatchObject(outcome);
  });

  it('fails for what is no fault of one Observation, and says so as it is', async () => {
    const world = createWorld({ wrap: refusing(['shop'], new Refusal(503, 'away')) });
    await world.event(world.put('r', [{ id: 'a' }]));
    await expect(write(world, by, [{ id: 'a', summary: 'new' }])).rejects.toMatchObject({
      status: 503,
      message: 'away',
    });
  });

  it('counts what it creates, changes and leaves alone', async () => {
    const world = createWorld();
    await world.event(world.put('r', [{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'e' }]));
    const rows = [
      { id: 'a', summary: 'new' },
      { id: 'b' },
      { id: 'c' },
      { id: 'd' },
      { id: 'e', accepted: 'shop/why' },
    ];
    expect(await write(world, by, rows)).toMatchObject({
      created: [{ count: 1 }],
      relabelled: { updated: 1, accepted: 1 },
      unchanged: 2,
    });
  });

  it('takes away advice and references that are not given any more', async () => {
    const world = createWorld();
    await world.event(world.put('r', [{ id: 'a', remediation: 'mend it', references: ['https://x/1'] }]));
    const spec = async (): Promise<object> => (await world.store.read({ limit: 1 })).items[0]?.spec ?? {};
    expect(await spec()).toMatchObject({ remediation: 'mend it', references: ['https://x/1'] });
    await write(world, by, [{ id: 'a', remediation: 'mend it soon', references: ['https://x/2'] }]);
    expect(await spec()).toMatchObject({ remediation: 'mend it soon', references: ['https://x/2'] });
    await write(world, by, [{ id: 'a' }]);
    expect(Object.keys(await spec())).not.toEqual(expect.arrayContaining(['remediation']));
    expect(Object.keys(await spec())).not.toEqual(expect.arrayContaining(['references']));
  });
});
