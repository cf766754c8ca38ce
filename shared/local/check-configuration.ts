import type * as z from 'zod';
import { ingesterObject, ingesters } from '../api/ingester.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import { filterObject, observationFilters } from '../api/observation-filter.ts';
import { mappingObject, observationMappings } from '../api/observation-mapping.ts';
import { fieldOf } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';

/** Our own kinds, which no API server checks here. */
const schemas: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  [observationFilters.kind, filterObject],
  [observationMappings.kind, mappingObject],
  [ingesters.kind, ingesterObject],
]);

const versions: ReadonlySet<string> = new Set(observationFilters.versions);

/** What a folder of configuration may hold; anything else would be read and do nothing. Throws an Error. */
export function checkMeaning({ apiVersion, kind, metadata }: KubernetesObject): void {
  const { group } = groupVersionOf(apiVersion);
  if (group === observationFilters.group && schemas.has(kind)) return;
  if (group === '' && kind === 'ConfigMap') return;
  const known = [...schemas.keys()].join(', ');
  throw new Error(`${kind} ${metadata.name}: kind: ${apiVersion} ${kind} configures nothing: there are ${known}`);
}

/** Throws an Error that names the field where an object of ours is none. */
export function checkConfiguration(object: KubernetesObject): void {
  const { group, version } = groupVersionOf(object.apiVersion);
  if (group !== observationFilters.group) return;
  const schema = schemas.get(object.kind);
  if (schema && !versions.has(version)) {
    throw new Error(
      `${object.kind} ${object.metadata.name}: apiVersion: must be ${group}/${[...versions].join(' or ')}`,
    );
  }
  const issue = schema?.safeParse(object).error?.issues[0];
  if (!issue) return;
  throw new Error(`${object.kind} ${object.metadata.name}: ${fieldOf(issue)}: ${issue.message}`);
}
