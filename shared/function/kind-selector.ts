import type { CommonSettings } from './settings.ts';

/** A kind of Kubernetes object, and which objects of it are meant. */
export interface KindSelector {
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
  /** The one namespace to look in; without it, all of them. */
  readonly namespace?: string;
}

/**
 * The kind where a function is to look: in `namespace`, or wherever it is where that is not given. A zen-watcher that
 * watches one namespace looks there, whatever is given.
 */
export function selectIn(
  kind: KindSelector,
  { WATCH_NAMESPACE: watched }: Pick<CommonSettings, 'WATCH_NAMESPACE'>,
  namespace?: string,
): KindSelector {
  const one = watched ?? namespace;
  return one === undefined ? kind : { ...kind, namespace: one };
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
export const apiServerSources: KindSelector = {
  group: 'sources.knative.dev',
  versions: ['v1'],
  kind: 'ApiServerSource',
  plural: 'apiserversources',
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
export const knativeTriggers: KindSelector = {
  group: 'eventing.knative.dev',
  versions: ['v1'],
  kind: 'Trigger',
  plural: 'triggers',
  namespaced: true,
};

export const configMaps: KindSelector = {
  group: '',
  versions: ['v1'],
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};
