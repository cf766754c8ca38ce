import type { ResourceRef } from '../finding/finding.ts';
import type { Context } from '../function/context.ts';
import type { Refusal } from '../function/refusal.ts';
import type { Stored } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { labelsWhenReported, type Relabelling } from './lifecycle.ts';
import { recordUnreadable } from './operations.ts';
import { writeFindings } from './write.ts';

/**
 * With more slots than this, listing everything that the source has in a namespace is cheaper than naming them all.
 */
const maxSlotsInQuery = 20;

/**
 * Lists what is stored of the slots of these findings: one metadata-only list in each of their namespaces, and one in
 * the system namespace, which has the findings that their own namespace could not take.
 */
export async function listKnown(
  source: string,
  reported: readonly Reported[],
  context: Context,
): Promise<Map<string, Stored>> {
  const groups = Map.groupBy(reported, ({ finding }) => finding.namespace);
  groups.set(context.settings.SYSTEM_NAMESPACE, [...reported]);
  const known = new Map<string, Stored>();
  await forEachConcurrently(groups, callsInFlight, async ([namespace, here]) => {
    const slots = [...new Set(here.map(({ slot }) => slot))];
    const query = slots.length > maxSlotsInQuery ? { source } : { slots };
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

/** Writes label changes; resolves to those that failed because the object was gone, or had changed. */
export async function relabelAll<Wanted extends Change>(
  changes: readonly Wanted[],
  { store, event }: Context,
): Promise<readonly Wanted[]> {
  const outdated: Wanted[] = [];
  await forEachConcurrently(changes, callsInFlight, async (change) => {
    const { stored, relabelling } = change;
    if (await store.relabel(stored.ref, relabelling.labels, event.signal)) event.tally.relabelled(relabelling.change);
    else outdated.push(change);
  });
  return outdated;
}

/** A finding, the object that reports it, and that object's slot. */
export interface Reported {
  readonly finding: NamedFinding;
  readonly reporter: ResourceRef;
  readonly slot: string;
}

/**
 * Makes what is stored match what is reported: creates what is not stored, and reopens or renews what is. Resolves to
 * the store's refusals of invalid findings; each is recorded as an `unreadable-object` finding about the object that
 * reports it.
 */
export async function reconcileFindings(
  source: string,
  reported: readonly Reported[],
  known: Pick<ReadonlyMap<string, Stored>, 'get'>,
  context: Context,
): Promise<readonly Refusal[]> {
  const toCreate: NamedFinding[] = [];
  const changes: (Change & { readonly finding: NamedFinding })[] = [];
  const byName = new Map(reported.map((one) => [one.finding.name, one]));
  for (const { finding } of byName.values()) {
    const stored = known.get(finding.name);
    const relabelling = stored && labelsWhenReported(stored.labels, context.clock.now(), context.settings);
    if (!stored) toCreate.push(finding);
    else if (relabelling) changes.push({ stored, relabelling, finding });
  }
  context.event.tally.unchanged(byName.size - toCreate.length - changes.length);
  const outdated = await relabelAll(changes, context);
  const again = outdated.map(({ finding }) => finding);
  const invalid = await writeFindings(
    [...toCreate, ...again],
    { source, slotOf: (name) => byName.get(name)?.slot ?? '' },
    context,
  );
  for (const { finding, refusal } of invalid) {
    const reporter = byName.get(finding.name)?.reporter;
    if (reporter === undefined) continue;
    const reason = refusal.cause instanceof Error ? refusal.cause.message : refusal.message;
    await recordUnreadable(source, reporter, reason, refusal.path, context);
  }
  return invalid.map(({ refusal }) => refusal);
}
