import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSpares, inRemovalOrder, type Spare } from '../../functions/gc/removal-order.ts';
import { labels } from '../../shared/api/labels.ts';
import { severities } from '../../shared/finding/severity.ts';
import type { Stored } from '../../shared/function/stores.ts';

interface Made {
  readonly stored: Stored;
  readonly rule: string;
}

/** What may be stored: few values of everything, so that groups are full and keys are equal. */
const made: fc.Arbitrary<Made> = fc
  .record({
    hash: fc.integer({ min: 0, max: 999 }),
    source: fc.constantFrom('falco', 'audit', 'kyverno', 'nobody', undefined),
    namespace: fc.constantFrom('a', 'b', 'zen-system'),
    affected: fc.constantFrom('a', 'b', undefined),
    state: fc.constantFrom('open', 'missing', 'resolved', undefined),
    severity: fc.constantFrom(...severities, 'awful', undefined),
    createdAt: fc.integer({ min: 0, max: 3 }),
    rule: fc.constantFrom('r', 's'),
    isBeingDeleted: fc.boolean(),
  })
  .map(({ hash, source, namespace, affected, state, severity, createdAt, rule, isBeingDeleted }) => {
    const name = `${source ?? 'x'}-${String(hash).padStart(32, '0')}`;
    const given = {
      [labels.source]: source,
      [labels.namespace]: affected,
      [labels.state]: state,
      [labels.severity]: severity,
      ...(state && { [labels.report]: 'slot' }),
    };
    const present: Record<string, string> = {};
    for (const [key, value] of Object.entries(given)) if (value !== undefined) present[key] = value;
    const ref = { namespace, name, uid: `${namespace}/${name}`, version: '1' };
    return { stored: { ref, labels: present, hasAnnotations: false, createdAt, isBeingDeleted }, rule };
  });

const world = fc.uniqueArray(made, { selector: ({ stored }) => stored.ref.uid, maxLength: 60 });

const sources = new Set<string | undefined>(['falco', 'audit', 'kyverno']);

function orderOf(all: readonly Made[]): Spare[] {
  const spareOf = createSpares((source) => sources.has(source));
  return inRemovalOrder(all.map(({ stored, rule }) => spareOf(stored, rule)).filter((spare) => spare !== undefined));
}

const uidsOf = (spares: readonly Spare[]): string[] => spares.map(({ ref }) => ref.uid);

/** What is deleted step by step, as the order promises. */
function oneByOne(all: readonly Spare[]): string[] {
  const left = [...all];
  const gone: string[] = [];
  const kinds = ['foreign', 'resolved', 'missing', 'minor', 'event'];
  while (left.length > 0) {
    const first = kinds.find((kind) => left.some(({ reason }) => reason === kind));
    const candidates = left.filter(({ reason }) => reason === first);
    const sizes = Map.groupBy(candidates, ({ group }) => group);
    const fullest = Math.max(...[...sizes.values()].map((members) => members.length));
    const worst = candidates
      .filter(({ group }) => sizes.get(group)?.length === fullest)
      .toSorted(
        (a, b) =>
          b.severity - a.severity ||
          b.createdAt - a.createdAt ||
          (a.ref.namespace < b.ref.namespace ? 1 : a.ref.namespace > b.ref.namespace ? -1 : 0) ||
          (a.ref.name < b.ref.name ? 1 : -1),
      );
    // Of several groups as full, that one whose least is the least.
    const [next] = worst;
    if (!next) break;
    gone.push(next.ref.uid);
    left.splice(left.indexOf(next), 1);
  }
  return gone;
}

describe('inRemovalOrder', () => {
  it('takes one at a time from the fullest group, the least severe and the newest', () => {
    fc.assert(
      fc.property(world, (all) => {
        expect(uidsOf(orderOf(all))).toEqual(oneByOne(orderOf(all)));
      }),
    );
  });

  it('is the same, in whatever order things are listed', () => {
    fc.assert(
      fc.property(
        world.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          expect(uidsOf(orderOf(shuffled))).toEqual(uidsOf(orderOf(all)));
        },
      ),
    );
  });

  it.each(['123', '132', '213', '231', '312', '321'])(
    'takes of those alike the last name first, in a list of %s',
    (order) => {
      const all = [...order].map((digit): Made => {
        const ref = { namespace: 'shop', name: `falco-${digit.repeat(32)}`, uid: digit, version: '1' };
        const found = { [labels.source]: 'falco' };
        return {
          stored: { ref, labels: found, hasAnnotations: false, createdAt: 1, isBeingDeleted: false },
          rule: 'r',
        };
      });
      expect(uidsOf(orderOf(all))).toEqual(['3', '2', '1']);
    },
  );

  it('goes on with the same for whoever lists when another collection has deleted some', () => {
    fc.assert(
      fc.property(world, fc.nat(60), (all, count) => {
        const order = uidsOf(orderOf(all));
        const gone = new Set(order.slice(0, count));
        const rest = all.filter(({ stored }) => !gone.has(stored.ref.uid));
        expect(uidsOf(orderOf(rest))).toEqual(order.slice(count));
      }),
    );
  });

  it('has everything that can be spared once, and nothing that must stay', () => {
    fc.assert(
      fc.property(world, (all) => {
        const order = new Set(uidsOf(orderOf(all)));
        for (const { stored } of all) {
          const { [labels.source]: source, [labels.state]: state, [labels.severity]: severity } = stored.labels;
          const isOpen = sources.has(source) && state === 'open';
          const mustStay = stored.isBeingDeleted || (isOpen && ['CRITICAL', 'HIGH', 'MEDIUM'].includes(severity ?? ''));
          expect(order.has(stored.ref.uid)).toBe(!mustStay);
        }
        expect(order.size).toBe(orderOf(all).length);
      }),
    );
  });
});
