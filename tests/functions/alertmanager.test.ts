import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import alertmanager from '../../functions/alertmanager.ts';
import { announcementOf } from '../../functions/announce/event.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { type Told, toldOf } from '../../shared/api/told.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { Outgoing } from '../../shared/function/context.ts';
import type { Store } from '../../shared/function/stores.ts';
import { createTestContext, handled, ping, type TestContextOptions } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const signal = new AbortController().signal;
const noon = Date.parse('2026-03-01T12:00:00Z');
const url = 'http://alertmanager:9093';

const alertsSchema = z.array(z.looseObject({ labels: z.record(z.string(), z.string()), endsAt: z.string() }));

interface Options {
  readonly severity?: Severity;
  readonly hasState?: boolean;
  readonly source?: string;
  readonly detectedAt?: string;
  readonly more?: Record<string, string>;
}

function finding(rule: string, options: Options = {}): Observation {
  const {
    severity = 'HIGH',
    hasState = true,
    source = 'kyverno',
    detectedAt = '2026-03-01T10:00:00Z',
    more = {},
  } = options;
  const object = anObservationOf({ ...aFinding(rule, 'shop'), severity, detectedAt }, { source, now: noon, hasState });
  const { metadata } = object;
  const stored = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-03-01T12:00:00Z' };
  return { ...object, metadata: { ...metadata, ...stored, labels: { ...metadata.labels, ...more } } };
}

function createWorld(options: TestContextOptions = {}) {
  const posted: Outgoing[] = [];
  const post = async (outgoing: Outgoing) => {
    posted.push(outgoing);
    return { status: 200, retryAfter: undefined, words: '' };
  };
  const environment = { ALERTMANAGER_URL: url, CLUSTER_NAME: 'prod', ...options.environment };
  const test = createTestContext(alertmanager, { ...options, environment, context: { post, ...options.context } });
  return {
    ...test,
    posted,
    alerts: () => posted.flatMap(({ body }) => alertsSchema.parse(JSON.parse(body))),
    async tell(observation: Observation, before?: Told): Promise<void> {
      const now = toldOf(observation.metadata.labels, noon);
      await handled(alertmanager, announcementOf(observation, { before, now, time: noon, cluster: '' }), test.context);
    },
    pass: () => handled(alertmanager, ping, test.context),
  };
}

const shown = (alert: { labels: Record<string, string>; endsAt: string }) =>
  `${alert.labels.rule} ${alert.labels.severity} ${(Date.parse(alert.endsAt) - noon) / 60_000}`;

describe('alertmanager', () => {
  it('posts an alert that ends by itself three passes later', async () => {
    const world = createWorld({ environment: { PAGE_URL: 'https://zen.example.com' } });
    const observation = finding('no-root');
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.posted).toMatchObject([{ url: `${url}/api/v2/alerts`, contentType: 'application/json' }]);
    const { name } = observation.metadata;
    expect(world.alerts()).toEqual([
      {
        labels: {
          alertname: 'policy-violation',
          severity: 'high',
          category: 'security',
          source: 'kyverno',
          rule: 'no-root',
          namespace: 'shop',
          workload: 'deployment/web',
          cluster: 'prod',
          zen_kube_zen_io_observation: `shop/${name}`,
        },
        annotations: { summary: 'no-root is violated by Deployment web', resource: 'Deployment/web' },
        startsAt: '2026-03-01T12:00:00.000Z',
        endsAt: '2026-03-01T12:30:00.000Z',
        generatorURL: `https://zen.example.com/?finding=shop%2F${name}`,
      },
    ]);
  });

  const over: [string, Record<string, string>][] = [
    ['missing', { [labels.state]: 'missing' }],
    ['resolved', { [labels.state]: 'resolved' }],
    ['accepted', { [labels.accepted]: 'forever' }],
  ];
  it.each(over)('closes what is %s', async (_case, more) => {
    const world = createWorld();
    const observation = finding('a', { more });
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.alerts().map(shown)).toEqual(['a high 0']);
    expect(world.alerts()[0]).not.toHaveProperty('startsAt');
  });

  it('closes the alerts with other severities that it was told with or has had', async () => {
    const world = createWorld();
    const history = JSON.stringify([{ severity: 'HIGH' }, { severity: 'MEDIUM' }, { severity: 'nonsense' }, 7]);
    const plain = finding('a');
    const observation = {
      ...plain,
      metadata: { ...plain.metadata, annotations: { 'zen.kube-zen.io/history': history } },
    };
    await world.store.create(observation, signal);
    await world.tell(observation, { state: 'open', accepted: '', since: '1', severity: 'CRITICAL' });
    expect(world.alerts().map(shown)).toEqual(['a high 30', 'a critical 0', 'a medium 0', 'a unknown 0']);
    expect(world.alerts().map((alert) => 'startsAt' in alert)).toEqual([true, false, false, false]);
  });

  it('closes what has fallen below the floor, and opens nothing', async () => {
    const world = createWorld();
    const observation = finding('a', { severity: 'LOW' });
    await world.store.create(observation, signal);
    await world.tell(observation, { state: 'open', accepted: '', since: '1', severity: 'HIGH' });
    expect(world.alerts().map(shown)).toEqual(['a high 0']);
  });

  it('says nothing of what was below the floor all the time', async () => {
    const world = createWorld();
    const observation = finding('a', { severity: 'LOW' });
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.posted).toEqual([]);
  });

  it('closes what has been deleted since', async () => {
    const world = createWorld();
    await world.tell(finding('a'));
    expect(world.alerts().map(shown)).toEqual(['a high 0']);
  });

  it('tells what is true now, whatever the announcement says, and looks again afterwards', async () => {
    const world = createWorld();
    const observation = finding('a');
    await world.store.create(observation, signal);
    const change = async (more: Record<string, string>): Promise<void> => {
      const stored = await world.store.find('shop', observation.metadata.name, signal);
      if (stored) await world.store.patch(stored, { labels: more }, signal);
    };
    let looks = 0;
    const store: Store = {
      ...world.context.store,
      async findWhole(...given) {
        looks += 1;
        // It is resolved before the second look, so after the first post.
        if (looks === 2) await change({ [labels.state]: 'resolved', [labels.since]: String(noon + 1) });
        return world.store.findWhole(...given);
      },
    };
    const event = announcementOf(observation, { before: undefined, now: toldOf({}, noon), time: noon, cluster: '' });
    await handled(alertmanager, event, { ...world.context, store });
    expect(world.alerts().map(shown)).toEqual(['a high 30', 'a high 0']);
    expect(looks).toBe(3);
  });

  it('says nothing that is empty, and of a resource without a name its kind', async () => {
    const world = createWorld({ environment: { CLUSTER_NAME: '' } });
    const plain = finding('a');
    const observation = { ...plain, spec: { ...plain.spec, summary: '', resource: { kind: 'Node' } } };
    await world.store.create(observation, signal);
    await world.tell(observation);
    const [alert] = world.alerts();
    expect(alert?.labels).not.toHaveProperty('cluster');
    expect(alert?.annotations).toEqual({ resource: 'Node' });
  });

  it('says who did it, what helps, and where to read on', async () => {
    const world = createWorld();
    const plain = finding('a');
    const more = { actor: { username: 'jane' }, remediation: 'set it', references: ['https://x/1', 'https://x/2'] };
    const observation = { ...plain, spec: { ...plain.spec, ...more } };
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.alerts()[0]?.annotations).toEqual({
      summary: 'a is violated by Deployment web',
      description: 'set it',
      resource: 'Deployment/web',
      actor: 'jane',
      reference: 'https://x/1',
    });
  });

  it.each([
    ['yesterday', '2026-03-01T10:00:00Z', '2026-03-01T12:00:00.000Z'],
    [undefined, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00.000Z'],
    [undefined, 'yesterday', '2026-03-01T12:00:00.000Z'],
  ])('says of what changed at %s and was detected at %s that it began at %s', async (since, detectedAt, startsAt) => {
    const world = createWorld();
    const observation = finding('a', {
      detectedAt,
      hasState: false,
      ...(since && { more: { [labels.since]: since } }),
    });
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.alerts()).toMatchObject([{ startsAt }]);
  });

  it('asks to be told again as long as nobody says where Alertmanager is', async () => {
    const { context, store } = createTestContext(alertmanager);
    await store.create(finding('a'), signal);
    const now = toldOf({}, noon);
    const event = announcementOf(finding('a'), { before: undefined, now, time: noon, cluster: '' });
    await expect(handled(alertmanager, event, context)).rejects.toMatchObject({ status: 503, retryAfter: 30 });
  });

  it('says of nothing that it begins later than now, whatever clock it has its time from', async () => {
    const world = createWorld();
    const observation = finding('a', { more: { [labels.since]: String(noon + 3_600_000) } });
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.alerts()).toMatchObject([{ startsAt: '2026-03-01T12:00:00.000Z' }]);
  });

  it('posts again no event that is over by now, and says of what goes on when it began', async () => {
    const world = createWorld();
    const event = { hasState: false, severity: 'HIGH' } as const;
    await world.store.create(finding('over', { ...event, detectedAt: '2026-03-01T11:00:00Z' }), signal);
    await world.store.create(finding('recent', { ...event, detectedAt: '2026-03-01T11:00:01Z' }), signal);
    await world.pass();
    expect(world.alerts()).toMatchObject([{ labels: { rule: 'recent' }, startsAt: '2026-03-01T11:00:01.000Z' }]);
  });

  it('ends an event after an hour', async () => {
    const world = createWorld();
    const observation = finding('shell', { hasState: false });
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.alerts().map(shown)).toEqual(['shell high 60']);
  });

  it('ends an event after an hour, too, if its status is empty', async () => {
    const world = createWorld({
      wrap: (store) => ({
        async findWhole(...given) {
          const whole = await store.findWhole(...given);
          return whole && { ...whole, observation: { ...whole.observation, status: {} } };
        },
      }),
    });
    const observation = finding('shell', { hasState: false });
    await world.store.create(observation, signal);
    await world.tell(observation);
    expect(world.alerts().map(shown)).toEqual(['shell high 60']);
  });

  it('posts again what is open, in its pass, and closes again what was accepted lately', async () => {
    const functions = [
      { name: 'falco', url: '', webhooks: [], kinds: [], takesMappedKinds: false, announcedFrom: 'LOW' } as const,
    ];
    const world = createWorld({ context: { functions } });
    const recent = { source: 'falco', hasState: false, severity: 'LOW', detectedAt: '2026-03-01T11:40:00Z' } as const;
    for (const observation of [
      finding('open'),
      finding('low', { severity: 'LOW' }),
      finding('unknown', { severity: 'UNKNOWN' }),
      finding('missing', { more: { [labels.state]: 'missing' } }),
      finding('accepted', { more: { [labels.accepted]: 'forever', [labels.since]: String(noon - 3_599_999) } }),
      finding('long-accepted', { more: { [labels.accepted]: 'forever', [labels.since]: String(noon - 3_600_000) } }),
      finding('expired', { more: { [labels.accepted]: String(noon / 1000 - 1) } }),
      finding('event', recent),
      finding('old-event', { ...recent, detectedAt: '2026-03-01T10:59:00Z' }),
    ])
      await world.store.create(observation, signal);
    await world.pass();
    expect(world.alerts().map(shown).sort()).toEqual([
      'accepted high 0',
      'event low 40',
      'expired high 30',
      'open high 30',
      'unknown unknown 30',
    ]);
  });

  it.each(over)('closes after its pass what became %s before the post of the pass arrived', async (_case, more) => {
    const observation = finding('a');
    const bodies: string[] = [];
    const world = createWorld({
      context: {
        async post({ body }) {
          bodies.push(body);
          const stored = await world.store.find('shop', observation.metadata.name, signal);
          const changed = { [labels.since]: String(noon + 1), ...more };
          if (stored && bodies.length === 1) await world.store.patch(stored, { labels: changed }, signal);
          return { status: 200, retryAfter: undefined, words: '' };
        },
      },
    });
    await world.store.create(observation, signal);
    await world.pass();
    const all = bodies.flatMap((body) => alertsSchema.parse(JSON.parse(body)));
    expect(all.map(shown)).toEqual(['a high 30', 'a high 0']);
  });

  it('posts many together, and nothing where nothing is open', async () => {
    const world = createWorld();
    await world.pass();
    expect(world.posted).toEqual([]);
    for (let index = 0; index < 450; index += 1) await world.store.create(finding(`r${index}`), signal);
    await world.pass();
    expect(world.posted.map(({ body }) => JSON.parse(body).length)).toEqual([200, 200, 50]);
  });

  it('tells every peer, and is content with one', async () => {
    const urls: unknown[] = [];
    const post = async (outgoing: Outgoing) => {
      urls.push(outgoing.url);
      if (String(outgoing.url).includes('one')) throw new Error('no answer');
      return { status: 200, retryAfter: undefined, words: '' };
    };
    const environment = { ALERTMANAGER_URL: 'http://one:9093, https://two/am/' };
    const world = createWorld({ environment, context: { post } });
    await world.store.create(finding('a'), signal);
    const now = toldOf({}, noon);
    const event = announcementOf(finding('a'), { before: undefined, now, time: noon, cluster: '' });
    const summary = await handled(alertmanager, event, world.context);
    expect(urls).toEqual(['http://one:9093/api/v2/alerts', 'https://two/am/api/v2/alerts']);
    expect(summary).toMatchObject({
      announced: { told: 1 },
      warnings: ['1 of 2 receivers did not take what the others took'],
    });
  });
});
