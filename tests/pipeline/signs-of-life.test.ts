import { describe, expect, it } from 'vitest';
import { leaseOf, signIn } from '../../shared/api/lease.ts';
import type { KubernetesObject, Objects } from '../../shared/function/stores.ts';
import { createSignsOfLife, type SignsOfLifeOptions } from '../../shared/pipeline/signs-of-life.ts';

const minute = 60_000;
const signal = new AbortController().signal;

/** The signs of a source, by its Lease. */
function createWorld(changes: Partial<SignsOfLifeOptions> = {}) {
  const time = { now: 1_000_000 };
  const written: unknown[] = [];
  let lease: KubernetesObject | undefined;
  const objects: Pick<Objects, 'get' | 'apply'> = {
    get: async () => lease,
    async apply(_kind, object) {
      lease = object;
      written.push(signIn(object));
    },
  };
  const options = { source: 'tool', minutes: 60, objects, systemNamespace: 'zen-system' };
  const clock = { now: () => time.now, elapsed: () => time.now };
  return {
    ...{ time, written, life: createSignsOfLife({ ...options, ...clock, ...changes }) },
    put(at: number, of: number): void {
      lease = leaseOf('zen-system', { source: 'tool', at, minutes: of });
    },
  };
}

describe('createSignsOfLife', () => {
  it.each([
    [60, 5],
    [16, 5],
    [6, 2],
    [1, 1 / 3],
  ])('notes an event three times at least in %d minutes, and every five minutes: after %d', (minutes, interval) => {
    const { life, time, written } = createWorld({ minutes });
    life.note();
    time.now += interval * minute - 1;
    life.note();
    expect(written).toHaveLength(1);
    time.now += 1;
    life.note();
    expect(written).toEqual([1_000_000, time.now].map((at) => ({ source: 'tool', at, minutes })));
  });

  it.each<[string, number | undefined, number, object | undefined]>([
    ['there is none', undefined, 60, { at: 5000, minutes: 60 }],
    ['it is older', 4999, 60, { at: 5000, minutes: 60 }],
    ['it is the same', 5000, 60, undefined],
    ['it is newer', 5001, 60, undefined],
    ['it may be silent for longer', 5000, 90, { at: 5000, minutes: 60 }],
    ['it is newer and may be silent for longer', 6000, 90, { at: 6000, minutes: 60 }],
  ])('writes what reports say if the Lease does not: %s', async (_case, at, minutes, expected) => {
    const { life, written, put } = createWorld();
    if (at !== undefined) put(at, minutes);
    await life.noteReport(5000, signal);
    expect(written).toEqual(expected ? [{ source: 'tool', ...expected }] : []);
  });

  it('says nothing of a source without reports', async () => {
    const { life, written } = createWorld();
    await life.noteReport(0, signal);
    expect(written).toEqual([]);
  });

  it.each<[string, Partial<SignsOfLifeOptions>]>([
    ['of a source whose silence is not told', { minutes: undefined }],
    ['where there is no API server', { objects: undefined }],
  ])('writes nothing %s', async (_case, changes) => {
    const { life, written } = createWorld(changes);
    life.note();
    await life.noteReport(5000, signal);
    expect(written).toEqual([]);
  });
});
