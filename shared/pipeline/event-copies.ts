import { labels } from '../api/labels.ts';
import type { Context } from '../function/context.ts';
import type { Stored } from '../function/stores.ts';

/** Whether it tells of an event, which has no state, and is where it isn't meant to be. */
function isMisplaced(
  { ref, labels: found }: Stored,
  { EVENT_NAMESPACE, SYSTEM_NAMESPACE }: Context['settings'],
): boolean {
  if (found[labels.source] === undefined || found[labels.state] !== undefined) return false;
  // With the other setting only the system namespace is looked at.
  return EVENT_NAMESPACE === 'system' ? ref.namespace !== SYSTEM_NAMESPACE : found[labels.namespace] !== undefined;
}

/**
 * What events have told twice: in the namespace that `EVENT_NAMESPACE` means and, because that could not take it or the
 * setting was another one, in the other. Yields the other one.
 */
export async function* eventCopies({ store, settings, event }: Context): AsyncGenerator<Stored> {
  const { EVENT_NAMESPACE, SYSTEM_NAMESPACE: system, WATCH_NAMESPACE: watched } = settings;
  const misplaced = new Map<string, Stored>();
  const isOutside = EVENT_NAMESPACE === 'system';
  for await (const stored of store.names({ namespace: isOutside ? watched : system }, event.signal)) {
    if (isMisplaced(stored, settings)) misplaced.set(stored.ref.name, stored);
  }
  const homes = new Set([...misplaced.values()].map((one) => (isOutside ? system : one.labels[labels.namespace])));
  for (const namespace of homes) {
    for await (const { ref } of store.names({ namespace }, event.signal)) {
      const copy = misplaced.get(ref.name);
      if (copy && copy.ref.namespace !== ref.namespace) yield copy;
    }
  }
}
