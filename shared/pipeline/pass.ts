import type { KindSelector } from '../api/kind-selector.ts';
import { labels } from '../api/labels.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { KubernetesObject, Stored } from '../function/stores.ts';
import { kindsIn } from '../function/triggers.ts';
import { labelsWhenUnreported } from './lifecycle.ts';
import { mergeByNamespace, type NamespaceGroup } from './merge-by-namespace.ts';
import { recordBadRows, recordUnreadable } from './operations.ts';
import { type Change, listKnown, type Reported, reconcileFindings, relabelAll } from './reconcile.ts';
import { isRelevant, isUnreadable, readReport, resourceRefOf, slotLabel } from './state-source.ts';

/** How many findings are compared and written together: enough to keep API calls in flight, few enough for memory. */
const batchSize = 500;

/** The state of a pass within a namespace. */
interface NamespaceProgress {
  /** Findings in these namespaces are compared with `known` and `inSystem`; for others, their slots are listed. */
  readonly namespaces: readonly string[];
  readonly known: Map<string, Stored>;
  /** Names of findings that objects of this namespace have reported already. */
  readonly done: Set<string>;
}

/** The state of a pass as a whole. */
interface Progress {
  /** When the pass started, in milliseconds since 1970. */
  readonly startedAt: number;
  /** False once an object could not be read: then what it used to report must not count as gone. */
  isComplete: boolean;
  /**
   * What the source has in the system namespace: findings without a namespace, and those whose own could not take them.
   */
  readonly inSystem: ReadonlyMap<string, Stored>;
  /** Names of findings that are stored in another namespace than that of the object that reports them. */
  readonly elsewhere: Set<string>;
  /** Stored findings that no object has reported so far. */
  readonly unreported: Map<string, Stored>;
}

/**
 * The completeness pass: lists all objects of a source and all its Observations, namespace by namespace, and makes the
 * Observations match what the objects report. Creates what is not stored, renews what is still reported, and ages what
 * is not. Findings become missing only at the end, and only if every list succeeded and every object could be read.
 * With `isComplete` false none do, since the source has objects that can't be listed.
 */
export async function reconcilePass<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  context: Context<Settings>,
  isComplete = true,
): Promise<void> {
  const { SYSTEM_NAMESPACE: systemNamespace, WATCH_NAMESPACE: watchNamespace } = context.settings;
  const startedAt = context.clock.now();
  const inSystem = new Map<string, Stored>();
  for await (const stored of context.store.names(
    { source: source.name, namespace: systemNamespace },
    context.event.signal,
  )) {
    if (stored.labels[labels.state] !== undefined) inSystem.set(stored.ref.name, stored);
  }
  const progress: Progress = {
    startedAt,
    isComplete,
    inSystem,
    elsewhere: new Set(),
    unreported: new Map(inSystem),
  };
  const query = { source: source.name, namespace: watchNamespace };
  // A tenant's zen-watcher may read its own namespace only, so no cluster-scoped kinds.
  const kinds = kindsIn(source.triggers(context.settings)).filter(
    ({ namespaced }) => namespaced || watchNamespace === undefined,
  );
  const lists = kinds.map((kind) => relevantObjects(kind, context));
  const merged = mergeByNamespace(context.store.names(query, context.event.signal), lists);
  for await (const group of merged) await reconcileNamespace(source, group, progress, context);
  if (progress.isComplete) await ageUnreported(progress, context);
}

async function* relevantObjects<Settings>(
  kind: KindSelector,
  context: Context<Settings>,
): AsyncGenerator<KubernetesObject> {
  for await (const object of context.cluster.objects.list(kind, kind.namespace, context.event.signal)) {
    if (!object.metadata.deletionTimestamp && isRelevant(kind, object)) yield object;
  }
}

async function reconcileNamespace<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { namespace, stored, objects, isLate }: NamespaceGroup,
  progress: Progress,
  context: Context<Settings>,
): Promise<void> {
  const known = new Map<string, Stored>();
  for (const item of namespace === context.settings.SYSTEM_NAMESPACE ? [] : stored) {
    if (item.labels[labels.state] === undefined) continue;
    known.set(item.ref.name, item);
    if (!progress.elsewhere.has(item.ref.name)) progress.unreported.set(item.ref.name, item);
  }
  const here: NamespaceProgress = {
    namespaces: isLate ? [] : [namespace, context.settings.SYSTEM_NAMESPACE],
    known,
    done: new Set(),
  };
  let batch: Reported[] = [];
  for await (const object of objects) {
    batch.push(...(await reportedBy(source, object, progress, context)));
    if (batch.length < batchSize) continue;
    await reconcileBatch(source.name, batch, here, progress, context);
    batch = [];
  }
  await reconcileBatch(source.name, batch, here, progress, context);
}

/** What an object reports. One that can't be read is recorded, and reports nothing. */
async function reportedBy<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  progress: Progress,
  context: Context<Settings>,
): Promise<Reported[]> {
  const reporter = resourceRefOf(object);
  try {
    const { findings, badRows } = readReport(source, object, new Date(context.clock.now()).toISOString(), context);
    if (badRows.length > 0) {
      await recordBadRows(source.name, reporter, badRows, context);
      progress.isComplete = false;
    }
    const slot = slotLabel(source, object);
    return findings.map((finding) => ({ finding, reporter, slot }));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    await recordUnreadable(source.name, reporter, error.message, error.path, context);
    context.event.tally.skipped('unreadable');
    progress.isComplete = false;
    return [];
  }
}

async function reconcileBatch(
  source: string,
  batch: readonly Reported[],
  { namespaces, known, done }: NamespaceProgress,
  progress: Progress,
  context: Context,
): Promise<void> {
  const fresh = batch.filter(({ finding }) => !done.has(finding.name));
  const elsewhere = fresh.filter(({ finding }) => !namespaces.includes(finding.namespace));
  if (elsewhere.length > 0) {
    for (const [name, stored] of await listKnown(source, elsewhere, context)) known.set(name, stored);
    for (const { finding } of elsewhere) progress.elsewhere.add(finding.name);
  }
  for (const { finding } of fresh) {
    progress.unreported.delete(finding.name);
    done.add(finding.name);
  }
  const lookUp = { get: (name: string) => known.get(name) ?? progress.inSystem.get(name) };
  await reconcileFindings(source, fresh, lookUp, context);
}

/** Whether a finding was written or opened after the pass started: the pass may have listed its object before that. */
function isNewer({ createdAt, labels: { [labels.since]: since } }: Stored, startedAt: number): boolean {
  return createdAt > startedAt || Number(since) > startedAt;
}

async function ageUnreported(progress: Progress, context: Context): Promise<void> {
  const changes: Change[] = [];
  for (const stored of progress.unreported.values()) {
    if (isNewer(stored, progress.startedAt)) continue;
    const relabelling = labelsWhenUnreported(stored.labels, context.clock.now(), context.settings);
    if (relabelling) changes.push({ stored, relabelling });
  }
  await relabelAll(changes, context);
}

/**
 * Ages findings that have a state, but that no pass looks at any more because no mapping has their source. Lists
 * everything that is stored.
 */
export async function ageOrphans(isOrphan: (stored: Stored) => boolean, context: Context): Promise<void> {
  const { WATCH_NAMESPACE: namespace } = context.settings;
  const changes: Change[] = [];
  for await (const stored of context.store.names({ namespace }, context.event.signal)) {
    if (stored.labels[labels.state] === undefined || !isOrphan(stored)) continue;
    const relabelling = labelsWhenUnreported(stored.labels, context.clock.now(), context.settings);
    if (relabelling) changes.push({ stored, relabelling });
  }
  await relabelAll(changes, context);
}
