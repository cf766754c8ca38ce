import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import { contentHash } from '../finding/canonical-json.ts';
import type { BadRow, ResourceRef } from '../finding/finding.ts';
import { objectMetadata } from '../finding/object-schema.ts';
import { timeOf } from '../finding/values.ts';
import { workloadKey } from '../finding/workload.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { deriveFindings, type NamedFinding } from './derive.ts';
import { normalizeData } from './parse.ts';

/** Whether an object matches a selector. Its labels may have changed since the event about it was sent. */
export function isRelevant(selector: KindSelector, { metadata }: KubernetesObject): boolean {
  const { namespace, namespaced, labels = {} } = selector;
  if (namespace !== undefined && namespaced && metadata.namespace !== namespace) return false;
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

export function resourceRefOf({ apiVersion, kind, metadata }: KubernetesObject): ResourceRef {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}

/** The value of the label `report` of what an object reports: a hash of its slot. */
export function slotLabel<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  { apiVersion, kind, metadata }: KubernetesObject,
): string {
  const slot = source.slotOf?.({ group: groupVersionOf(apiVersion).group, kind }, objectMetadata.parse(metadata));
  const workload = slot?.about && workloadKey(slot.about);
  return contentHash({ source: source.name, namespace: metadata.namespace, workload, parts: slot?.parts });
}

/** What an object reports: its findings, and the rows that can't be read. */
export interface Report {
  readonly findings: readonly NamedFinding[];
  readonly badRows: readonly BadRow[];
}

/** What an object reports. Throws a Refusal 422 if the object as a whole can't be read. */
export function readReport<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): Report {
  const created = timeOf(object.metadata.creationTimestamp, time);
  const normalized = normalizeData(source, object, created, context.settings);
  const findings = deriveFindings(source.name, normalized, { dropOwn: true, merge: source.merge }, context);
  return { findings, badRows: normalized.badRows ?? [] };
}

/**
 * Whether the object itself is at fault. Any other error (such as an unreadable filter) is temporary, and is retried.
 */
export function isUnreadable(error: unknown): error is Refusal {
  return error instanceof Refusal && error.status === 422;
}
