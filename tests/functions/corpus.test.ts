import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { outcomeOf, payloadsOf } from '../corpus/payloads.ts';

const placeholders = new Set(['undefined', 'null', '<nil>', 'NaN', '']);

function leavesOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leavesOf) : [value];
}

const sources = corpusMissing ? [] : (await loadFunctions()).filter(isSource);

describe.skipIf(corpusMissing)('payloads of real tools', () => {
  const files = sources.flatMap((definition) => corpusFiles(definition.name).map((file) => ({ definition, ...file })));

  /** A row per file. If CORPUS_TABLE names a file, the table is written there. */
  const table: string[] = [];
  afterAll(() => {
    if (process.env.CORPUS_TABLE) writeFileSync(process.env.CORPUS_TABLE, `${table.join('\n')}\n`);
  });

  it.each(files)('$file results in findings or a reason', async ({ definition, ...file }) => {
    const payloads = payloadsOf(definition.name, file);
    const outcomes = await Promise.all(payloads.map((payload) => outcomeOf(definition, payload)));
    const rows = outcomes.reduce((sum, one) => sum + one.rows, 0);
    const observations = outcomes.flatMap((one) => one.observations);
    const reasons = [...new Set(outcomes.flatMap((one) => one.reasons))];
    table.push(`| ${file.file} | ${rows} | ${observations.length} | ${reasons.join(', ')} |`);
    expect(observations.length + reasons.length).toBeGreaterThan(0);
    for (const object of observations) {
      expect(Buffer.byteLength(JSON.stringify(object))).toBeLessThan(8192);
      for (const leaf of leavesOf(object.spec)) {
        expect(leaf).not.toBeUndefined();
        expect(leaf).not.toBeNull();
        expect(placeholders.has(String(leaf))).toBe(false);
      }
      expect(object.metadata.name).toMatch(new RegExp(`^${definition.name}-[0-9a-f]{32}$`));
      expect(Date.parse(object.spec.detectedAt)).not.toBeNaN();
    }
  });
});
