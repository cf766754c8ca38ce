import type { KnownNames } from '../function/context.ts';

/** How long a name is trusted, in milliseconds: gc or a person may have deleted the object since. */
const maxAge = 600_000;

export interface KnownNamesOptions {
  readonly size: number;
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
  readonly onEvict?: () => void;
}

/** A bounded LRU cache of names that exist in the store. */
export function createKnownNames({ size, elapsed, onEvict }: KnownNamesOptions): KnownNames & { count(): number } {
  const entries = new Map<string, { readonly namespace: string; readonly addedAt: number }>();
  return {
    namespaceOf(name) {
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      entries.delete(name);
      if (elapsed() - entry.addedAt >= maxAge) return undefined;
      entries.set(name, entry);
      return entry.namespace;
    },
    add(name, namespace) {
      if (size === 0) return;
      entries.delete(name);
      entries.set(name, { namespace, addedAt: elapsed() });
      if (entries.size <= size) return;
      const oldest = entries.keys().next();
      if (!oldest.done) entries.delete(oldest.value);
      onEvict?.();
    },
    delete: (name) => void entries.delete(name),
    count: () => entries.size,
  };
}
