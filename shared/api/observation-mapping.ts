import * as z from 'zod';
import { configurationKind } from './group.ts';
import { groupName, mappingRules, objectMeta, plural, version } from './mapping-rules.ts';
import { sourceName } from './observation-filter.ts';

export const observationMappings = configurationKind('ObservationMapping');

export const mappingObject = z.object({
  metadata: objectMeta,
  spec: mappingRules.extend({
    sourceName,
    group: groupName,
    version,
    kind: z
      .string()
      .max(63)
      .regex(/^[A-Z][A-Za-z0-9]*$/, { error: 'must be a kind' }),
    resource: plural.optional(),
    enabled: z.boolean().default(true),
  }),
});
