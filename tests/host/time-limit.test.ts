import { describe, expect, it } from 'vitest';
import { withTimeLimit } from '../../shared/host/time-limit.ts';

describe('withTimeLimit', () => {
  it('has the result of work that is done in time', async () => {
    expect(await withTimeLimit(600_000, async () => 'done')).toBe('done');
    await expect(withTimeLimit(600_000, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  });

  it('gives up work that never ends, and tells it so', async () => {
    let given: AbortSignal | undefined;
    const work = (signal: AbortSignal) => {
      given = signal;
      return new Promise(() => undefined);
    };
    await expect(withTimeLimit(1, work)).rejects.toThrow('no answer in time');
    expect(given?.aborted).toBe(true);
  });
});
