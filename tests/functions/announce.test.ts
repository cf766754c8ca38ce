import { describe, expect, it } from 'vitest';
import announce from '../../functions/announce.ts';
import { announcementType, dueEventType } from '../../shared/api/announcement.ts';
import { labels, outboxLabel } from '../../shared/api/labels.ts';
import { leaseRef, leases } from '../../shared/api/lease.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { parseTold } from '../../shared/api/told.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NamespaceRefusal, type ObservationPatch, type Store } from '../../shared/function/stores.ts';
import { createCoalescer } from '../../shared/host/coalesce.ts';
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
    async put(
      rule: string,
      more: Labels = {},
      { hasState = true, source = 'kyverno', ...said }: Partial<Finding & { hasState: boolean; source: string }> = {},
    ): Promise<string> {
      const object = anObservationOf({ ...aFinding(rule, 'shop'), ...said }, { source, now: noon, hasState });
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
    find(...given) {
      calls.push('look');
      return store.find(...given);
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
    const name = await world.put('shell', {}, { hasState: false });
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
    await expect(world.run(ping)).rejects.toMatchObject({
      status: 503,
      message: 'the Broker did not take all announcements',
      cause: '1 are left',
    });
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

  it('says nothing more of what is deleted while it is told', async () => {
    const world = createWorld({
      context: {
        publish: async () => {
          const stored = await world.store.find('shop', name, signal);
          if (stored) await world.store.delete(stored.ref, signal);
        },
      },
    });
    const name = await world.put('a');
    expect(await world.run()).toMatchObject({ announced: { told: 1 }, warnings: [] });
  });

  it('tells what changes all the time ten times, and leaves it to the next run', async () => {
    const ids: string[] = [];
    const publish = async ({ id }: CloudEvent): Promise<void> => {
      ids.push(id);
      await world.change(name, later(ids.length));
    };
    const world = createWorld({ context: { publish } });
    const name = await world.put('a');
    expect(await world.run()).toMatchObject({ announced: { told: 10 }, warnings: [] });
    expect(ids).toEqual(Array.from({ length: 10 }, (_, index) => `shop/${name}/${noon + index}`));
    expect(await world.isDue(name)).toBe(true);
  });

  it.each<[what: string, labels: Labels, event: object]>([
    ['is about no workload', {}, { source: 'zen-watcher' }],
    ['has changed at a time that is none', { [labels.since]: 'yesterday' }, { time: '2026-03-01T12:00:00.000Z' }],
    [
      'has changed at the last time there is',
      { [labels.since]: '8640000000000000' },
      { time: '+275760-09-13T00:00:00.000Z' },
    ],
    ['has changed later', { [labels.since]: '8640000000000001' }, { time: '2026-03-01T12:00:00.000Z' }],
  ])('publishes an event that can be read of what %s', async (_what, found, event) => {
    const world = createWorld();
    const name = await world.put('a', {}, { resource: { kind: 'Deployment', namespace: 'shop' } });
    await world.change(name, found);
    await world.run();
    expect(world.told).toMatchObject([event]);
    expect(Object.keys(world.told[0]?.extensions ?? {}).sort()).toEqual([
      'category',
      'nspace',
      'rule',
      'severity',
      'tool',
      'zenobservation',
    ]);
  });

  it('does not repeat what it told where nobody can read that any more', async () => {
    const world = createWorld();
    const name = await world.put('a');
    await world.change(name, {}, { told: 'something' });
    await world.run();
    expect(JSON.stringify(world.told)).not.toContain('zen.kube-zen.io/told');
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

  /** One that is due, among more than are chosen at a time, which others have told by then. */
  async function createCrowd(publish: () => Promise<void>) {
    const time = { now: 0 };
    const asked = { lists: 0, reads: 0 };
    const world = createWorld({
      context: { publish, elapsed: () => time.now },
      wrap: (store) => ({
        async findWhole(...given) {
          asked.reads += 1;
          return asked.reads === 1 ? store.findWhole(...given) : undefined;
        },
        async *names(query, given) {
          asked.lists += 1;
          for await (const stored of store.names(query, given))
            for (let count = 0; count < 10_001; count += 1) yield stored;
        },
      }),
    });
    await world.put('a');
    return { run: world.run, time, asked };
  }

  it('goes on with those that were not chosen, until there are none', async () => {
    const { asked, run } = await createCrowd(async () => undefined);
    expect(await run()).toMatchObject({ announced: { told: 1 }, due: 0 });
    expect(asked.lists).toBe(2);
  });

  it('leaves those that were not chosen to the next run if the Broker does not take one, or time is up', async () => {
    const refused = await createCrowd(() => Promise.reject(new Error('no')));
    expect(await refused.run()).toMatchObject({ announced: { failed: 1 }, due: 1 });
    expect(refused.asked).toEqual({ lists: 1, reads: 10_000 });
    const slow = await createCrowd(async () => {
      slow.time.now = 20_000;
    });
    expect((await slow.run()).due).toBe(1);
    expect(slow.asked.lists).toBe(1);
  });

  it('begins with none when 20 seconds have passed', async () => {
    let time = 0;
    const publish = async (): Promise<void> => {
      time = 20_000;
    };
    const world = createWorld({ context: { publish, elapsed: () => time } });
    for (let index = 0; index < 65; index += 1) await world.put(`r${index}`);
    expect(await world.run()).toMatchObject({ announced: { told: 64 }, due: 1 });
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

  it('sees nothing where there is no rule and no summary', async () => {
    const world = createWorld({ environment: { ANNOUNCE_EXPRESSION: "rule == '' && summary == ''" } });
    const object = anObservationOf(aFinding('a', 'shop'), { source: 'kyverno', now: noon });
    const { rule: _rule, summary: _summary, ...spec } = object.spec;
    const found = { ...object.metadata.labels, [outboxLabel]: 'due' };
    await world.store.create({ ...object, spec, metadata: { ...object.metadata, labels: found } }, signal);
    expect((await world.run()).announced).toEqual({ told: 1 });
  });

  it('leaves out what changes while it is left out, too', async () => {
    const world = createWorld({
      environment: { ANNOUNCE_EXPRESSION: "rule == 'wanted'" },
      wrap: (store) => ({
        async findWhole(...given) {
          const whole = await store.findWhole(...given);
          if (world.calls.length === 0) await world.change(name, later(1));
          world.calls.push('read');
          return whole;
        },
      }),
    });
    const name = await world.put('unwanted');
    expect((await world.run()).announced).toEqual({ unwanted: 2 });
    expect(await world.isDue(name)).toBe(false);
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
    expect(lease).toMatchObject({
      ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
      metadata: {
        labels: { 'app.kubernetes.io/part-of': 'zen-watcher' },
        annotations: { 'zen.kube-zen.io/announces-existing': 'false' },
      },
      spec: { holderIdentity: 'announce' },
    });
    expect(Object.keys(lease?.metadata.labels ?? {})).toHaveLength(1);
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
    await world.put('event', untold, { hasState: false });
    await world.put('missing', { ...untold, [labels.state]: 'missing' });
    await world.put('low', { ...untold, [labels.severity]: 'MEDIUM' });
    await world.run(ping);
    expect(world.told.map(({ extensions }) => extensions.rule).sort()).toEqual(['event', 'open']);
    await world.put('later', untold);
    await world.run(ping);
    expect(world.told).toHaveLength(2);
  });

  it.each([
    ['true', true],
    ['false', false],
  ])('takes ANNOUNCE_EXISTING=%s', async (word, isTold) => {
    const world = createWorld({ environment: { ANNOUNCE_EXISTING: word } });
    await world.put('old', untold);
    await world.run(ping);
    expect(world.told).toHaveLength(isTold ? 1 : 0);
  });

  it('has been, although somebody has removed what the Lease says', async () => {
    const world = createWorld();
    await world.put('old', untold);
    await world.run(ping);
    for (const { metadata } of world.objects.all) Object.assign(metadata, { annotations: undefined });
    expect((await world.run(ping)).warnings).toEqual([]);
  });

  it('leaves other namespaces alone, for a tenant', async () => {
    const world = createWorld({ environment: { ANNOUNCE_EXISTING: 'true', WATCH_NAMESPACE: 'pay' } });
    const name = await world.put('old', untold);
    await world.run(ping);
    expect(await world.isDue(name)).toBe(false);
  });

  it('takes no other word', () => {
    expect(() => createWorld({ environment: { ANNOUNCE_EXISTING: 'yes' } })).toThrow(
      'ANNOUNCE_EXISTING must be true or false',
    );
  });

  it('is not begun by a hint', async () => {
    const world = createWorld({ environment: { ANNOUNCE_EXISTING: 'true' } });
    await world.put('old', untold);
    expect((await world.run()).warnings).toEqual([]);
    expect(world.told).toEqual([]);
    expect(world.objects.all).toEqual([]);
  });

  it.each<[what: string, labels: Labels, floor: string | undefined, isTold: boolean]>([
    ['MEDIUM, as by default', { [labels.severity]: 'MEDIUM' }, undefined, true],
    ['LOW, which is below the default', { [labels.severity]: 'LOW' }, undefined, false],
    ['LOW, which was asked for', { [labels.severity]: 'LOW' }, 'LOW', true],
    ['MEDIUM, which was not asked for', { [labels.severity]: 'MEDIUM' }, 'HIGH', false],
    ['of nobody', { [labels.source]: null }, undefined, true],
  ])(
    'announces of a source that is no function by the general floor: what is %s',
    async (_what, found, floor, isTold) => {
      const world = createWorld({
        environment: { ANNOUNCE_EXISTING: 'true', ...(floor && { ANNOUNCE_MIN_SEVERITY: floor }) },
      });
      await world.put('old', { ...untold, ...found }, { source: 'mapped' });
      await world.run(ping);
      expect(world.told).toHaveLength(isTold ? 1 : 0);
    },
  );

  it('announces nothing of what was told once, and marks nothing twice', async () => {
    const world = createWorld({ environment: { ANNOUNCE_EXISTING: 'true' } });
    const told = await world.put('told', untold);
    await world.change(told, {}, { told: '{"state":"open","accepted":"","since":"1","severity":"LOW"}' });
    await world.put('due');
    world.calls.length = 0;
    await world.run(ping);
    expect(world.told.map(({ extensions }) => extensions.rule)).toEqual(['due']);
    expect(world.calls).toEqual(['read', 'patch']);
  });

  it('goes on where a namespace does not let it mark what was there', async () => {
    const patch = async (): Promise<never> => {
      throw new NamespaceRefusal('denying', 'a policy');
    };
    const world = createWorld({ environment: { ANNOUNCE_EXISTING: 'true' }, wrap: () => ({ patch }) });
    await world.put('old', untold);
    expect((await world.run(ping)).warnings).toEqual(['namespace shop: the namespace is denying it: a policy']);
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

describe('hints that come together', () => {
  it('are one run a second, for which a pass does not wait', async () => {
    let now = 0;
    const sleep = async (milliseconds: number): Promise<void> => {
      now += milliseconds;
    };
    const coalesce = createCoalescer({ elapsed: () => now, sleep, signal });
    const world = createWorld({ context: { coalesce, elapsed: () => now } });
    expect((await Promise.all([world.run(), world.run()])).map(({ skipped }) => skipped)).toEqual([
      {},
      { coalesced: 1 },
    ]);
    expect(now).toBe(0);
    await world.run();
    expect(now).toBe(1000);
    await world.run(ping);
    expect(now).toBe(1000);
  });
});
