import type { Context } from '../function/context.ts';
import type { Refusal } from '../function/refusal.ts';
import type { Stored } from '../function/stores.ts';
import { addSummaries, type Summary, summaryOf } from '../function/summary.ts';
import type { ResourceRef } from '../observation/observation.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { Derived } from './derive.ts';
import { type Relabelling, seenAgain } from './lifecycle.ts';
import { recordUnreadable } from './operations.ts';
import { withSummary, writeObservations } from './write.ts';

/** Above so many subjects one list of all that the source has in a namespace costs less than naming them. */
const maxSubjectsInQuery = 20;

/**
 * What is stored of the resources that findings are about: one metadata-only list in each of their namespaces and one
 * in the system namespace, where findings are whose own namespace could not take them.
 */
export async function listKnown(
  source: string,
  derived: readonly Derived[],
  context: Context,
): Promise<Map<string, Stored>> {
  const subjects = Map.groupBy(derived, ({ namespace }) => namespace);
  subjects.set(context.settings.SYSTEM_NAMESPACE, [...derived]);
  const known = new Map<string, Stored>();
  await forEachConcurrently(subjects, callsInFlight, async ([namespace, findings]) => {
    const distinct = [...new Set(findings.map(({ subject }) => subject))];
    const query = distinct.length > maxSubjectsInQuery ? { source } : { subjects: distinct };
    for await (const stored of context.store.names({ ...query, namespace }, context.signal)) {
      known.set(stored.ref.name, stored);
    }
  });
  return known;
}

export interface Change {
  readonly stored: Stored;
  readonly relabelling: Relabelling;
}

/** Writes label changes; resolves to those whose object was gone, or had changed, by then. */
export async function relabelAll<Wanted extends Change>(
  changes: readonly Wanted[],
  context: Context,
): Promise<{ readonly relabelled: Record<string, number>; readonly gone: readonly Wanted[] }> {
  const relabelled: Record<string, number> = {};
  const gone: Wanted[] = [];
  await forEachConcurrently(changes, callsInFlight, async (change) => {
    const { stored, relabelling } = change;
    if (await context.store.relabel(stored.ref, relabelling.labels, context.signal)) {
      relabelled[relabelling.change] = (relabelled[relabelling.change] ?? 0) + 1;
    } else gone.push(change);
  });
  return { relabelled, gone };
}

export interface Reconciled {
  readonly summary: Summary;
  /** Findings that the store refused, each recorded as `unreadable-object`. */
  readonly refused: readonly Refusal[];
}

/**
 * Makes what is stored equal to what is reported: creates what is missing, opens and renews what is there. `about` is
 * the object that reports it, for what the store refuses.
 */
export async function reconcileFindings(
  source: string,
  reported: readonly { readonly derived: Derived; readonly about: ResourceRef }[],
  known: Pick<ReadonlyMap<string, Stored>, 'get'>,
  context: Context,
): Promise<Reconciled> {
  const missing: Derived[] = [];
  const changes: (Change & { readonly derived: Derived })[] = [];
  const about = new Map(reported.map((finding) => [finding.derived.name, finding]));
  for (const { derived } of about.values()) {
    const stored = known.get(derived.name);
    const relabelling = stored && seenAgain(stored.labels, context.now(), context.settings);
    if (!stored) missing.push(derived);
    else if (relabelling) changes.push({ stored, relabelling, derived });
  }
  const unchanged = about.size - missing.length - changes.length;
  let summary = summaryOf({ unchanged });
  try {
    const { relabelled, gone } = await relabelAll(changes, context);
    summary = addSummaries(summary, summaryOf({ relabelled }));
    const again = gone.map(({ derived }) => derived);
    const written = await writeObservations([...missing, ...again], { source, hasState: true }, context);
    summary = addSummaries(summary, written.summary);
    for (const { derived, refusal } of written.invalid) {
      const resource = about.get(derived.name)?.about;
      if (resource === undefined) continue;
      const reason = refusal.cause instanceof Error ? refusal.cause.message : refusal.message;
      summary = addSummaries(summary, await recordUnreadable(source, resource, reason, refusal.path, context));
    }
    return { summary, refused: written.invalid.map(({ refusal }) => refusal) };
  } catch (error) {
    throw withSummary(error, summary);
  }
}
