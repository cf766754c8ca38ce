/**
 * Limits requests in flight, by key. What it returns gives the function that releases the place, or `undefined` if
 * `limit` requests are in flight already.
 */
export function createInFlight(): (key: string, limit: number) => (() => void) | undefined {
  const inFlight = new Map<string, number>();
  return (key, limit) => {
    const count = inFlight.get(key) ?? 0;
    if (count >= limit) return undefined;
    inFlight.set(key, count + 1);
    return () => {
      inFlight.set(key, (inFlight.get(key) ?? 1) - 1);
    };
  };
}
