interface Places {
  taken: number;
  /** Who waits for one, in order. */
  readonly waiting: Set<() => void>;
}

type Release = () => void;

/**
 * Limits requests in flight, by key. What it returns resolves to the function that releases the place. If `limit` requests
 * are in flight already, it resolves to `undefined`: at once, or when `waiting` aborts before a place is free.
 */
export function createInFlight(): (key: string, limit: number, waiting?: AbortSignal) => Promise<Release | undefined> {
  const byKey = new Map<string, Places>();

  /** The place goes to whoever has waited longest. */
  function releaseOf(places: Places): Release {
    return () => {
      const [next] = places.waiting;
      if (next) next();
      else places.taken -= 1;
    };
  }

  function wait(places: Places, signal: AbortSignal): Promise<Release | undefined> {
    return new Promise((resolve) => {
      const leave = (release?: Release): void => {
        signal.removeEventListener('abort', give);
        places.waiting.delete(take);
        resolve(release);
      };
      const give = (): void => leave();
      const take = (): void => leave(releaseOf(places));
      places.waiting.add(take);
      signal.addEventListener('abort', give);
    });
  }

  return async (key, limit, waiting) => {
    const places = byKey.get(key) ?? { taken: 0, waiting: new Set() };
    byKey.set(key, places);
    if (places.taken >= limit) return waiting?.aborted === false ? wait(places, waiting) : undefined;
    places.taken += 1;
    return releaseOf(places);
  };
}
