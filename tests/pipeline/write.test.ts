import { describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import kyverno from '../../functions/kyverno.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Observation } from '../../shared/api/observation.ts';
import type { Acceptable } from '../../shared/function/exceptions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { NamespaceRefusal, type Store } from '../../shared/function/stores.ts';
import { aReport, createTestContext, eventOf, handled, ping, referenceTo, type TestContext } from './test-context.ts';

const alert = (fields: Record<string, unknown> = {}) =>
  eventOf('falco.rule.output.v1', {
    rule: 'r',
    priority: 'Error',
    time: '2026-03-01T12:00:00Z',
    output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' },
    ...fields,
  });

/** Makes a store throw what `refuse` returns. */
function refusing(refuse: (object: Observation) => Error | undefined) {
  return (store: Store): Partial<Store> => ({
    async create(object, signal) {
      const error = refuse(object);
      if (error) throw error;
      return store.create(object, signal);
    },
  });
}

describe('writing', () => {
  it.each(['missing', 'closing', 'full'] as const)('goes to the system namespace if its own is %s', async (reason) => {
    const wrap = refusing(({ metadata }) => (metadata.namespace === 'shop' ? new NamespaceRefusal(reason) : undefined));
    const { context, store } = createTestContext(falco, { wrap });
    expect(await handled(falco, alert(), context)).toMatchObject({
      created: [{ count: 1 }],
      warnings: [`namespace shop: the namespace is ${reason}, so zen-system has it`],
    });
    const [object] = (await store.read({ limit: 2 })).items;
    expect(object?.metadata.namespace).toBe('zen-system');
    expect(object?.spec.resource).toEqual({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'p' });
  });

  it('says what denies it where it belongs', async () => {
    const wrap = refusing(({ metadata }) =>
      metadata.namespace === 'shop' ? new NamespaceRefusal('denying', "policy 'p'") : undefined,
    );
    const { warnings } = await handled(falco, alert(), createTestContext(falco, { wrap }).context);
    expect(warnings).toEqual(["namespace shop: the namespace is denying it: policy 'p', so zen-system has it"]);
  });

  it.each([
    ['full', 'the system namespace is full'],
    ['denying', 'the system namespace denies it'],
  ] as const)('answers 503 if the system namespace cannot take it either: it is %s', async (reason, message) => {
    const cause = new Error('by a webhook');
    const { context } = createTestContext(falco, { wrap: refusing(() => new NamespaceRefusal(reason, cause)) });
    await expect(handled(falco, alert(), context)).rejects.toMatchObject({
      ...{ status: 503, message, cause },
      // Nobody mends it within a second.
      retryAfter: 5,
    });
  });

  it('recognizes a finding that was put into the system namespace earlier', async () => {
    let isFull = true;
    const wrap = refusing(({ metadata }) =>
      isFull && metadata.namespace === 'shop' ? new NamespaceRefusal('full') : undefined,
    );
    const { context, store, objects } = createTestContext(kyverno, { wrap });
    const report = aReport('web', ['a']);
    objects.all.push(report);
    await handled(kyverno, referenceTo(report), context);
    isFull = false;
    expect(await handled(kyverno, referenceTo(report), context)).toMatchObject({ created: [], unchanged: 1 });
    expect(await handled(kyverno, eventOf('dev.knative.sources.ping', undefined), context)).toMatchObject({
      unchanged: 1,
      created: [],
    });
    expect((await store.read({ limit: 9 })).items).toHaveLength(1);
  });

  it('is not acknowledged if the store fails, and is complete after a retry', async () => {
    let left = 5;
    const wrap = refusing(() => (left-- > 0 ? undefined : new Refusal(503, 'the API server is away')));
    const { context, store, objects } = createTestContext(kyverno, { wrap });
    const report = aReport(
      'web',
      Array.from({ length: 40 }, (_, index) => `r${index}`),
    );
    objects.all.push(report);
    const failed = handled(kyverno, referenceTo(report), context);
    await expect(failed).rejects.toMatchObject({ status: 503, summary: { created: [{ count: 5 }] } });
    left = 1000;
    expect(await handled(kyverno, referenceTo(report), context)).toMatchObject({
      created: [{ count: 35 }],
      unchanged: 5,
    });
    expect((await store.read({ limit: 100 })).items).toHaveLength(40);
  });

  it('lasts as long as is set and, if it has a state, for three passes at least', async () => {
    const environment = { OBSERVATION_TTL_SECONDS: '3600', RESYNC_INTERVAL_MINUTES: '60' };
    const hours = async ({ store, clock }: TestContext) =>
      (await store.read({ limit: 9 })).items.map(
        ({ metadata }) => Number(metadata.labels[labels.expires]) - clock.now / 3_600_000,
      );
    const told = createTestContext(falco, { environment });
    await handled(falco, alert(), told.context);
    expect(await hours(told)).toEqual([1]);
    const reported = createTestContext(kyverno, { environment });
    const report = aReport('web', ['a']);
    reported.objects.all.push(report);
    await handled(kyverno, referenceTo(report), reported.context);
    expect(await hours(reported)).toEqual([3]);
  });

  it('does not cache a name whose write failed', async () => {
    let isAway = true;
    const wrap = refusing(() => (isAway ? new Refusal(503, 'away') : undefined));
    const { context, store } = createTestContext(falco, { wrap });
    await expect(handled(falco, alert(), context)).rejects.toMatchObject({ status: 503 });
    isAway = false;
    expect(await handled(falco, alert(), context)).toMatchObject({ created: [{ count: 1 }], duplicate: 0 });
    expect(await handled(falco, alert(), context)).toMatchObject({ created: [], duplicate: 1 });
    expect((await store.read({ limit: 9 })).items).toHaveLength(1);
  });

  it('writes the rest of a report if one finding is invalid, records that one, and answers 422', async () => {
    const isBad = ({ spec }: Observation): boolean => spec.details.rule === 'r3';
    const wrap = refusing((object) =>
      isBad(object) ? new Refusal(422, 'invalid', { cause: 'spec.details: too long' }) : undefined,
    );
    const { context, store, objects } = createTestContext(kyverno, { wrap });
    const report = aReport('web', ['r1', 'r2', 'r3', 'r4']);
    objects.all.push(report);
    await expect(handled(kyverno, referenceTo(report), context)).rejects.toMatchObject({ status: 422 });
    const written = (await store.read({ limit: 9 })).items.map(({ spec }) => spec.details.rule ?? spec.eventType);
    expect(written.sort()).toEqual(['r1', 'r2', 'r4', 'unreadable-object']);
  });

  it('asks exceptions where a finding belongs, and whether an event has told it', async () => {
    const asked: unknown[] = [];
    const exceptions = ({ namespace, hasState }: Acceptable): undefined => void asked.push([namespace, hasState]);
    const told = createTestContext(falco);
    await handled(falco, alert(), { ...told.context, exceptions });
    const reported = createTestContext(kyverno);
    const report = aReport('web', ['a'], 'pay');
    reported.objects.all.push(report);
    await handled(kyverno, referenceTo(report), { ...reported.context, exceptions });
    expect(asked).toEqual([
      ['shop', false],
      ['pay', true],
    ]);
  });

  it('looks at what it knows again after a minute and a half, once', async () => {
    const calls = { create: 0, find: 0 };
    const wrap = (store: Store): Partial<Store> => ({
      create(...given) {
        calls.create += 1;
        return store.create(...given);
      },
      find(...given) {
        calls.find += 1;
        return store.find(...given);
      },
    });
    const { context, clock } = createTestContext(falco, { wrap });
    await handled(falco, alert(), context);
    for (const seconds of [89, 1, 1, 88, 1]) {
      clock.now += seconds * 1000;
      expect(await handled(falco, alert(), context)).toMatchObject({ created: [], duplicate: 1 });
    }
    expect(calls).toEqual({ create: 1, find: 2 });
  });

  it('forgets a cached name after ten minutes', async () => {
    const { context, store, clock } = createTestContext(falco);
    await handled(falco, alert(), context);
    const [stored] = await Array.fromAsync(store.names({}, context.event.signal));
    if (!stored) throw new Error('not stored');
    await store.delete(stored.ref, context.event.signal);
    expect(await handled(falco, alert(), context)).toMatchObject({ duplicate: 1 });
    clock.now += 10 * 60_000;
    expect(await handled(falco, alert(), context)).toMatchObject({ created: [{ count: 1 }] });
  });

  it.each([
    ['a reference', referenceTo],
    ['a pass', () => ping],
  ])('trusts only the store about findings with a state: %s restores what was deleted', async (_case, eventFor) => {
    const { context, store, objects } = createTestContext(kyverno);
    const report = aReport('web', ['a']);
    objects.all.push(report);
    await handled(kyverno, eventFor(report), context);
    const [stored] = await Array.fromAsync(store.names({}, context.event.signal));
    if (!stored) throw new Error('not stored');
    await store.delete(stored.ref, context.event.signal);
    // As if an event had told the same a moment ago.
    context.known.add(stored.ref.name, stored.ref.namespace);
    expect(await handled(kyverno, eventFor(report), context)).toMatchObject({ created: [{ count: 1 }], duplicate: 0 });
    expect(await Array.fromAsync(store.names({}, context.event.signal))).toHaveLength(1);
  });
});
