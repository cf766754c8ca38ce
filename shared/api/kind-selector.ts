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
  { WATCH_NAMESPACE: watched }: { readonly WATCH_NAMESPACE?: string | undefined },
  namespace?: string,
): KindSelector {
  const one = watched ?? namespace;
  return one === undefined ? kind : { ...kind, namespace: one };
}

export const configMaps: KindSelector = {
  group: '',
  versions: ['v1'],
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

/** The API group and version of an apiVersion; the core group is empty. */
export function groupVersionOf(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1) };
}
