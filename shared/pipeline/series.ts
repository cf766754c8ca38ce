import { laterExpiry } from '../api/labels.ts';
import { seenWith } from '../api/series.ts';
import { contentHash } from '../finding/canonical-json.ts';
import type { SeriesAddition } from '../function/stores.ts';

/** How many Observations may have repeats that are not yet written. */
export const maxObservations = 5000;

/** How many events are remembered, at least. */
const maxEvents = 10_000;

const maxEventKey = 256;

/** What is to be added to one Observation. */
export interface Pending extends Omit<SeriesAddition, 'lastObservedTime'> {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly lastObserved: number;
}

/** Two that belong to one Observation; what was seen first stays. */
function united(a: Pending, b: Pending): Pending {
  return {
    ...a,
    count: a.count + b.count,
    lastObserved: Math.max(a.lastObserved, b.lastObserved),
    seen: seenWith(a.seen, b.seen),
    expires: laterExpiry(b.expires, a.expires) ?? a.expires,
  };
}

/** Remembers which events led to which finding: at least the latest `maxEvents`, and at most twice as many. */
export function createMemory(): (key: string) => boolean {
  let young = new Set<string>();
  let old = new Set<string>();
  return (long) => {
    const key = long.length <= maxEventKey ? long : contentHash(long);
    const isKnown = young.has(key) || old.has(key);
    young.add(key);
    if (young.size >= maxEvents) {
      old = young;
      young = new Set();
    }
    return isKnown;
  };
}

/**
 * Observations with repeats that are not yet written, at most `maxObservations`. The one that has been without a repeat
 * longest makes room for a new one.
 */
export function createBacklog() {
  const all = new Map<string, Pending>();
  return {
    /** Adds to what is there. Returns what had to make room. */
    add(pending: Pending): Pending | undefined {
      const key = keyOf(pending);
      const before = all.get(key);
      all.delete(key);
      all.set(key, before ? united(before, pending) : pending);
      if (all.size <= maxObservations) return undefined;
      const [oldest] = all;
      if (oldest) all.delete(oldest[0]);
      return oldest?.[1];
    },
    /** Removes and returns them, except those that have been written lately. */
    take(recent: ReadonlySet<string>): Pending[] {
      const taken = [...all].filter(([key]) => !recent.has(key));
      for (const [key] of taken) all.delete(key);
      return taken.map(([, pending]) => pending);
    },
    count: () => all.size,
  };
}

export function keyOf({ namespace, name }: Pending): string {
  return `${namespace}/${name}`;
}
