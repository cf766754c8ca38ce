import type * as z from 'zod';
import { ingesterObject, ingesters } from '../api/ingester.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import { exceptionObject, observationExceptions } from '../api/observation-exception.ts';
import { filterObject, observationFilters } from '../api/observation-filter.ts';
import { mappingObject, observationMappings } from '../api/observation-mapping.ts';
import { fieldOf } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { exceptionFault } from '../rules/exception.ts';

/** zen-watcher's own kinds, which no API server validates here. */
const schemas: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  [observationFilters.kind, filterObject],
  [observationExceptions.kind, exceptionObject],
  [observationMappings.kind, mappingObject],
  [ingesters.kind, ingesterObject],
]);

const versions: ReadonlySet<string> = new Set(observationFilters.versions);

/** Throws an Error if an object doesn't belong in a folder of configuration, where it would silently do nothing. */
export function checkMeaning({ apiVersion, kind, metadata }: KubernetesObject): void {
  const { group } = groupVersionOf(apiVersion);
  if (group === observationFilters.group && schemas.has(kind)) return;
  if (group === '' && kind === 'ConfigMap') return;
  const known = [...schemas.keys(), 'ConfigMap'].join(', ');
  throw new Error(`${kind} ${metadata.name}: kind: ${apiVersion} ${kind} configures nothing: use ${known}`);
}

/** Throws an Error that names the field if an object of zen-watcher's own kinds is invalid. */
export function checkConfiguration(object: KubernetesObject): void {
  const { group, version } = groupVersionOf(object.apiVersion);
  if (group !== observationFilters.group) return;
  const schema = schemas.get(object.kind);
  if (schema && !versions.has(version)) {
    throw new Error(
      `${object.kind} ${object.metadata.name}: apiVersion: must be ${group}/${[...versions].join(' or ')}`,
    );
  }
  const fault = object.kind === observationExceptions.kind ? exceptionFault(object) : undefined;
  if (fault) throw new Error(`${object.kind} ${object.metadata.name}: ${fault.field}: ${fault.message}`);
  const issue = schema?.safeParse(object).error?.issues[0];
  if (!issue) return;
  throw new Error(`${object.kind} ${object.metadata.name}: ${fieldOf(issue)}: ${issue.message}`);
}
