import type { KnownNames } from '../function/context.ts';

/** gc or a person may have deleted the object since, so a name is believed for this long at most. */
const believedFor = 600_000;

export interface KnownNamesOptions {
  readonly size: number;
  readonly now: () => number;
  readonly onEvict?: () => void;
}

/** A bounded LRU of names that the store has said exist. */
export function createKnownNames({ size, now, onEvict }: KnownNamesOptions): KnownNames & { count(): number } {
  const since = new Map<string, number>();
  return {
    has(name) {
      const at = since.get(name);
      if (at === undefined) return false;
      since.delete(name);
      if (now() - at >= believedFor) return false;
      since.set(name, at);
      return true;
    },
    add(name) {
      if (size === 0) return;
      since.delete(name);
      since.set(name, now());
      if (since.size <= size) return;
      const oldest = since.keys().next();
      if (!oldest.done) since.delete(oldest.value);
      onEvict?.();
    },
    count: () => since.size,
  };
}
