import type { KnownNames } from '../function/context.ts';

/** How long a name is trusted, in milliseconds: gc or a person may have deleted the object since. */
const maxAge = 600_000;

export interface KnownNamesOptions {
  readonly size: number;
  readonly now: () => number;
  readonly onEvict?: () => void;
}

/** A bounded LRU cache of names that exist in the store. */
export function createKnownNames({ size, now, onEvict }: KnownNamesOptions): KnownNames & { count(): number } {
  const addedAt = new Map<string, number>();
  return {
    has(name) {
      const added = addedAt.get(name);
      if (added === undefined) return false;
      addedAt.delete(name);
      if (now() - added >= maxAge) return false;
      addedAt.set(name, added);
      return true;
    },
    add(name) {
      if (size === 0) return;
      addedAt.delete(name);
      addedAt.set(name, now());
      if (addedAt.size <= size) return;
      const oldest = addedAt.keys().next();
      if (!oldest.done) addedAt.delete(oldest.value);
      onEvict?.();
    },
    count: () => addedAt.size,
  };
}
