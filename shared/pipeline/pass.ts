import type { KindSelector } from '../api/kind-selector.ts';
import { labels } from '../api/labels.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { KubernetesObject, Stored } from '../function/stores.ts';
import { kindsIn } from '../function/triggers.ts';
import { labelsWhenUnreported } from './lifecycle.ts';
import { mergeByNamespace, type NamespaceGroup } from './merge-by-namespace.ts';
import { recordUnreadable } from './operations.ts';
import { type Change, listKnown, type Reported, reconcileFindings, relabelAll } from './reconcile.ts';
import { findingsIn, isRelevant, isUnreadable, resourceRefOf } from './state-source.ts';

/** How many findings are compared and written together: enough to keep the API calls in flight, little to hold. */
const batchSize = 500;

/** The namespace that a pass is at. */
interface Here {
  /** Findings in these are compared with `known`, all others by lists of their subjects. */
  readonly namespaces: readonly string[];
  readonly known: Map<string, Stored>;
  /** What other objects of this namespace have reported already. */
  readonly done: Set<string>;
}

/** What a pass has found out so far. */
interface Progress {
  /** When the pass began, in milliseconds since 1970. */
  readonly began: number;
  /** False once an object could not be read: what it reported must not be taken for gone. */
  complete: boolean;
  /** What the system namespace holds of this source: cluster-scoped findings, and those whose namespace was full. */
  readonly inSystem: ReadonlyMap<string, Stored>;
  /** Names of findings that lie elsewhere than the object that reports them. */
  readonly elsewhere: Set<string>;
  /** Stored, and reported by no object of their namespace. */
  readonly unseen: Map<string, Stored>;
}

/**
 * Lists all objects of a source and all its Observations, namespace by namespace, and makes the second equal to what
 * the first report: creates what is missing, renews what is still reported, and ages what is not. Nothing becomes
 * missing before the end, and nothing at all if a list failed or an object could not be read, or `isComplete` is false:
 * there is more of the source than what is listed here.
 */
export async function reconcilePass<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  context: Context<Settings>,
  isComplete = true,
): Promise<void> {
  const { SYSTEM_NAMESPACE: system, WATCH_NAMESPACE: watched } = context.settings;
  const began = context.clock.now();
  const inSystem = new Map<string, Stored>();
  for await (const stored of context.store.names({ source: source.name, namespace: system }, context.event.signal)) {
    if (stored.labels[labels.state] !== undefined) inSystem.set(stored.ref.name, stored);
  }
  const progress: Progress = {
    began,
    complete: isComplete,
    inSystem,
    elsewhere: new Set(),
    unseen: new Map(inSystem),
  };
  const query = { source: source.name, namespace: watched };
  // A tenant's zen-watcher may read its own namespace and nothing else.
  const kinds = kindsIn(source.triggers(context.settings)).filter(
    ({ namespaced }) => namespaced || watched === undefined,
  );
  const lists = kinds.map((kind) => relevantObjects(kind, context));
  const merged = mergeByNamespace(context.store.names(query, context.event.signal), lists);
  for await (const group of merged) await reconcileNamespace(source, group, progress, context);
  if (progress.complete) await ageUnseen(progress, context);
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
    if (!progress.elsewhere.has(item.ref.name)) progress.unseen.set(item.ref.name, item);
  }
  const here: Here = {
    namespaces: isLate ? [] : [namespace, context.settings.SYSTEM_NAMESPACE],
    known,
    done: new Set(),
  };
  let batch: Reported[] = [];
  for await (const object of objects) {
    batch.push(...(await readInPass(source, object, progress, context)));
    if (batch.length < batchSize) continue;
    await reconcileBatch(source.name, batch, here, progress, context);
    batch = [];
  }
  await reconcileBatch(source.name, batch, here, progress, context);
}

async function readInPass<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  progress: Progress,
  context: Context<Settings>,
): Promise<Reported[]> {
  const about = resourceRefOf(object);
  try {
    const findings = findingsIn(source, object, new Date(context.clock.now()).toISOString(), context);
    return findings.map((finding) => ({ finding, reporter: about }));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    await recordUnreadable(source.name, about, error.message, error.path, context);
    context.event.tally.skipped('unreadable');
    progress.complete = false;
    return [];
  }
}

async function reconcileBatch(
  source: string,
  batch: readonly Reported[],
  { namespaces, known, done }: Here,
  progress: Progress,
  context: Context,
): Promise<void> {
  const fresh = batch.filter(({ finding }) => !done.has(finding.name));
  const away = fresh.map(({ finding }) => finding).filter(({ namespace }) => !namespaces.includes(namespace));
  if (away.length > 0) {
    for (const [name, stored] of await listKnown(source, away, context)) known.set(name, stored);
    for (const { name } of away) progress.elsewhere.add(name);
  }
  for (const { finding } of fresh) {
    progress.unseen.delete(finding.name);
    done.add(finding.name);
  }
  const lookUp = { get: (name: string) => known.get(name) ?? progress.inSystem.get(name) };
  await reconcileFindings(source, fresh, lookUp, context);
}

/** Written or opened since the pass began, by an event about an object that the pass may have listed before. */
function isNewer({ createdAt, labels: { [labels.stateSince]: since } }: Stored, began: number): boolean {
  return createdAt > began || Number(since) * 1000 > began;
}

async function ageUnseen(progress: Progress, context: Context): Promise<void> {
  const changes: Change[] = [];
  for (const stored of progress.unseen.values()) {
    if (isNewer(stored, progress.began)) continue;
    const relabelling = labelsWhenUnreported(stored.labels, context.clock.now(), context.settings);
    if (relabelling) changes.push({ stored, relabelling });
  }
  await relabelAll(changes, context);
}

/**
 * Ages findings with a state that no pass looks at any more, since nothing maps to their source: what is stored is asked
 * for whole, namespace by namespace.
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
