import fc from 'fast-check';
import { describe, it } from 'vitest';
import { history } from './histories.ts';
import { createTwins } from './twins.ts';

const { SEED, HISTORIES = '1000' } = process.env;

describe('the lifecycle', () => {
  it('is what the model says, in random histories', { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const { run, pass } = createTwins();
        for (const step of steps) await run(step);
        await pass();
        await pass();
      }),
      { numRuns: Number(HISTORIES), ...(SEED !== undefined && { seed: Number(SEED) }) },
    );
  });
});
