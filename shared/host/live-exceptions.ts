import type { KindSelector } from '../api/kind-selector.ts';
import { observationExceptions } from '../api/observation-exception.ts';
import type { Exceptions } from '../function/exceptions.ts';
import type { KubernetesObject } from '../function/stores.ts';
import {
  type ExceptionIndex,
  type ExceptionSettings,
  indexExceptions,
  isException,
  readException,
} from '../rules/exception.ts';

/** The watched ObservationExceptions, compiled anew when one of them has changed. One that can't be read accepts nothing. */
export function createLiveExceptions(
  watched: (resource: KindSelector) => readonly KubernetesObject[],
  settings: ExceptionSettings,
  onFailure: () => void,
): Exceptions {
  let compiledFrom: readonly KubernetesObject[] | undefined;
  let index: ExceptionIndex | undefined;
  return (what, now) => {
    const objects = watched(observationExceptions);
    if (!index || objects !== compiledFrom) {
      const read = objects.map((object) => readException(object, { settings, now, onFailure }));
      index = indexExceptions(read.filter(isException));
      compiledFrom = objects;
    }
    return index.accepting(what, now)[0];
  };
}
