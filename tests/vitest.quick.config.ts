import { defineConfig, mergeConfig } from 'vitest/config';
import whole from './vitest.config.ts';

/**
 * The greater part of the tests, in less than a minute: without a real API server and whatever else Go builds, and without
 * what takes long by its nature.
 */
export default mergeConfig(
  whole,
  defineConfig({
    test: {
      env: { ZEN_WATCHER_TESTS: 'quick' },
      // A process for each file takes as long as its tests.
      isolate: false,
      exclude: [
        'tests/cluster/**',
        'tests/page/**',
        'tests/facts/openapi.test.ts',
        'tests/knative/{alerts,chart,combinations,documented-patches,image}.test.ts',
        'tests/host/{attacks,bounds,config,kill,limits,prometheus,short-lives,start,streams,user-errors}.test.ts',
        'tests/local/{alertmanager,faults,observations-command,terminal,tool-files}.test.ts',
        'tests/functions/{changed-reports,properties}.test.ts',
        'tests/pipeline/{large-report,model,repeats,rollouts,telling}.test.ts',
        'tests/supply/**',
      ],
    },
  }),
);
