import { describe, expect, it } from 'vitest';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function* slowly(items: readonly number[], ended: () => void) {
  try {
    for (const item of items) {
      await turn();
      yield item;
    }
  } finally {
    ended();
  }
}

const ten = Array.from({ length: 10 }, (_, index) => index);

describe('forEachConcurrently', () => {
  it.each<[string, Iterable<number> | AsyncIterable<number>]>([
    ['a list', ten],
    ['a set', new Set(ten)],
    ['a generator', ten.values()],
    ['an asynchronous generator', slowly(ten, () => undefined)],
  ])('handles each item of %s, and as many at once as the limit allows', async (_case, items) => {
    const done: number[] = [];
    let atOnce = 0;
    let most = 0;
    await forEachConcurrently(items, 3, async (item) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      for (let turns = 0; turns < 5; turns += 1) await turn();
      atOnce -= 1;
      done.push(item);
    });
    expect(done.sort((a, b) => a - b)).toEqual(ten);
    expect(most).toBe(3);
  });

  it('does nothing without items', async () => {
    let calls = 0;
    const work = async (): Promise<void> => {
      calls += 1;
    };
    await forEachConcurrently([], 3, work);
    await forEachConcurrently(
      slowly([], () => undefined),
      3,
      work,
    );
    expect(calls).toBe(0);
  });

  it.each<[string, () => Iterable<number> | AsyncIterable<number>]>([
    ['a list', () => ten],
    ['an asynchronous generator', () => slowly(ten, () => undefined)],
  ])(
    'starts no further item of %s after a failure, and throws the first error once those that were started have ended',
    async (_case, items) => {
      const started: number[] = [];
      const ended: number[] = [];
      const working = forEachConcurrently(items(), 3, async (item) => {
        started.push(item);
        if (item === 1) throw new Error('first');
        for (let turns = 0; turns < 5; turns += 1) await turn();
        ended.push(item);
        if (item === 2) throw new Error('second');
      });
      await expect(working).rejects.toThrow('first');
      expect(started).not.toContain(9);
      expect(ended.toSorted()).toEqual(started.filter((item) => item !== 1).toSorted());
    },
  );

  it('throws the error of the list', async () => {
    async function* failing() {
      yield 1;
      throw new Error('the list failed');
    }
    await expect(forEachConcurrently(failing(), 3, async () => undefined)).rejects.toThrow('the list failed');
  });

  it('closes a list that it has not read to the end', async () => {
    let closed = 0;
    const items = slowly(ten, () => {
      closed += 1;
    });
    const working = forEachConcurrently(items, 2, async () => {
      throw new Error('no');
    });
    await expect(working).rejects.toThrow('no');
    expect(closed).toBe(1);
  });
});
