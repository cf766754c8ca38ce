import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { createWorld, kinds, type ReportOptions } from './slot-world.ts';

type World = ReturnType<typeof createWorld>;

interface Race {
  readonly name: string;
  /** What was there before, and has been handled. */
  before?(world: World): Promise<void>;
  /** Prepares the work that the other interrupts, such as an event about the report as it is then. */
  first(world: World): () => Promise<unknown>;
  /** What happens in between, to its end. */
  second(world: World): Promise<unknown>;
  readonly states: Readonly<Record<string, string>>;
  /** What the findings say, where it matters. */
  readonly summaries?: Readonly<Record<string, string>>;
  /** What the tool has accepted in the end. */
  readonly accepted?: readonly string[];
}

const rows = (...ids: string[]) => ids.map((id) => ({ id }));
const acceptedRows = (...ids: string[]) => ids.map((id) => ({ id, accepted: 'shop/why' }));
const wide: ReportOptions = { about: undefined };

/** Of two events about one report, the one with its older facts ends last. */
const olderFacts: Omit<Race, 'name'> = {
  first: ({ put, event }) => {
    const object = put('r', [{ id: 'a', summary: 'old' }]);
    return () => event(object);
  },
  second: ({ put, event }) => event(put('r', [{ id: 'a', summary: 'new' }])),
  states: { a: 'open' },
  summaries: { a: 'a: new' },
};

/** What is true in the end may depend on where the first was interrupted only in what the pass is to find out. */
const races: readonly Race[] = [
  {
    name: 'an older event of a report ends last, and has something that the newer one lacks',
    first: ({ put, event }) => {
      const object = put('r', rows('a', 'b'));
      return () => event(object);
    },
    second: ({ put, event }) => event(put('r', rows('a'))),
    states: { a: 'open', b: 'missing' },
  },
  {
    name: 'an older event of a report ends last, and lacks something that the newer one has',
    before: async ({ put, event }) => void (await event(put('r', rows('a', 'b')))),
    first: ({ put, event }) => {
      const object = put('r', rows('a'));
      return () => event(object);
    },
    second: ({ put, event }) => event(put('r', rows('a', 'b'))),
    states: { a: 'open', b: 'open' },
  },
  {
    name: 'an older event brings older facts',
    ...olderFacts,
  },
  {
    name: 'an older event brings older facts of what is stored',
    before: async ({ put, event }) => void (await event(put('r', rows('a')))),
    ...olderFacts,
  },
  {
    name: 'an older event ends last, and has something accepted that is not by now',
    before: async ({ put, event }) => void (await event(put('r', rows('a', 'b')))),
    first: ({ put, event }) => {
      const object = put('r', [...acceptedRows('a'), ...rows('b')]);
      return () => event(object);
    },
    second: ({ put, event }) => event(put('r', [...rows('a'), ...acceptedRows('b')])),
    states: { a: 'open', b: 'open' },
    accepted: ['b'],
  },
  {
    name: 'another slot reports what the first no longer has',
    before: async ({ put, event }) => void (await event(put('r', rows('a')))),
    first: ({ put, event }) => {
      const object = put('r', []);
      return () => event(object);
    },
    second: ({ put, event }) => event(put('s', rows('a'), { kind: kinds.checks })),
    states: { a: 'open' },
  },
  {
    name: 'another slot reports what the first no longer has, during a pass',
    before: async ({ put, event }) => {
      await event(put('r', rows('a')));
      put('r', []);
    },
    first: (world) => world.pass,
    second: ({ put, event }) => event(put('s', rows('a'), { kind: kinds.checks })),
    states: { a: 'open' },
  },
  {
    name: 'an event during a pass',
    before: async ({ put, event }) => {
      await event(put('r', rows('a', 'b')));
      await event(put('s', rows('x'), { about: 'Deployment/api' }));
      put('r', rows('a'));
    },
    first: (world) => world.pass,
    second: ({ put, event }) => event(put('r', [{ id: 'b', summary: 'new' }])),
    states: { a: 'missing', b: 'open', x: 'open' },
    summaries: { b: 'b: new' },
  },
  {
    name: 'an event during a pass brings back what is still open',
    before: async ({ put, event }) => {
      await event(put('r', rows('a', 'b')));
      put('r', rows('a'));
    },
    first: (world) => world.pass,
    second: ({ put, event }) => event(put('r', rows('a', 'b'))),
    states: { a: 'open', b: 'open' },
  },
  {
    name: 'a pass during an event',
    before: async ({ put, event }) => void (await event(put('r', rows('a', 'b')))),
    first: ({ put, event }) => {
      const object = put('r', rows('a'));
      return () => event(object);
    },
    second: ({ put, pass }) => {
      put('r', rows('b', 'c'));
      return pass();
    },
    states: { a: 'missing', b: 'open', c: 'open' },
  },
  {
    name: 'two passes, with a report that changes between them',
    before: async ({ put, event }) => void (await event(put('r', rows('a', 'b')))),
    first: (world) => world.pass,
    second: ({ put, pass }) => {
      put('r', rows('b', 'c'));
      return pass();
    },
    states: { a: 'missing', b: 'open', c: 'open' },
  },
  {
    name: 'two reports of one slot shrink at once',
    before: async ({ put, event }) => {
      put('s', rows('a', 'b'));
      await event(put('r', rows('a', 'b')));
    },
    first: ({ put, event }) => {
      const object = put('r', rows('b'));
      return () => event(object);
    },
    second: ({ put, event }) => event(put('s', rows('b'))),
    states: { a: 'missing', b: 'open' },
  },
  {
    name: 'two reports about many things shrink at once',
    before: async ({ put, event }) => {
      put('s', rows('a', 'b'), wide);
      await event(put('r', rows('a', 'b'), wide));
    },
    first: ({ put, event }) => {
      const object = put('r', rows('b'), wide);
      return () => event(object);
    },
    second: ({ put, event }) => event(put('s', rows('b'), wide)),
    states: { a: 'missing', b: 'open' },
  },
  {
    name: 'a report is made anew during a pass',
    before: async ({ put, event }) => void (await event(put('r', rows('a')))),
    first: (world) => world.pass,
    second: async ({ put, remove, event }) => {
      remove('r');
      await event(put('r', rows('a'), { uid: 'anew', created: '2026-03-01T12:00:00Z' }));
    },
    states: { a: 'open' },
  },
  {
    name: 'a report comes under another name during a pass',
    before: async ({ put, event }) => void (await event(put('r', rows('a')))),
    first: (world) => world.pass,
    second: async ({ put, remove, event }) => {
      const object = put('another', rows('a'));
      remove('r');
      await event(object);
    },
    states: { a: 'open' },
  },
  {
    name: 'somebody else writes to what is stored',
    before: async ({ put, event }) => void (await event(put('r', rows('a', 'b')))),
    first: ({ put, event }) => {
      const object = put('r', [{ id: 'a', summary: 'new' }]);
      return () => event(object);
    },
    second: touchAll,
    states: { a: 'open', b: 'missing' },
    summaries: { a: 'a: new' },
  },
  {
    name: 'somebody else writes to what is stored, during a pass',
    before: async ({ put, event }) => {
      await event(put('r', rows('a', 'b')));
      put('r', [{ id: 'a', summary: 'new' }]);
    },
    first: (world) => world.pass,
    second: touchAll,
    states: { a: 'open', b: 'missing' },
    summaries: { a: 'a: new' },
  },
];

/** The states, without those of findings that nobody has seen before they were over. */
async function statesIn(world: World, expected: Readonly<Record<string, string>>) {
  const over = Object.keys(expected).filter((id) => expected[id] === 'missing');
  return { ...Object.fromEntries(over.map((id) => [id, 'missing'])), ...(await world.states()) };
}

async function acceptedIn({ store }: World): Promise<string[]> {
  const { items } = await store.read({ limit: 100 });
  return items.filter(({ metadata }) => labels.accepted in metadata.labels).map(({ spec }) => spec.rule ?? '');
}

/** As a renewal, a heartbeat or an exception does. */
async function touchAll({ store }: World): Promise<void> {
  const signal = new AbortController().signal;
  const all = await Array.fromAsync(store.names({}, signal));
  for (const stored of all) await store.patch(stored, { labels: { [labels.expires]: '999999' } }, signal);
}

describe.each(races)('$name', ({ before, first, second, states, summaries = {}, accepted = [] }) => {
  it('ends right, wherever it happens', async () => {
    for (let at = 1; ; at += 1) {
      const world = createWorld();
      await before?.(world);
      const work = first(world);
      let calls = 0;
      let isInterrupted = false;
      world.beforeCalls(async () => {
        calls += 1;
        if (calls !== at || isInterrupted) return;
        isInterrupted = true;
        world.beforeCalls(undefined);
        await second(world);
      });
      await work();
      if (!isInterrupted) {
        expect(at).toBeGreaterThan(2);
        return;
      }
      expect(await statesIn(world, states), `interrupted before call ${at}: ${world.calls.join(', ')}`).toEqual(states);
      const said = Object.fromEntries((await world.seen()).map(({ id, summary }) => [id, summary]));
      expect(said, `interrupted before call ${at}`).toMatchObject(summaries);
      expect(await acceptedIn(world), `interrupted before call ${at}`).toEqual(accepted);
    }
  });
});

describe.each(races)(
  'a process that dies, when $name',
  ({ before, first, second, states, summaries = {}, accepted = [] }) => {
    it('leaves what the next pass puts right', async () => {
      for (let at = 1; ; at += 1) {
        const world = createWorld();
        await before?.(world);
        const work = first(world);
        let calls = 0;
        world.beforeCalls(async () => {
          calls += 1;
          if (calls >= at) throw new Refusal(503, 'the process has died');
        });
        const hasEnded = await work().then(
          () => true,
          () => false,
        );
        world.beforeCalls(undefined);
        await second(world);
        await world.pass();
        expect(await statesIn(world, states), `died before call ${at}`).toEqual(states);
        const said = Object.fromEntries((await world.seen()).map(({ id, summary }) => [id, summary]));
        expect(said, `died before call ${at}`).toMatchObject(summaries);
        expect(await acceptedIn(world), `died before call ${at}`).toEqual(accepted);
        if (hasEnded) return;
      }
    });
  },
);

describe('what gc deletes', () => {
  it.each(['event', 'pass'] as const)('just before it would be changed by an %s is written again', async (kind) => {
    const world = createWorld();
    await world.event(world.put('r', rows('a')));
    const object = world.put('r', [{ id: 'a', summary: 'new' }]);
    const { signal } = new AbortController();
    world.beforeCalls(async (call) => {
      if (call !== 'patch') return;
      world.beforeCalls(undefined);
      for (const { ref } of await Array.fromAsync(world.store.names({}, signal))) await world.store.delete(ref, signal);
    });
    await (kind === 'event' ? world.event(object) : world.pass());
    expect(await world.seen()).toMatchObject([{ id: 'a', state: 'open', summary: 'a: new' }]);
  });

  it.each(['event', 'pass'] as const)('during an %s is created again', async (kind) => {
    for (let at = 1; at < 40; at += 1) {
      const world = createWorld();
      await world.event(world.put('r', rows('a', 'b')));
      const object = world.put('r', [{ id: 'a', summary: 'new' }, { id: 'b' }]);
      let calls = 0;
      let isInterrupted = false;
      world.beforeCalls(async () => {
        calls += 1;
        if (calls !== at) return;
        isInterrupted = true;
        world.beforeCalls(undefined);
        const signal = new AbortController().signal;
        const all = await Array.fromAsync(world.store.names({}, signal));
        for (const { ref } of all) await world.store.delete(ref, signal);
      });
      await (kind === 'event' ? world.event(object) : world.pass());
      if (!isInterrupted) return;
      // What was listed before it went, and needed no change, comes back with the next pass.
      await world.pass();
      expect(await world.states(), `deleted before call ${at}`).toEqual({ a: 'open', b: 'open' });
    }
  });
});
