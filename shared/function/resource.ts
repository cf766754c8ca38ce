import type { CommonSettings } from './settings.ts';

/** A kind of Kubernetes object that a function wants to know of. */
export interface Resource {
  /** API group, empty for core. */
  readonly group: string;
  /** Versions that the function can read, best first: the first one that the cluster serves is used. */
  readonly versions: readonly string[];
  readonly kind: string;
  /** Lower-case plural, as in URLs. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Only objects with all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Only objects that a selector picks: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ */
  readonly labelSelector?: string;
  /** The one namespace to look in. */
  readonly namespace?: string;
  /** The setting that names the one namespace to look in (not set: the system namespace); without it, all of them. */
  readonly namespaceSetting?: string;
}

/**
 * The API groups that every cluster serves, and ours: their ApiServerSources can be generated. One for a group that is
 * not served would crash its adapter, so those of all others are made when the group is there.
 */
export const alwaysServed: ReadonlySet<string> = new Set([
  '',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'zen.kube-zen.io',
]);

/** What tells functions of changes: https://knative.dev/docs/eventing/sources/apiserversource/ */
export const apiServerSources: Resource = {
  ...{ group: 'sources.knative.dev', versions: ['v1'], kind: 'ApiServerSource', plural: 'apiserversources' },
  namespaced: true,
};

/** The name of the ApiServerSource of a function and an API group. */
export function apiServerSourceName(functionName: string, group: string): string {
  return `${functionName}-${group === '' ? 'core' : group.replaceAll('.', '-')}`;
}

/** The plural that ApiServerSource takes for granted: UnsafeGuessKindToResource of k8s.io/apimachinery. */
export function guessedPlural(kind: string): string {
  const singular = kind.toLowerCase();
  if (singular.endsWith('endpoints')) return singular;
  if (singular.endsWith('s')) return `${singular}es`;
  return singular.endsWith('y') ? `${singular.slice(0, -1)}ies` : `${singular}s`;
}

/** What gives a Broker's events to functions: https://knative.dev/docs/eventing/triggers/ */
export const knativeTriggers: Resource = {
  ...{ group: 'eventing.knative.dev', versions: ['v1'], kind: 'Trigger', plural: 'triggers', namespaced: true },
  namespaceSetting: 'SYSTEM_NAMESPACE',
};

/** The one namespace in which to look for a kind; `undefined` for all. */
export function namespaceOf(
  { namespace: fixed, namespaceSetting }: Resource,
  settings: CommonSettings,
): string | undefined {
  if (fixed !== undefined) return fixed;
  if (namespaceSetting === undefined || settings.WATCH_NAMESPACE !== undefined) return settings.WATCH_NAMESPACE;
  const all: Readonly<Record<string, unknown>> = { ...settings };
  const namespace = all[namespaceSetting];
  return typeof namespace === 'string' ? namespace : settings.SYSTEM_NAMESPACE;
}

/** ConfigMaps in which a tool's output is kept: with the label `app`, in the namespace that a setting names. */
export function labelledConfigMaps(app: string, namespaceSetting: string): Resource {
  const configMaps = { group: '', versions: ['v1'], kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
  return { ...configMaps, labels: { app }, namespaceSetting };
}
