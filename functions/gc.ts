import * as z from 'zod';
import { group } from '../shared/api/group.ts';
import { ingesters } from '../shared/api/ingester.ts';
import { expiresAt, labels, outboxLabel } from '../shared/api/labels.ts';
import { leases } from '../shared/api/lease.ts';
import { observationMappings } from '../shared/api/observation-mapping.ts';
import type { Context } from '../shared/function/context.ts';
import { defineTask, stateWrites } from '../shared/function/definitions.ts';
import { Refusal } from '../shared/function/refusal.ts';
import type { Stored, StoredRef } from '../shared/function/stores.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { eventCopies } from '../shared/pipeline/event-copies.ts';
import { unlessRefused } from '../shared/pipeline/write.ts';
import { mappingKinds, namedSource } from '../shared/rules/accepted-mappings.ts';
import { type Census, createCensus } from './gc/census.ts';
import { createSpares, inRemovalOrder, type Spare } from './gc/removal-order.ts';
import { collector, judgeSilence } from './gc/silence.ts';

/** Measured: deletes are fastest with this many in flight on a real API server. */
const deletesInFlight = 16;

/** How many are deleted before they are counted again, at most. */
const mostAtOnce = 500;

const hour = 3_600_000;

/**
 * Deletes expired Observations. Above nine tenths of MAX_OBSERVATIONS it deletes down to four fifths, what matters least
 * first (`removal-order.ts`); but never open findings that are more than LOW, which the next pass would only write again.
 * Counts what is left, and tells which sources have fallen silent.
 */
export default defineTask({
  name: collector,
  triggers: ({ GC_INTERVAL_MINUTES: minutes }) => [{ type: 'PingSource', minutes }],
  settings: z.object({}),
  permissions: [
    stateWrites,
    { group: leases.group, resources: [leases.plural], verbs: ['list'], scope: 'system' },
    { group, resources: [ingesters.plural, observationMappings.plural], verbs: ['list'] },
  ],
  seesOthers: true,
  collects: true,
  async handle(_event, context) {
    const isDone = await context.coalesce(0, async () => {
      await collect(context);
      return true;
    });
    if (!isDone) context.event.tally.skipped('coalesced');
  },
});

async function collect(context: Context): Promise<void> {
  const census = createCensus(context);
  try {
    // Labels tell what has expired, so the rest can be counted at the same time.
    const removal = forEachConcurrently(expired(context), deletesInFlight, (one) =>
      remove(one, 'ttl', census, context),
    );
    // Wait for both even if one fails, since what is deleted must be counted.
    const [counted, removed] = await Promise.allSettled([countLive(census, context), removal]);
    if (removed.status === 'rejected') throw removed.reason;
    if (counted.status === 'rejected') throw counted.reason;
    const { count, unlabelled, told } = counted.value;
    await forEachConcurrently(unlabelled, callsInFlight, (ref) => removeBySpec(ref, census, context));
    await forEachConcurrently(copies(context), deletesInFlight, (one) => remove(one, 'copy', census, context));
    if (isTooMany(count, context)) await enforceLimit(census, context);
    census.judged(await judgeSilence((slot) => told.has(slot), context));
  } catch (error) {
    census.fail('list', error);
  }
  const { errors } = census.end();
  if (errors.length > 0) throw new Refusal(503, 'the garbage collection is incomplete');
}

interface ToDelete {
  readonly ref: StoredRef;
  readonly source: string;
}

async function* expired({ store, clock, event }: Context): AsyncGenerator<ToDelete> {
  const now = clock.earliest();
  for await (const one of store.expired(now, event.signal)) {
    if (!one.isBeingDeleted && !isStillToBeTold(one, now)) yield one;
  }
}

/** What is to be told has an hour more for that. */
function isStillToBeTold({ labels: { [outboxLabel]: outbox, [labels.expires]: label } }: Stored, now: number): boolean {
  return outbox === 'due' && (expiresAt(label) ?? 0) + hour >= now;
}

async function* copies(context: Context): AsyncGenerator<ToDelete> {
  for await (const { ref, labels: found } of eventCopies(context)) {
    yield { ref, source: found[labels.source] ?? 'unknown' };
  }
}

async function remove(
  { ref, source }: ToDelete,
  reason: 'ttl' | 'limit' | 'copy',
  census: Census,
  context: Context,
): Promise<void> {
  try {
    await unlessRefused(ref.namespace, context, async () => {
      if (await context.store.delete(ref, context.event.signal)) census.deleted(source, reason);
    });
  } catch (error) {
    census.fail('delete', error);
    if (context.event.signal.aborted) throw error;
  }
}

/** Deletes one whose label doesn't say when it expires, if its spec says that it has. */
async function removeBySpec(ref: StoredRef, census: Census, context: Context): Promise<void> {
  const end = await context.store.endOf(ref, context.event.signal);
  if (end && end.endsAt < context.clock.earliest()) await remove({ ref, source: end.source }, 'ttl', census, context);
}

/** Counts all Observations by source and severity. Those whose label is no number can't be selected by it. */
async function countLive(census: Census, context: Context) {
  const unlabelled: StoredRef[] = [];
  /** The slots of what was said here and is still open. */
  const told = new Set<string>();
  let count = 0;
  const now = context.clock.earliest();
  for await (const stored of all(context)) {
    const label = stored.labels[labels.expires];
    const endsAt = expiresAt(label);
    if (endsAt !== undefined && endsAt < now) continue;
    if (label !== undefined && endsAt === undefined) unlabelled.push(stored.ref);
    if (stored.labels[labels.source] === collector) told.add(String(stored.labels[labels.report]));
    census.live(stored);
    count += 1;
  }
  return { count, unlabelled, told };
}

function all({ store, settings: { WATCH_NAMESPACE: namespace }, event: { signal } }: Context): AsyncIterable<Stored> {
  return store.names({ namespace }, signal);
}

function isTooMany(count: number, { settings: { MAX_OBSERVATIONS: limit } }: Context): boolean {
  return count * 10 > limit * 9;
}

/** Tells whether a source is a function's, or named by an ObservationMapping or Ingester. */
async function knownSources({ functions, cluster, settings, event }: Context) {
  const sources = new Set<string | undefined>(functions.map(({ name }) => name));
  for (const kind of mappingKinds) {
    for await (const object of cluster.objects.list(kind, settings.WATCH_NAMESPACE, event.signal)) {
      const source = namedSource(object);
      if (source !== undefined) sources.add(source);
    }
  }
  return (source: string | undefined): boolean => sources.has(source);
}

/**
 * Chooses from one list, which shows a single moment: what another collection deletes meanwhile must not be made up for.
 */
async function enforceLimit(census: Census, context: Context): Promise<void> {
  const { MAX_OBSERVATIONS: limit } = context.settings;
  const target = Math.floor((limit * 4) / 5);
  const spareOf = createSpares(await knownSources(context));
  const spares: Spare[] = [];
  let total = 0;
  for await (const stored of all(context)) {
    total += 1;
    const spare = spareOf(stored);
    if (spare && spare.reason !== 'event') spares.push(spare);
  }
  if (!isTooMany(total, context)) return;
  const excess = total - target;
  const first = inRemovalOrder(spares).slice(0, excess);
  const events = first.length < excess ? await chooseEvents(excess - first.length, spareOf, context) : [];
  const chosen = [...first, ...events];
  const { tally } = context.event;
  tally.warning(`${total} Observations are more than nine tenths of MAX_OBSERVATIONS: deleting ${chosen.length}`);
  if (chosen.length < excess) {
    tally.warning('open findings and recent events exceed four fifths of MAX_OBSERVATIONS: filter more, or raise it');
  }
  await removeDownTo(target, chosen, census, context);
}

/** Chooses at most so many events, and leaves a tenth of the limit. */
async function chooseEvents(count: number, spareOf: ReturnType<typeof createSpares>, context: Context) {
  const { store, settings, event } = context;
  const events: Spare[] = [];
  for await (const { rule, ...stored } of store.events(event.signal)) {
    const spare = spareOf(stored, rule);
    if (spare?.reason === 'event') events.push(spare);
  }
  const mayGo = Math.max(0, events.length - Math.floor(settings.MAX_OBSERVATIONS / 10));
  return inRemovalOrder(events).slice(0, Math.min(count, mayGo));
}

/** Counts again and again, and ever more often, since another collection may delete at the same time. */
async function removeDownTo(target: number, chosen: readonly Spare[], census: Census, context: Context): Promise<void> {
  const { store, settings, event } = context;
  let done = 0;
  while (done < chosen.length) {
    const left = (await store.count(settings.WATCH_NAMESPACE, event.signal)) - target;
    if (left <= 0) return;
    const next = chosen.slice(done, done + Math.min(mostAtOnce, Math.ceil(left / 2)));
    done += next.length;
    await forEachConcurrently(next, deletesInFlight, (one) => remove(one, 'limit', census, context));
  }
}
