import { describe, expect, it } from 'vitest';
import announce from '../../functions/announce.ts';
import { outboxLabel } from '../../shared/api/labels.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { NamesQuery, Store } from '../../shared/function/stores.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';
import { isQuick } from '../quick.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const signal = new AbortController().signal;
const noon = Date.parse('2026-03-01T12:00:00Z');
const many = isQuick ? 5000 : 100_000;

/** A cluster with findings that were there before anybody was told, half of them below the floor; and what is asked of it. */
async function createWorld(count: number, environment: Record<string, string> = {}) {
  const told: CloudEvent[] = [];
  const asked = { queries: [] as NamesQuery[], listed: 0, counts: 0, reads: 0, patches: 0 };
  const wrap = (store: Store): Partial<Store> => ({
    async *names(query, given) {
      asked.queries.push(query);
      for await (const stored of store.names(query, given)) {
        asked.listed += 1;
        yield stored;
      }
    },
    count(...given) {
      asked.counts += 1;
      return store.count(...given);
    },
    findWhole(...given) {
      asked.reads += 1;
      return store.findWhole(...given);
    },
    patch(...given) {
      asked.patches += 1;
      return store.patch(...given);
    },
  });
  const publish = async (event: CloudEvent): Promise<void> => void told.push(event);
  const { context, store } = createTestContext(announce, { environment, wrap, context: { publish, elapsed: () => 0 } });
  for (let index = 0; index < count; index += 1) {
    const finding = {
      ...aFinding(`r${index}`, `ns${index % 50}`),
      severity: index % 2 === 0 ? 'HIGH' : 'LOW',
    } as const;
    await store.create(anObservationOf(finding, { source: 'kyverno', now: noon }), signal);
  }
  return { told, asked, store, pass: () => handled(announce, ping, context) };
}

describe('the first start with many findings', { timeout: 300_000 }, () => {
  it('announces nothing of them, says so, and lists only what is due', async () => {
    const { told, asked, store, pass } = await createWorld(many);
    const { warnings } = await pass();
    expect(warnings).toEqual([
      expect.stringMatching(new RegExp(`^of the ${many} Observations .*nothing is announced.*ANNOUNCE_EXISTING=true`)),
    ]);
    expect(asked).toEqual({
      queries: [{ isDue: true, namespace: undefined }],
      listed: 0,
      counts: 1,
      reads: 0,
      patches: 0,
    });
    const [some] = await Array.fromAsync(store.names({ namespace: 'ns0' }, signal));
    if (!some) throw new Error('there is none');
    await store.patch(some, { labels: { [outboxLabel]: 'due' } }, signal);
    expect((await pass()).warnings).toEqual([]);
    expect(told).toHaveLength(1);
    expect(asked).toMatchObject({ listed: 1, counts: 1, reads: 1, patches: 1 });
  });

  it('announces those of them that are bad enough, once, if that is asked for; and lists the others once', async () => {
    const count = many / 10;
    const { told, asked, pass } = await createWorld(count, { ANNOUNCE_EXISTING: 'true' });
    expect((await pass()).warnings).toEqual([]);
    expect(told).toHaveLength(count / 2);
    expect(new Set(told.map(({ id }) => id)).size).toBe(count / 2);
    expect(told.every(({ extensions }) => extensions.severity === 'HIGH')).toBe(true);
    // Each is marked, and then unmarked.
    expect(asked).toMatchObject({ listed: count + count / 2, reads: count / 2, patches: count });
    await pass();
    expect(told).toHaveLength(count / 2);
    expect(asked.queries.filter(({ isDue }) => !isDue)).toHaveLength(1);
  });
});
