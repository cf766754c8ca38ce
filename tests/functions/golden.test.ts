import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { groupVersionOf } from '../../shared/api/kind-selector.ts';
import { observationName } from '../../shared/finding/name.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { differences, expectNone } from '../facts/faults.ts';
import { createTestContext, handled } from '../pipeline/test-context.ts';
import { casesOf, type Fixture, fixturesFolder, loadFixtures } from './fixtures.ts';

const sources = (await loadFunctions()).filter(isSource);

function objectIn({ event }: Fixture): KubernetesObject[] {
  return event.type.startsWith('dev.knative.apiserver.') ? [event.data as KubernetesObject] : [];
}

/**
 * What is stored after the event, in the form of the golden file, with a name in place of the identity that it hashes.
 */
async function outcomeOf(definition: SourceFunction, fixture: Fixture) {
  const { context, store, objects } = createTestContext(definition, { environment: fixture.environment });
  objects.all.push(...objectIn(fixture));
  const event: CloudEvent = { ...fixture.event, extensions: {} };
  const { skipped, filtered } = await handled(definition, event, context);
  const { items } = await store.read({ limit: 1000 });
  const observations = items.map(({ metadata: { name, namespace }, spec }) => {
    const { source: _source, ttlSecondsAfterCreation: _ttl, ...said } = spec;
    return { name, namespace, ...said };
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

describe.each(sources)('$name', (definition) => {
  it('watches the kind and version of every object in its fixtures', () => {
    const objects = loadFixtures(definition.name).flatMap(objectIn);
    for (const { apiVersion, kind } of objects) {
      const { group, version } = groupVersionOf(apiVersion);
      const { kinds } = functionInfoOf(definition, {}, []);
      const watched = kinds.filter((one) => one.group === group && one.kind === kind);
      expect(watched.flatMap(({ versions }) => versions)).toContain(version);
    }
  });

  it.each(loadFixtures(definition.name))('makes exactly what the golden file says of $name', async (fixture) => {
    const outcome = await outcomeOf(definition, fixture);
    const expected = expectedOf(definition.name, fixture.expected);
    expect({ ...outcome, observations: byName(outcome.observations) }).toEqual({
      ...expected,
      observations: byName(expected.observations),
    });
  });
});

describe('the fixtures', () => {
  it('have a folder for each source, and no other', () => {
    expectNone(
      differences(
        sources.map(({ name }) => name),
        readdirSync(fixturesFolder),
        {
          onlyHere: (name) =>
            `there is no tests/fixtures/${name}/, with a case for each thing that ${name} tells apart`,
          onlyThere: (name) => `there is a tests/fixtures/${name}/, and no source of that name`,
        },
      ),
    );
  });

  it.each(readdirSync(fixturesFolder))('%s/ contains only the files of its cases', (source) => {
    const suffixes = ['event', 'observations', 'settings'].map((kind) => `.${kind}.json`);
    const files = readdirSync(join(fixturesFolder, source));
    expect(casesOf(source).length).toBeGreaterThan(0);
    expect(files.filter((file) => !suffixes.some((suffix) => file.endsWith(suffix)))).toEqual([]);
  });
});
