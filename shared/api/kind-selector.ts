/** A kind of Kubernetes object, and which objects of that kind are meant. */
export interface KindSelector {
  /** API group; empty for the core group. */
  readonly group: string;
  /** Versions that we can read, best first. The first one that the cluster serves is used. */
  readonly versions: readonly string[];
  readonly kind: string;
  /** Lower-case plural, as in URLs. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Only objects with all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * Only objects that match a label selector: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
   */
  readonly labelSelector?: string;
  /** Only objects in this namespace; `undefined` for all namespaces. */
  readonly namespace?: string;
  /** Only the object with this name. */
  readonly name?: string;
}

/**
 * Restricts a kind to `namespace`, if one is given. A zen-watcher that watches a single namespace may read nothing
 * outside it, so that namespace wins.
 */
export function selectIn(
  kind: KindSelector,
  { WATCH_NAMESPACE: watchNamespace }: { readonly WATCH_NAMESPACE?: string | undefined },
  namespace?: string,
): KindSelector {
  const only = watchNamespace ?? namespace;
  return only === undefined ? kind : { ...kind, namespace: only };
}

export const configMaps: KindSelector = {
  group: '',
  versions: ['v1'],
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

/** Splits an apiVersion into group and version; the core group is empty. */
export function groupVersionOf(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1) };
}
