import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Observation } from '../../shared/api/observation.ts';
import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { createTestContext, eventOf, handled } from '../pipeline/test-context.ts';
import { type CorpusFile, casesFolder, corpusMissing } from './corpus.ts';

/** The payloads in a file, as they would arrive at the source. */
export function payloadsOf(source: string, { file, text }: CorpusFile): unknown[] {
  if (source === 'checkov' || source === 'kube-bench') return [configMap(source, text)];
  if (file.endsWith('.txt'))
    return text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  return membersOf(JSON.parse(text));
}

function membersOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'object' || value === null) return [value];
  if ('items' in value && Array.isArray(value.items)) return value.items;
  const lists = Object.values(value);
  return lists.length > 0 && lists.every(Array.isArray) ? lists.flat() : [value];
}

function configMap(source: string, text: string) {
  const metadata = { name: 'results', namespace: source, labels: { app: source } };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'results.json': text } };
}

const sourcesByLetter: Readonly<Record<string, string>> = {
  A: 'audit',
  B: 'kube-bench',
  C: 'checkov',
  F: 'falco',
  K: 'kyverno',
  V: 'trivy',
};

export interface CasePayload {
  readonly name: string;
  readonly source: string;
  readonly payload: unknown;
}

/** The payloads of all small inputs that are for a source, and not for a mapping. */
export function casePayloads(): CasePayload[] {
  if (corpusMissing) return [];
  return readdirSync(casesFolder).flatMap((folder) => {
    const source = sourcesByLetter[folder.charAt(0)];
    if (source === undefined || !/^[A-Z][0-9]/.test(folder)) return [];
    const files = readdirSync(join(casesFolder, folder)).filter((file) => file.endsWith('.json'));
    return files.flatMap((file) =>
      membersOf(JSON.parse(readFileSync(join(casesFolder, folder, file), 'utf8'))).map((payload, index) => ({
        name: `${folder}/${file}[${index}]`,
        source,
        payload,
      })),
    );
  });
}

/** What became of a payload: what was stored, and the reasons for everything that was not. */
export interface Outcome {
  readonly rows: number;
  readonly observations: readonly Observation[];
  readonly reasons: readonly string[];
}

/** Gives a payload to a source, in the pipeline, as an event that carries it. */
export async function outcomeOf(definition: SourceFunction, payload: unknown): Promise<Outcome> {
  const { context, store } = createTestContext(definition);
  try {
    const event = eventOf('org.example.payload', payload);
    const { observed, skipped, filtered } = await handled(definition, event, context);
    const { items } = await store.read({ limit: 10_000 });
    return { rows: observed, observations: items, reasons: [...Object.keys(skipped), ...Object.keys(filtered)] };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { rows: 0, observations: [], reasons: [`${error.message} at ${error.path}`] };
  }
}

/** Names of Observations that a reader can't tell apart: but for their names and times, they say the same. */
export function alike(observations: readonly Observation[]): string[] {
  const said = observations.map(({ metadata: { name }, spec }) => {
    const { detectedAt: _detectedAt, ...rest } = spec;
    return { name, text: canonicalJson(rest) };
  });
  const groups = Map.groupBy(said, ({ text }) => text);
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => group.map(({ name }) => name).join(' = '));
}
