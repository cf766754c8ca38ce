import { describe, expect, it } from 'vitest';
import filters from '../../functions/filters.ts';
import gc from '../../functions/gc.ts';
import ingest from '../../functions/ingest.ts';
import sources from '../../functions/sources.ts';
import { labels } from '../../shared/api/labels.ts';
import { createClock } from '../../shared/host/clock.ts';
import { createCoalescer } from '../../shared/host/coalesce.ts';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { day, hour, start as noon } from './passing-time.ts';
import { createWorld } from './slot-world.ts';
import { createTestContext, handled, ping } from './test-context.ts';
import { aFinding, events, found } from './test-sources.ts';

const { signal } = new AbortController();

/** Time as it is for the API server, and machines whose clocks are wrong. */
function createTime() {
  const time = { now: noon, elapsed: 0 };
  return {
    time,
    pass(milliseconds: number): void {
      time.now += milliseconds;
      time.elapsed += milliseconds;
    },
    /** A machine whose clock is that far ahead of the API server's, which it knows. */
    machine(ahead: number) {
      const clock = createClock({
        now: () => time.now + ahead,
        elapsed: () => time.elapsed,
        sleep: async () => undefined,
        onOffset: () => undefined,
      });
      clock.noteServerTime(time.now);
      return clock;
    },
  };
}

async function remaining(store: ReturnType<typeof createEmbeddedStore>): Promise<number> {
  return (await store.read({ limit: 100 })).items.length;
}

describe('a clock that is wrong', () => {
  it.each([
    ['gc, eight days ahead', 0, 8 * day],
    ['gc, eight days behind', 0, -8 * day],
    ['falco, eight days behind', -8 * day, 0],
    ['falco, eight days ahead', 8 * day, 0],
    ["the API server's, as both see it", 8 * day, 8 * day],
    ['both, behind', -8 * day, -8 * day],
  ])('deletes no alert early: that of %s', async (_case, writerAhead, collectorAhead) => {
    const { time, pass, machine } = createTime();
    const store = createEmbeddedStore({ data: ':memory:', now: () => time.now });
    const writer = createTestContext(events, { context: { ...machine(writerAhead), store } });
    await handled(events, found([aFinding('a')]), writer.context);
    const collect = () =>
      handled(gc, ping, createTestContext(gc, { context: { ...machine(collectorAhead), store } }).context);
    await collect();
    pass(6 * day);
    await collect();
    expect(await remaining(store)).toBe(1);
    // Both clocks agree in the end, and then it goes.
    pass(17 * day);
    await collect();
    expect(await remaining(store)).toBe(0);
  });

  it.each([8 * day, -8 * day])('resolves no finding early, and keeps it: %d ms ahead', async (ahead) => {
    const { time, pass, machine } = createTime();
    const right = createWorld({ context: { ...machine(0) } });
    const wrong = createWorld({ context: { ...machine(ahead), store: right.store } });
    for (const world of [right, wrong]) world.put('a', [{ id: 'a' }]);
    await wrong.pass();
    for (const world of [right, wrong]) world.remove('a');
    pass(hour);
    await wrong.pass();
    expect(await right.states()).toEqual({ a: 'missing' });
    await right.pass();
    await wrong.pass();
    expect(await right.states()).toEqual({ a: 'missing' });
    const [item] = (await right.store.read({ limit: 9 })).items;
    expect(Number(item?.metadata.labels[labels.expires]) * hour).toBeGreaterThan(time.now + 6 * day);
  });

  it('does not wait for what it was set back', async () => {
    for (const definition of [filters, sources, ingest]) {
      const time = { now: noon, elapsed: 0 };
      const slept: number[] = [];
      const clock = createClock({
        now: () => time.now,
        elapsed: () => time.elapsed,
        async sleep(milliseconds) {
          slept.push(milliseconds);
          time.elapsed += milliseconds;
        },
        onOffset: () => undefined,
      });
      const coalesce = createCoalescer({ ...clock, signal });
      const { context } = createTestContext(definition, {
        context: { ...clock, coalesce, hasApiServerSources: true },
      });
      await handled(definition, ping, context).catch(() => undefined);
      time.now -= 2 * hour;
      await handled(definition, ping, context).catch(() => undefined);
      expect(slept.length).toBe(2);
      expect(Math.max(...slept)).toBeLessThanOrEqual(10_000);
    }
  });
});
