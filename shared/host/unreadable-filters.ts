import { observationFilters } from '../api/observation-filter.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Cluster, KubernetesObject } from '../function/stores.ts';
import { filterFault } from '../rules/filter.ts';

/** Whose a filter is: the installation's, which holds everywhere, or a tenant's, which holds in one namespace. */
export const filterScopes = ['system', 'tenant'] as const;

export type FilterScope = (typeof filterScopes)[number];

/** The filters that are known now; none before they have been read, of which the state of the watch tells. */
function knownFilters(watched: Cluster['watched']): readonly KubernetesObject[] {
  try {
    return watched(observationFilters);
  } catch {
    return [];
  }
}

/** Count the filters that can't be read now. */
export function unreadableFilters(
  { watched }: Pick<Cluster, 'watched'>,
  { SYSTEM_NAMESPACE: systemNamespace }: Pick<CommonSettings, 'SYSTEM_NAMESPACE'>,
): Readonly<Record<FilterScope, () => number>> {
  const count = (scope: FilterScope) => (): number =>
    knownFilters(watched).filter(
      (filter) =>
        (filter.metadata.namespace === systemNamespace ? 'system' : 'tenant') === scope &&
        filterFault(filter) !== undefined,
    ).length;
  return { system: count('system'), tenant: count('tenant') };
}
