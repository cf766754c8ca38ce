import { readFileSync } from 'node:fs';
import { observationFilters } from '../api/observation-filter.ts';
import type { Filter } from '../function/filter.ts';
import { commonSchema } from '../function/settings.ts';
import { compileFilters } from '../rules/filter.ts';
import { checkConfiguration } from './check-configuration.ts';
import { decodeText } from './decode-text.ts';
import { parseObjects } from './object-files.ts';

/** The ObservationFilters in a file, as one. Throws an Error that names the field if one is invalid. */
export function readFilterFile(file: string): Filter {
  const settings = commonSchema.parse(process.env);
  const objects = parseObjects(decodeText(readFileSync(file)), file).map(({ metadata, ...object }) => {
    const namespace = metadata.namespace ?? settings.SYSTEM_NAMESPACE;
    const placed = { ...object, metadata: { ...metadata, namespace } };
    if (object.kind !== observationFilters.kind) throw new Error(`kind: ${object.kind} is no ObservationFilter`);
    checkConfiguration(placed);
    return placed;
  });
  if (objects.length === 0) throw new Error('has no ObservationFilter');
  return compileFilters(objects, settings);
}
