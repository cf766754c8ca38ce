import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Quick files notice most mutants, so that few are left for the others: vitest begins with those that take longest. */
class QuickestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toReversed();
  }
}

/** The tests of one room, as `try-mutants.ts` names them: one after the other, without a build. */
export default defineConfig({
  root: join(import.meta.dirname, '..', '..'),
  test: {
    include: (process.env.MUTANTS_TESTS ?? '').split(' '),
    exclude: (process.env.MUTANTS_EXCLUDE ?? '').split(' '),
    runner: join(import.meta.dirname, 'runner.ts'),
    isolate: process.env.MUTANTS_ISOLATE === 'yes',
    fileParallelism: false,
    sequence: { sequencer: QuickestFirst },
    // Of one run of a test: how often it is run again, each time with another mutant, is not in it.
    testTimeout: 60_000,
    // A mutant may keep what its test has started from ending at once.
    hookTimeout: 60_000,
    // Those of mutants, long after their test has ended.
    dangerouslyIgnoreUnhandledErrors: true,
    // Always the same few histories and few cases of a property: each mutant that lives goes through all of them.
    env: { HISTORIES: '15', SEED: '1', ZEN_WATCHER_TESTS: 'quick' },
  },
});
