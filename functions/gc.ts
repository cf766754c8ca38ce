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

/** Measured best for deletes on a real API server. */
const deletesInFlight = 16;

const settings = z.object({ MAX_OBSERVATIONS: integer(1, 100_000_000).default(200_000) });

interface ToDelete {
  readonly ref: StoredRef;
  readonly source: string;
  readonly reason: 'ttl' | 'limit';
}

/**
 * Removes what has outlived its TTL, then, above MAX_OBSERVATIONS, what can best be spared: resolved and missing
 * findings, then events; never an open finding, which the next pass would only write again. Counts what lives.
 */
export default defineTask<z.infer<typeof settings>>({
  name: 'gc',
  triggers: ({ GC_INTERVAL_MINUTES: minutes }) => [{ type: 'PingSource', minutes }],
  settings,
  permissions: [{ group, resources: ['observations'], verbs: ['list', 'delete'] }],
  async handle(_event, context) {
    const census = createCensus(context);
    try {
      // What is due is told by its label, so that what lives can be counted meanwhile.
      const removal = forEachConcurrently(expired(context), deletesInFlight, (one) => remove(one, census, context));
      // Both to their end, whatever becomes of the other: what is deleted is counted, too.
      const [counted, removed] = await Promise.allSettled([countLive(census, context), removal]);
      if (removed.status === 'rejected') throw removed.reason;
      if (counted.status === 'rejected') throw counted.reason;
      const excess = counted.value;
      if (excess > 0) await enforceLimit(excess, census, context);
    } catch (error) {
      census.fail('list', error);
    }
    const { errors } = census.end();
    if (errors.length > 0) throw new Refusal(503, 'the garbage collection is not complete');
  },
});

async function* expired(context: Context): AsyncGenerator<ToDelete> {
  for await (const { ref, source } of context.store.expired(context.clock.now(), context.event.signal)) {
    yield { ref, source, reason: 'ttl' };
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

/** Counts all Observations by source and severity; resolves to how many there are too many. */
async function countLive(census: Census, context: Context<z.infer<typeof settings>>): Promise<number> {
  let count = 0;
  const now = context.clock.now();
  for await (const stored of all(context)) {
    if (isDue(stored, now)) continue;
    census.live(stored);
    count += 1;
  }
  return count - context.settings.MAX_OBSERVATIONS;
}

function isDue({ labels: { [labels.expires]: label } }: Stored, now: number): boolean {
  return (expiresAt(label) ?? Number.POSITIVE_INFINITY) < now;
}

function all({ store, settings: { WATCH_NAMESPACE: namespace }, event: { signal } }: Context): AsyncIterable<Stored> {
  return store.names({ namespace }, signal);
}

/** Smaller goes first: by kind, then severity, then age. */
function rankOf({ labels: { [labels.state]: state, [labels.severity]: severity }, createdAt }: Stored): number[] {
  const kind = state === 'resolved' ? 0 : state === 'missing' ? 1 : 2;
  const rank = severities.map(String).indexOf(String(severity));
  return [kind, rank === -1 ? 0 : severities.length - rank, createdAt];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return (a[at] ?? 0) - (b[at] ?? 0);
}

async function enforceLimit(excess: number, census: Census, context: Context): Promise<void> {
  const spare: { readonly one: ToDelete; readonly rank: number[] }[] = [];
  for await (const stored of all(context)) {
    if (stored.labels[labels.state] === 'open') continue;
    const source = stored.labels[labels.source] ?? 'unknown';
    spare.push({ one: { ref: stored.ref, source, reason: 'limit' }, rank: rankOf(stored) });
  }
  spare.sort((a, b) => compareRanks(a.rank, b.rank));
  const toDelete = spare.slice(0, excess).map(({ one }) => one);
  const { tally } = context.event;
  tally.warning(`MAX_OBSERVATIONS is exceeded by ${excess}: ${toDelete.length} that can be spared are removed`);
  if (toDelete.length < excess) {
    tally.warning('open findings alone exceed MAX_OBSERVATIONS: filter more, or raise it');
  }
  await forEachConcurrently(toDelete, deletesInFlight, (one) => remove(one, census, context));
}

/** Who may write Observations chooses their sources, and there are as many namespaces as users like: metrics have these. */
const mostSources = 30;
const mostNamespaces = 30;

type Census = ReturnType<typeof createCensus>;

/** What lives, what goes, and what went wrong, told to the tally at the end in labels of a bounded number. */
function createCensus({ settings: { MAX_OBSERVATIONS: limit }, event: { tally } }: Context<z.infer<typeof settings>>) {
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
        live: boundLabel(live.rows(), 'source', mostSources),
        open: boundLabel(boundLabel(open.rows(), 'source', mostSources), 'namespace', mostNamespaces),
        limit,
        errors: errors.rows(),
      };
      for (const { source, reason, count } of boundLabel(deleted.rows(), 'source', mostSources)) {
        tally.deleted(source, reason, count);
      }
      tally.collected(collection);
      return collection;
    },
  };
}
