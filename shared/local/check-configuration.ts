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

/** Throws an Error that names the field where an object of ours is none. */
export function checkConfiguration(object: KubernetesObject): void {
  const { group } = groupVersionOf(object.apiVersion);
  const schema = group === observationFilters.group ? schemas.get(object.kind) : undefined;
  const issue = schema?.safeParse(object).error?.issues[0];
  if (!issue) return;
  throw new Error(`${object.kind} ${object.metadata.name}: ${fieldOf(issue)}: ${issue.message}`);
}
