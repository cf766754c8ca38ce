import { describe, expect, it } from 'vitest';
import type { Finding } from '../../shared/finding/finding.ts';
import type { MergeFindings } from '../../shared/function/definitions.ts';
import { UnreadableFilter } from '../../shared/function/filter.ts';
import { namedFinding } from '../../shared/pipeline/derive.ts';
import type { Report } from '../../shared/pipeline/report.ts';
import { unionOf } from '../../shared/pipeline/union.ts';
import { createTestContext } from './test-context.ts';
import { aFinding, anObject, boxes } from './test-sources.ts';

const { context } = createTestContext(boxes);

interface Said {
  readonly created?: string | undefined;
  readonly findings?: readonly Finding[];
  readonly accepted?: Readonly<Record<string, string>>;
  readonly leftOut?: Readonly<Record<string, string>>;
  readonly held?: readonly Finding[];
  readonly isPartial?: boolean;
}

/** A report whose findings are named by their rules. */
function reportOf(name: string, said: Said): Report {
  const { created, findings = [], accepted = {}, leftOut = {}, held = [], isPartial = false } = said;
  const systemNamespace = 'zen-system';
  return {
    object: anObject(name, { metadata: { creationTimestamp: created } }),
    findings: findings.map((finding) => namedFinding(finding.rule, finding, { systemNamespace })),
    leftOut: () => new Map(Object.entries(leftOut)),
    accepted: new Map(Object.entries(accepted)),
    held: held.map((finding) => ({
      named: namedFinding(finding.rule, finding, { systemNamespace }),
      refusal: new UnreadableFilter('shop/f', true),
    })),
    fault: undefined,
    isPartial,
  };
}

/** Both orders, since lists have none. */
function ordersOf(reports: readonly Report[]): readonly (readonly Report[])[] {
  return [reports, reports.toReversed()];
}

const at = (detectedAt: string, summary: string) => [aFinding('a', { detectedAt, summary })];
const time = '2026-03-01T10:00:00Z';
const early = '2026-03-01T09:00:00Z';

describe('unionOf', () => {
  it.each<[string, string, Said, Said]>([
    ['the tool’s own time', 'a', { findings: at(time, 'right') }, { findings: at(early, 'wrong'), created: time }],
    [
      'the age of the report, of one time',
      'a',
      { findings: at(time, 'right'), created: time },
      { findings: at(time, 'wrong'), created: early },
    ],
    [
      'the age of the report, of which one has none',
      'z',
      { findings: at(time, 'right'), created: early },
      { findings: at(time, 'wrong') },
    ],
    ['the name of the report, of one age', 'a', { findings: at(time, 'right') }, { findings: at(time, 'wrong') }],
  ])('shows what the newest report says, by %s', (_case, name, newest, other) => {
    const reports = [reportOf(name, newest), reportOf('m', other)];
    for (const order of ordersOf(reports)) {
      expect(unionOf(order, undefined, context).wanted.get('a')?.finding.summary).toBe('right');
    }
  });

  it('lets the source merge what several reports say of one thing, newest first, and nothing else', () => {
    const merge: MergeFindings = (rows) => ({ ...rows[0], summary: rows.map(({ summary }) => summary).join(', ') });
    const reports = [
      reportOf('x', { findings: at(early, 'old') }),
      reportOf('y', { findings: [...at(time, 'new'), aFinding('b', { resource: { kind: 'Node', name: 'n' } })] }),
    ];
    for (const order of ordersOf(reports)) {
      const { wanted } = unionOf(order, merge, context);
      expect(
        [...wanted].map(([name, named]) => [name, named.name, named.finding.summary, named.namespace]).sort(),
      ).toEqual([
        ['a', 'a', 'new, old', 'shop'],
        ['b', 'b', 'b is broken', 'zen-system'],
      ]);
    }
  });

  it('puts what it merges where the first of it belongs', () => {
    const merge: MergeFindings = ([first]) => ({ ...first, resource: undefined });
    const reports = ['x', 'y'].map((name) => reportOf(name, { findings: at(time, name) }));
    expect(unionOf(reports, merge, context).wanted.get('a')?.namespace).toBe('zen-system');
  });

  it('holds all as soon as one report can not be read, or not all of it', () => {
    const good = reportOf('x', { findings: at(time, 'x') });
    const bad = reportOf('y', { isPartial: true });
    for (const order of ordersOf([good, bad])) expect(unionOf(order, undefined, context).isHeld).toBe(true);
    expect(unionOf([good, good], undefined, context).isHeld).toBe(false);
    expect(unionOf([], undefined, context).isHeld).toBe(false);
  });

  it('takes nothing for accepted that another report has as a finding', () => {
    const reports = [
      reportOf('x', { accepted: { a: 'shop/because', b: 'shop/so-what' } }),
      reportOf('y', { findings: at(time, 'still open') }),
    ];
    for (const order of ordersOf(reports)) {
      const { accepted, wanted } = unionOf(order, undefined, context);
      expect([[...accepted], [...wanted.keys()]]).toEqual([[['b', 'shop/so-what']], ['a']]);
    }
  });

  it('knows what any of them leaves out or can not judge, and a report that has a finding', () => {
    const x = reportOf('x', { leftOut: { a: 'filtered' }, findings: [aFinding('c')], held: [aFinding('d')] });
    const y = reportOf('y', { leftOut: { b: 'passed' }, held: [aFinding('e')] });
    const union = unionOf([x, y], undefined, context);
    for (let asked = 0; asked < 2; asked += 1) {
      expect([...union.leftOut()]).toEqual([
        ['a', 'filtered'],
        ['b', 'passed'],
      ]);
    }
    expect([...union.held.keys()]).toEqual(['d', 'e']);
    expect(union.reportOf('c')).toBe(x);
    expect(union.reportOf('a')).toBeUndefined();
  });
});
