import type { KindSelector } from '../api/kind-selector.ts';
import { observationFilters } from '../api/observation-filter.ts';
import type { Filter } from '../function/filter.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { compileFilters, type FilterSettings, isReadable } from '../rules/filter.ts';

/** The watched ObservationFilters as one filter, compiled anew when one of them has changed. */
export function createLiveFilter(
  watched: (resource: KindSelector) => readonly KubernetesObject[],
  settings: FilterSettings,
  onReload: (isReadable: boolean) => void,
): Filter {
  let compiledFrom: readonly KubernetesObject[] | undefined;
  let compiled: Filter | undefined;
  return (finding, about) => {
    const objects = watched(observationFilters);
    if (!compiled || objects !== compiledFrom) {
      compiled = compileFilters(objects, settings);
      compiledFrom = objects;
      onReload(objects.every(isReadable));
    }
    return compiled(finding, about);
  };
}
