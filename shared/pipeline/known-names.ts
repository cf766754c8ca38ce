import type { KnownNames } from '../function/context.ts';

/**
 * How long a name is trusted to be in the store, in milliseconds: who is told that an alert is stored must find it there,
 * though a person may delete it at any time. So it only saves calls where one alert comes many times a second.
 */
const recentMilliseconds = 1000;

export interface KnownNamesOptions {
  readonly size: number;
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
  readonly onEvict?: () => void;
}

/** A bounded LRU cache of names that were in the store. */
export function createKnownNames({ size, elapsed, onEvict }: KnownNamesOptions): KnownNames & { count(): number } {
  const entries = new Map<string, { readonly namespace: string; readonly seenAt: number }>();
  return {
    find(name) {
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      entries.delete(name);
      entries.set(name, entry);
      return { namespace: entry.namespace, isRecent: elapsed() - entry.seenAt < recentMilliseconds };
    },
    add(name, namespace) {
      if (size === 0) return;
      entries.delete(name);
      entries.set(name, { namespace, seenAt: elapsed() });
      for (const oldest of entries.keys()) {
        if (entries.size <= size) return;
        entries.delete(oldest);
        onEvict?.();
      }
    },
    delete: (name) => void entries.delete(name),
    count: () => entries.size,
  };
}
