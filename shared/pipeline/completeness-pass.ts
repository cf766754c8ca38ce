import type { Context } from '../function/context.ts';
import { namespaceOf, type Resource } from '../function/resource.ts';
import type { SourceDefinition } from '../function/source-definition.ts';
import type { KubernetesObject, Stored } from '../function/stores.ts';
import { addSummaries, emptySummary, type Summary, summaryOf } from '../function/summary.ts';
import { resourcesOf } from '../function/triggers.ts';
import { labels } from '../observation/labels.ts';
import type { ResourceRef } from '../observation/observation.ts';
import type { Derived } from './derive.ts';
import { notSeen } from './lifecycle.ts';
import { mergeByNamespace, type NamespaceGroup } from './merge-by-namespace.ts';
import { recordUnreadable } from './operations.ts';
import { type Change, listKnown, reconcileFindings, relabelAll } from './reconcile.ts';
import { deriveObject, isUnreadable, isWanted, resourceRefOf } from './state-source.ts';
import { withSummary } from './write.ts';

/** How many findings are compared and written together: enough to keep the API calls in flight, little to hold. */
const batchSize = 500;

interface Reported {
  readonly derived: Derived;
  readonly about: ResourceRef;
}

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
  summary: Summary;
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
): Promise<Summary> {
  const { SYSTEM_NAMESPACE: system, WATCH_NAMESPACE: watched } = context.settings;
  const began = context.now();
  const inSystem = new Map<string, Stored>();
  for await (const stored of context.store.names({ source: source.name, namespace: system }, context.signal)) {
    if (stored.labels[labels.state] !== undefined) inSystem.set(stored.ref.name, stored);
  }
  const progress: Progress = {
    began,
    summary: emptySummary,
    complete: isComplete,
    inSystem,
    elsewhere: new Set(),
    unseen: new Map(inSystem),
  };
  try {
    const query = { source: source.name, namespace: watched };
    // A tenant's zen-watcher may read its own namespace and nothing else.
    const resources = resourcesOf(source).filter(({ namespaced }) => namespaced || watched === undefined);
    const lists = resources.map((resource) => wantedObjects(resource, context));
    const merged = mergeByNamespace(context.store.names(query, context.signal), lists);
    for await (const group of merged) await reconcileNamespace(source, group, progress, context);
    if (progress.complete) await ageUnseen(progress, context);
    return progress.summary;
  } catch (error) {
    throw withSummary(error, progress.summary);
  }
}

async function* wantedObjects<Settings>(
  resource: Resource,
  context: Context<Settings>,
): AsyncGenerator<KubernetesObject> {
  const namespace = namespaceOf(resource, context.settings);
  for await (const object of context.objects.list(resource, namespace, context.signal)) {
    if (!object.metadata.deletionTimestamp && isWanted(resource, namespace, object)) yield object;
  }
}

async function reconcileNamespace<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { namespace, stored, objects, late }: NamespaceGroup,
  progress: Progress,
  context: Context<Settings>,
): Promise<void> {
  const known = new Map<string, Stored>();
  for (const item of namespace === context.settings.SYSTEM_NAMESPACE ? [] : stored) {
    if (item.labels[labels.state] === undefined) continue;
    known.set(item.ref.name, item);
    if (!progress.elsewhere.has(item.ref.name)) progress.unseen.set(item.ref.name, item);
  }
  const here: Here = { namespaces: late ? [] : [namespace, context.settings.SYSTEM_NAMESPACE], known, done: new Set() };
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
    const { derived, summary } = deriveObject(source, object, new Date(context.now()).toISOString(), context);
    progress.summary = addSummaries(progress.summary, summary);
    return derived.map((finding) => ({ derived: finding, about }));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const recorded = await recordUnreadable(source.name, about, error.message, error.path, context);
    progress.summary = addSummaries(
      progress.summary,
      addSummaries(recorded, summaryOf({ skipped: { unreadable: 1 } })),
    );
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
  const fresh = batch.filter(({ derived }) => !done.has(derived.name));
  const away = fresh.map(({ derived }) => derived).filter(({ namespace }) => !namespaces.includes(namespace));
  if (away.length > 0) {
    for (const [name, stored] of await listKnown(source, away, context)) known.set(name, stored);
    for (const { name } of away) progress.elsewhere.add(name);
  }
  for (const { derived } of fresh) {
    progress.unseen.delete(derived.name);
    done.add(derived.name);
  }
  const lookUp = { get: (name: string) => known.get(name) ?? progress.inSystem.get(name) };
  const { summary } = await reconcileFindings(source, fresh, lookUp, context);
  progress.summary = addSummaries(progress.summary, summary);
}

/** Written or opened since the pass began, by an event about an object that the pass may have listed before. */
function isNewer({ createdAt, labels: { [labels.stateSince]: since } }: Stored, began: number): boolean {
  return createdAt > began || Number(since) * 1000 > began;
}

async function ageUnseen(progress: Progress, context: Context): Promise<void> {
  const changes: Change[] = [];
  for (const stored of progress.unseen.values()) {
    if (isNewer(stored, progress.began)) continue;
    const relabelling = notSeen(stored.labels, context.now(), context.settings);
    if (relabelling) changes.push({ stored, relabelling });
  }
  const { relabelled } = await relabelAll(changes, context);
  progress.summary = addSummaries(progress.summary, summaryOf({ relabelled }));
}

/**
 * Ages findings with a state that no pass looks at any more, since nothing maps to their source: what is stored is asked
 * for whole, namespace by namespace.
 */
export async function ageOrphans(isOrphan: (stored: Stored) => boolean, context: Context): Promise<Summary> {
  const { WATCH_NAMESPACE: namespace } = context.settings;
  const changes: Change[] = [];
  for await (const stored of context.store.names({ namespace }, context.signal)) {
    if (stored.labels[labels.state] === undefined || !isOrphan(stored)) continue;
    const relabelling = notSeen(stored.labels, context.now(), context.settings);
    if (relabelling) changes.push({ stored, relabelling });
  }
  const { relabelled } = await relabelAll(changes, context);
  return summaryOf({ relabelled });
}
