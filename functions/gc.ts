import * as z from 'zod';
import type { Context } from '../shared/function/context.ts';
import { boundLabel, createCounts } from '../shared/function/count-rows.ts';
import { defineFunction } from '../shared/function/function-definition.ts';
import { Refusal } from '../shared/function/refusal.ts';
import { integer } from '../shared/function/settings.ts';
import type { Stored, StoredRef } from '../shared/function/stores.ts';
import { type Summary, summaryOf } from '../shared/function/summary.ts';
import { expiresAt, labels } from '../shared/observation/labels.ts';
import { severities } from '../shared/observation/severity.ts';
import { forEachConcurrently } from '../shared/pipeline/concurrency.ts';

/** Measured best for deletes on a real API server. */
const deletesInFlight = 16;

const settings = z.object({ MAX_OBSERVATIONS: integer(1, 100_000_000).default(200_000) });

interface Doomed {
  readonly ref: StoredRef;
  readonly source: string;
  readonly reason: 'ttl' | 'limit';
}

/**
 * Removes what has outlived its TTL, then, above MAX_OBSERVATIONS, what can best be spared: resolved and missing
 * findings, then events; never an open finding, which the next pass would only write again. Counts what lives.
 */
export default defineFunction({
  name: 'gc',
  triggers: [{ type: 'PingSource', schedule: 'GC_INTERVAL_MINUTES' }],
  settings,
  permissions: [{ group: 'zen.kube-zen.io', resources: ['observations'], verbs: ['list', 'delete'] }],
  async handle(_event, context) {
    const tally = createTally(context.settings.MAX_OBSERVATIONS);
    try {
      // What is due is told by its label, so that what lives can be counted meanwhile.
      const removal = forEachConcurrently(expired(context), deletesInFlight, (doomed) =>
        remove(doomed, tally, context),
      );
      // Both to their end, whatever becomes of the other: what is deleted is counted, too.
      const [counted, removed] = await Promise.allSettled([countLive(tally, context), removal]);
      if (removed.status === 'rejected') throw removed.reason;
      if (counted.status === 'rejected') throw counted.reason;
      const excess = counted.value;
      if (excess > 0) await enforceLimit(excess, tally, context);
    } catch (error) {
      tally.fail('list', error);
    }
    const summary = tally.summary();
    if (tally.hasFailed()) throw new Refusal(503, 'the garbage collection is not complete', { summary });
    return summary;
  },
});

async function* expired(context: Context): AsyncGenerator<Doomed> {
  for await (const { ref, source } of context.store.expired(context.now(), context.signal)) {
    yield { ref, source, reason: 'ttl' };
  }
}

async function remove({ ref, source, reason }: Doomed, tally: Tally, context: Context): Promise<void> {
  try {
    if (await context.store.delete(ref, context.signal)) tally.deleted(source, reason);
  } catch (error) {
    tally.fail('delete', error);
    if (context.signal.aborted) throw error;
  }
}

/** Counts all Observations by source and severity; resolves to how many there are too many. */
async function countLive(tally: Tally, context: Context<z.infer<typeof settings>>): Promise<number> {
  let count = 0;
  const now = context.now();
  for await (const stored of all(context)) {
    if (isDue(stored, now)) continue;
    tally.live(stored);
    count += 1;
  }
  return count - context.settings.MAX_OBSERVATIONS;
}

function isDue({ labels: { [labels.expires]: label } }: Stored, now: number): boolean {
  return (expiresAt(label) ?? Number.POSITIVE_INFINITY) < now;
}

function all({ store, settings: { WATCH_NAMESPACE: namespace }, signal }: Context): AsyncIterable<Stored> {
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

async function enforceLimit(excess: number, tally: Tally, context: Context): Promise<void> {
  const spare: { readonly doomed: Doomed; readonly rank: number[] }[] = [];
  for await (const stored of all(context)) {
    if (stored.labels[labels.state] === 'open') continue;
    const source = stored.labels[labels.source] ?? 'unknown';
    spare.push({ doomed: { ref: stored.ref, source, reason: 'limit' }, rank: rankOf(stored) });
  }
  spare.sort((a, b) => compareRanks(a.rank, b.rank));
  const doomed = spare.slice(0, excess).map((entry) => entry.doomed);
  tally.warn(`MAX_OBSERVATIONS is exceeded by ${excess}: ${doomed.length} that can be spared are removed`);
  if (doomed.length < excess) tally.warn('open findings alone exceed MAX_OBSERVATIONS: filter more, or raise it');
  await forEachConcurrently(doomed, deletesInFlight, (entry) => remove(entry, tally, context));
}

type Tally = ReturnType<typeof createTally>;

/** Who may write Observations chooses their sources, and there are as many namespaces as users like: metrics have these. */
const mostSources = 30;
const mostNamespaces = 30;

function createTally(limit: number) {
  const deleted = createCounts('source', 'reason');
  const live = createCounts('source', 'severity');
  const open = createCounts('source', 'severity', 'namespace');
  const errors = createCounts('operation', 'errorType');
  const warnings: string[] = [];
  return {
    deleted: (source: string, reason: Doomed['reason']) => deleted.add(source, reason),
    live({ ref, labels: { [labels.source]: from, [labels.severity]: word, [labels.state]: state } }: Stored): void {
      const source = from ?? 'unknown';
      const severity = severities.find((one) => one === word) ?? 'UNKNOWN';
      live.add(source, severity);
      if (state !== 'missing' && state !== 'resolved') open.add(source, severity, ref.namespace);
    },
    fail: (operation: string, error: unknown) =>
      errors.add(operation, error instanceof Refusal ? String(error.status) : 'unexpected'),
    hasFailed: () => errors.rows().length > 0,
    warn: (warning: string) => warnings.push(warning),
    summary: (): Summary =>
      summaryOf({
        deleted: boundLabel(deleted.rows(), 'source', mostSources),
        warnings,
        collection: {
          live: boundLabel(live.rows(), 'source', mostSources),
          open: boundLabel(boundLabel(open.rows(), 'source', mostSources), 'namespace', mostNamespaces),
          limit,
          errors: errors.rows(),
        },
      }),
  };
}
