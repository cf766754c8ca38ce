import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import { observationExceptions } from '../../shared/api/observation-exception.ts';
import { observationFilters } from '../../shared/api/observation-filter.ts';
import type { Filter } from '../../shared/function/filter.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import { recordOperations } from '../../shared/pipeline/operations.ts';
import { createTestContext, handled, type TestContextOptions, tallied } from './test-context.ts';
import { aFinding, events, found } from './test-sources.ts';

/** Handles an event; resolves to what is stored then, and to the summary or the error as `outcome`. */
async function handle(event: ReturnType<typeof found>, options: TestContextOptions = {}) {
  const test = createTestContext(events, options);
  const outcome = await handled(events, event, test.context).catch((error: unknown) => error);
  return { ...test, outcome, items: (await test.store.read({ limit: 100 })).items };
}

/** Makes a store throw the error that `create` returns for an object, if any. */
function creating(create: (object: Observation) => unknown) {
  return (store: Store): Partial<Store> => ({
    async create(object, signal) {
      const error = create(object);
      if (error) throw error;
      return store.create(object, signal);
    },
  });
}

const inNode = { resource: { kind: 'Node', name: 'n' } };

describe('an event source', () => {
  it('stores the findings of an event, without a state, and counts them', async () => {
    const low = { severity: 'LOW' as const, category: 'compliance' };
    const findings = [aFinding('a'), aFinding('b', low), aFinding('c', low), aFinding('d', inNode)];
    const { outcome, items } = await handle(found(findings, { skipped: { noise: 2 } }));
    expect(outcome).toMatchObject({
      observed: 4,
      skipped: { noise: 2 },
      created: [
        { category: 'security', severity: 'HIGH', count: 2 },
        { category: 'compliance', severity: 'LOW', count: 2 },
      ],
      duplicate: 0,
      unchanged: 0,
    });
    expect(items.map(({ metadata, spec }) => [metadata.namespace, spec.details.id]).sort()).toEqual([
      ['shop', 'a'],
      ['shop', 'b'],
      ['shop', 'c'],
      ['zen-system', 'd'],
    ]);
    for (const { metadata, spec } of items) {
      expect(spec).toMatchObject({ source: 'events', ttlSecondsAfterCreation: 604_800 });
      expect(Object.keys(metadata.labels).sort()).toEqual(
        [labels.category, labels.expires, labels.severity, labels.source, labels.workload].sort(),
      );
      expect(metadata.labels[labels.expires]).toBe(String(492_324 + 7 * 24));
      expect(Object.values(metadata.annotations)).toEqual(['test']);
    }
  });

  it('keeps an event no longer than its TTL, however rare the passes are', async () => {
    const environment = { OBSERVATION_TTL_SECONDS: '60', RESYNC_INTERVAL_MINUTES: '1440' };
    const { items } = await handle(found([aFinding('a')]), { environment });
    expect(items[0]?.metadata.labels[labels.expires]).toBe('492325');
  });

  it('drops what the filter drops, and findings outside the watched namespace', async () => {
    const filter: Filter = (finding, { source }) =>
      source === 'events' && finding.severity === 'LOW' ? 'min_severity' : finding;
    const elsewhere = { resource: { kind: 'Pod', namespace: 'pay', name: 'p' } };
    const findings = [
      aFinding('a'),
      aFinding('b', { severity: 'LOW' }),
      aFinding('c', elsewhere),
      aFinding('d', inNode),
    ];
    const { outcome, items } = await handle(found(findings), {
      context: { filter },
      environment: { WATCH_NAMESPACE: 'shop' },
    });
    expect(outcome).toMatchObject({ observed: 4, filtered: { min_severity: 1, outside_namespace: 1 } });
    expect(items.map(({ metadata }) => metadata.namespace)).toEqual(['shop', 'shop']);
  });

  it('keeps findings about zen-watcher itself', async () => {
    const own = { resource: { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', namespace: 'shop', name: 'o' } };
    expect((await handle(found([aFinding('a', own)]))).items).toHaveLength(1);
  });

  it.each<[string, object, object]>([
    ['nothing', {}, { nothing_reported: 1 }],
    ['nothing, for a reason', { skipped: { noise: 1 } }, { noise: 1 }],
  ])('counts an event that reports %s', async (_case, more, skipped) => {
    const { outcome, items } = await handle(found([], more));
    expect(outcome).toMatchObject({ skipped, created: [], observed: 0 });
    expect(items).toEqual([]);
  });

  it.each<[string, unknown, object]>([
    ['breaks the schema', { findings: 7 }, { message: 'the data breaks the schema', path: 'data.findings' }],
    ['is missing', undefined, { message: 'the data breaks the schema', path: 'data' }],
    ['the source refuses', { findings: [], fault: 'refusal' }, { message: 'not like this', path: 'data.fault' }],
    [
      'the source fails at',
      { findings: [], fault: 'error' },
      { message: 'the data could not be normalized', path: 'data', cause: new TypeError('a bug') },
    ],
  ])('answers 422 to data that %s, with the path of the fault', async (_case, data, refusal) => {
    const { outcome } = await handle({ ...found([]), data });
    expect(outcome).toBeInstanceOf(Refusal);
    expect(outcome).toMatchObject({ status: 422, ...refusal });
  });

  it('answers 422 to an event with bad rows, with the path of the first, once the others are stored', async () => {
    const badRows = ['data.rows[1].id', 'data.rows[3].id'].map((path) => ({ path, message: 'is missing' }));
    const { outcome, items } = await handle(found([aFinding('a')], { badRows }));
    expect(outcome).toMatchObject({
      status: 422,
      message: 'the data breaks the schema',
      path: 'data.rows[1].id',
      cause: 'is missing',
      summary: { created: [{ count: 1 }], skipped: {} },
    });
    expect(items.map(({ spec }) => spec.details.id)).toEqual(['a']);
  });

  it('gives a finding without a time that of its event', async () => {
    const { items } = await handle(found([aFinding('a', { detectedAt: '' })]));
    expect(items[0]?.spec.detectedAt).toBe('2026-03-01T12:00:00Z');
  });

  const secret = {
    summary: 'eve ran curl --password hunter2',
    remediation: 'replace token=hunter2',
    details: { id: 'a', command: 'curl --password hunter2', nested: [{ token: 'abc' }] },
  };
  const masked = {
    summary: 'eve ran curl --password ***',
    remediation: 'replace token=***',
    details: { id: 'a', command: 'curl --password ***', nested: [{ token: '***' }] },
  };

  it.each([
    ['masks', 'true', masked],
    ['shows', 'false', secret],
  ])('%s what looks like a secret if MASK_SECRETS is %s', async (_case, MASK_SECRETS, shown) => {
    const { items } = await handle(found([aFinding('a', secret)]), { environment: { MASK_SECRETS } });
    expect(items[0]?.spec).toMatchObject(shown);
  });

  it('gives a finding the same name whether it is masked or not', async () => {
    const names = ['true', 'false'].map(async (MASK_SECRETS) => {
      const { items } = await handle(found([aFinding('a', secret)]), { environment: { MASK_SECRETS } });
      return items[0]?.metadata.name;
    });
    const [one, other] = await Promise.all(names);
    expect(one).toBe(other);
  });

  it('counts what the store has already as duplicates, and does not try to store that again', async () => {
    let creates = 0;
    const wrap = creating(() => {
      creates += 1;
    });
    const { context, outcome } = await handle(found([aFinding('a'), aFinding('b')]), { wrap });
    expect(outcome).toMatchObject({ created: [{ count: 2 }], duplicate: 0 });
    const restarted = { ...context, known: createTestContext(events).context.known };
    expect(await handled(events, found([aFinding('a'), aFinding('b')]), restarted)).toMatchObject({
      created: [],
      duplicate: 2,
    });
    expect(creates).toBe(4);
    expect(await handled(events, found([aFinding('a'), aFinding('b')]), restarted)).toMatchObject({
      created: [],
      duplicate: 2,
    });
    expect(creates).toBe(4);
  });

  it.each([
    ['a minute and a half', 90_000],
    ['nine minutes', 540_000],
  ])('stores again what somebody has deleted %s ago', async (_case, milliseconds) => {
    const test = createTestContext(events);
    await handled(events, found([aFinding('a')]), test.context);
    for await (const { ref } of test.store.names({}, test.context.event.signal)) {
      await test.store.delete(ref, test.context.event.signal);
    }
    test.clock.now += milliseconds;
    expect(await handled(events, found([aFinding('a')]), test.context)).toMatchObject({
      created: [{ count: 1 }],
      duplicate: 0,
    });
    expect((await test.store.read({ limit: 9 })).items).toHaveLength(1);
  });

  it('takes nothing for a duplicate that it can not look for', async () => {
    let isAway = false;
    const test = createTestContext(events, {
      wrap: (store) => ({
        async find(...given) {
          if (isAway) throw new Refusal(503, 'away');
          return store.find(...given);
        },
      }),
    });
    await handled(events, found([aFinding('a')]), test.context);
    isAway = true;
    test.clock.now += 90_000;
    await expect(handled(events, found([aFinding('a')]), test.context)).rejects.toMatchObject({ status: 503 });
  });

  it('passes on the refusal of the store, with what was done before it', async () => {
    const refusal = new Refusal(503, 'away', { path: 'here', retryAfter: 7, cause: 'why' });
    const wrap = creating(({ spec }) => (spec.details.id === 'b' ? refusal : undefined));
    const event = found([aFinding('a'), aFinding('b')], { skipped: { noise: 1 } });
    const { outcome } = await handle(event, { wrap });
    expect(outcome).toBeInstanceOf(Refusal);
    expect(outcome).toMatchObject({ status: 503, message: 'away', path: 'here', retryAfter: 7, cause: 'why' });
    expect(outcome).toMatchObject({ summary: { observed: 2, skipped: { noise: 1 }, created: [{ count: 1 }] } });
  });

  it.each([new TypeError('a bug'), Object.assign(new Error('of another library'), { status: 422 })])(
    'answers 503 to an unexpected fault: %s',
    async (fault) => {
      const { outcome } = await handle(found([aFinding('a')]), { wrap: creating(() => fault) });
      expect(outcome).toBeInstanceOf(Refusal);
      expect(outcome).toMatchObject({ status: 503, message: 'an unexpected fault', cause: fault });
    },
  );

  it('says which namespace is at fault, and when to retry', async () => {
    let creates = 0;
    const full = creating(() => {
      creates += 1;
      return new NamespaceRefusal('full', 'a quota');
    });
    const refusal = { status: 503, message: 'the system namespace is full', cause: 'a quota', retryAfter: 5 };
    expect((await handle(found([aFinding('a')]), { wrap: full })).outcome).toMatchObject(refusal);
    creates = 0;
    expect((await handle(found([aFinding('a', inNode)]), { wrap: full })).outcome).toMatchObject(refusal);
    expect(creates).toBe(1);
  });

  it('does not blame the system namespace for another fault there', async () => {
    const wrap = creating(({ metadata }) =>
      metadata.namespace === 'zen-system' ? new Refusal(503, 'away') : new NamespaceRefusal('full'),
    );
    expect((await handle(found([aFinding('a')]), { wrap })).outcome).toMatchObject({ status: 503, message: 'away' });
  });

  it('writes nothing to the system namespace if the fault is not that of its own namespace', async () => {
    const wrap = creating(({ metadata }) => (metadata.namespace === 'shop' ? new Refusal(503, 'away') : undefined));
    const { outcome, items } = await handle(found([aFinding('a')]), { wrap });
    expect(outcome).toMatchObject({ status: 503, message: 'away' });
    expect(items).toEqual([]);
  });
});

describe('defineSource', () => {
  it('defines a function that watches filters and exceptions, and has no other permissions than its triggers need', () => {
    const { settings } = createTestContext(events).context;
    expect(events).toMatchObject({ kind: 'source', name: 'events', permissions: [] });
    expect(events.watches?.(settings)).toEqual([observationFilters, observationExceptions]);
    expect(events.triggers(settings)).toEqual(events.source.triggers(settings));
  });
});

describe('recordOperations', () => {
  const report = {
    eventType: 'undeliverable-event',
    summary: 'an event could not be delivered',
    identity: { id: '1', absent: undefined },
    details: { message: 'lost' },
    detectedAt: '2026-03-01T12:00:00Z',
  } as const;

  it('passes on that the store refuses it', async () => {
    const { context } = createTestContext(events, { wrap: creating(() => new Refusal(422, 'invalid')) });
    await expect(recordOperations('events', report, context)).rejects.toMatchObject({
      status: 422,
      message: 'invalid',
    });
  });

  it('records a fault that is not about an object in the system namespace', async () => {
    const { context, store } = createTestContext(events);
    const record = () => tallied(context, (own) => recordOperations('events', report, own));
    expect(await record()).toMatchObject({ created: [{ count: 1 }] });
    expect(await record()).toMatchObject({ created: [], duplicate: 1 });
    const [object] = (await store.read({ limit: 2 })).items;
    expect(object?.metadata.namespace).toBe('zen-system');
    expect(object?.spec).toMatchObject({ category: 'operations', severity: 'HIGH', details: { message: 'lost' } });
  });
});
