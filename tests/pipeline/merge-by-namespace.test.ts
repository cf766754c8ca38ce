import { describe, expect, it } from 'vitest';
import { mergeByNamespace } from '../../shared/pipeline/merge-by-namespace.ts';
import { createTestObjects } from './test-context.ts';

describe('mergeByNamespace', () => {
  it('starts to list objects only after the list of stored items has arrived', async () => {
    const order: string[] = [];
    async function* stored() {
      // Responds later, like a call to the API server.
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
