import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import deadletter from '../../functions/deadletter.ts';
import ingest from '../../functions/ingest.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { isSource, loadFunctions } from '../../shared/host/function-list.ts';
import { anyCharacter } from '../finding/any-character.ts';
import { isQuick } from '../quick.ts';
import { loadFixtures } from './fixtures.ts';
import { dataOf, type Path, planted, tracesOf } from './traces.ts';

const sources = (await loadFunctions()).filter(isSource);

/** What orders a terminal about, hides, or turns text around: of each kind the first and the last. */
const orders = [
  ...['\u0000', '\u0007', '\u0008', '\r', '\u001b[31m', '\u001b]0;title\u0007', '\u001f', '\u007f', '\u0080'],
  ...['\u0085', '\u009b31m', '\u009f', '\u00ad', '\u061c', '\u200b', '\u200f', '\u2028', '\u2029', '\u202a'],
  ...['\u202e', '\u2060', '\u2066', '\u2069', '\u206f', '\u3164', '\ufeff', '\ufff9', '\ufffb', '\ud800', '\udfff'],
  ...['\u{e0000}', '\u{e0001}', '\u{e0041}', '\u{e007f}', '\u{e01ef}', '\n', '\t'],
];

/** Written in another way than the code has it. */
function isPrintable(character: string, isLines: boolean): boolean {
  const code = character.codePointAt(0) ?? 0;
  if (code === 0x0a || code === 0x09) return isLines;
  if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code <= 0xdfff)) return false;
  return !(
    /[\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]/.test(character) ||
    (code >= 0xe0000 && code <= 0xe0fff)
  );
}

function unprintableIn(text: string, isLines: boolean): string[] {
  return [...text].filter((character) => !isPrintable(character, isLines));
}

/** Every text of a value, the names of members included; line ends may be in remediation and details alone. */
function textsOf(value: unknown, path: Path = []): (readonly [path: Path, text: string, isLines: boolean])[] {
  const isLines = path.includes('remediation') || path.includes('details');
  if (typeof value === 'string') return [[path, value, isLines]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    [path, key, false] as const,
    ...textsOf(member, [...path, key]),
  ]);
}

function placesIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, member]) => placesIn(member, [...path, key]));
}

const hostile = fc
  .array(fc.oneof(fc.constantFrom(...orders), fc.string({ unit: anyCharacter, maxLength: 3 })), {
    minLength: 1,
    maxLength: 8,
  })
  .chain((parts) => fc.constantFrom(1, 1, 1, 5000).map((times) => parts.join('').repeat(times)));

/** How a text takes the place of a value: whole, behind it, around it, or as a member's name. */
const changes = fc.tuple(hostile, fc.constantFrom('whole', 'behind', 'around', 'name'));

function changed(value: unknown, [text, how]: readonly [string, string]): unknown {
  if (how === 'name') return { [text]: value };
  if (how === 'behind') return `${value}${text}`;
  return how === 'around' ? `${text}${value}${text}` : text;
}

const longestLine = 8192;

const runs = isQuick ? 50 : 150;

async function expectPrintable(
  definition: Parameters<typeof tracesOf>[0],
  event: CloudEvent,
  objects: readonly KubernetesObject[],
) {
  const { stored, told } = await tracesOf(definition, event, objects);
  const shown = textsOf(JSON.parse(stored)).filter(([, text, isLines]) => unprintableIn(text, isLines).length > 0);
  expect(shown).toEqual([]);
  const lines = told.split('\n');
  expect(lines.flatMap((line) => unprintableIn(line, false))).toEqual([]);
  expect(Math.max(...lines.map((line) => Buffer.byteLength(line)))).toBeLessThan(longestLine);
  return stored !== '[]';
}

const attributes = fc.record({ id: hostile, source: hostile, type: hostile, subject: hostile });

const mappings = [
  {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'Ingester',
    metadata: { name: 'posted', namespace: 'zen-system' },
    spec: {
      ...{ source: 'posted', ingester: 'webhook', webhook: { path: 'posted' }, items: '.items', identity: ['.id'] },
      mappings: {
        ...{ severity: '.severity', category: '.category', eventType: '.type', message: '.message' },
        resource: { kind: '.kind', namespace: '.namespace', name: '.name' },
        details: { some: '.details' },
      },
    },
  },
];

describe('what others read on a terminal', () => {
  it.each(sources)(
    'orders nobody about, whatever $name is sent: no Observation, no line of the log, no metric',
    async (definition) => {
      const cases = loadFixtures(definition.name)
        .map((fixture) => ({ fixture, ...dataOf(fixture) }))
        .filter(({ payload }) => placesIn(payload).length > 0);
      let [tried, count] = [0, 0];
      await fc.assert(
        fc.asyncProperty(
          fc
            .constantFrom(...cases)
            .chain((one) =>
              fc.tuple(
                fc.constant(one),
                fc.array(fc.tuple(fc.constantFrom(...placesIn(one.payload)), changes), { minLength: 1, maxLength: 6 }),
              ),
            ),
          attributes,
          async ([{ fixture, payload, wrap }, all], { id, subject }) => {
            const data = wrap(
              all.reduce((value, [path, change]) => planted(value, path, (old) => changed(old, change)), payload),
            );
            const isObject = fixture.event.type.startsWith('dev.knative.apiserver.');
            const event = { ...fixture.event, id, subject, extensions: {}, data };
            tried += 1;
            if (await expectPrintable(definition, event, isObject ? [data as KubernetesObject] : [])) count += 1;
          },
        ),
        { numRuns: runs, interruptAfterTimeLimit: 20_000 },
      );
      expect(count).toBeGreaterThan(tried / 10);
    },
  );

  it('nor whatever is posted for an Ingester', async () => {
    let count = 0;
    const item = fc.record({
      ...{ id: hostile, severity: hostile, category: fc.string(), type: fc.string(), message: hostile },
      ...{ kind: hostile, namespace: hostile, name: hostile, details: fc.dictionary(hostile, hostile) },
    });
    await fc.assert(
      fc.asyncProperty(fc.array(item, { maxLength: 4 }), attributes, async (items, { id }) => {
        const event = { id, source: '/ingest/posted', type: 'io.kube-zen.ingest.v1', time: '2026-03-01T10:00:00Z' };
        if (await expectPrintable(ingest, { ...event, extensions: {}, data: { items } }, mappings)) count += 1;
      }),
      { numRuns: runs },
    );
    expect(count).toBeGreaterThan(runs / 5);
  });

  it('nor what could not be delivered', async () => {
    await fc.assert(
      fc.asyncProperty(
        attributes,
        fc.record({ code: hostile, destination: hostile, data: hostile }),
        async (given, { code, destination, data }) => {
          const extensions = {
            ...{ knativeerrorcode: code, knativeerrordest: destination },
            knativeerrordata: Buffer.from(data).toString('base64'),
          };
          const stored = await expectPrintable(
            deadletter,
            { ...given, time: '2026-03-01T10:00:00Z', extensions, data: {} },
            [],
          );
          expect(stored).toBe(true);
        },
      ),
      { numRuns: runs },
    );
  });
});
