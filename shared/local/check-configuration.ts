import type * as z from 'zod';
import { filterObject, observationFilters } from '../function/filter-spec.ts';
import { groupVersionOf } from '../function/group-version.ts';
import { fieldOf } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { ingesterObject, ingesters, mappingObject, observationMappings } from '../mapping/mapping-spec.ts';

/** Our own kinds, which no API server checks here. */
const schemas: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  [observationFilters.kind, filterObject],
  [observationMappings.kind, mappingObject],
  [ingesters.kind, ingesterObject],
]);

/** Throws an Error that names the field where an object of ours is none. */
export function checkConfiguration(object: KubernetesObject): void {
  const { group } = groupVersionOf(object.apiVersion);
  const schema = group === observationFilters.group ? schemas.get(object.kind) : undefined;
  const issue = schema?.safeParse(object).error?.issues[0];
  if (!issue) return;
  throw new Error(`${object.kind} ${object.metadata.name}: ${fieldOf(issue)}: ${issue.message}`);
}
