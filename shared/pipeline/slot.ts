import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import { contentHash } from '../finding/canonical-json.ts';
import { objectMetadata } from '../finding/object-schema.ts';
import { workloadKey } from '../finding/workload.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { kindsIn } from '../function/triggers.ts';
import { type Unseen, whileSeen } from './unseen.ts';

/**
 * What a report is about for as long as that exists. What is true of it is the union of what its reports say, whichever
 * they are at the moment.
 */
export interface ReportSlot {
  /** The value of the label `report`. */
  readonly label: string;
  /** The namespace of its reports. */
  readonly namespace: string | undefined;
  /** The kinds that its reports may have. */
  readonly kinds: readonly KindSelector[];
  /** Whether its reports are about one thing, so that its findings are in one namespace. */
  readonly isNarrow: boolean;
}

type Metadata = KubernetesObject['metadata'];
type Kind = Pick<KindSelector, 'group' | 'kind'>;

function labelAndWidth<Data, Settings>(source: SourceDefinition<Data, Settings>, kind: Kind, metadata: Metadata) {
  const { namespace } = metadata;
  const slot = source.slotOf?.(kind, objectMetadata.parse(metadata));
  const workload = slot?.about && workloadKey(slot.about);
  const label = contentHash({ source: source.name, namespace, workload, parts: slot?.parts });
  return { label, isNarrow: slot !== undefined };
}

/** The value of the label `report` of what an object reports. */
export function slotLabelOf<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { apiVersion, kind, metadata }: KubernetesObject,
): string {
  return labelAndWidth(source, { group: groupVersionOf(apiVersion).group, kind }, metadata).label;
}

/** Whether a report is about many things, so that its findings may be in any namespace. */
export function isWide<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { apiVersion, kind, metadata }: KubernetesObject,
): boolean {
  return !labelAndWidth(source, { group: groupVersionOf(apiVersion).group, kind }, metadata).isNarrow;
}

/** The kinds whose objects report to a source. */
export function reportKinds<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { settings }: Context<Settings>,
): KindSelector[] {
  // A tenant's zen-watcher may read its own namespace only, so no cluster-scoped kinds.
  return kindsIn(source.triggers(settings)).filter(
    ({ namespaced }) => namespaced || settings.WATCH_NAMESPACE === undefined,
  );
}

/** The slot of a report. */
export function slotOf<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { apiVersion, kind, metadata }: KubernetesObject,
  kinds: readonly KindSelector[],
): ReportSlot {
  const { label, isNarrow } = labelAndWidth(source, { group: groupVersionOf(apiVersion).group, kind }, metadata);
  const hasNamespace = metadata.namespace !== undefined;
  // A source whose slots tell kinds apart has another slot for each.
  const ofSlot = kinds.filter(
    (candidate) => candidate.namespaced === hasNamespace && labelAndWidth(source, candidate, metadata).label === label,
  );
  return { label, namespace: metadata.namespace, kinds: ofSlot, isNarrow };
}

/** The version of a report; of one in a folder, which has none, a hash of its contents. */
export function versionOf({ metadata, ...object }: KubernetesObject): string {
  const { uid, resourceVersion } = metadata;
  return resourceVersion === undefined ? contentHash({ ...object, metadata }) : `${uid}/${resourceVersion}`;
}

/** Identifies an object among those of all kinds. */
export function keyOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  return [groupVersionOf(apiVersion).group, kind, metadata.namespace, metadata.name].join('/');
}

/** Whether an object matches a selector. Its labels may have changed since the event about it was sent. */
export function isRelevant(selector: KindSelector, { metadata }: KubernetesObject): boolean {
  const { namespace, namespaced, labels = {} } = selector;
  if (metadata.deletionTimestamp) return false;
  if (namespace !== undefined && namespaced && metadata.namespace !== namespace) return false;
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

/** The reports that exist, without their contents, as far as they can be listed. */
export async function* listReports<Settings>(
  kinds: readonly KindSelector[],
  namespace: string | undefined,
  unseen: Unseen,
  { cluster, event }: Context<Settings>,
): AsyncGenerator<KubernetesObject> {
  for (const kind of kinds) {
    const objects = cluster.objects.listMetadata(kind, kind.namespace ?? namespace, event.signal);
    for await (const object of whileSeen(kind, objects, unseen, event.signal)) {
      if (isRelevant(kind, object)) yield object;
    }
  }
}

/** Which reports a slot has, and in which version each. */
export type Versions = ReadonlyMap<string, string>;

export function versionsOf(reports: readonly KubernetesObject[]): Versions {
  return new Map(reports.map((report) => [keyOf(report), versionOf(report)]));
}

/** Differs if a report came, went or changed. */
export function fingerprintOf(versions: Versions): string {
  return contentHash([...versions].sort());
}
