import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { Resource } from '../function/resource.ts';
import type { SourceDefinition } from '../function/source-definition.ts';
import type { KubernetesObject } from '../function/stores.ts';
import type { Summary } from '../function/summary.ts';
import type { ResourceRef } from '../observation/observation.ts';
import { timeOf } from '../observation/values.ts';
import { type Derived, derive } from './derive.ts';
import { derivationSummary } from './observe.ts';
import { normalizeData } from './parse.ts';

/** Whether an object is one that the source asked for: labels and namespace can change while an event is under way. */
export function isWanted(resource: Resource, namespace: string | undefined, object: KubernetesObject): boolean {
  if (namespace !== undefined && resource.namespaced && object.metadata.namespace !== namespace) return false;
  const present = object.metadata.labels ?? {};
  return Object.entries(resource.labels ?? {}).every(([key, value]) => present[key] === value);
}

export function resourceRefOf({ apiVersion, kind, metadata }: KubernetesObject): ResourceRef {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}

export interface DerivedObject {
  readonly derived: readonly Derived[];
  readonly summary: Summary;
}

/** The findings that an object reports. Throws a Refusal 422 if it can't be read. */
export function deriveObject<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): DerivedObject {
  const { settings, filter } = context;
  const created = timeOf(object.metadata.creationTimestamp, time);
  const { observations, skipped } = normalizeData(source, object, created, settings);
  const derivation = derive(observations, {
    source: source.name,
    dropOwn: true,
    filter,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
  });
  return { derived: derivation.derived, summary: derivationSummary(derivation, skipped) };
}

/** Whether the object itself is at fault; all else (a filter that can't be asked) passes, and the object is read again. */
export function isUnreadable(error: unknown): error is Refusal {
  return error instanceof Refusal && error.status === 422;
}
