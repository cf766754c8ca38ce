import type { KindSelector } from '../api/kind-selector.ts';
import { observationFilters } from '../api/observation-filter.ts';
import type { Filter } from '../function/filter.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { compileFilters, type FilterSettings, filterFault, type OnFilterFailure } from '../rules/filter.ts';

interface LiveFilterOptions {
  /** Whether all of them could be read. */
  readonly onReload: (isReadable: boolean) => void;
  readonly onFailure: OnFilterFailure;
}

/** The watched ObservationFilters as one filter, compiled anew when one of them has changed. */
export function createLiveFilter(
  watched: (resource: KindSelector) => readonly KubernetesObject[],
  settings: FilterSettings,
  { onReload, onFailure }: LiveFilterOptions,
): Filter {
  let compiledFrom: readonly KubernetesObject[] | undefined;
  let compiled: Filter | undefined;
  return (finding, about) => {
    const objects = watched(observationFilters);
    if (!compiled || objects !== compiledFrom) {
      compiled = compileFilters(objects, settings, onFailure);
      compiledFrom = objects;
      onReload(objects.every((object) => filterFault(object) === undefined));
    }
    return compiled(finding, about);
  };
}
