import type { KindSelector } from '../api/kind-selector.ts';
import { labels, oldSubjectLabel, sharedSlot } from '../api/labels.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { KubernetesObject, Stored } from '../function/stores.ts';
import { callsInFlight, forEachConcurrently } from './concurrency.ts';
import { countingReports } from './counting-reports.ts';
import { changeWhenUnreported, lifecycleOptions } from './lifecycle.ts';
import { notingKeptOut, settleKeptOut } from './limit-reached.ts';
import { type Listed, mergeByNamespace, type NamespaceGroup } from './merge-by-namespace.ts';
import { finishPass } from './pass-end.ts';
import { createPass, type Pass } from './pass-state.ts';
import { listStored } from './reconcile-slot.ts';
import { type Report, readReport } from './report.ts';
import { fingerprintOf, isWide, keyOf, listReports, reportKinds, slotLabelOf, versionOf } from './slot.ts';
import { type Union, unionOf } from './union.ts';
import { type Unseen, type UnseenKind, whileSeen } from './unseen.ts';
import { changeUnreported, writeSlot } from './write-slot.ts';

/** How many findings are compared and written together: enough to keep API calls in flight, few enough to die young. */
const batchSize = 100;

/** The reports of a slot in one namespace. */
interface SlotProgress {
  readonly label: string;
  /** The versions of all of them. */
  readonly versions: Map<string, string>;
  readonly read: Report[];
}

/** What is stored in one namespace, by slot and name. */
interface StoredHere {
  readonly namespace: string;
  readonly bySlot: ReadonlyMap<string, ReadonlyMap<string, Stored>>;
  /** Whether a name is there, in whichever slot. */
  has(name: string): boolean;
}

/**
 * The completeness pass: lists all Observations of a source and then all its reports, namespace by namespace, and makes
 * the Observations match what the reports say. What no report has becomes missing, and later resolved, at the end, after
 * the reports have been listed once more. Where a list fails nothing becomes missing, and what it had shown is written
 * all the same. What is reported by `unseen` kinds, or one that is not served, stays as it is.
 */
export async function reconcilePass<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  context: Context<Settings>,
  unseen: readonly UnseenKind[] = [],
): Promise<void> {
  const { event, settings, store } = context;
  const kinds = reportKinds(source, context);
  const { context: limited, keptOut } = notingKeptOut(context);
  const pass = await createPass(source, kinds, unseen, limited);
  const newest = { madeAt: 0 };
  const metadata = kinds.map((kind) =>
    marked(noting(listReports([kind], undefined, pass.unseen, context), newest), true),
  );
  const objects = kinds.map((kind) => marked(objectsOf(kind, pass.unseen, context), false));
  const query = { source: source.name, namespace: settings.WATCH_NAMESPACE };
  const merged = mergeByNamespace(store.names(query, event.signal), [...metadata, ...objects]);
  for await (const group of merged) await reconcileNamespace(group, pass);
  await finishPass(pass);
  await settleKeptOut(source.name, keptOut, pass.toldKeptOut, context);
  await context.life
    .noteReport(newest.madeAt, event.signal)
    .catch(() => event.tally.warning('that this source is alive could not be noted in its Lease'));
}

/** Notes when the newest of the objects was made: whoever makes them was alive then. */
async function* noting(
  objects: AsyncIterable<KubernetesObject>,
  newest: { madeAt: number },
): AsyncGenerator<KubernetesObject> {
  for await (const object of objects) {
    newest.madeAt = Math.max(newest.madeAt, Date.parse(object.metadata.creationTimestamp ?? '') || 0);
    yield object;
  }
}

async function* marked(objects: AsyncIterable<KubernetesObject>, isMetadata: boolean): AsyncGenerator<Listed> {
  for await (const object of objects) yield { object, isMetadata };
}

/** All objects of a kind: which of them are reports is known by then. */
function objectsOf<Settings>(
  kind: KindSelector,
  unseen: Unseen,
  { cluster, event }: Context<Settings>,
): AsyncIterable<KubernetesObject> {
  return whileSeen(kind, cluster.objects.list(kind, kind.namespace, event.signal), unseen, event.signal);
}

/** Files what is stored in a namespace by slot, and takes it for unreported until a report has it. */
function fileStored<Data, Settings>({ namespace, stored }: NamespaceGroup, pass: Pass<Data, Settings>): StoredHere {
  const bySlot = new Map<string, Map<string, Stored>>();
  for (const listed of stored) {
    const one = pass.asStored(listed);
    const label = one.labels[labels.report];
    if (label === undefined) {
      const subject = one.labels[oldSubjectLabel];
      if (subject !== undefined && one.labels[labels.state] !== undefined) pass.old.push({ ref: one.ref, subject });
      continue;
    }
    // What the system namespace has was listed before, for all namespaces.
    if (namespace === pass.context.settings.SYSTEM_NAMESPACE) continue;
    pass.noteCopyOf(one);
    if (!pass.elsewhere.has(one.ref.name)) pass.unreported.add(one);
    if (label === sharedSlot) pass.sharedStored.set(one.ref.name, one);
    else bySlot.set(label, (bySlot.get(label) ?? new Map<string, Stored>()).set(one.ref.name, one));
  }
  let names: Set<string> | undefined;
  const has = (name: string): boolean => {
    names ??= new Set(stored.map(({ ref }) => ref.name));
    return names.has(name);
  };
  return { namespace, bySlot, has };
}

async function reconcileNamespace<Data, Settings>(group: NamespaceGroup, pass: Pass<Data, Settings>): Promise<void> {
  const here = fileStored(group, pass);
  const slots = new Map<string, SlotProgress>();
  let ready: SlotProgress[] = [];
  let findings = 0;
  const writeReady = async (): Promise<void> => {
    await forEachConcurrently(ready, callsInFlight, (slot) => reconcileComplete(slot, here, pass));
    ready = [];
    findings = 0;
  };
  for await (const { object, isMetadata } of group.objects) {
    const label = slotLabelOf(pass.source, object);
    if (isMetadata) {
      const slot = slots.get(label) ?? { label, versions: new Map(), read: [] };
      slot.versions.set(keyOf(object), versionOf(object));
      slots.set(label, slot);
      continue;
    }
    const slot = slots.get(label);
    // It is no report, or came or changed since its metadata was listed: then its slot is looked at again at the end.
    if (slot?.versions.get(keyOf(object)) !== versionOf(object)) continue;
    const report = readReport(pass.source, object, new Date(pass.context.clock.now()).toISOString(), pass.context);
    slot.read.push(report);
    findings += report.findings.length;
    if (slot.read.length < slot.versions.size) continue;
    slots.delete(label);
    ready.push(slot);
    if (findings >= batchSize) await writeReady();
  }
  await writeReady();
  for (const label of slots.keys()) pass.incomplete.add(label);
}

/** Reconciles a slot all of whose reports have been read. */
async function reconcileComplete<Data, Settings>(
  { label, versions, read }: SlotProgress,
  here: StoredHere,
  pass: Pass<Data, Settings>,
): Promise<void> {
  const { source, context } = pass;
  const union = unionOf(await countingReports(source, read, context), source.merge, context);
  const stored = await storedOf(label, union, here, pass);
  const contents = { source: source.name, label, stored, isTaken: here.has, ...union };
  const outcome = await writeSlot(contents, context);
  pass.fingerprints.set(label, fingerprintOf(versions));
  pass.noteOutcome(outcome);
  if (union.isHeld) pass.noteHeld(label, read);
  for (const [name, named] of outcome.wanted) {
    pass.unreported.delete(named.namespace, name);
    pass.unreported.delete(context.settings.SYSTEM_NAMESPACE, name);
    if (named.namespace !== here.namespace) pass.elsewhere.add(name);
    if (stored.get(name)?.labels[labels.report] === sharedSlot) pass.noteShared(label, named);
  }
  for (const name of union.accepted.keys()) {
    const one = stored.get(name);
    if (one) pass.unreported.delete(one.ref.namespace, name);
  }
  pass.noteUnjudged(union.held.values(), here.namespace);
  for (const one of outcome.unreported) pass.unreported.add(one);
  // Of a slot about many things, what is stored may be in a namespace that comes later.
  const mayBeStored = outcome.unreported.length > 0 || pass.sharedStored.size > 0;
  if (!mayBeStored && !read.some(({ object }) => isWide(source, object))) return;
  for (const [name, reason] of union.leftOut()) pass.noteLeftOut(label, name, reason);
}

/** What is stored of a slot, by name. */
async function storedOf<Data, Settings>(
  label: string,
  { wanted }: Union,
  { namespace, bySlot }: StoredHere,
  pass: Pass<Data, Settings>,
): Promise<ReadonlyMap<string, Stored>> {
  const { source, context } = pass;
  const { SYSTEM_NAMESPACE: systemNamespace, WATCH_NAMESPACE: watchNamespace } = context.settings;
  const isElsewhere = [...wanted.values()].some(
    (named) => named.namespace !== namespace && named.namespace !== systemNamespace,
  );
  if (isElsewhere) {
    const listed = await listStored({ source, slot: { label }, context }, watchNamespace);
    return new Map([...listed].map(([name, one]) => [name, pass.asStored(one)]));
  }
  const stored = new Map<string, Stored>([...(pass.inSystem.get(label) ?? []), ...(bySlot.get(label) ?? [])]);
  for (const name of wanted.keys()) {
    const one = pass.sharedStored.get(name);
    if (one && !stored.has(name)) stored.set(name, one);
  }
  return stored;
}

/**
 * Ages findings that have a state, but that no pass looks at any more because no mapping has their source. Lists
 * everything that is stored.
 */
export async function ageOrphans(isOrphan: (stored: Stored) => boolean, context: Context): Promise<void> {
  const { WATCH_NAMESPACE: namespace } = context.settings;
  const orphans: Stored[] = [];
  const options = lifecycleOptions(context);
  for await (const stored of context.store.names({ namespace }, context.event.signal)) {
    if (stored.labels[labels.state] === undefined || !isOrphan(stored)) continue;
    if (changeWhenUnreported(stored, undefined, options)) orphans.push(stored);
  }
  await forEachConcurrently(orphans, callsInFlight, (stored) => changeUnreported(stored, undefined, context));
}
