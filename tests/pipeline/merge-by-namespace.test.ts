import { describe, expect, it } from 'vitest';
import type { KubernetesObject, Stored } from '../../shared/function/stores.ts';
import { mergeByNamespace } from '../../shared/pipeline/merge-by-namespace.ts';

/** An object, and what is stored of it. */
function itemOf(name: string) {
  const object: KubernetesObject = { apiVersion: 'v1', kind: 'Thing', metadata: { name, namespace: 'shop' } };
  const stored: Stored = { ref: { namespace: 'shop', name, uid: name, version: '1' }, labels: {}, createdAt: 0 };
  return { object, stored };
}

describe('mergeByNamespace', () => {
  it('shows nothing stored without its object, though both may come while it begins', async () => {
    const all = [itemOf('before')];
    async function* stored() {
      // As a call to the API server does, it answers later than it is asked.
      await new Promise((resolve) => setImmediate(resolve));
      all.push(itemOf('meanwhile'));
      yield* all.map((item) => item.stored);
    }
    async function* objects() {
      yield* all.map(({ object }) => object);
    }
    const found: [stored: string[], objects: string[]][] = [];
    for await (const group of mergeByNamespace(stored(), [objects()])) {
      const shown = await Array.fromAsync(group.objects);
      found.push([group.stored.map(({ ref }) => ref.name), shown.map(({ metadata }) => metadata.name)]);
    }
    expect(found).toEqual([
      [
        ['before', 'meanwhile'],
        ['before', 'meanwhile'],
      ],
    ]);
  });
});
