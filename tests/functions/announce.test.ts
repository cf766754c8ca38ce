import { describe, expect, it } from 'vitest';
import announce from '../../functions/announce.ts';
import { announcementType, dueEventType } from '../../shared/api/announcement.ts';
import { labels, outboxLabel } from '../../shared/api/labels.ts';
import { leaseRef, leases } from '../../shared/api/lease.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { parseTold } from '../../shared/api/told.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NamespaceRefusal, type ObservationPatch, type Store } from '../../shared/function/stores.ts';
import { createTestContext, eventOf, handled, ping, type TestContextOptions } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const hint = eventOf(dueEventType, undefined);
const signal = new AbortController().signal;
const noon = Date.parse('2026-03-01T12:00:00Z');

type Labels = Record<string, string | null>;

/** What `announce` does with a store that others write to. */
function createWorld(options: TestContextOptions = {}) {
  const told: CloudEvent[] = [];
  const calls: string[] = [];
  const test = createTestContext(announce, {
    ...options,
    wrap: (store) => ({ ...counted(store, calls), ...options.wrap?.(store) }),
    context: { publish: async (event) => void told.push(event), ...options.context },
  });
  return {
    ...test,
    told,
    calls,
    /** Stores one that is due. */
    async put(rule: string, more: Labels = {}, hasState = true): Promise<string> {
      const object = anObservationOf(aFinding(rule, 'shop'), { source: 'kyverno', now: noon, hasState });
      const found = { ...object.metadata.labels, [outboxLabel]: 'due', ...more };
      const entries = Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== null);
      await test.store.create(
        { ...object, metadata: { ...object.metadata, labels: Object.fromEntries(entries) } },
        signal,
      );
      return object.metadata.name;
    },
    /** Writes to one as a source does. */
    async change(name: string, changed: Labels, patch: Partial<ObservationPatch> = {}): Promise<void> {
      const stored = await test.store.find('shop', name, signal);
      if (!stored) throw new Error('not stored');
      await test.store.patch(stored, { ...patch, labels: changed }, signal);
    },
    async one(name: string): Promise<Observation> {
      const whole = await test.store.findWhole('shop', name, signal);
      if (!whole) throw new Error('not stored');
      return whole.observation;
    },
    async isDue(name: string): Promise<boolean> {
      return (await test.store.find('shop', name, signal))?.labels[outboxLabel] === 'due';
    },
    run: (event = hint) => handled(announce, event, test.context),
  };
}

function counted(store: Store, calls: string[]): Partial<Store> {
  return {
    patch(...given) {
      calls.push('patch');
      return store.patch(...given);
    },
    findWhole(...given) {
      calls.push('read');
      return store.findWhole(...given);
    },
  };
}

const later = (milliseconds: number): Labels => ({ [labels.since]: String(noon + milliseconds), [outboxLabel]: 'due' });

describe('announce', () => {
  it('publishes what is due, and then takes the mark off, in one write', async () => {
    const world = createWorld({ environment: { CLUSTER_NAME: 'prod eu' } });
    const name = await world.put('no-root');
    await world.put('quiet', { [outboxLabel]: null });
    const summary = await world.run();
    expect(summary).toMatchObject({ announced: { told: 1 }, due: 0 });
    const [event] = world.told;
    const observation = await world.one(name);
    expect(event).toMatchObject({
      id: `shop/${name}/${noon}`,
      source: 'prod%20eu',
      type: 'io.kube-zen.observation.opened.v1',
      subject: `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${name}`,
      time: '2026-03-01T12:00:00.000Z',
      datacontenttype: 'application/json',
      extensions: {
        severity: 'HIGH',
        category: 'security',
        tool: 'kyverno',
        rule: 'no-root',
        nspace: 'shop',
        workload: 'deployment/web',
        zenobservation: `shop/${name}`,
      },
      data: { spec: observation.spec },
    });
    expect(await world.isDue(name)).toBe(false);
    expect((await world.store.find('shop', name, signal))?.told).toBe(
      `{"state":"open","accepted":"","since":"${noon}","severity":"HIGH"}`,
    );
    expect(world.calls).toEqual(['read', 'patch']);
    await world.run();
    expect(world.told).toHaveLength(1);
    expect(world.calls).toHaveLength(2);
  });

  const severe = { severity: 'CRITICAL', details: {} } as const;
  const steps: [string, Labels, Partial<ObservationPatch>, string][] = [
    ['it is missing', { [labels.state]: 'missing' }, {}, 'missing'],
    ['it is resolved', { [labels.state]: 'resolved' }, {}, 'resolved'],
    ['its severity changes', { [labels.severity]: 'CRITICAL' }, { facts: severe }, 'changed'],
    ['it is accepted', { [labels.accepted]: 'forever' }, {}, 'accepted'],
    ['it is accepted until some time', { [labels.accepted]: String(noon / 1000 + 60) }, {}, 'accepted'],
    ['its acceptance is over when it is told', { [labels.accepted]: String(noon / 1000 - 60) }, {}, 'opened'],
    ['it went and came again', {}, {}, 'opened'],
  ];
  it.each(steps)('says what has changed since it told: %s', async (_case, changed, patch, kind) => {
    const world = createWorld();
    const name = await world.put('a');
    await world.run();
    await world.change(name, { ...later(1), ...changed }, patch);
    await world.run();
    expect(world.told.map(({ type }) => type).slice(1)).toEqual([`io.kube-zen.observation.${kind}.v1`]);
    expect(world.told[1]?.id).toBe(`shop/${name}/${noon + 1}`);
    expect(world.told[1]?.data).toMatchObject({
      metadata: { annotations: { 'zen.kube-zen.io/told': expect.stringContaining('"severity":"HIGH"') } },
    });
  });

  it.each([
    ['missing', { [labels.state]: 'missing' }, { [labels.state]: 'open' }, 'reopened'],
    ['resolved', { [labels.state]: 'resolved' }, { [labels.state]: 'open' }, 'reopened'],
    ['accepted', { [labels.accepted]: 'forever' }, { [labels.accepted]: null }, 'reopened'],
    ['accepted', { [labels.accepted]: 'forever' }, { [labels.state]: 'missing' }, 'missing'],
    ['missing', { [labels.state]: 'missing' }, { [labels.accepted]: 'forever' }, 'accepted'],
    ['missing', { [labels.state]: 'missing' }, { [labels.state]: 'resolved' }, 'resolved'],
    ['accepted', { [labels.accepted]: 'forever' }, { [labels.severity]: 'LOW' }, 'changed'],
  ])('says of what was %s what it is by now', async (_case, first, second, kind) => {
    const world = createWorld();
    const name = await world.put('a');
    await world.change(name, first);
    await world.run();
    await world.change(name, { ...later(1), ...second });
    await world.run();
    expect(world.told.at(-1)?.type).toBe(`io.kube-zen.observation.${kind}.v1`);
  });

  it('tells an event, which has no state, once, with the time of its creation', async () => {
    const world = createWorld();
    const name = await world.put('shell', {}, false);
    await world.run();
    expect(world.told.map(({ id, type }) => [id, type])).toEqual([
      [`shop/${name}/${noon}`, 'io.kube-zen.observation.opened.v1'],
    ]);
    expect(await world.isDue(name)).toBe(false);
  });

  it('leaves what the Broker does not take due, and tries the others', async () => {
    const taken: string[] = [];
    const publish = async ({ extensions }: CloudEvent): Promise<void> => {
      if (extensions.rule === 'bad') throw new Refusal(503, 'the Broker did not take the event');
      taken.push(String(extensions.rule));
    };
    const world = createWorld({ context: { publish } });
    const bad = await world.put('bad');
    await world.put('good');
    const summary = await world.run();
    expect(summary).toMatchObject({
      announced: { told: 1, failed: 1 },
      warnings: [expect.stringContaining('next pass')],
    });
    expect(taken).toEqual(['good']);
    expect(await world.isDue(bad)).toBe(true);
    await expect(world.run(ping)).rejects.toMatchObject({ status: 503, cause: '1 are left' });
  });

  it('takes the mark off although something else was written meanwhile', async () => {
    const world = createWorld({ context: { publish: async () => world.change(name, { [labels.expires]: '999999' }) } });
    const name = await world.put('a');
    await world.run();
    expect(await world.isDue(name)).toBe(false);
    expect((await world.store.find('shop', name, signal))?.labels[labels.expires]).toBe('999999');
  });

  it('tells the later state, too, if it changes while it is told, and that it told the one before', async () => {
    const published: CloudEvent[] = [];
    const publish = async (event: CloudEvent): Promise<void> => {
      published.push(event);
      if (published.length === 1)
        await world.change(name, { ...later(5), [labels.severity]: 'CRITICAL' }, { facts: severe });
    };
    const world = createWorld({ context: { publish } });
    const name = await world.put('a');
    await world.run();
    expect(published.map(({ id, type }) => [id, type])).toEqual([
      [`shop/${name}/${noon}`, 'io.kube-zen.observation.opened.v1'],
      [`shop/${name}/${noon + 5}`, 'io.kube-zen.observation.changed.v1'],
    ]);
    expect(published[1]?.data).toMatchObject({
      metadata: { annotations: { 'zen.kube-zen.io/told': expect.stringContaining('"severity":"HIGH"') } },
    });
    expect(await world.isDue(name)).toBe(false);
    expect(parseTold((await world.store.find('shop', name, signal))?.told)?.severity).toBe('CRITICAL');
  });

  it.each(['deleted', 'told by another process'])('leaves alone what has been %s', async (how) => {
    const world = createWorld();
    const name = await world.put('a');
    const { names } = world.context.store;
    const store: Store = {
      ...world.context.store,
      async *names(query, given) {
        for await (const stored of names(query, given)) {
          if (how === 'deleted') await world.store.delete(stored.ref, signal);
          else await world.change(name, { [outboxLabel]: null });
          yield stored;
        }
      },
    };
    await handled(announce, hint, { ...world.context, store });
    expect(world.told).toEqual([]);
  });

  it('tells again what a namespace does not let it unmark, and stops at nothing', async () => {
    const patch = async (): Promise<never> => {
      throw new NamespaceRefusal('denying', 'a policy');
    };
    const world = createWorld({ wrap: () => ({ patch }) });
    const name = await world.put('a');
    const summary = await world.run();
    expect(summary.warnings).toEqual(['namespace shop: the namespace is denying it: a policy']);
    expect(await world.isDue(name)).toBe(true);
  });

  it('goes on in the next run when its time is up, and asks for that', async () => {
    let time = 0;
    const publish = async (): Promise<void> => {
      time += 10_000;
    };
    const world = createWorld({ context: { publish, elapsed: () => time } });
    for (let index = 0; index < 200; index += 1) await world.put(`r${index}`);
    const summary = await world.run();
    expect(summary.due).toBe(1);
    expect(summary.announced.told).toBeLessThan(200);
    for (let runs = 0; runs < 20; runs += 1) await world.run();
    const left = await Array.fromAsync(world.store.names({ isDue: true }, signal));
    expect(left).toEqual([]);
  });

  it('is no faster than 50 a second', async () => {
    const pauses: number[] = [];
    const sleep = async (milliseconds: number): Promise<void> => void pauses.push(milliseconds);
    const world = createWorld({ context: { sleep, elapsed: () => 0 } });
    for (let index = 0; index < 30; index += 1) await world.put(`r${index}`);
    await world.run();
    expect(pauses.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 29 }, (_, index) => (index + 1) * 20));
  });
});

describe('ANNOUNCE_EXPRESSION', () => {
  it('leaves out what it is not true of, without a mark, until something of it was told', async () => {
    const world = createWorld({ environment: { ANNOUNCE_EXPRESSION: "rule == 'wanted' && namespace == 'shop'" } });
    const name = await world.put('unwanted');
    await world.put('wanted');
    const summary = await world.run();
    expect(summary.announced).toEqual({ told: 1, unwanted: 1 });
    expect(world.told.map(({ extensions }) => extensions.rule)).toEqual(['wanted']);
    expect(await world.isDue(name)).toBe(false);
    expect((await world.store.find('shop', name, signal))?.told).toBeUndefined();
    await world.change(name, later(1), { told: '{"state":"open","accepted":"","since":"1","severity":"HIGH"}' });
    await world.run();
    expect(world.told.at(-1)?.extensions.rule).toBe('unwanted');
  });

  it('leaves nothing out where it fails, and says so', async () => {
    const world = createWorld({ environment: { ANNOUNCE_EXPRESSION: 'details.missing > 1' } });
    await world.put('a');
    const summary = await world.run();
    expect(summary).toMatchObject({
      announced: { told: 1 },
      warnings: [expect.stringContaining('leaves nothing out')],
    });
  });

  it('stops the start if it is wrong, and says where', () => {
    expect(() => createWorld({ environment: { ANNOUNCE_EXPRESSION: 'severity ==' } })).toThrow(
      /bad settings: ANNOUNCE_EXPRESSION at 1:10/,
    );
  });
});

describe('the first start', () => {
  const untold = { [outboxLabel]: null };

  it('announces nothing that was there, and says so once', async () => {
    const world = createWorld();
    const name = await world.put('old', untold);
    const summary = await world.run(ping);
    expect(summary.warnings).toEqual([
      expect.stringMatching(
        /^of the 1 Observations that were there before, nothing is announced .*ANNOUNCE_EXISTING=true/,
      ),
    ]);
    expect(world.told).toEqual([]);
    expect((await world.run(ping)).warnings).toEqual([]);
    await world.change(name, { ...later(1), [labels.state]: 'missing' });
    await world.run(ping);
    expect(world.told.map(({ type }) => type)).toEqual([announcementType('missing')]);
    const lease = await world.objects.get(leases, leaseRef('zen-system', 'announce'), signal);
    expect(lease?.metadata.labels).toEqual({ 'app.kubernetes.io/part-of': 'zen-watcher' });
  });

  it('says nothing where nothing was', async () => {
    expect((await createWorld().run(ping)).warnings).toEqual([]);
  });

  it('announces what is open, from the floor on, once that is asked for', async () => {
    const environment = { ANNOUNCE_EXISTING: 'true' };
    const functions = [
      { name: 'kyverno', url: '', webhooks: [], kinds: [], takesMappedKinds: false, announcedFrom: 'HIGH' } as const,
    ];
    const world = createWorld({ environment, context: { functions } });
    await world.put('open', untold);
    await world.put('event', untold, false);
    await world.put('missing', { ...untold, [labels.state]: 'missing' });
    await world.put('low', { ...untold, [labels.severity]: 'MEDIUM' });
    await world.run(ping);
    expect(world.told.map(({ extensions }) => extensions.rule).sort()).toEqual(['event', 'open']);
    await world.put('later', untold);
    await world.run(ping);
    expect(world.told).toHaveLength(2);
  });

  it('announces it also if that is asked for later', async () => {
    const world = createWorld();
    await world.put('open', untold);
    await world.run(ping);
    const settings = { ...world.context.settings, ANNOUNCE_EXISTING: true };
    await handled(announce, ping, { ...world.context, settings });
    expect(world.told).toHaveLength(1);
  });
});
