import { describe, expect, it } from 'vitest';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { alike, casePayloads, outcomeOf, payloadsOf } from '../corpus/payloads.ts';

const sources = corpusMissing ? [] : (await loadFunctions()).filter(isSource);

describe.skipIf(corpusMissing)('any two Observations of one payload', () => {
  const ofCorpus = sources.flatMap(({ name: source }) =>
    corpusFiles(source).map((file) => ({ name: file.file, source, payloads: () => payloadsOf(source, file) })),
  );
  const ofCases = casePayloads().map(({ payload, ...one }) => ({ ...one, payloads: () => [payload] }));

  it.each([...ofCorpus, ...ofCases])('differ in what they say: $name', async ({ source, payloads }) => {
    const definition = sources.find(({ name }) => name === source);
    if (!definition) throw new Error(`${source} is no source`);
    for (const payload of payloads()) {
      const { observations } = await outcomeOf(definition, payload);
      expect(alike(observations)).toEqual([]);
    }
  });

  it('are looked for in payloads of every source', () => {
    const found = new Set([...ofCorpus, ...ofCases].map(({ source }) => source));
    expect([...found].sort()).toEqual(sources.map(({ name }) => name));
  });
});
