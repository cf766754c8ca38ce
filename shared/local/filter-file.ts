import { readFileSync } from 'node:fs';
import { observationExceptions } from '../api/observation-exception.ts';
import { observationFilters } from '../api/observation-filter.ts';
import { commonSchema } from '../function/settings.ts';
import { indexExceptions, isException, readException } from '../rules/exception.ts';
import { compileFilters } from '../rules/filter.ts';
import type { Tried } from '../view/effects.ts';
import { checkConfiguration } from './check-configuration.ts';
import { decodeText } from './decode-text.ts';
import { parseObjects } from './object-files.ts';

/**
 * The ObservationFilters and ObservationExceptions in a file, as one of each. Throws an Error that names the field if one is
 * invalid.
 */
export function readFilterFile(file: string, now: number): Tried {
  const settings = commonSchema.parse(process.env);
  const objects = parseObjects(decodeText(readFileSync(file)), file).map(({ metadata, ...object }) => {
    const namespace = metadata.namespace ?? settings.SYSTEM_NAMESPACE;
    const placed = { ...object, metadata: { ...metadata, namespace } };
    const isKnown = object.kind === observationFilters.kind || object.kind === observationExceptions.kind;
    if (!isKnown) throw new Error(`kind: ${object.kind} is no ObservationFilter and no ObservationException`);
    checkConfiguration(placed);
    return placed;
  });
  if (objects.length === 0) throw new Error('has no ObservationFilter and no ObservationException');
  const given = objects.filter(({ kind }) => kind === observationExceptions.kind);
  const exceptions = given.map((object) => {
    const read = readException(object, { settings, now });
    if (!isException(read)) throw new Error(`${object.kind} ${object.metadata.name}: ${read.message}`);
    return read;
  });
  const index = indexExceptions(exceptions);
  return {
    filter: compileFilters(
      objects.filter(({ kind }) => kind === observationFilters.kind),
      settings,
    ),
    exceptions: given.length === 0 ? undefined : (what, at) => index.accepting(what, at)[0],
  };
}
