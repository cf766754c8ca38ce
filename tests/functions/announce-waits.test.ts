import { describe, expect, it } from 'vitest';
import { sampleOf } from '../../functions/announce/sample.ts';
import announce from '../../functions/announce.ts';
import { dueEventType } from '../../shared/api/announcement.ts';
import { outboxLabel } from '../../shared/api/labels.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Clock } from '../../shared/function/context.ts';
import { createTestContext, eventOf, handled, ping } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';

const signal = new AbortController().signal;
const noon = Date.parse('2026-03-01T12:00:00Z');

/** Time that passes when all that is left is to wait. */
function createTime() {
  let now = 0;
  let waiting: { readonly at: number; readonly wake: () => void }[] = [];
  const wait = (milliseconds: number, wake: () => void) => {
    const one = { at: now + milliseconds, wake };
    waiting.push(one);
    return () => {
      waiting = waiting.filter((other) => other !== one);
    };
  };
  const clock: Pick<Clock, 'elapsed' | 'sleep' | 'deadline'> = {
    elapsed: () => now,
    sleep: (milliseconds) => new Promise((resolve) => void wait(milliseconds, resolve)),
    deadline(milliseconds) {
      const controller = new AbortController();
      return { signal: controller.signal, clear: wait(milliseconds, () => controller.abort()) };
    },
  };
  return {
    clock,
    /** How many waits have neither come to their end nor been given up. */
    waits: () => waiting.length,
    /** Resolves to how many seconds some work takes. */
    async taken(work: Promise<unknown>): Promise<number> {
      const began = now;
      let isDone = false;
      const done = work
        .catch(() => undefined)
        .then(() => {
          isDone = true;
        });
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        const at = Math.min(...waiting.map((one) => one.at));
        if (isDone || at === Number.POSITIVE_INFINITY) continue;
        now = Math.max(now, at);
        const due = waiting.filter((one) => one.at <= now);
        waiting = waiting.filter((one) => one.at > now);
        for (const { wake } of due) wake();
      }
      await done;
      return (now - began) / 1000;
    },
  };
}

/** A Broker that answers when its two subscribers did: one lives, the other's receiver says nothing. */
async function createWorld(count: number) {
  const time = createTime();
  const told = new Set<string>();
  const state = { isDead: true, refusals: 0, milliseconds: 0 };
  const publish = async ({ id }: CloudEvent, signal: AbortSignal): Promise<void> => {
    told.add(id);
    if (state.refusals > 0) {
      state.refusals -= 1;
      throw new Error('refused');
    }
    if (!state.isDead)
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('too late')));
        void time.clock.sleep(state.milliseconds, signal).then(resolve);
      });
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('nobody answers')));
    });
  };
  const { store, context } = createTestContext(announce, { context: { publish, ...time.clock } });
  for (let index = 0; index < count; index += 1) {
    const object = anObservationOf(aFinding(`r${index}`, 'shop'), { source: 'kyverno', now: noon });
    const labels = { ...object.metadata.labels, [outboxLabel]: 'due' };
    await store.create({ ...object, metadata: { ...object.metadata, labels } }, signal);
  }
  return {
    told,
    state,
    waits: time.waits,
    pass: () => time.taken(handled(announce, ping, context)),
    async hinted() {
      const run = handled(announce, eventOf(dueEventType, undefined), context);
      const seconds = await time.taken(run);
      return { seconds, due: (await run).due };
    },
    due: async () => (await Array.fromAsync(store.names({ isDue: true }, signal))).length,
  };
}

describe('announce, while one of two sinks is dead and the Broker waits for both', () => {
  it('tells the living one hundreds a minute, and keeps all of them due', async () => {
    const { told, pass, due } = await createWorld(2000);
    const seconds = await pass();
    expect(seconds).toBeLessThan(540);
    expect(told.size / (seconds / 60)).toBeGreaterThan(300);
    expect(await due()).toBe(2000);
  });

  it('tells the living one everything in the end, whatever is listed first', async () => {
    const { told, pass } = await createWorld(1000);
    await pass();
    expect(told.size).toBe(1000);
  });

  it('goes on after a hint as long as it has not tried everything, and no longer', async () => {
    const { told, hinted } = await createWorld(200);
    const first = await hinted();
    expect(first.due).toBe(1);
    expect(first.seconds).toBeLessThan(30);
    expect(told.size).toBe(128);
    const few = await createWorld(60);
    expect((await few.hinted()).due).toBe(0);
    expect(few.told.size).toBe(60);
  });

  it('tells both, at 50 a second, once both live', async () => {
    const { state, told, pass, due } = await createWorld(1000);
    state.isDead = false;
    expect(await pass()).toBeCloseTo(20, 0);
    expect([told.size, await due()]).toEqual([1000, 0]);
  });

  it('waits for each until its receiver may have started, although the Broker has refused one', async () => {
    const { state, hinted, due, waits } = await createWorld(10);
    Object.assign(state, { isDead: false, refusals: 1, milliseconds: 14_000 });
    await hinted();
    expect(await due()).toBe(1);
    expect(waits()).toBe(0);
  });
});

describe('sampleOf', () => {
  async function* numbers(count: number): AsyncGenerator<number> {
    for (let number = 0; number < count; number += 1) yield number;
  }

  it.each([
    [0, 10, 0, true],
    [9, 10, 9, true],
    [10, 10, 10, true],
    [11, 10, 10, false],
    [1000, 10, 10, false],
  ])(
    'has of %i, if it is to have %i, %i different ones; and says whether these are all: %s',
    async (count, size, length, isAll) => {
      const { sample, ...rest } = await sampleOf(numbers(count), size);
      expect(new Set(sample).size).toBe(length);
      expect(sample).toHaveLength(length);
      expect(sample.every((one) => one >= 0 && one < count)).toBe(true);
      expect(rest).toEqual({ isAll });
    },
  );

  it('has each of them sometimes, and each in any place', async () => {
    const seen = new Set<number>();
    const first = new Set<number>();
    for (let times = 0; times < 2000; times += 1) {
      const { sample } = await sampleOf(numbers(30), 10);
      for (const one of sample) seen.add(one);
      for (const one of sample.slice(0, 1)) first.add(one);
    }
    expect([seen.size, first.size]).toEqual([30, 30]);
  });
});
