import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { isSource, loadFunction } from '../../shared/host/function-list.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';
import { loadFixtures } from './fixtures.ts';

/** By source, then by fixture and finding: the name as it was written down once. */
const frozen = z
  .record(z.string(), z.record(z.string(), z.string()))
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, 'frozen-names.json'), 'utf8')));

const cases = Object.entries(frozen).flatMap(([source, names]) =>
  Object.entries(names).map(([finding, name]) => ({ source, finding, name, fixture: finding.split(':', 1)[0] ?? '' })),
);

/** The names that a source stores its findings of a fixture under. */
async function namesOf(source: string, name: string): Promise<string[]> {
  const definition = await loadFunction(source);
  if (!isSource(definition)) throw new Error(`${source} is no source`);
  const fixture = loadFixtures(source).find((one) => one.name === name);
  if (!fixture) throw new Error(`there is no fixture ${source}/${name}`);
  const { context, store, objects } = createTestContext(definition);
  if (fixture.event.type.startsWith('dev.')) objects.all.push(fixture.event.data as KubernetesObject);
  await handled(definition, { ...fixture.event, extensions: {} }, context).catch(() => undefined);
  return (await store.read({ limit: 1000 })).items.map(({ metadata }) => metadata.name);
}

// A name that changes makes every stored finding of its kind vanish and come back as a new one, with a new age, without its
// history and its exceptions: that is a breaking change, for a major version and the CHANGELOG. So never edit the file to
// make this test pass.
describe('the names of findings', () => {
  it.each(cases)('are for ever what they were: $source, $finding', async ({ source, fixture, name }) => {
    expect(await namesOf(source, fixture)).toContain(name);
  });

  it.each(Object.entries(frozen))('of %s are frozen in at least eight places', (_source, names) => {
    expect(new Set(Object.values(names)).size).toBeGreaterThanOrEqual(8);
  });
});
