import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { SourceDefinition } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { defineSource } from '../../shared/pipeline/source.ts';
import { createTestContext, handled, ping } from './test-context.ts';
import { box, found } from './test-sources.ts';

const source: SourceDefinition<unknown, object> = {
  name: 'boxes',
  triggers: ({ RESYNC_INTERVAL_MINUTES: minutes }) => [
    { type: 'ApiServerSource', kinds: [box] },
    { type: 'PingSource', minutes },
  ],
  settings: z.object({}),
  schema: z.unknown(),
  normalize: () => ({ findings: [], skipped: {} }),
};

describe('defineSource', () => {
  it('declares a function that reads filters and exceptions, and nothing else besides what triggers it', () => {
    const defined = defineSource(source);
    expect(defined).toMatchObject({ kind: 'source', name: 'boxes', permissions: [], source });
    const settings = parseSettings({}, z.object({}), []);
    expect(defined.triggers(settings)).toEqual([
      { type: 'ApiServerSource', kinds: [box] },
      { type: 'PingSource', minutes: 60 },
    ]);
    expect(defined.watches?.(settings).map(({ plural }) => plural)).toEqual([
      'observationfilters',
      'observationexceptions',
    ]);
  });

  it('takes for an event what is neither a reference nor a ping, and leaves a pass to one that has just begun', async () => {
    const defined = defineSource(source);
    const { context } = createTestContext(defined, { context: { coalesce: async () => undefined } });
    expect(await handled(defined, ping, context)).toMatchObject({ skipped: { coalesced: 1 } });
    expect(await handled(defined, found([]), context)).toMatchObject({ skipped: { nothing_reported: 1 } });
    const { context: free } = createTestContext(defined);
    expect((await handled(defined, ping, free)).skipped).toEqual({});
  });
});
