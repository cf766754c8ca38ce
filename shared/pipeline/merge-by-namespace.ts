import type { KubernetesObject, Stored } from '../function/stores.ts';

/** What one namespace holds; the objects are read as they are asked for, all of them before the next namespace. */
export interface NamespaceGroup {
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly stored: readonly Stored[];
  readonly objects: AsyncIterable<KubernetesObject>;
  /** A list broke the order of namespaces (an aggregated API server may): what is stored here was given before. */
  readonly late: boolean;
}

interface Cursor<Item> {
  /** The next item, not yet taken. */
  peek(): Promise<Item | undefined>;
  take(): void;
}

function cursorOf<Item>(items: AsyncIterable<Item>): Cursor<Item> & { close(): Promise<void> } {
  const iterator = items[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<Item, unknown>> | undefined;
  return {
    async peek() {
      next ??= iterator.next();
      const result = await next;
      return result.done ? undefined : result.value;
    },
    take() {
      next = undefined;
    },
    async close() {
      await iterator.return?.();
    },
  };
}

/** The API server keeps objects under `<namespace>/<name>`, so `a-b` comes before `a`. */
function keyOf(namespace: string | undefined): string {
  return namespace === undefined || namespace === '' ? '' : `${namespace}/`;
}

const storedKey = (stored: Stored): string => keyOf(stored.ref.namespace);
const objectKey = (object: KubernetesObject): string => keyOf(object.metadata.namespace);

async function* takeWhileAt<Item>(cursor: Cursor<Item>, key: string, keyOfItem: (item: Item) => string) {
  for (let item = await cursor.peek(); item !== undefined && keyOfItem(item) === key; item = await cursor.peek()) {
    cursor.take();
    yield item;
  }
}

async function smallestKey(keys: readonly Promise<string | undefined>[]): Promise<string | undefined> {
  const present = (await Promise.all(keys)).filter((key) => key !== undefined);
  return present.length === 0 ? undefined : present.reduce((a, b) => (b < a ? b : a));
}

/**
 * Merges lists that are ordered by namespace into one group a namespace, holding no more than one namespace's stored
 * items and one object of each list.
 */
export async function* mergeByNamespace(
  stored: AsyncIterable<Stored>,
  lists: readonly AsyncIterable<KubernetesObject>[],
): AsyncGenerator<NamespaceGroup> {
  const storedCursor = cursorOf(stored);
  const cursors = lists.map(cursorOf);
  const nextKeys = () => [
    storedCursor.peek().then((item) => item && storedKey(item)),
    ...cursors.map((cursor) => cursor.peek().then((object) => object && objectKey(object))),
  ];
  try {
    // The stored items first: what is among them was reported before, so lists that begin now show whether it still is.
    await storedCursor.peek();
    let last = '';
    for (let key = await smallestKey(nextKeys()); key !== undefined; key = await smallestKey(nextKeys())) {
      const current = key;
      const group = await Array.fromAsync(takeWhileAt(storedCursor, current, storedKey));
      const objects = (async function* () {
        for (const cursor of cursors) yield* takeWhileAt(cursor, current, objectKey);
      })();
      yield { namespace: current.slice(0, -1), stored: group, objects, late: current < last };
      // Whatever the consumer left is dropped, so that the next group begins at the next namespace.
      for await (const _ of objects);
      last = current;
    }
  } finally {
    await Promise.all([storedCursor, ...cursors].map((cursor) => cursor.close()));
  }
}
