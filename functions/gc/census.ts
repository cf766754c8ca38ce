import { isAccepted } from '../../shared/api/acceptance.ts';
import { due, labels, outboxLabel } from '../../shared/api/labels.ts';
import { toldOf } from '../../shared/api/told.ts';
import { severities } from '../../shared/finding/severity.ts';
import type { Context } from '../../shared/function/context.ts';
import { boundLabel, createCounts } from '../../shared/function/count-rows.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { Stored } from '../../shared/function/stores.ts';
import type { Collection, Heard } from '../../shared/function/tally.ts';

/**
 * Limits for the labels of metrics: whoever writes an Observation chooses its source, and there may be many namespaces.
 */
const maxSources = 30;
const maxNamespaces = 500;

export type Census = ReturnType<typeof createCensus>;

/**
 * Counts what exists, what was deleted and what failed, and reports that to the tally at the end, with bounded labels.
 */
export function createCensus({ settings: { MAX_OBSERVATIONS: limit }, clock, event: { tally } }: Context) {
  const now = clock.earliest();
  const deleted = createCounts('source', 'reason');
  const live = createCounts('source', 'severity', 'namespace');
  const open = createCounts('source', 'severity', 'namespace');
  const errors = createCounts('operation', 'errorType');
  let heard: readonly Heard[] = [];
  let oldestDue = now;
  return {
    deleted: (source: string, reason: 'ttl' | 'limit' | 'copy') => deleted.add(source, reason),
    live({ ref, labels: found, createdAt }: Stored): void {
      const { [labels.source]: from, [labels.severity]: word, [labels.state]: state } = found;
      const source = from ?? 'unknown';
      const severity = severities.find((one) => one === word) ?? 'UNKNOWN';
      live.add(source, severity, ref.namespace);
      if (state !== 'missing' && state !== 'resolved' && !isAccepted(found, now))
        open.add(source, severity, ref.namespace);
      if (found[outboxLabel] === due) oldestDue = Math.min(oldestDue, Number(toldOf(found, createdAt).since) || now);
    },
    fail: (operation: string, error: unknown) =>
      errors.add(operation, error instanceof Refusal ? String(error.status) : 'unexpected'),
    judged(sources: readonly Heard[]): void {
      heard = sources;
    },
    end(): Collection {
      const collection = {
        live: boundLabel(boundLabel(live.rows(), 'source', maxSources), 'namespace', maxNamespaces),
        open: boundLabel(boundLabel(open.rows(), 'source', maxSources), 'namespace', maxNamespaces),
        limit,
        waiting: now - oldestDue,
        heard,
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
