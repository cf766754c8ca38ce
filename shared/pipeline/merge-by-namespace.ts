import type { KubernetesObject, Stored } from '../function/stores.ts';

/** An object as a list has it. */
export interface Listed {
  readonly object: KubernetesObject;
  /** Whether only its metadata is there. */
  readonly isMetadata: boolean;
}

/** The contents of a namespace. The objects are read lazily, and must be read before the next namespace is. */
export interface NamespaceGroup {
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly stored: readonly Stored[];
  readonly objects: AsyncIterable<Listed>;
}

interface Cursor<Item> {
  /** The next item, which stays the next one until `take`. */
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

/** The sort key of a namespace. The API server sorts by `<namespace>/<name>`, so `a-b` comes before `a`. */
function namespaceKey(namespace: string | undefined): string {
  return namespace === undefined || namespace === '' ? '' : `${namespace}/`;
}

const storedKey = (stored: Stored): string => namespaceKey(stored.ref.namespace);
const objectKey = ({ object }: Listed): string => namespaceKey(object.metadata.namespace);

async function* takeWhileAt<Item>(cursor: Cursor<Item>, key: string, keyOfItem: (item: Item) => string) {
  for (let item = await cursor.peek(); item !== undefined && keyOfItem(item) === key; item = await cursor.peek()) {
    cursor.take();
    yield item;
  }
}

async function takeAllAt<Item>(cursor: Cursor<Item>, key: string, keyOfItem: (item: Item) => string): Promise<Item[]> {
  const items: Item[] = [];
  for (let item = await cursor.peek(); item !== undefined && keyOfItem(item) === key; item = await cursor.peek()) {
    cursor.take();
    items.push(item);
  }
  return items;
}

async function smallestKey(keys: readonly Promise<string | undefined>[]): Promise<string | undefined> {
  const present = (await Promise.all(keys)).filter((key) => key !== undefined);
  return present.length === 0 ? undefined : present.reduce((a, b) => (b < a ? b : a));
}

/**
 * Merges lists that are ordered by namespace into one group per namespace. Holds only one namespace's stored items, and
 * one object of each list, in memory. A list that is not ordered by
 * namespace (an aggregated API server's may not be) gives a namespace in several groups.
 */
export async function* mergeByNamespace(
  stored: AsyncIterable<Stored>,
  lists: readonly AsyncIterable<Listed>[],
): AsyncGenerator<NamespaceGroup> {
  const storedCursor = cursorOf(stored);
  const cursors = lists.map(cursorOf);
  const nextKeys = () => [
    storedCursor.peek().then((item) => item && storedKey(item)),
    ...cursors.map((cursor) => cursor.peek().then((object) => object && objectKey(object))),
  ];
  try {
    // List the stored items first: they were reported before, so object lists that start later show if they still are.
    await storedCursor.peek();
    for (let key = await smallestKey(nextKeys()); key !== undefined; key = await smallestKey(nextKeys())) {
      const current = key;
      const group = await takeAllAt(storedCursor, current, storedKey);
      const objects = (async function* () {
        for (const cursor of cursors) yield* takeWhileAt(cursor, current, objectKey);
      })();
      yield { namespace: current.slice(0, -1), stored: group, objects };
      // Skip whatever the consumer has not read, so that the next group starts at the next namespace.
      for await (const _ of objects);
    }
  } finally {
    await Promise.all([storedCursor, ...cursors].map((cursor) => cursor.close()));
  }
}
