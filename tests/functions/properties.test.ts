import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { SourceFunction } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { anyCharacter } from '../finding/any-character.ts';
import { createRandom } from '../host/random.ts';
import { createTestContext, eventOf, handled } from '../pipeline/test-context.ts';
import { loadFixtures } from './fixtures.ts';

const sources = (await loadFunctions()).filter(isSource);

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries: [string | number, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...entries.flatMap(([key, member]) => pathsOf(member, [...path, key]))];
}

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? replaced(item, rest, by) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, name === key ? replaced(item, rest, by) : item]),
  );
}

/** Values that tools should never send, but do. */
const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(
    null,
    '',
    ' ',
    'undefined',
    '<nil>',
    '\u0000',
    '\ud800',
    '__proto__',
    2 ** 53 + 2,
    -1,
    1e308,
    [],
    {},
  ),
  fc.string({ unit: anyCharacter, maxLength: 300 }),
  fc.constant(JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":1}}')),
);

function mutationsOf(source: SourceFunction): fc.Arbitrary<unknown> {
  const datas = loadFixtures(source.name).map(({ event }) => event.data);
  const places = datas.map((data) => ({ data, paths: pathsOf(data) }));
  return fc
    .constantFrom(...places)
    .chain(({ data, paths }) =>
      fc
        .array(fc.tuple(fc.constantFrom(...paths), odd), { minLength: 1, maxLength: 4 })
        .map((changes) => changes.reduce((mutated, [path, by]) => replaced(mutated, path, by), data)),
    );
}

describe.each(sources)('$name', (definition) => {
  const { name, source } = definition;

  it('normalizes whatever its schema accepts, deterministically', () => {
    const settings = Object.assign({}, parseSettings({}, source.settings, []));
    const options = { time: '2026-03-01T10:00:00Z', settings };
    fc.assert(
      fc.property(mutationsOf(definition), (data) => {
        const parsed = source.schema.safeParse(data);
        if (!parsed.success) return;
        const normalized = source.normalize(parsed.data, options);
        expect(source.normalize(structuredClone(parsed.data), options)).toEqual(normalized);
        for (const { identity, eventType, detectedAt } of normalized.findings) {
          for (const part of Object.values(identity)) expect(typeof part).toBe('string');
          expect(eventType).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
          expect(Date.parse(detectedAt)).not.toBeNaN();
        }
      }),
      { numRuns: 500 },
    );
  });

  it('leaves the same Observations, in whatever order and however often events arrive', async () => {
    const fixtures = loadFixtures(name).filter(({ environment }) => Object.keys(environment).length === 0);
    const handleAll = async (events: readonly { event: CloudEvent; data: unknown }[]): Promise<string[]> => {
      const test = createTestContext(definition);
      for (const { event, data } of events) {
        const object: { metadata?: { name: string } } = data ?? {};
        if (event.type.startsWith('dev.'))
          test.objects.all.splice(0, 1, Object.assign({ apiVersion: '', kind: '', metadata: { name: '' } }, object));
        await handled(definition, event, test.context).catch((error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
        });
      }
      return (await test.store.read({ limit: 10_000 })).items
        .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
        .sort();
    };
    const events = fixtures.map(({ event }) => ({
      event: { ...eventOf(event.type, event.data), time: event.time },
      data: event.data,
    }));
    const once = await handleAll(events);
    expect(once.length).toBeGreaterThan(0);
    for (let run = 0; run < 5; run += 1) {
      const { shuffle, pick, seed } = createRandom();
      const [first, ...rest] = events;
      if (!first) throw new Error('no events');
      const repeated = Array.from({ length: events.length }, () => pick([first, ...rest]));
      expect(await handleAll(shuffle([...events, ...repeated])), `seed ${seed}`).toEqual(once);
    }
  });
});
