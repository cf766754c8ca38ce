import fc from 'fast-check';
import { describe, it } from 'vitest';
import { history } from './histories.ts';
import { createTwins } from './twins.ts';

const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) };

describe('the lifecycle', () => {
  it('is what the model says, in 1,000 random histories', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const twins = createTwins();
        for (const step of steps) await twins.run(step);
        await twins.pass();
      }),
      { numRuns: Number(process.env.HISTORIES ?? 1000), ...seed },
    );
  });
});
