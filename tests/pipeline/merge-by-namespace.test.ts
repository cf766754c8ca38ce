import { describe, expect, it } from 'vitest';
import type { KubernetesObject, Stored } from '../../shared/function/stores.ts';
import { type Listed, mergeByNamespace } from '../../shared/pipeline/merge-by-namespace.ts';
import { anObject, crate } from './test-sources.ts';

function aStored(name: string, namespace: string): Stored {
  return { ref: { namespace, name, uid: 'u', version: '1' }, labels: {}, hasAnnotations: false, createdAt: 0 };
}

/** A list that remembers how far it was read, and whether it was closed. */
function listOf<Item>(...items: readonly Item[]) {
  const state = { read: 0, isClosed: false };
  async function* read() {
    try {
      for (const item of items) {
        state.read += 1;
        yield item;
      }
    } finally {
      state.isClosed = true;
    }
  }
  return { state, items: read() };
}

async function* listed(objects: AsyncIterable<KubernetesObject>): AsyncGenerator<Listed> {
  for await (const object of objects) yield { object, isMetadata: false };
}

/** The groups as `<namespace>: <stored> | <objects>`. */
async function merged(stored: AsyncIterable<Stored>, lists: readonly AsyncIterable<KubernetesObject>[]) {
  const groups: string[] = [];
  for await (const group of mergeByNamespace(stored, lists.map(listed))) {
    const names = (await Array.fromAsync(group.objects)).map(({ object }) => object.metadata.name);
    const known = group.stored.map(({ ref }) => ref.name);
    groups.push(`${group.namespace}: ${known} | ${names}`);
  }
  return groups;
}

const inNamespace = (namespace: string) => anObject(namespace, { namespace });

/** An object, and the stored finding of it. */
function itemOf(name: string) {
  const object: KubernetesObject = { apiVersion: 'v1', kind: 'Thing', metadata: { name, namespace: 'shop' } };
  const stored: Stored = {
    ref: { namespace: 'shop', name, uid: name, version: '1' },
    labels: {},
    hasAnnotations: false,
    createdAt: 0,
  };
  return { object, stored };
}

describe('mergeByNamespace', () => {
  it('returns no stored finding without its object, even if both appear while the lists start', async () => {
    const all = [itemOf('before')];
    async function* stored() {
      // Responds later, like a call to the API server.
      await new Promise((resolve) => setImmediate(resolve));
      all.push(itemOf('meanwhile'));
      yield* all.map((item) => item.stored);
    }
    async function* objects() {
      yield* all.map(({ object }) => object);
    }
    const found: [stored: string[], objects: string[]][] = [];
    for await (const group of mergeByNamespace(stored(), [listed(objects())])) {
      const shown = await Array.fromAsync(group.objects);
      found.push([group.stored.map(({ ref }) => ref.name), shown.map(({ object }) => object.metadata.name)]);
    }
    expect(found).toEqual([
      [
        ['before', 'meanwhile'],
        ['before', 'meanwhile'],
      ],
    ]);
  });

  it('returns stored findings and objects, namespace by namespace, in the order of the API server', async () => {
    const stored = listOf(aStored('s1', 'a-b'), aStored('s2', 'a'), aStored('s3', 'a'), aStored('s4', 'c'));
    const first = listOf(inNamespace('a-b'), anObject('x', { namespace: 'a' }), inNamespace('b'));
    const second = listOf(anObject('y', { namespace: 'a' }), anObject('z', { namespace: 'a' }), inNamespace('d'));
    expect(await merged(stored.items, [first.items, second.items])).toEqual([
      'a-b: s1 | a-b',
      'a: s2,s3 | x,y,z',
      'b:  | b',
      'c: s4 | ',
      'd:  | d',
    ]);
  });

  it('starts with objects without a namespace', async () => {
    const crates = listOf(anObject('c', { resource: crate }), anObject('d', { namespace: '' }));
    const objects = listOf(inNamespace('a'));
    expect(await merged(listOf<Stored>().items, [objects.items, crates.items])).toEqual([':  | c,d', 'a:  | a']);
  });

  it('returns the objects of a list that is out of order in groups of their own', async () => {
    const stored = listOf(aStored('s1', 'a'), aStored('s2', 'b'));
    const objects = listOf(inNamespace('b'), inNamespace('a'), inNamespace('c'));
    expect(await merged(stored.items, [objects.items])).toEqual(['a: s1 | ', 'b: s2 | b', 'a:  | a', 'c:  | c']);
  });

  it('goes on to the next namespace even if the objects of one were not read', async () => {
    const objects = listOf(inNamespace('a'), anObject('more', { namespace: 'a' }), inNamespace('b'));
    const namespaces: string[] = [];
    for await (const { namespace } of mergeByNamespace(listOf<Stored>().items, [listed(objects.items)])) {
      namespaces.push(namespace);
    }
    expect(namespaces).toEqual(['a', 'b']);
  });

  it('reads no more than one object ahead, and closes all lists when the reader stops', async () => {
    const stored = listOf(aStored('s1', 'a'), aStored('s2', 'b'), aStored('s3', 'c'));
    const objects = listOf(inNamespace('a'), inNamespace('b'), inNamespace('c'));
    for await (const { namespace } of mergeByNamespace(stored.items, [listed(objects.items)])) {
      expect([namespace, stored.state.read, objects.state.read]).toEqual(['a', 2, 1]);
      break;
    }
    expect([stored.state.isClosed, objects.state.isClosed]).toEqual([true, true]);
  });

  it('throws the error of a list, and closes the others', async () => {
    async function* failing(): AsyncGenerator<KubernetesObject> {
      yield inNamespace('a');
      throw new Error('the list failed');
    }
    const objects = listOf(inNamespace('a'), inNamespace('b'));
    await expect(merged(listOf<Stored>().items, [objects.items, failing()])).rejects.toThrow('the list failed');
    expect(objects.state.isClosed).toBe(true);
  });

  it('accepts lists that cannot be closed', async () => {
    const item = { object: inNamespace('a'), isMetadata: false };
    const endless: AsyncIterable<Listed> = {
      [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: item }) }),
    };
    for await (const { namespace } of mergeByNamespace(listOf<Stored>().items, [endless])) {
      expect(namespace).toBe('a');
      break;
    }
  });
});
