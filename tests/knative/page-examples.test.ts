import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commonSchema } from '../../shared/function/settings.ts';
import { parseObjects } from '../../shared/local/object-files.ts';
import { indexExceptions, isException, readException } from '../../shared/rules/exception.ts';
import { compileFilters } from '../../shared/rules/filter.ts';
import { createEffects, type Tried } from '../../shared/view/effects.ts';
import { observationsOfSamples } from './samples.ts';

const settings = commonSchema.parse({});
const now = Date.parse('2026-03-01T00:00:00Z');
const samples = await observationsOfSamples();

const examples = ['EXCEPTIONS.md', 'FILTERS.md'].flatMap((file) => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'knative', file), 'utf8');
  return [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, yaml = '']) => parseObjects(yaml, file));
});

function triedOf(object: (typeof examples)[number], failures: string[]): Tried {
  if (object.kind === 'ObservationFilter') {
    return { filter: compileFilters([object], settings, (_object, message) => failures.push(message)) };
  }
  const read = readException(object, { settings, now, onFailure: (_name, message) => failures.push(message) });
  if (!isException(read)) throw new Error(read.message);
  const index = indexExceptions([read]);
  return {
    filter: compileFilters([], settings),
    exceptions: (what, at) => index.accepting(what, at)[0],
  };
}

const withoutFix = ['CVE-2099-0011', 'CVE-2099-0141', 'CVE-2099-0142', 'CVE-2099-0143'];
const severe = ['CVE-2099-0001', ...withoutFix, 'KSV-0017', 'private-key'];

/** For each example what it does, of everything that is in the samples. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'zlib-in-cart': ['trivy CVE-2099-0002: accepted'],
  'web-may-run-as-root': ['kyverno require-run-as-nonroot/run-as-non-root: accepted'],
  'cve-2099-0002': ['trivy CVE-2099-0002: accepted'],
  // Not what is about nodes (kube-bench, compliance), and nothing of Falco, Checkov or the audit log.
  'minor-outside-production': ['trivy CVE-2099-0002: accepted'],
  'no-fix-yet': withoutFix.map((rule) => `trivy ${rule}: accepted`),
  // Nothing happens in a namespace chaos-*.
  'chaos-tests': [],
  'only-with-a-fix': withoutFix.map((rule) => `trivy ${rule}: expression`),
  // Not 5.2.2, which is about the cluster.
  'only-production': [...severe, 'CVE-2099-0002'].sort().map((rule) => `trivy ${rule}: expression`),
  'tests-are-low': severe.map((rule) => `trivy ${rule}: LOW`),
  'privileged-is-critical': ['trivy CVE-2099-0002: min_severity', 'trivy KSV-0017: CRITICAL'],
  // Only people do something in the samples.
  people: [],
};

describe('the examples of EXCEPTIONS.md and FILTERS.md, tried on the samples', () => {
  it('have an expectation each', () => {
    expect(examples.map(({ metadata }) => metadata.name)).toEqual(Object.keys(expected));
  });

  it.each(examples.map((object) => [object.metadata.name, object] as const))(
    '%s touches what it says, and nothing else',
    (name, object) => {
      const failures: string[] = [];
      const effects = createEffects(triedOf(object, failures), now);
      for (const observation of samples) effects.add(observation);
      const touched = effects.all().items.map(({ source, rule, effect }) => `${source} ${rule}: ${effect}`);
      expect(touched.sort()).toEqual(expected[name]);
      expect(failures).toEqual([]);
    },
  );
});
