import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAccepted } from '../../shared/api/acceptance.ts';
import { labels } from '../../shared/api/labels.ts';
import { createExceptionWorld } from './exception-world.ts';

const ids = ['a', 'b', 'c'] as const;
const severities = ['low', 'medium', 'high'] as const;
const minute = 60_000;

interface Forgiven {
  readonly name: string;
  readonly namespace: 'zen-system' | 'shop' | 'pay';
  readonly rules: readonly string[] | undefined;
  readonly severities: readonly string[] | undefined;
  readonly kind: string | undefined;
  /** Minutes from when it was made; `undefined` for ever. */
  readonly lasts: number | undefined;
  readonly isMisspelt: boolean;
}

interface Made extends Forgiven {
  /** Milliseconds since 1970. */
  readonly endsAt: number;
}

type Step =
  | {
      readonly type: 'report';
      readonly rows: Readonly<Record<string, (typeof severities)[number]>>;
      readonly by: 'event' | 'pass';
    }
  | { readonly type: 'forgive'; readonly one: Forgiven }
  | { readonly type: 'regret'; readonly name: string }
  | { readonly type: 'judge' }
  | { readonly type: 'pass' }
  | { readonly type: 'later'; readonly minutes: number };

const names = fc.constantFrom('x', 'y', 'z');

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant('report' as const),
      rows: fc.dictionary(fc.constantFrom(...ids), fc.constantFrom(...severities), { minKeys: 1, maxKeys: 3 }),
      by: fc.constantFrom('event' as const, 'pass' as const),
    }),
    fc.record({
      type: fc.constant('forgive' as const),
      one: fc.record({
        name: names,
        namespace: fc.constantFrom('zen-system' as const, 'zen-system' as const, 'shop' as const, 'pay' as const),
        rules: fc.option(fc.subarray(['a', 'b*', 'c'], { minLength: 1 }), { nil: undefined, freq: 2 }),
        severities: fc.option(fc.subarray(['LOW', 'MEDIUM', 'HIGH'], { minLength: 1 }), { nil: undefined, freq: 2 }),
        kind: fc.option(fc.constantFrom('Deployment', 'D*', 'Pod'), { nil: undefined, freq: 2 }),
        lasts: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
        isMisspelt: fc.constantFrom(false, false, false, false, true),
      }),
    }),
    fc.record({ type: fc.constant('regret' as const), name: names }),
    fc.record({ type: fc.constant('judge' as const) }),
    fc.record({ type: fc.constant('pass' as const) }),
    fc.record({ type: fc.constant('later' as const), minutes: fc.integer({ min: 1, max: 120 }) }),
  ),
  { minLength: 4, maxLength: 12, size: 'max' },
);

/** Whether a model of one line each says that an exception accepts a finding about the Deployment shop/web. */
function accepts(one: Made, rule: string, severity: string, now: number): boolean {
  const isGiven = one.rules ?? one.severities ?? one.kind;
  const isRule = one.rules?.some((word) => word.replace('*', '') === rule) ?? true;
  const isSeverity = one.severities?.includes(severity) ?? true;
  const isKind = one.kind === undefined || one.kind.startsWith('D');
  const isThere = one.namespace !== 'pay' && !one.isMisspelt && isGiven !== undefined && now < one.endsAt;
  return isThere && isRule && isSeverity && isKind;
}

function labelOf(found: readonly Made[]): string | undefined {
  const latest = Math.max(...found.map(({ endsAt }) => endsAt));
  if (found.length === 0) return undefined;
  return Number.isFinite(latest) ? String(latest / 1000) : 'forever';
}

function fieldsOf({ rules, severities: words, kind, isMisspelt }: Forgiven, endsAt: number) {
  const match = { rules, severities: words, resources: kind === undefined ? undefined : [{ kind }] };
  const given = Object.fromEntries(Object.entries(match).filter(([, value]) => value !== undefined));
  const until = Number.isFinite(endsAt) ? { until: new Date(endsAt).toISOString() } : {};
  return { match: { ...given, ...(isMisspelt && { rulse: ['a'] }) }, ...until };
}

type World = ReturnType<typeof createExceptionWorld>;

const places = ['zen-system', 'shop', 'pay'];

function forget(name: string, world: World, made: Map<string, Made>): void {
  for (const place of places) world.regret(name, place);
  made.delete(name);
}

async function perform(step: Step, world: World, made: Map<string, Made>): Promise<void> {
  switch (step.type) {
    case 'report': {
      const object = world.put(
        'r',
        Object.entries(step.rows).map(([id, severity]) => ({ id, severity })),
      );
      await (step.by === 'event' ? world.event(object) : world.pass());
      return;
    }
    case 'forgive': {
      const { one } = step;
      const endsAt = one.lasts === undefined ? Number.POSITIVE_INFINITY : world.clock.now + one.lasts * minute;
      forget(one.name, world, made);
      made.set(one.name, { ...one, endsAt });
      world.forgive(one.name, fieldsOf(one, endsAt), one.namespace);
      return;
    }
    case 'regret':
      forget(step.name, world, made);
      return;
    case 'judge':
      await world.judgePass();
      return;
    case 'pass':
      await world.pass();
      return;
    default:
      world.later(step.minutes);
  }
}

describe('any history of reports and exceptions', () => {
  it('ends, once the exceptions have been judged, with the labels that a simple model gives', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const world = createExceptionWorld();
        const made = new Map<string, Made>();
        for (const step of history) await perform(step, world, made);
        const summary = await world.judgePass();
        const { now } = world.clock;
        for (const { metadata, spec } of (await world.store.read({ limit: 100 })).items) {
          if (metadata.labels[labels.state] === 'resolved') continue;
          const all = [...made.values()].filter((one) => accepts(one, spec.rule ?? '', spec.severity, now));
          expect(metadata.labels[labels.accepted]).toBe(labelOf(all));
          expect(isAccepted(metadata.labels, now)).toBe(all.length > 0);
        }
        expect(Object.keys(summary.relabelled).filter((kind) => !kind.endsWith('accepted'))).toEqual([]);
        // What has been judged is judged the same again.
        expect((await world.judgePass()).relabelled).toEqual({});
      }),
      { numRuns: 150, endOnFailure: true },
    );
  }, 120_000);
});
