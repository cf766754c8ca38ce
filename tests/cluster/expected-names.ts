import type { SourceFunction } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { derive, mergeRows } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { allowAll } from '../pipeline/test-context.ts';

/** Where each finding must be at the end. */
export function expectedOf(definition: SourceFunction, data: unknown): string[] {
  const settings = Object.assign({}, parseSettings({}, definition.settings, []));
  const { findings } = normalizeData(definition.source, data, '2026-03-01T10:00:00Z', settings);
  const derivation = derive(findings, {
    source: definition.name,
    hasState: true,
    filter: allowAll,
    merge: mergeRows,
    systemNamespace: 'zen-system',
    watchNamespace: undefined,
  });
  return derivation.findings.map(({ namespace, name }) => `${namespace}/${name}`);
}
