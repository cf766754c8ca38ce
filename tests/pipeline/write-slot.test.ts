import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import { createExceptionWorld } from './exception-world.ts';
import { createWorld } from './slot-world.ts';

const { signal } = new AbortController();
const both = ['event', 'pass'] as const;

type World = ReturnType<typeof createWorld>;
type By = (typeof both)[number];

/** Writes what a report says by now, by its event or by a pass. */
function write(world: World, by: By, rows: readonly object[], report?: object) {
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

  it.each([
    [9, { created: [{ count: 1 }] }],
    [10, { status: 503, message: 'an Observation keeps vanishing' }],
  ])('is tried again if what was there is gone: %i times', async (times, outcome) => {
    let left = times;
    const wrap = (store: Store): Partial<Store> => ({
      create: async (...given) => (left-- > 0 ? 'exists' : store.create(...given)),
    });
    const written = await write(createWorld({ wrap }), by, [{ id: 'a' }]).catch((error: unknown) => error);
    expect(written).toMatchObject(outcome);
  });

  /** Before its first create, somebody writes what the report said before. */
  function beforeCreate(world: World, old: readonly object[], rows: readonly object[]): void {
    let isFirst = true;
    world.beforeCalls(async (call) => {
      if (call !== 'create' || !isFirst) return;
      isFirst = false;
      await world.event(world.put('r', old));
      world.put('r', rows);
    });
  }

  it('changes what has come under its name since it was listed', async () => {
    const world = createWorld();
    beforeCreate(world, [{ id: 'a', summary: 'old' }], [{ id: 'a', summary: 'new' }]);
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

  it('says in the system namespace as well what has come meanwhile, and its own denies to change', async () => {
    const world = createWorld({ wrap: refusing(['shop'], denied) });
    beforeCreate(world, [{ id: 'a', summary: 'old' }], [{ id: 'a', summary: 'new' }]);
    await write(world, by, [{ id: 'a', summary: 'new' }]);
    const seen = (await world.seen()).map(({ namespace, summary }) => `${namespace} ${summary}`);
    expect(seen.sort()).toEqual(['shop a: old', 'zen-system a: new']);
  });

  it('keeps the facts of what is open while a row of a report can not be read', async () => {
    const world = createWorld();
    await world.event(world.put('r', [{ id: 'a', fixedIn: '1' }]));
    await write(world, by, [{ id: 'a', fixedIn: '2', severity: 'low' }, {}]).catch(() => undefined);
    expect(await world.seen()).toMatchObject([
      { id: 'a', state: 'open', severity: 'HIGH', details: { fixedIn: '1' } },
      { id: 'unreadable-object', state: 'open' },
    ]);
  });

  it('says what the store refuses as invalid, the same each time, until the store takes it', async () => {
    let message = 'too long';
    const wrap = (store: Store): Partial<Store> => ({
      async create(object, ...rest) {
        const cause = new Error(message);
        if (object.spec.rule === 'a' && message !== '') throw new Refusal(422, 'invalid', { cause });
        return store.create(object, ...rest);
      },
    });
    const world = createWorld({ wrap });
    const rows = [{ id: 'a' }, { id: 'b' }];
    await write(world, by, rows).catch(() => undefined);
    for (let times = 0; times < 3; times += 1) {
      world.later(61);
      const summary = await write(world, by, rows).catch((error: unknown) => error);
      const counts = { created: [], unchanged: 2, relabelled: {} };
      expect(summary).toMatchObject(by === 'pass' ? counts : { status: 422, summary: counts });
      expect(await world.states()).toEqual({ b: 'open', 'unreadable-object': 'open' });
    }
    message = 'too wide';
    await write(world, by, rows).catch(() => undefined);
    expect((await world.seen())[1]).toMatchObject({ summary: "Scan r can't be read: too wide" });
    message = '';
    await write(world, by, rows);
    expect(await world.states()).toEqual({ a: 'open', b: 'open', 'unreadable-object': 'missing' });
  });

  it('says that a report is mended while another one of its slot is not', async () => {
    const world = createWorld();
    world.put('s', [{}]);
    await write(world, by, [{}]).catch(() => undefined);
    await write(world, by, [{ id: 'a' }]);
    const said = (await world.seen()).map(({ summary = '', state }) => `${summary.split(' ')[1]} ${state}`);
    expect(said.sort()).toEqual(['r missing', 's open', 'something open']);
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

describe.each(both)('what exceptions say of what a slot changes, by an %s,', (by) => {
  const web = { resources: [{ kind: 'Deployment', name: 'web' }] };
  const ofPod = { about: 'Pod/web-7d9c5b6f4d-x2x9z' };

  /** A world in which it can be found out, or not, that a Pod belongs to a Deployment. */
  function createOwnedWorld() {
    let isAway = false;
    const owner = (apiVersion: string, kind: string, name: string) => ({
      controller: { apiVersion, kind, name, controller: true },
    });
    const world = createExceptionWorld({
      context: {
        owners: {
          async controllerOf({ kind }) {
            if (isAway) throw new Refusal(503, 'away');
            return kind === 'Pod'
              ? owner('apps/v1', 'ReplicaSet', 'web-7d9c5b6f4d')
              : owner('apps/v1', 'Deployment', 'web');
          },
        },
      },
    });
    return {
      ...world,
      /** From now on, nobody can find that out, and what was found out is forgotten. */
      loseOwners: (): void => {
        isAway = true;
        world.later(10);
      },
    };
  }

  const before = { id: 'a', severity: 'medium', summary: 'old' };
  const same = { ...before, summary: 'new' };
  const worse = { ...same, severity: 'critical' };

  it.each<[string, match: object, object, string | undefined]>([
    ['as before if it is as bad as before', web, same, 'zen-system/x'],
    ['no more if it is worse, and they may be about something else', web, worse, undefined],
    ['as before if the same one accepts what is worse, whatever it is about', { rules: ['a'] }, worse, 'zen-system/x'],
  ])('while its controller can not be found out, is %s', async (_what, match, after, exception) => {
    const world = createOwnedWorld();
    world.forgive('x', { match });
    await write(world, by, [before], ofPod);
    expect((await world.marks()).a?.[1]).toBe('zen-system/x');
    world.loseOwners();
    await write(world, by, [after], ofPod);
    expect(await world.seen()).toMatchObject([{ summary: 'a: new', severity: after === same ? 'MEDIUM' : 'CRITICAL' }]);
    expect((await world.marks()).a?.[1]).toBe(exception);
  });

  it('while its controller can not be found out, is nothing by another one', async () => {
    const world = createOwnedWorld();
    await write(world, by, [before], ofPod);
    world.forgive('x', { match: { resources: [{ kind: 'Pod' }] } });
    world.loseOwners();
    await write(world, by, [worse], ofPod);
    expect((await world.marks()).a).toBeUndefined();
  });

  it('is asked anew, also where it is about nothing, and by one of its namespace', async () => {
    const ofNothing = createExceptionWorld();
    await write(ofNothing, by, [before], { about: undefined });
    ofNothing.forgive('x', { match: { rules: ['a'] } });
    await write(ofNothing, by, [same], { about: undefined });
    expect((await ofNothing.marks()).a?.[1]).toBe('zen-system/x');

    const inShop = createExceptionWorld();
    await write(inShop, by, [before]);
    inShop.forgive('x', { match: { rules: ['a'] } }, 'shop');
    await write(inShop, by, [same]);
    expect((await inShop.marks()).a?.[1]).toBe('shop/x');
  });

  it('is not asked of what zen-watcher says about itself', async () => {
    const watched = (): never => {
      throw new Refusal(503, 'exceptions have not been read yet');
    };
    const world = createWorld({ context: { watched } });
    await write(world, by, [{}]).catch(() => undefined);
    await write(world, by, [{}, {}]).catch(() => undefined);
    expect(await world.seen()).toMatchObject([{ id: 'unreadable-object', summary: expect.stringContaining('2 rows') }]);
  });
});
