import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: join(import.meta.dirname, '..'),
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/global-setup.ts'],
    setupFiles: ['tests/setup.ts'],
    // So long that a machine whose cores are taken by others still does it: what hangs fails all the same.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: more workers only make the real components slow enough to miss a bound.
    maxWorkers: 2,
  },
});
