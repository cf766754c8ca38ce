import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { groupVersionOf } from '../../shared/function/group-version.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { resourcesOf } from '../../shared/function/triggers.ts';
import { isSource, loadFunctions } from '../../shared/host/load-functions.ts';
import { observationName } from '../../shared/observation/observation-name.ts';
import type { SourceFunction } from '../../shared/pipeline/source.ts';
import { createTestContext } from '../pipeline/test-context.ts';
import { type Fixture, fixturesFolder, loadFixtures } from './fixtures.ts';

const sources = (await loadFunctions()).filter(isSource);
/** `ingest` has no data of its own to be tried with: its mappings say what it reads. */
const withFixtures = sources.filter(({ triggers }) => triggers.every(({ type }) => type !== 'MappedKinds'));

function objectIn({ event }: Fixture): KubernetesObject[] {
  return event.type.startsWith('dev.knative.apiserver.') ? [event.data as KubernetesObject] : [];
}

/** What is stored after the event, in the form of the golden file; `name` stands for the identity that it hashes. */
async function outcomeOf(definition: SourceFunction, fixture: Fixture) {
  const { context, store, objects } = createTestContext(definition, { environment: fixture.environment });
  objects.all.push(...objectIn(fixture));
  const event: CloudEvent = { ...fixture.event, extensions: {} };
  const { skipped, filtered } = await definition.handle(event, context);
  const { items } = await store.read({ limit: 1000 });
  const observations = items.map(({ metadata: { name, namespace }, spec }) => {
    const { category, severity, eventType, resource, details, detectedAt } = spec;
    return { name, namespace, category, severity, eventType, resource, details, detectedAt };
  });
  return { observations, skipped, filtered };
}

function expectedOf(source: string, { observations, skipped, filtered }: Fixture['expected']) {
  const named = observations.map(({ identity, ...spec }) => ({
    name: observationName(source, { ...spec, identity }),
    ...spec,
  }));
  return { observations: named, skipped, filtered };
}

function byName<Row extends { readonly name: string }>(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

describe.each(withFixtures)('$name', (definition) => {
  it('watches each kind that a fixture of it is of, in its version', () => {
    const objects = loadFixtures(definition.name).flatMap(objectIn);
    for (const { apiVersion, kind } of objects) {
      const { group, version } = groupVersionOf(apiVersion);
      const watched = resourcesOf(definition).filter((resource) => resource.group === group && resource.kind === kind);
      expect(watched.flatMap(({ versions }) => versions)).toContain(version);
    }
  });

  it.each(loadFixtures(definition.name))('makes of $name what its golden file says, whole', async (fixture) => {
    const outcome = await outcomeOf(definition, fixture);
    const expected = expectedOf(definition.name, fixture.expected);
    expect({ ...outcome, observations: byName(outcome.observations) }).toEqual({
      ...expected,
      observations: byName(expected.observations),
    });
  });
});

describe('the fixtures', () => {
  it('has a folder for each source, and no other', () => {
    expect(readdirSync(fixturesFolder).sort()).toEqual(withFixtures.map(({ name }) => name).sort());
  });

  it.each(readdirSync(fixturesFolder))(
    '%s/ holds an event and a golden file for each case, and nothing else',
    (folder) => {
      const files = readdirSync(`${fixturesFolder}/${folder}`);
      const cases = files.filter((file) => file.endsWith('.event.json')).map((file) => file.replace('.event.json', ''));
      const known = cases.flatMap((one) => [`${one}.event.json`, `${one}.observations.json`, `${one}.settings.json`]);
      expect(cases.length).toBeGreaterThan(0);
      expect(files.filter((file) => !known.includes(file))).toEqual([]);
      for (const one of cases) expect(files).toContain(`${one}.observations.json`);
    },
  );
});
