import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** The tests of one room, as `mutants.ts` names them: in this process, since a mutant lives in it, and without a build. */
export default defineConfig({
  root: join(import.meta.dirname, '..', '..'),
  test: {
    include: (process.env.MUTANTS_TESTS ?? 'tests/**/*.test.ts').split(' '),
    exclude: (process.env.MUTANTS_EXCLUDE ?? '').split(' '),
    testTimeout: 20_000,
  },
});
