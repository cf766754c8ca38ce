import type { ResourceRef } from '../finding/finding.ts';
import type { Context } from '../function/context.ts';
import type { Refusal } from '../function/refusal.ts';
import type { Stored } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { labelsWhenReported, type Relabelling } from './lifecycle.ts';
import { recordUnreadable } from './operations.ts';
import { writeFindings } from './write.ts';

/** Above so many subjects one list of all that the source has in a namespace costs less than naming them. */
const maxSubjectsInQuery = 20;

/**
 * What is stored of the resources that findings are about: one metadata-only list in each of their namespaces and one
 * in the system namespace, where findings are whose own namespace could not take them.
 */
export async function listKnown(
  source: string,
  findings: readonly NamedFinding[],
  context: Context,
): Promise<Map<string, Stored>> {
  const subjects = Map.groupBy(findings, ({ namespace }) => namespace);
  subjects.set(context.settings.SYSTEM_NAMESPACE, [...findings]);
  const known = new Map<string, Stored>();
  await forEachConcurrently(subjects, callsInFlight, async ([namespace, here]) => {
    const distinct = [...new Set(here.map(({ subject }) => subject))];
    const query = distinct.length > maxSubjectsInQuery ? { source } : { subjects: distinct };
    for await (const stored of context.store.names({ ...query, namespace }, context.event.signal)) {
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
  { store, event }: Context,
): Promise<readonly Wanted[]> {
  const gone: Wanted[] = [];
  await forEachConcurrently(changes, callsInFlight, async (change) => {
    const { stored, relabelling } = change;
    if (await store.relabel(stored.ref, relabelling.labels, event.signal)) event.tally.relabelled(relabelling.change);
    else gone.push(change);
  });
  return gone;
}

/** A finding, and the object that reports it. */
export interface Reported {
  readonly finding: NamedFinding;
  readonly reporter: ResourceRef;
}

/**
 * Makes what is stored equal to what is reported: creates what is missing, opens and renews what is there. Resolves to
 * why the store refused findings, each recorded as `unreadable-object` of what reports it.
 */
export async function reconcileFindings(
  source: string,
  reported: readonly Reported[],
  known: Pick<ReadonlyMap<string, Stored>, 'get'>,
  context: Context,
): Promise<readonly Refusal[]> {
  const missing: NamedFinding[] = [];
  const changes: (Change & { readonly finding: NamedFinding })[] = [];
  const byName = new Map(reported.map((one) => [one.finding.name, one]));
  for (const { finding } of byName.values()) {
    const stored = known.get(finding.name);
    const relabelling = stored && labelsWhenReported(stored.labels, context.clock.now(), context.settings);
    if (!stored) missing.push(finding);
    else if (relabelling) changes.push({ stored, relabelling, finding });
  }
  context.event.tally.unchanged(byName.size - missing.length - changes.length);
  const gone = await relabelAll(changes, context);
  const again = gone.map(({ finding }) => finding);
  const invalid = await writeFindings([...missing, ...again], { source, hasState: true }, context);
  for (const { finding, refusal } of invalid) {
    const reporter = byName.get(finding.name)?.reporter;
    if (reporter === undefined) continue;
    const reason = refusal.cause instanceof Error ? refusal.cause.message : refusal.message;
    await recordUnreadable(source, reporter, reason, refusal.path, context);
  }
  return invalid.map(({ refusal }) => refusal);
}
