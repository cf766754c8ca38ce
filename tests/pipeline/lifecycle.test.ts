import { describe, expect, it } from 'vitest';
import checkov from '../../functions/checkov.ts';
import kyverno from '../../functions/kyverno.ts';
import { labels } from '../../shared/api/labels.ts';
import { UnreadableFilter } from '../../shared/function/filter.ts';
import type { Store } from '../../shared/function/stores.ts';
import {
  aReport,
  createTestContext,
  handled,
  ping,
  referenceTo,
  type TestContext,
  type TestContextOptions,
} from './test-context.ts';

const minute = 60_000;
const hour = 60 * minute;

async function statesOf({ store }: TestContext): Promise<Record<string, string>> {
  const { items } = await store.read({ limit: 10_000 });
  return Object.fromEntries(
    items.map(({ metadata, spec }) => [
      String(spec.details.rule ?? spec.details.checkId ?? spec.eventType),
      metadata.labels[labels.state] ?? 'none',
    ]),
  );
}

function expiresOf({ store }: TestContext): Promise<number[]> {
  return store
    .read({ limit: 10_000 })
    .then(({ items }) => items.map(({ metadata }) => Number(metadata.labels[labels.expires])));
}

describe('a reference event', () => {
  it('writes the findings of an object once, and recognizes them afterwards', async () => {
    const test = createTestContext(kyverno);
    const report = aReport('web', ['a', 'b']);
    test.objects.all.push(report);
    expect(await handled(kyverno, referenceTo(report), test.context)).toMatchObject({ observed: 2, unchanged: 0 });
    expect(await handled(kyverno, referenceTo(report), test.context)).toMatchObject({ created: [], unchanged: 2 });
    expect(await statesOf(test)).toEqual({ a: 'open', b: 'open' });
  });

  it('does nothing if the object is gone or being deleted', async () => {
    const test = createTestContext(kyverno);
    const report = aReport('web', ['a']);
    expect(await handled(kyverno, referenceTo(report), test.context)).toMatchObject({ skipped: { gone: 1 } });
    const dying = { ...report, metadata: { ...report.metadata, deletionTimestamp: '2026-03-01T11:30:00Z' } };
    test.objects.all.push(dying);
    expect(await handled(kyverno, referenceTo(report), test.context)).toMatchObject({ skipped: { gone: 1 } });
    expect(await statesOf(test)).toEqual({});
  });

  it('records an object that it cannot read, and refuses the event with the path of the field', async () => {
    const test = createTestContext(kyverno);
    const report = { ...aReport('web', []), results: [{ result: 'fail' }] };
    test.objects.all.push(report);
    const refused = handled(kyverno, referenceTo(report), test.context);
    await expect(refused).rejects.toMatchObject({ status: 422, path: 'results[0].policy' });
    expect(await statesOf(test)).toEqual({ 'unreadable-object': 'open' });
  });

  it.each([
    ['a reference', referenceTo],
    ['a pass', () => ping],
  ])(
    'does not blame an object for an unreadable filter: %s is answered 503, and nothing is recorded',
    async (_case, eventFor) => {
      const filter = () => {
        throw new UnreadableFilter('zen-system/f', false);
      };
      const test = createTestContext(kyverno, { context: { filter } });
      const report = aReport('web', ['a']);
      test.objects.all.push(report);
      await expect(handled(kyverno, eventFor(report), test.context)).rejects.toMatchObject({ status: 503 });
      expect(await statesOf(test)).toEqual({});
    },
  );

  it('ignores an object that no longer has the label, or is in another namespace', async () => {
    const test = createTestContext(checkov);
    const report = {
      check_type: 'kubernetes',
      results: { failed_checks: [{ check_id: 'CKV_1', resource: 'Pod.shop.a' }] },
    };
    const data = { 'results.json': JSON.stringify(report) };
    const configMap = (name: string, namespace: string, app: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      data,
      metadata: { name, namespace, labels: { app } },
    });
    const objects = [configMap('a', 'checkov', 'other'), configMap('b', 'elsewhere', 'checkov')];
    test.objects.all.push(...objects);
    for (const object of objects) {
      expect(await handled(checkov, referenceTo(object), test.context)).toMatchObject({ skipped: { not_wanted: 1 } });
    }
    expect(await statesOf(test)).toEqual({});
  });

  it('reopens a finding that was missing', async () => {
    const test = createTestContext(kyverno);
    test.objects.all.push(aReport('web', ['a']));
    await handled(kyverno, ping, test.context);
    test.objects.all.length = 0;
    await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ a: 'missing' });
    const report = aReport('web', ['a']);
    test.objects.all.push(report);
    expect(await handled(kyverno, referenceTo(report), test.context)).toMatchObject({ relabelled: { reopened: 1 } });
    expect(await statesOf(test)).toEqual({ a: 'open' });
  });
});

describe.each([
  ['a reference event', referenceTo],
  ['the completeness pass', () => ping],
])('a finding that %s reports again', (_case, eventFor) => {
  const report = aReport('web', ['a']);

  /** A context with a finding that passes have taken to this state, and its report, which is back. */
  async function createAbsent(state: 'missing' | 'resolved', options: TestContextOptions = {}): Promise<TestContext> {
    const test = createTestContext(kyverno, options);
    test.objects.all.push(report);
    await handled(kyverno, ping, test.context);
    test.objects.all.length = 0;
    await handled(kyverno, ping, test.context);
    test.clock.now += hour;
    if (state === 'resolved') await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ a: state });
    test.objects.all.push(report);
    return test;
  }

  it.each(['missing', 'resolved'] as const)(
    'is kept, even if it was about to expire while it was %s',
    async (state) => {
      const test = await createAbsent(state);
      const [expires = 0] = await expiresOf(test);
      test.clock.now = expires * hour - minute;
      expect(await handled(kyverno, eventFor(report), test.context)).toMatchObject({ relabelled: { reopened: 1 } });
      // For three more passes, in case the next two fail.
      expect(await Array.fromAsync(test.store.expired(test.clock.now + 3 * hour, test.context.event.signal))).toEqual(
        [],
      );
    },
  );

  it('is written again if it was deleted while it was being reopened', async () => {
    const wrap = (store: Store): Partial<Store> => ({
      async patch(stored, patch, signal) {
        if (patch.labels[labels.state] === 'open') await store.delete(stored.ref, signal);
        return store.patch(stored, patch, signal);
      },
    });
    const test = await createAbsent('missing', { wrap });
    expect(await handled(kyverno, eventFor(report), test.context)).toMatchObject({ created: [{ count: 1 }] });
    expect(await statesOf(test)).toEqual({ a: 'open' });
  });
});

describe('the completeness pass', () => {
  it('creates what events have not, namespace by namespace, and nothing twice', async () => {
    const test = createTestContext(kyverno);
    for (const namespace of ['a', 'a-b', 'b', 'z'])
      test.objects.all.push(aReport(`web-${namespace}`, ['1', '2'], namespace));
    const first = await handled(kyverno, ping, test.context);
    expect(first.created).toEqual([{ category: 'security', severity: 'UNKNOWN', count: 8 }]);
    expect(await handled(kyverno, ping, test.context)).toMatchObject({ created: [], unchanged: 8, duplicate: 0 });
  });

  it('takes a finding from open to missing to resolved, never in one step', async () => {
    const test = createTestContext(kyverno);
    test.objects.all.push(aReport('web', ['stays', 'goes']));
    await handled(kyverno, ping, test.context);
    test.objects.all.splice(0, 1, aReport('web', ['stays']));
    await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ stays: 'open', goes: 'missing' });
    test.clock.now += 29 * minute;
    await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ stays: 'open', goes: 'missing' });
    test.clock.now += 2 * minute;
    await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ stays: 'open', goes: 'resolved' });
    test.objects.all.splice(0, 1, aReport('web', ['stays', 'goes']));
    await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ stays: 'open', goes: 'open' });
  });

  it('changes no state if a list fails or an object cannot be read', async () => {
    const test = createTestContext(kyverno);
    test.objects.all.push(aReport('web', ['a']));
    await handled(kyverno, ping, test.context);
    test.objects.all.length = 0;
    test.objects.failing = true;
    await expect(handled(kyverno, ping, test.context)).rejects.toMatchObject({ status: 503 });
    expect(await statesOf(test)).toEqual({ a: 'open' });
    test.objects.failing = false;
    const broken = { ...aReport('broken', []), results: 7 };
    test.objects.all.push(broken);
    expect(await handled(kyverno, ping, test.context)).toMatchObject({ skipped: { unreadable: 1 } });
    expect(await statesOf(test)).toEqual({ a: 'open', 'unreadable-object': 'open' });
  });

  it('keeps what is still reported, whatever its TTL is, and lets the rest expire', async () => {
    const test = createTestContext(kyverno, { environment: { OBSERVATION_TTL_SECONDS: '60' } });
    test.objects.all.push(aReport('web', ['a']));
    await handled(kyverno, ping, test.context);
    for (let pass = 0; pass < 30; pass += 1) {
      test.clock.now += hour;
      expect(await Array.fromAsync(test.store.expired(test.clock.now, test.context.event.signal))).toEqual([]);
      await handled(kyverno, ping, test.context);
      for (const expires of await expiresOf(test))
        expect(expires * hour).toBeGreaterThanOrEqual(test.clock.now + 3 * hour);
    }
    test.objects.all.length = 0;
    for (let pass = 0; pass < 6; pass += 1) {
      await handled(kyverno, ping, test.context);
      test.clock.now += hour;
    }
    expect(await Array.fromAsync(test.store.expired(test.clock.now, test.context.event.signal))).toHaveLength(1);
  });

  it('renews a finding by changing a label, not by writing a new object', async () => {
    const test = createTestContext(kyverno);
    test.objects.all.push(aReport('web', ['a']));
    await handled(kyverno, ping, test.context);
    const uid = async () => (await test.store.read({ limit: 1 })).items[0]?.metadata.uid;
    const before = await uid();
    test.clock.now += 4 * 24 * hour;
    expect(await handled(kyverno, ping, test.context)).toMatchObject({ created: [], relabelled: { renewed: 1 } });
    expect(await uid()).toBe(before);
  });

  it('treats an object that is being deleted as gone', async () => {
    const test = createTestContext(kyverno);
    test.objects.all.push(aReport('web', ['a']));
    await handled(kyverno, ping, test.context);
    const dying = ['web', 'api'].map((name) => {
      const report = aReport(name, ['a', 'b']);
      return { ...report, metadata: { ...report.metadata, deletionTimestamp: '2026-03-01T11:30:00Z' } };
    });
    test.objects.all.splice(0, 1, ...dying);
    expect(await handled(kyverno, ping, test.context)).toMatchObject({ observed: 0, created: [] });
    expect(await statesOf(test)).toEqual({ a: 'missing' });
  });

  it('resolves what a filter drops', async () => {
    const test = createTestContext(kyverno);
    test.objects.all.push(aReport('web', ['a']));
    await handled(kyverno, ping, test.context);
    const filtered = { ...test.context, filter: () => 'exclude_rule' as const };
    expect(await handled(kyverno, ping, filtered)).toMatchObject({
      filtered: { exclude_rule: 1 },
      relabelled: { resolved: 1 },
    });
  });

  it('recognizes findings in other namespaces than the object that reports them', async () => {
    const test = createTestContext(kyverno);
    const elsewhere = (rule: string) => ({
      ...aReport('central', [], 'policies'),
      results: ['aaa', 'zzz'].map((namespace) => ({
        policy: 'p',
        rule: `${rule}-${namespace}`,
        result: 'fail',
        source: 'kyverno',
        resources: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', namespace }],
      })),
    });
    test.objects.all.push(elsewhere('x'), aReport('local', ['y'], 'aaa'), aReport('late', ['z'], 'zzz'));
    await handled(kyverno, ping, test.context);
    const again = await handled(kyverno, ping, test.context);
    expect(again).toMatchObject({ created: [], unchanged: 4 });
    expect(again.relabelled).toEqual({});
    test.objects.all.shift();
    await handled(kyverno, ping, test.context);
    expect(await statesOf(test)).toEqual({ 'x-aaa': 'missing', 'x-zzz': 'missing', y: 'open', z: 'open' });
  });

  it('is correct, if slower, when a list is out of order', async () => {
    const test = createTestContext(kyverno);
    const reports = ['b', 'a', 'c', 'a'].map((namespace, index) => aReport(`web-${index}`, [`r${index}`], namespace));
    test.objects.all.push(...reports);
    const objects = {
      ...test.objects,
      async *list(kind: { group: string; kind: string }) {
        if (kind.group === 'wgpolicyk8s.io' && kind.kind === 'PolicyReport') yield* reports;
      },
      listMetadata: (kind: { group: string; kind: string }) => objects.list(kind),
    };
    const context = { ...test.context, cluster: { ...test.context.cluster, objects } };
    await handled(kyverno, ping, context);
    const again = await handled(kyverno, ping, context);
    expect(again).toMatchObject({ created: [] });
    expect(again.relabelled).toEqual({});
    expect(Object.values(await statesOf(test))).toEqual(['open', 'open', 'open', 'open']);
  });

  it('does not mark a finding as missing that an event has written since it started', async () => {
    const test = createTestContext(kyverno);
    const rules = Array.from({ length: 100 }, (_, index) => `r${index}`);
    for (let index = 0; index < 6; index += 1) test.objects.all.push(aReport(`w${index}`, rules, 'aaa'));
    await handled(kyverno, ping, test.context);
    test.clock.now += hour;
    const late = aReport('late', ['late'], 'zzz');
    const objects = {
      ...test.objects,
      async *list(
        resource: Parameters<typeof test.objects.list>[0],
        namespace: string | undefined,
        signal: AbortSignal,
      ) {
        const listed = await Array.fromAsync(test.objects.list(resource, namespace, signal));
        if (resource.group === 'wgpolicyk8s.io' && resource.kind === 'PolicyReport') {
          // After this list has been read, and before the names in its namespace are.
          test.objects.all.push(late);
          test.clock.now += 1000;
          await handled(kyverno, referenceTo(late), test.context);
        }
        yield* listed;
      },
    };
    const summary = await handled(kyverno, ping, {
      ...test.context,
      cluster: { ...test.context.cluster, objects },
    });
    expect(summary.relabelled).toEqual({});
    expect((await statesOf(test)).late).toBe('open');
  });

  it('is correct when two run at the same time', async () => {
    const test = createTestContext(kyverno);
    for (let index = 0; index < 50; index += 1) test.objects.all.push(aReport(`web-${index}`, ['a', 'b']));
    await Promise.all([handled(kyverno, ping, test.context), handled(kyverno, ping, test.context)]);
    expect((await test.store.read({ limit: 1000 })).items).toHaveLength(100);
    test.objects.all.length = 10;
    await Promise.all([handled(kyverno, ping, test.context), handled(kyverno, ping, test.context)]);
    const states = (await test.store.read({ limit: 1000 })).items.map(({ metadata }) => metadata.labels[labels.state]);
    expect(states.filter((state) => state === 'missing')).toHaveLength(80);
    expect(states.filter((state) => state === 'resolved')).toHaveLength(0);
  });
});
