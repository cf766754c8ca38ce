import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** A mutant is done with at the first failure, so what fails is tried first, and what takes long is tried last. */
class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification): number => {
      const before = this.ctx.cache.getTestSpecificationResult(file);
      return before?.failed ? 0 : (before?.duration ?? 0);
    };
    return files.toSorted((a, b) => rank(a) - rank(b));
  }
}

/** The tests of one room, as `mutants.ts` names them: in this process, since a mutant lives in it, and without a build. */
export default defineConfig({
  root: join(import.meta.dirname, '..', '..'),
  test: {
    include: (process.env.MUTANTS_TESTS ?? 'tests/**/*.test.ts').split(' '),
    exclude: (process.env.MUTANTS_EXCLUDE ?? '').split(' '),
    testTimeout: 60_000,
    // Always the same few histories and few cases of a property: each mutant that lives goes through all of them.
    env: { HISTORIES: '40', SEED: '1', ZEN_WATCHER_TESTS: 'quick' },
    sequence: { sequencer: QuickFirst },
  },
});
