/** Counts requests in flight by key: `undefined` when `limit` are, else the function that gives the place back. */
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
