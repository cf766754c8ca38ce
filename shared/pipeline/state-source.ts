import type { KindSelector } from '../api/kind-selector.ts';
import type { ResourceRef } from '../finding/finding.ts';
import { timeOf } from '../finding/values.ts';
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

/** The findings that an object reports. Throws a Refusal 422 if the object can't be read. */
export function findingsIn<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): readonly NamedFinding[] {
  const created = timeOf(object.metadata.creationTimestamp, time);
  const normalized = normalizeData(source, object, created, context.settings);
  return deriveFindings(source.name, normalized, { dropOwn: true }, context);
}

/**
 * Whether the object itself is at fault. Any other error (such as an unreadable filter) is temporary, and is retried.
 */
export function isUnreadable(error: unknown): error is Refusal {
  return error instanceof Refusal && error.status === 422;
}
