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
  ])('works on each item of %s, and on as many at once as it may', async (_case, items) => {
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

  it('has nothing to do for no items', async () => {
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
    'begins no further item of %s after a failure, and throws the first when those that were begun have ended',
    async (_case, items) => {
      const begun: number[] = [];
      const ended: number[] = [];
      const working = forEachConcurrently(items(), 3, async (item) => {
        begun.push(item);
        if (item === 1) throw new Error('first');
        for (let turns = 0; turns < 5; turns += 1) await turn();
        ended.push(item);
        if (item === 2) throw new Error('second');
      });
      await expect(working).rejects.toThrow('first');
      expect(begun).not.toContain(9);
      expect(ended.toSorted()).toEqual(begun.filter((item) => item !== 1).toSorted());
    },
  );

  it('throws what its items throw', async () => {
    async function* failing() {
      yield 1;
      throw new Error('the list failed');
    }
    await expect(forEachConcurrently(failing(), 3, async () => undefined)).rejects.toThrow('the list failed');
  });

  it('closes what it has not read to its end', async () => {
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
