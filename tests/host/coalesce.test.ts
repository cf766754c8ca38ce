import { describe, expect, it } from 'vitest';
import { createCoalescer } from '../../shared/host/coalesce.ts';

function create() {
  const clock = { now: 0 };
  const coalesce = createCoalescer({
    elapsed: () => clock.now,
    async sleep(milliseconds) {
      clock.now += milliseconds;
    },
    signal: new AbortController().signal,
  });
  return { clock, coalesce };
}

describe('coalescing', () => {
  it('runs once for all who ask while a run is under way, and not before the interval is over', async () => {
    const { clock, coalesce } = create();
    const runs: number[] = [];
    let finish: () => void = () => undefined;
    const first = coalesce(
      10_000,
      () =>
        new Promise<string>((resolve) => {
          runs.push(clock.now);
          finish = () => resolve('first');
        }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    const later = [1, 2, 3].map((number) =>
      coalesce(10_000, async () => {
        runs.push(clock.now);
        return `later ${number}`;
      }),
    );
    clock.now = 3000;
    finish();
    expect(await first).toBe('first');
    expect(await Promise.all(later)).toEqual(['later 1', undefined, undefined]);
    const [began = 0, ...others] = runs;
    expect(others).toHaveLength(1);
    expect(others[0]).toBeGreaterThanOrEqual(began + 10_000);
    expect(others[0]).toBeLessThan(began + 20_000);
  });

  it('fails for all who wait for a run that fails, and runs again for the next', async () => {
    const { coalesce } = create();
    const failing = [1, 2].map(() => coalesce(1000, () => Promise.reject(new Error('no'))));
    expect((await Promise.allSettled(failing)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await coalesce(1000, async () => 'again')).toBe('again');
  });
});
