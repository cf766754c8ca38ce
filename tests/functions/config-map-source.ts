import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { Refusal } from '../../shared/function/refusal.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { isSource, loadFunction } from '../../shared/host/function-list.ts';
import { derive, mergeRows, type NamedFinding } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { allowAll } from '../pipeline/test-context.ts';

export interface ConfigMapOptions {
  readonly metadata?: object;
  readonly environment?: Readonly<Record<string, string>>;
  readonly time?: string;
}

/** A ConfigMap as its tool's users store it. What isn't text is printed as JSON. */
export function configMapWith(source: string, printed: unknown, metadata: object = {}) {
  const text = typeof printed === 'string' ? printed : JSON.stringify(printed);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'scan', namespace: source, labels: { app: source }, ...metadata },
    data: { 'results.json': text },
  };
}

/** What a source makes of an object: findings as they are named and merged, and what could not be read. */
export async function outcomeOf(source: string, object: unknown, { environment = {}, time }: ConfigMapOptions = {}) {
  const definition = await loadFunction(source);
  if (!isSource(definition)) throw new Error(`${source} is not a source`);
  const settings = Object.assign({}, parseSettings(environment, definition.source.settings, []));
  const at = time ?? '2026-03-01T10:00:00Z';
  const normalized = normalizeData(definition.source, object, at, settings);
  const { findings } = derive(normalized.findings, {
    source,
    hasState: true,
    filter: allowAll,
    merge: definition.source.merge ?? mergeRows,
    systemNamespace: 'zen-system',
    watchNamespace: undefined,
  });
  return { findings, skipped: normalized.skipped, badRows: normalized.badRows ?? [] };
}

/** Where and why an object as a whole can't be read. */
export async function refusalOf(source: string, object: unknown) {
  try {
    return await outcomeOf(source, object);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, path: error.path, cause: error.cause };
  }
}

/** What names and facts depend on, for comparing two reports of the same. */
export function namesAndDigests(findings: readonly NamedFinding[]): Readonly<Record<string, string>> {
  return Object.fromEntries(findings.map(({ name, digest }) => [name, digest]).sort());
}

const casesFolder = join(import.meta.dirname, '..', '..', '..', 'shared', 'cases');

/** Small inputs that once went wrong, kept beside the project like the corpus. */
export const casesMissing = !existsSync(join(casesFolder, 'INDEX.md'));

/** The ConfigMaps of a case, by the beginning of its name. */
export function caseConfigMaps(prefix: string): unknown[] {
  const folder = readdirSync(casesFolder).find((name) => name.startsWith(`${prefix}-`));
  if (folder === undefined) throw new Error(`there is no case ${prefix}`);
  const files = readdirSync(join(casesFolder, folder)).filter((name) => name.endsWith('.json'));
  return files
    .sort()
    .map((name) => z.unknown().parse(JSON.parse(readFileSync(join(casesFolder, folder, name), 'utf8'))));
}
