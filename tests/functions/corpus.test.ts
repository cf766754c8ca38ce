import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { observationOf } from '../../shared/api/observation.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { isSource, loadFunction } from '../../shared/host/function-list.ts';
import { derive, type NamedFinding } from '../../shared/pipeline/derive.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { type CorpusFile, corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { allowAll } from '../pipeline/test-context.ts';

/** What a payload came to: findings, and the reasons for everything that is not one. */
interface Outcome {
  readonly rows: number;
  readonly derived: readonly NamedFinding[];
  readonly reasons: readonly string[];
}

/** The payloads in a file, as they would arrive at the source. */
function payloadsOf(source: string, { file, text }: CorpusFile): unknown[] {
  if (source === 'checkov' || source === 'kube-bench') return [configMap(source, text)];
  if (file.endsWith('.txt'))
    return text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  return membersOf(JSON.parse(text));
}

function membersOf(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [value];
  if ('items' in value && Array.isArray(value.items)) return value.items;
  const lists = Object.values(value);
  return lists.length > 0 && lists.every(Array.isArray) ? lists.flat() : [value];
}

function configMap(source: string, text: string) {
  const metadata = { name: 'results', namespace: source, labels: { app: source } };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'results.json': text } };
}

async function outcomeOf(name: string, payload: unknown): Promise<Outcome> {
  const definition = await loadFunction(name);
  if (!isSource(definition)) throw new Error(`${name} is not a source`);
  const settings = Object.assign({}, parseSettings({}, definition.settings, []));
  try {
    const { findings, skipped } = normalizeData(definition.source, payload, '2026-01-01T00:00:00Z', settings);
    const { findings: derived, filtered } = derive(findings, {
      source: name,
      dropOwn: true,
      filter: allowAll,
      systemNamespace: 'zen-system',
      watchNamespace: undefined,
    });
    return { rows: findings.length, derived, reasons: [...Object.keys(skipped), ...Object.keys(filtered)] };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { rows: 0, derived: [], reasons: [`${error.message} at ${error.path}`] };
  }
}

const placeholders = new Set(['undefined', 'null', '<nil>', 'NaN', '']);

function leavesOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leavesOf) : [value];
}

describe.skipIf(corpusMissing)('payloads of real tools', () => {
  const sources = ['trivy', 'kyverno', 'falco', 'audit', 'checkov', 'kube-bench'];
  const files = sources.flatMap((source) => corpusFiles(source).map((file) => ({ source, ...file })));

  /** A row per file. If CORPUS_TABLE names a file, the table is written there. */
  const table: string[] = [];
  afterAll(() => {
    if (process.env.CORPUS_TABLE) writeFileSync(process.env.CORPUS_TABLE, `${table.join('\n')}\n`);
  });

  it.each(files)('$file results in findings or a reason', async ({ source, ...file }) => {
    const outcomes = await Promise.all(payloadsOf(source, file).map((payload) => outcomeOf(source, payload)));
    const rows = outcomes.reduce((sum, one) => sum + one.rows, 0);
    const derived = outcomes.flatMap((one) => one.derived);
    const reasons = [...new Set(outcomes.flatMap((one) => one.reasons))];
    table.push(`| ${file.file} | ${rows} | ${derived.length} | ${reasons.join(', ')} |`);
    expect(derived.length + reasons.length).toBeGreaterThan(0);
    // Rows with the same identity become one Observation that counts them, so none is lost.
    const occurrences = derived.map(({ finding }) => Number(finding.details.occurrences ?? 1));
    expect(occurrences.reduce((sum, count) => sum + count, 0)).toBe(rows);
    for (const one of derived) {
      const object = observationOf(one.finding, {
        name: one.name,
        namespace: one.namespace,
        source,
        subject: one.subject,
        correlationId: 'corpus',
        ttl: 604_800,
        expiresAt: 0,
        now: 0,
      });
      expect(Buffer.byteLength(JSON.stringify(object))).toBeLessThan(8192);
      for (const leaf of leavesOf(object.spec)) {
        expect(leaf).not.toBeUndefined();
        expect(leaf).not.toBeNull();
        expect(placeholders.has(String(leaf))).toBe(false);
      }
      expect(object.metadata.name).toMatch(new RegExp(`^${source}-[0-9a-f]{32}$`));
      expect(Date.parse(object.spec.detectedAt)).not.toBeNaN();
    }
  });
});
