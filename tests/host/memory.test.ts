import { describe, expect, it } from 'vitest';
import { collectingEarly } from '../../shared/host/memory.ts';

const mebibyte = 1_048_576;

/** Objects of so many bytes at least. */
function objects(bytes: number): string[][] {
  return Array.from({ length: Math.ceil(bytes / 512) }, (_, at) => Array.from({ length: 64 }, () => `${at}`));
}

describe('collectingEarly', () => {
  it('collects garbage once the heap has grown by more than a few MiB', async () => {
    const { promise: collected, resolve } = Promise.withResolvers<void>();
    const held: unknown[] = [];
    const work = async (): Promise<string> => {
      held.push(objects(24 * mebibyte));
      await collected;
      return 'done';
    };
    expect(await collectingEarly(work, resolve)).toBe('done');
    expect(held).toHaveLength(1);
  });

  it('only does the work where the collector is not exposed', async () => {
    expect(await collectingEarly(async () => 'done', undefined)).toBe('done');
  });

  it('passes on what the work throws', async () => {
    const work = (): Promise<string> => Promise.reject(new Error('broken'));
    await expect(collectingEarly(work, () => undefined)).rejects.toThrow('broken');
  });
});
