/** How many API calls one event may have in flight: what the API server's throughput measured best at. */
export const callsInFlight = 8;

/**
 * Runs `work` for each item, at most `limit` at once. The first failure stops it: no further item is begun, those that
 * were are waited for, then the failure is thrown.
 */
export async function forEachConcurrently<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const start = (item: Item): void => {
    const run: Promise<void> = work(item)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(run));
    running.add(run);
  };
  try {
    for await (const item of items) {
      if (running.size >= limit) await Promise.race(running);
      if (failures.length > 0) break;
      start(item);
    }
  } finally {
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
}
