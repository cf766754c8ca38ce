import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createInFlight } from '../../shared/edge/in-flight.ts';

const never = new AbortController().signal;

describe('places for requests in flight', () => {
  it('are refused at once to who does not wait', async () => {
    const acquire = createInFlight();
    const first = await acquire('a', 1);
    expect(await acquire('a', 1)).toBeUndefined();
    expect(await acquire('b', 1)).toBeDefined();
    first?.();
    expect(await acquire('a', 1)).toBeDefined();
  });

  it('go to who waits, in order, and to nobody who has stopped waiting', async () => {
    const acquire = createInFlight();
    const release = await acquire('a', 1);
    const impatient = new AbortController();
    const got: string[] = [];
    const wait = async (name: string, signal: AbortSignal): Promise<void> => {
      const own = await acquire('a', 1, signal);
      got.push(own ? name : `not ${name}`);
      own?.();
    };
    const all = [wait('one', never), wait('two', impatient.signal), wait('three', never)];
    impatient.abort();
    await all[1];
    release?.();
    await Promise.all(all);
    expect(got).toEqual(['not two', 'one', 'three']);
    expect(await acquire('a', 1)).toBeDefined();
    expect(await acquire('a', 1, AbortSignal.abort())).toBeUndefined();
  });

  it('are never more than the limit, and none is lost', async () => {
    const step = fc.record({ waits: fc.boolean(), givesUp: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 4 }), async (steps, limit) => {
        const acquire = createInFlight();
        let taken = 0;
        const work = steps.map(async ({ waits, givesUp }) => {
          const own = new AbortController();
          const place = acquire('a', limit, waits ? own.signal : undefined);
          if (givesUp) own.abort();
          const release = await place;
          if (!release) return;
          taken += 1;
          expect(taken).toBeLessThanOrEqual(limit);
          await Promise.resolve();
          taken -= 1;
          release();
        });
        await Promise.all(work);
        const all = await Promise.all(Array.from({ length: limit + 1 }, () => acquire('a', limit)));
        expect(all.filter((one) => one !== undefined)).toHaveLength(limit);
      }),
    );
  });
});
