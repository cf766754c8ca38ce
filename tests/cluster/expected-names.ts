import type { SourceFunction } from '../../shared/function/definitions.ts';
import type { Filter } from '../../shared/function/filter.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { derive, mergeRows, type NamedFinding } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { judgeMappings } from '../../shared/rules/accepted-mappings.ts';
import { allowAll } from '../pipeline/test-context.ts';

const time = '2026-03-01T10:00:00Z';
const place = { hasState: true, systemNamespace: 'zen-system', watchNamespace: undefined };

/** What a source makes of data, as far as a filter keeps it. */
export function derivedOf(
  definition: SourceFunction,
  data: unknown,
  filter: Filter = allowAll,
): readonly NamedFinding[] {
  const settings = Object.assign({}, parseSettings({}, definition.settings, []));
  const { findings } = normalizeData(definition.source, data, time, settings);
  const { merge = mergeRows } = definition.source;
  return derive(findings, { source: definition.name, filter, merge, ...place }).findings;
}

/** What an ObservationMapping or Ingester of the system namespace makes of an object or a post. */
export function mappedOf(
  mapping: KubernetesObject,
  data: unknown,
  about?: { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly namespace: string },
): readonly NamedFinding[] {
  const isIngester = mapping.kind === 'Ingester';
  const [verdict] = judgeMappings({
    mappings: isIngester ? [] : [mapping],
    ingesters: isIngester ? [mapping] : [],
    systemNamespace: 'zen-system',
    functionNames: [],
  });
  const accepted = verdict?.mapping;
  if (!accepted) throw new Error(`not accepted: ${JSON.stringify(verdict?.condition)}`);
  const { findings } = accepted.map(data, { about, time, windowSeconds: accepted.windowSeconds });
  return derive(findings, { source: accepted.source, filter: allowAll, merge: mergeRows, ...place }).findings;
}

export const placeOf = ({ namespace, name }: NamedFinding): string => `${namespace}/${name}`;

/** Where each finding must be at the end. */
export function expectedOf(definition: SourceFunction, data: unknown): string[] {
  return derivedOf(definition, data).map(placeOf);
}
