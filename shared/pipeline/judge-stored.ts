import { due, labels, outboxLabel } from '../api/labels.ts';
import type { Context } from '../function/context.ts';
import type { Acceptable } from '../function/exceptions.ts';
import { Refusal } from '../function/refusal.ts';
import type { ObservationsQuery, StoredObservation, StoredRef } from '../function/stores.ts';
import { type Exception, type ExceptionIndex, indexExceptions } from '../rules/exception.ts';
import { changeWhenJudged } from './acceptance.ts';
import { forEachConcurrently } from './concurrency.ts';
import { type Change, lifecycleOptions, withOutbox } from './lifecycle.ts';
import { unlessRefused } from './write.ts';

/** How often a change is tried again because somebody else has written the same Observation in between. */
const maxAttempts = 10;

/** Somebody waits for thousands of patches, and nothing else is done meanwhile. */
const patchesInFlight = 16;

/** With more namespaces than this, one list of all costs less. */
const maxNamespaces = 16;

/** How many Observations each exception matches, by its name. */
export type Matched = ReadonlyMap<string, number>;

/** What a stored Observation is judged by. A label says what one is about that is kept in the system namespace. */
function acceptableOf({ ref, labels: found, observation }: StoredObservation): Acceptable {
  return {
    spec: observation.spec,
    namespace: found[labels.namespace] ?? ref.namespace,
    hasState: found[labels.state] !== undefined,
  };
}

/** What has to be read: all that is marked, and all that an exception may match. */
function queriesFor(exceptions: readonly Exception[], { settings }: Context): readonly ObservationsQuery[] {
  const { WATCH_NAMESPACE: watched, SYSTEM_NAMESPACE: system } = settings;
  const namespaces = new Set(exceptions.map(({ namespace }) => namespace));
  if (namespaces.has(undefined) || namespaces.size > maxNamespaces) return [{ namespace: watched }];
  // What a namespace could not take is kept in the system namespace.
  const others = namespaces.size > 0 ? [...namespaces, system] : [];
  return [{ namespace: watched, isMarked: true }, ...others.map((namespace) => ({ namespace, isMarked: false }))];
}

/** All that may have to be changed. What is resolved is nobody's concern. */
async function* unresolved(exceptions: readonly Exception[], context: Context): AsyncGenerator<StoredObservation> {
  const { store, event } = context;
  for (const query of queriesFor(exceptions, context)) {
    for await (const stored of store.observations(query, event.signal)) {
      if (stored.labels[labels.state] !== 'resolved') yield stored;
    }
  }
}

function changeOf(stored: StoredObservation, index: ExceptionIndex, context: Context): Change | undefined {
  const [first] = index.accepting(acceptableOf(stored), context.clock.earliest());
  return changeWhenJudged(stored, first, lifecycleOptions(context));
}

/** Changes an Observation as exceptions say, and judges it anew whenever somebody else was quicker. */
async function change(found: StoredObservation, index: ExceptionIndex, context: Context): Promise<void> {
  const { store, event } = context;
  let current = found;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const needed = changeOf(current, index, context);
    if (!needed) return;
    const wanted = withOutbox(needed, current, context.announcedFrom);
    const { labels: changed, history, acceptance } = wanted;
    if (await store.patch(current, { labels: changed, history, acceptance }, event.signal)) {
      event.tally.relabelled(wanted.kind);
      if (wanted.labels[outboxLabel] === due) event.tally.due();
      return;
    }
    const { namespace, name }: StoredRef = current.ref;
    const [after] = await Array.fromAsync(store.observations({ namespace, name }, event.signal));
    if (!after) return;
    current = after;
  }
  throw new Refusal(503, 'an Observation keeps changing');
}

/**
 * Judges what is stored by these exceptions: accepts what they match, and opens what none of them does any more. Goes on
 * where one can't be changed. Resolves to how many each matches, of those that are not resolved.
 */
export async function judgeStored(exceptions: readonly Exception[], context: Context): Promise<Matched> {
  const index = indexExceptions(exceptions);
  const matched = new Map<string, number>();
  const now = context.clock.earliest();
  const inForce = exceptions.filter(({ endsAt }) => endsAt > now);

  async function* due(): AsyncGenerator<StoredObservation> {
    for await (const stored of unresolved(inForce, context)) {
      const all = index.accepting(acceptableOf(stored), now);
      for (const { name } of all) matched.set(name, (matched.get(name) ?? 0) + 1);
      if (changeWhenJudged(stored, all[0], lifecycleOptions(context))) yield stored;
    }
  }

  await forEachConcurrently(due(), patchesInFlight, (stored) =>
    unlessRefused(stored.ref.namespace, context, () => change(stored, index, context)),
  );
  return matched;
}
