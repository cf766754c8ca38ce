import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pingOf } from '../../shared/function/cloud-event.ts';
import { createDispatcher } from '../../shared/host/dispatch.ts';
import { createLog } from '../../shared/host/log.ts';
import { collectingEarly } from '../../shared/host/memory.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import { events } from '../pipeline/test-sources.ts';
import { image } from './container.ts';

const mebibyte = 1_048_576;

/** Objects of so many bytes at least. */
function objects(bytes: number): string[][] {
  return Array.from({ length: Math.ceil(bytes / 512) }, (_, at) => Array.from({ length: 64 }, () => `${at}`));
}

/**
 * Work that makes the heap grow until `collect` is called. V8 may collect what others have left meanwhile, so that only
 * what is held on to makes it grow for certain.
 */
function growing() {
  let collected = false;
  const held: unknown[] = [];
  return {
    held,
    async work(): Promise<string> {
      while (!collected) {
        held.push(objects(2 * mebibyte));
        await setImmediate();
      }
      return 'done';
    },
    collect(): void {
      collected = true;
    },
  };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('collectingEarly', () => {
  it('collects garbage once the heap has grown by more than a few MiB', async () => {
    const { held, work, collect } = growing();
    expect(await collectingEarly(work, collect)).toBe('done');
    expect(held.length).toBeGreaterThan(2);
  });

  it('is how a pass is done', async () => {
    const { held, work, collect } = growing();
    vi.stubGlobal('gc', collect);
    const definition = {
      ...events,
      async handle() {
        await work();
      },
    };
    const dispatcher = createDispatcher(createLog('FATAL', 'test', { write: () => undefined }), createMetrics());
    const { context } = createTestContext(events);
    const ping = pingOf(events.name, 'zen-system', 0);
    await dispatcher.handle({ definition, triggers: [], context, hint: () => undefined }, ping, AbortSignal.any([]));
    expect(held.length).toBeGreaterThan(2);
  });

  it('can do so in the image', () => {
    expect(image.arguments()).toContain('--expose-gc');
  });

  it('only does the work where the collector is not exposed', async () => {
    expect(await collectingEarly(async () => 'done', undefined)).toBe('done');
  });

  it('passes on what the work throws', async () => {
    const work = (): Promise<string> => Promise.reject(new Error('broken'));
    await expect(collectingEarly(work, () => undefined)).rejects.toThrow('broken');
  });
});
