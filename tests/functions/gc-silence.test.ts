import { describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import gc from '../../functions/gc.ts';
import kyverno from '../../functions/kyverno.ts';
import { leaseOf } from '../../shared/api/lease.ts';
import type { Discovery } from '../../shared/function/stores.ts';
import {
  aReport,
  createTestContext,
  eventOf,
  handled,
  ping,
  referenceTo,
  type TestContext,
} from '../pipeline/test-context.ts';
import { gcContext } from './gc-seeds.ts';

const minute = 60_000;
const hour = 60 * minute;

/** A cluster: without one there are no Leases. */
const kinds: Discovery = { groups: async () => new Map(), kinds: async () => [], mayWatch: async () => true };

const now = Date.parse('2026-03-01T12:00:00Z');

function heardOf(test: TestContext, source: string, ago: number, minutes = 60): void {
  const lease = leaseOf('zen-system', { source, at: test.clock.now - ago, minutes });
  const others = test.objects.all.filter(({ metadata }) => metadata.name !== lease.metadata.name);
  test.objects.all.splice(0, test.objects.all.length, ...others, lease);
}

/** What is said about silence, with its state. */
async function said({ store }: TestContext) {
  const { items } = await store.read({ limit: 100 });
  return items
    .filter(({ spec }) => spec.eventType === 'source-silent')
    .map(({ metadata, spec }) => ({ of: spec.details.source, state: metadata.labels['zen.kube-zen.io/state'] }));
}

describe('gc, of a source that fell silent,', () => {
  it('tells that, and takes it back when it has spoken again', async () => {
    const test = gcContext({ context: { kinds } });
    heardOf(test, 'falco', 59 * minute);
    expect((await handled(gc, ping, test.context)).collection?.heard).toEqual([
      { source: 'falco', at: now - 59 * minute, isSilent: false },
    ]);
    expect(await said(test)).toEqual([]);
    heardOf(test, 'falco', 61 * minute);
    expect((await handled(gc, ping, test.context)).collection?.heard).toMatchObject([{ isSilent: true }]);
    expect(await said(test)).toEqual([{ of: 'falco', state: 'open' }]);
    // Nothing new, so nothing is written.
    const again = await handled(gc, ping, test.context);
    expect([again.created, again.relabelled]).toEqual([[], {}]);
    heardOf(test, 'falco', 0);
    expect((await handled(gc, ping, test.context)).collection?.heard).toMatchObject([{ isSilent: false }]);
    expect(await said(test)).toEqual([{ of: 'falco', state: 'resolved' }]);
    heardOf(test, 'falco', 2 * hour);
    await handled(gc, ping, test.context);
    expect(await said(test)).toEqual([{ of: 'falco', state: 'open' }]);
  });

  it('counts a source as silent after its minutes, and not before', async () => {
    const test = gcContext({ context: { kinds } });
    heardOf(test, 'falco', 60 * minute);
    expect((await handled(gc, ping, test.context)).collection?.heard).toMatchObject([{ isSilent: false }]);
  });

  it('takes back what it said of one, and of no other', async () => {
    const test = gcContext({ context: { kinds } });
    heardOf(test, 'falco', 2 * hour);
    heardOf(test, 'audit', 2 * hour);
    await handled(gc, ping, test.context);
    heardOf(test, 'falco', 0);
    await handled(gc, ping, test.context);
    expect((await said(test)).map(({ of, state }) => `${of} ${state}`).sort()).toEqual([
      'audit open',
      'falco resolved',
    ]);
  });

  it('says what an operator needs to know', async () => {
    const test = gcContext({ context: { kinds } });
    heardOf(test, 'audit', hour, 15);
    await handled(gc, ping, test.context);
    const { items } = await test.store.read({ limit: 10 });
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      metadata: { namespace: 'zen-system' },
      spec: {
        ...{
          source: 'gc',
          category: 'operations',
          severity: 'HIGH',
          eventType: 'source-silent',
          rule: 'source-silent',
        },
        summary: expect.stringContaining('nothing has come from audit since 2026-03-01T11:00:00.000Z'),
        details: { source: 'audit', lastHeard: '2026-03-01T11:00:00.000Z', silentMinutes: 15 },
        resource: { kind: 'Lease', name: 'zen-watcher-audit', namespace: 'zen-system' },
      },
    });
  });

  it('does not miss a source that was never heard of, nor one that is no function', async () => {
    const test = gcContext({ context: { kinds } });
    heardOf(test, 'a-stranger', 100 * hour);
    expect((await handled(gc, ping, test.context)).collection?.heard).toEqual([]);
    expect(await said(test)).toEqual([]);
  });

  it('takes back what it said about a source whose Lease somebody has deleted', async () => {
    const test = gcContext({ context: { kinds } });
    heardOf(test, 'falco', 2 * hour);
    await handled(gc, ping, test.context);
    test.objects.all.length = 0;
    await handled(gc, ping, test.context);
    expect(await said(test)).toEqual([{ of: 'falco', state: 'resolved' }]);
  });

  it('goes by the earlier of the clocks, so that a wrong one makes nobody silent', async () => {
    const test = gcContext({ context: { kinds, earliest: () => now - 2 * hour } });
    heardOf(test, 'falco', 2 * hour);
    await handled(gc, ping, test.context);
    expect(await said(test)).toEqual([]);
  });

  it('has nothing to say where there is no cluster', async () => {
    const test = gcContext();
    heardOf(test, 'falco', 100 * hour);
    expect((await handled(gc, ping, test.context)).collection?.heard).toEqual([]);
  });
});

/** The Lease of a source, if it has one. */
function leaseIn({ objects }: TestContext): unknown {
  return objects.all.find(({ kind }) => kind === 'Lease');
}

describe('a sign of life', () => {
  const alert = { rule: 'r', priority: 'Error', time: '2026-03-01T10:00:00Z' };

  it('is left by every event, whatever becomes of it, but not more often than needed', async () => {
    const test = createTestContext(falco, { context: { kinds } });
    await handled(falco, eventOf('falco.rule.output.v1', alert), test.context);
    const lease = { spec: { holderIdentity: 'falco', leaseDurationSeconds: 26 * 3600 } };
    expect(leaseIn(test)).toMatchObject({ spec: { ...lease.spec, renewTime: '2026-03-01T12:00:00.000000Z' } });
    test.clock.now += 4 * minute;
    await handled(falco, eventOf('falco.rule.output.v1', alert), test.context);
    expect(leaseIn(test)).toMatchObject({ spec: { renewTime: '2026-03-01T12:00:00.000000Z' } });
    test.clock.now += minute;
    await handled(falco, eventOf('falco.rule.output.v1', {}), test.context).catch(() => undefined);
    expect(leaseIn(test)).toMatchObject({ spec: { renewTime: '2026-03-01T12:05:00.000000Z' } });
  });

  it('alone makes no Observation', async () => {
    const test = createTestContext(audit, { context: { kinds } });
    const summary = await handled(audit, eventOf('io.kube-zen.audit.v1', {}, { signoflife: 'true' }), test.context);
    expect([summary.created, summary.skipped]).toEqual([[], { sign_of_life: 1 }]);
    expect(leaseIn(test)).toMatchObject({ spec: { holderIdentity: 'audit', leaseDurationSeconds: 900 } });
  });

  it('lasts as long as SOURCE_SILENT_MINUTES says', async () => {
    const test = createTestContext(audit, { context: { kinds }, environment: { SOURCE_SILENT_MINUTES: '120' } });
    await handled(audit, eventOf('io.kube-zen.audit.v1', {}, { signoflife: 'true' }), test.context);
    expect(leaseIn(test)).toMatchObject({ spec: { leaseDurationSeconds: 7200 } });
  });

  it('of a source with reports is the newest of them, until one changes', async () => {
    const test = createTestContext(kyverno, { context: { kinds } });
    await handled(kyverno, ping, test.context);
    expect(leaseIn(test)).toBeUndefined();
    const [web, api] = [aReport('web', ['a']), aReport('api', ['b'])];
    web.metadata.creationTimestamp = '2026-02-27T11:00:00Z';
    test.objects.all.push(web, api);
    await handled(kyverno, ping, test.context);
    expect(leaseIn(test)).toMatchObject({ spec: { renewTime: '2026-03-01T11:00:00.000000Z' } });
    await handled(kyverno, referenceTo(web), test.context);
    expect(leaseIn(test)).toMatchObject({ spec: { renewTime: '2026-03-01T12:00:00.000000Z' } });
    // The pass knows no better.
    await handled(kyverno, ping, test.context);
    expect(leaseIn(test)).toMatchObject({ spec: { renewTime: '2026-03-01T12:00:00.000000Z' } });
  });

  it('keeps no event from being stored if it can not be left', async () => {
    const test = createTestContext(falco, { context: { kinds } });
    let tries = 0;
    test.objects.apply = async () => {
      tries += 1;
      throw new Error('forbidden');
    };
    for (let count = 0; count < 2; count += 1) {
      const summary = await handled(
        falco,
        eventOf('falco.rule.output.v1', { ...alert, rule: `r${count}` }),
        test.context,
      );
      expect(summary.created).toHaveLength(1);
    }
    expect(tries).toBe(2);
  });
});
