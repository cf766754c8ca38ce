import type { KnownNames } from '../function/context.ts';

/**
 * How long a name is trusted to be in the store, in milliseconds, though a person may delete it at any time. A little more
 * than a heartbeat of repeats, which looks as well: so what goes on is looked at once a minute, and an alert that comes
 * after a deletion is taken for a repeat for so long at most.
 */
const recentMilliseconds = 90_000;

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
