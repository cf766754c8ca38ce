import { describe, expect, it } from 'vitest';
import { mergeByNamespace } from '../../shared/pipeline/merge-by-namespace.ts';
import { createTestObjects } from './test-context.ts';

describe('mergeByNamespace', () => {
  it('begins to list objects only after the stored items have been listed', async () => {
    const order: string[] = [];
    async function* stored() {
      // As a call to the API server does, it answers later than it is asked.
      await new Promise((resolve) => setImmediate(resolve));
      order.push('stored');
      yield* [];
    }
    async function* objects() {
      order.push('objects');
      yield* createTestObjects().all;
    }
    await Array.fromAsync(mergeByNamespace(stored(), [objects()]));
    expect(order).toEqual(['stored', 'objects']);
  });
});
