import { ingesters } from '../api/ingester.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import { observationExceptions } from '../api/observation-exception.ts';
import { observationFilters } from '../api/observation-filter.ts';
import { observationMappings } from '../api/observation-mapping.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { mappingFault } from '../rules/accepted-mappings.ts';
import { exceptionFault } from '../rules/exception.ts';
import { type Fault, filterFault } from '../rules/filter.ts';

/** What is wrong with objects of zen-watcher's own kinds, which no API server validates here. */
const checks: ReadonlyMap<string, (object: KubernetesObject) => Fault | undefined> = new Map([
  [observationFilters.kind, filterFault],
  [observationExceptions.kind, exceptionFault],
  [observationMappings.kind, mappingFault],
  [ingesters.kind, mappingFault],
]);

const versions: ReadonlySet<string> = new Set(observationFilters.versions);

/** Throws an Error if an object doesn't belong in a folder of configuration, where it would silently do nothing. */
export function checkMeaning({ apiVersion, kind, metadata }: KubernetesObject): void {
  const { group } = groupVersionOf(apiVersion);
  if (group === observationFilters.group && checks.has(kind)) return;
  if (group === '' && kind === 'ConfigMap') return;
  const known = [...checks.keys(), 'ConfigMap'].join(', ');
  throw new Error(`${kind} ${metadata.name}: kind: ${apiVersion} ${kind} configures nothing: use ${known}`);
}

/** Throws an Error that names the field if an object of zen-watcher's own kinds is invalid. */
export function checkConfiguration(object: KubernetesObject): void {
  const { group, version } = groupVersionOf(object.apiVersion);
  if (group !== observationFilters.group) return;
  const check = checks.get(object.kind);
  if (check && !versions.has(version)) {
    throw new Error(
      `${object.kind} ${object.metadata.name}: apiVersion: must be ${group}/${[...versions].join(' or ')}`,
    );
  }
  const fault = check?.(object);
  if (fault) throw new Error(`${object.kind} ${object.metadata.name}: ${fault.field}: ${fault.message}`);
}
