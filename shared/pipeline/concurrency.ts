/** How many API calls an event may have in flight. Measured: the API server's throughput is best with this many. */
export const callsInFlight = 8;

/**
 * Runs `work` for each item, at most `limit` at a time. After a failure no further item is started; once those that
 * were started have ended, the first failure is thrown.
 */
export async function forEachConcurrently<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    try {
      while (failures.length === 0) {
        const next = iterator.next();
        const { done, value } = next instanceof Promise ? await next : next;
        if (done) return;
        await work(value);
      }
    } catch (error) {
      failures.push(error);
    }
  };
  const workers = Array.isArray(items) ? Math.min(items.length, limit) : limit;
  await Promise.all(Array.from({ length: workers }, worker));
  if (failures.length === 0) return;
  await iterator.return?.();
  throw failures[0];
}
