import * as z from 'zod';
import { group } from '../shared/api/group.ts';
import { expiresAt, labels } from '../shared/api/labels.ts';
import { severities } from '../shared/finding/severity.ts';
import type { Context } from '../shared/function/context.ts';
import { boundLabel, createCounts } from '../shared/function/count-rows.ts';
import { defineTask } from '../shared/function/definitions.ts';
import { Refusal } from '../shared/function/refusal.ts';
import { integer } from '../shared/function/settings.ts';
import type { Stored, StoredRef } from '../shared/function/stores.ts';
import type { Collection } from '../shared/function/tally.ts';
import { forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { eventCopies } from '../shared/pipeline/event-copies.ts';

/** Measured: deletes are fastest with this many in flight on a real API server. */
const deletesInFlight = 16;

const settingsSchema = z.object({ MAX_OBSERVATIONS: integer(1, 100_000_000).default(200_000) });

interface ToDelete {
  readonly ref: StoredRef;
  readonly source: string;
  readonly reason: 'ttl' | 'limit' | 'copy';
}

/**
 * Deletes expired Observations. If there are still more than MAX_OBSERVATIONS, deletes what matters least: resolved
 * findings, then missing ones, then events; but never open findings, which the next pass would only write again. Counts
 * what is left.
 */
export default defineTask<z.infer<typeof settingsSchema>>({
  name: 'gc',
  triggers: ({ GC_INTERVAL_MINUTES: minutes }) => [{ type: 'PingSource', minutes }],
  settings: settingsSchema,
  permissions: [{ group, resources: ['observations'], verbs: ['list', 'delete'] }],
  async handle(_event, context) {
    const census = createCensus(context);
    try {
      // Labels tell what has expired, so the rest can be counted at the same time.
      const removal = forEachConcurrently(expired(context), deletesInFlight, (one) => remove(one, census, context));
      // Wait for both even if one fails, since what is deleted must be counted.
      const [counted, removed] = await Promise.allSettled([countLive(census, context), removal]);
      if (removed.status === 'rejected') throw removed.reason;
      if (counted.status === 'rejected') throw counted.reason;
      const excess = counted.value;
      await forEachConcurrently(copies(context), deletesInFlight, (one) => remove(one, census, context));
      if (excess > 0) await enforceLimit(excess, census, context);
    } catch (error) {
      census.fail('list', error);
    }
    const { errors } = census.end();
    if (errors.length > 0) throw new Refusal(503, 'the garbage collection is incomplete');
  },
});

async function* expired(context: Context): AsyncGenerator<ToDelete> {
  for await (const { ref, source } of context.store.expired(context.clock.now(), context.event.signal)) {
    yield { ref, source, reason: 'ttl' };
  }
}

async function* copies(context: Context): AsyncGenerator<ToDelete> {
  for await (const { ref, labels: found } of eventCopies(context)) {
    yield { ref, source: found[labels.source] ?? 'unknown', reason: 'copy' };
  }
}

async function remove({ ref, source, reason }: ToDelete, census: Census, context: Context): Promise<void> {
  try {
    if (await context.store.delete(ref, context.event.signal)) census.deleted(source, reason);
  } catch (error) {
    census.fail('delete', error);
    if (context.event.signal.aborted) throw error;
  }
}

/** Counts all Observations by source and severity; resolves to the number above the limit (negative if below). */
async function countLive(census: Census, context: Context<z.infer<typeof settingsSchema>>): Promise<number> {
  let count = 0;
  const now = context.clock.now();
  for await (const stored of all(context)) {
    if (hasExpired(stored, now)) continue;
    census.live(stored);
    count += 1;
  }
  return count - context.settings.MAX_OBSERVATIONS;
}

function hasExpired({ labels: { [labels.expires]: label } }: Stored, now: number): boolean {
  return (expiresAt(label) ?? Number.POSITIVE_INFINITY) < now;
}

function all({ store, settings: { WATCH_NAMESPACE: namespace }, event: { signal } }: Context): AsyncIterable<Stored> {
  return store.names({ namespace }, signal);
}

/** What is deleted first has a smaller rank: by state, then severity, then age. */
function rankOf({ labels: { [labels.state]: state, [labels.severity]: severity }, createdAt }: Stored): number[] {
  const stateRank = state === 'resolved' ? 0 : state === 'missing' ? 1 : 2;
  const severityIndex = severities.map(String).indexOf(String(severity));
  return [stateRank, severityIndex === -1 ? 0 : severities.length - severityIndex, createdAt];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return (a[at] ?? 0) - (b[at] ?? 0);
}

async function enforceLimit(excess: number, census: Census, context: Context): Promise<void> {
  const candidates: { readonly one: ToDelete; readonly rank: number[] }[] = [];
  for await (const stored of all(context)) {
    if (stored.labels[labels.state] === 'open') continue;
    const source = stored.labels[labels.source] ?? 'unknown';
    candidates.push({ one: { ref: stored.ref, source, reason: 'limit' }, rank: rankOf(stored) });
  }
  candidates.sort((a, b) => compareRanks(a.rank, b.rank));
  const toDelete = candidates.slice(0, excess).map(({ one }) => one);
  const { tally } = context.event;
  tally.warning(`MAX_OBSERVATIONS is exceeded by ${excess}: deleting ${toDelete.length} that are not open findings`);
  if (toDelete.length < excess) {
    tally.warning('open findings alone exceed MAX_OBSERVATIONS: filter more, or raise it');
  }
  await forEachConcurrently(toDelete, deletesInFlight, (one) => remove(one, census, context));
}

/**
 * Limits for the labels of metrics: whoever writes an Observation chooses its source, and there may be many namespaces.
 */
const maxSources = 30;
const maxNamespaces = 30;

type Census = ReturnType<typeof createCensus>;

/**
 * Counts what exists, what was deleted and what failed, and reports that to the tally at the end, with bounded labels.
 */
function createCensus({
  settings: { MAX_OBSERVATIONS: limit },
  event: { tally },
}: Context<z.infer<typeof settingsSchema>>) {
  const deleted = createCounts('source', 'reason');
  const live = createCounts('source', 'severity');
  const open = createCounts('source', 'severity', 'namespace');
  const errors = createCounts('operation', 'errorType');
  return {
    deleted: (source: string, reason: ToDelete['reason']) => deleted.add(source, reason),
    live({ ref, labels: { [labels.source]: from, [labels.severity]: word, [labels.state]: state } }: Stored): void {
      const source = from ?? 'unknown';
      const severity = severities.find((one) => one === word) ?? 'UNKNOWN';
      live.add(source, severity);
      if (state !== 'missing' && state !== 'resolved') open.add(source, severity, ref.namespace);
    },
    fail: (operation: string, error: unknown) =>
      errors.add(operation, error instanceof Refusal ? String(error.status) : 'unexpected'),
    end(): Collection {
      const collection = {
        live: boundLabel(live.rows(), 'source', maxSources),
        open: boundLabel(boundLabel(open.rows(), 'source', maxSources), 'namespace', maxNamespaces),
        limit,
        errors: errors.rows(),
      };
      for (const { source, reason, count } of boundLabel(deleted.rows(), 'source', maxSources)) {
        tally.deleted(source, reason, count);
      }
      tally.collected(collection);
      return collection;
    },
  };
}
