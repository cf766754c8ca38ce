import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { collectingEarly } from '../../shared/host/memory.ts';
import { image } from './container.ts';

const mebibyte = 1_048_576;

/** Objects of so many bytes at least. */
function objects(bytes: number): string[][] {
  return Array.from({ length: Math.ceil(bytes / 512) }, (_, at) => Array.from({ length: 64 }, () => `${at}`));
}

describe('collectingEarly', () => {
  it('collects garbage once the heap has grown by more than a few MiB', async () => {
    let collected = false;
    const held: unknown[] = [];
    // V8 may collect what others have left meanwhile, so that only what is held on to makes the heap grow for certain.
    const work = async (): Promise<string> => {
      while (!collected) {
        held.push(objects(2 * mebibyte));
        await setImmediate();
      }
      return 'done';
    };
    const collect = (): void => {
      collected = true;
    };
    expect(await collectingEarly(work, collect)).toBe('done');
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
