import { labels, sharedSlot } from '../api/labels.ts';
import { operationsCategory } from '../api/observation.ts';
import type { KubernetesObject, Stored, StoredRef } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import type { NamedFinding } from './derive.ts';
import { changeWhenUnreported, lifecycleOptions } from './lifecycle.ts';
import type { Pass } from './pass-state.ts';
import { reconcileSlot } from './reconcile-slot.ts';
import { fingerprintOf, keyOf, listReports, slotLabelOf, slotOf, versionOf } from './slot.ts';
import { unlessRefused } from './write.ts';
import { changeShared, changeUnreported } from './write-slot.ts';

/** The reports that a slot has when the pass ends. */
interface SlotNow {
  /** Any one of them. */
  readonly report: KubernetesObject;
  readonly versions: Map<string, string>;
}

/** Lists the reports once more, so that nothing is concluded from what has changed meanwhile. */
async function slotsNow<Data, Settings>({ source, kinds, unseen, context }: Pass<Data, Settings>) {
  const slots = new Map<string, SlotNow>();
  for await (const report of listReports(kinds, undefined, unseen, context)) {
    const label = slotLabelOf(source, report);
    const slot = slots.get(label) ?? { report, versions: new Map<string, string>() };
    slot.versions.set(keyOf(report), versionOf(report));
    slots.set(label, slot);
  }
  return slots;
}

/** Derives the slots again whose reports came or changed since they were listed last. */
async function lookAgain<Data, Settings>(pass: Pass<Data, Settings>): Promise<void> {
  const { source, context, kinds, fingerprints, changed } = pass;
  const now = await slotsNow(pass);
  const again = new Set(pass.incomplete);
  pass.incomplete.clear();
  for (const label of new Set([...fingerprints.keys(), ...now.keys()])) {
    const versions = now.get(label)?.versions;
    const fingerprint = versions && fingerprintOf(versions);
    if (fingerprint === fingerprints.get(label)) continue;
    again.add(label);
    fingerprints.set(label, fingerprint);
  }
  for (const label of again) {
    changed.add(label);
    const slot = now.get(label);
    if (!slot) continue;
    // Whether its reports can be read now isn't known here, so what is old waits for the next pass.
    pass.keepOld(slot.report);
    const refusal = await reconcileSlot(undefined, { source, slot: slotOf(source, slot.report, kinds), context });
    // What is invalid has been recorded.
    if (refusal?.status === 503) pass.refusals.push(refusal);
  }
}

/** What no report has, and what has not been missing, or resolved, for that yet. */
function overdue<Data, Settings>(pass: Pass<Data, Settings>): Stored[] {
  const { unreported, held, unseen, context } = pass;
  const options = lifecycleOptions(context);
  return unreported.all().filter((stored) => {
    const label = stored.labels[labels.report] ?? '';
    const isOwn = stored.labels[labels.category] === operationsCategory;
    // Which slot a shared finding was reported by is not known, so any that can't be read may have it.
    const isHeld = label === sharedSlot ? held.size > 0 : held.has(label);
    if (unseen.mayReport(stored)) return false;
    return (isOwn || !isHeld) && changeWhenUnreported(stored, pass.leftOutFor(stored), options) !== undefined;
  });
}

/** The finding as the slot says that reported it last. */
function newestOf(by: ReadonlyMap<string, NamedFinding>): readonly [label: string, named: NamedFinding] | undefined {
  const [newest] = [...by].toSorted(
    ([a, one], [b, other]) =>
      Date.parse(other.finding.detectedAt) - Date.parse(one.finding.detectedAt) || (a < b ? -1 : 1),
  );
  return newest;
}

/** Keeps the facts of findings that several slots report, and gives back those that only one does. */
async function settleShared<Data, Settings>({
  sharedBy,
  sharedStored,
  held,
  unseen,
  changed,
  source,
  context,
}: Pass<Data, Settings>): Promise<void> {
  for (const [name, by] of sharedBy) {
    const newest = newestOf(by);
    const stored = sharedStored.get(name);
    if (!newest || !stored || [...by.keys()].some((label) => changed.has(label))) continue;
    const [label, named] = newest;
    // A slot that has changed since may report it again.
    const isAlone = by.size === 1 && held.size === 0 && changed.size === 0 && !unseen.mayReport(stored);
    const slot = isAlone ? label : sharedSlot;
    const isHeld = [...by.keys()].some((one) => held.has(one));
    await changeShared(stored, named, { writer: { source: source.name, slot }, isHeld, context });
  }
}

async function remove<Data, Settings>(
  doomed: readonly { readonly ref: StoredRef }[],
  reason: string,
  { source, context }: Pass<Data, Settings>,
): Promise<void> {
  const { store, event } = context;
  await forEachConcurrently(doomed, callsInFlight, async ({ ref }) => {
    await unlessRefused(ref.namespace, context, async () => {
      if (await store.delete(ref, event.signal)) event.tally.deleted(source.name, reason, 1);
    });
  });
}

/**
 * What can be said only when all reports have been seen. They are listed once more before anything is over and again
 * after that, and slots whose reports have changed are derived again. Throws what the system namespace has refused, or why
 * reports could not be listed.
 */
export async function finishPass<Data, Settings>(pass: Pass<Data, Settings>): Promise<void> {
  const over = overdue(pass);
  if (pass.hasWritten || pass.incomplete.size > 0 || over.length > 0 || pass.sharedBy.size > 0 || pass.old.length > 0) {
    await lookAgain(pass);
    await settleShared(pass);
    const unchanged = over.filter((stored) => {
      const label = stored.labels[labels.report] ?? '';
      if (pass.unseen.mayReport(stored)) return false;
      return label === sharedSlot ? pass.changed.size === 0 : !pass.changed.has(label);
    });
    await forEachConcurrently(unchanged, callsInFlight, (stored) =>
      changeUnreported(stored, pass.leftOutFor(stored), pass.context),
    );
    if (unchanged.length > 0) await lookAgain(pass);
  }
  const copies = pass.copies.filter(({ ref }) => !pass.displaced.has(ref.name));
  await remove(copies, 'copy', pass);
  const migrated = pass.unseen.mayReport({}) ? [] : pass.old.filter((finding) => !pass.isKeptOld(finding));
  await remove(migrated, 'migrated', pass);
  const fault = pass.refusals[0] ?? pass.unseen.fault();
  if (fault) throw fault;
}
