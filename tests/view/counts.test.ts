import { describe, expect, it } from 'vitest';
import { createCountTally, type Grouping, groupings, groupValueOf, totalOf } from '../../shared/view/counts.ts';
import { anObservation } from './an-observation.ts';

const whole = anObservation({
  metadata: { labels: { 'zen.kube-zen.io/state': 'missing' } },
  spec: {
    rule: 'CVE-2024-1',
    actor: { username: 'eve' },
    details: { image: 'registry.example/web\nother' },
    remediation: 'upgrade it',
    resource: { kind: 'ReplicaSet', namespace: 'prod', name: 'web-7d9c5b6f4d' },
  },
});

describe('groupValueOf', () => {
  const expected: Readonly<Record<Grouping, readonly [of: string, without: string]>> = {
    source: ['trivy', 'trivy'],
    severity: ['HIGH', 'HIGH'],
    category: ['security', 'security'],
    namespace: ['shop', 'shop'],
    state: ['missing', 'open'],
    eventType: ['vulnerability', 'vulnerability'],
    rule: ['CVE-2024-1', ''],
    workload: ['prod/web', ''],
    actor: ['eve', ''],
    kind: ['ReplicaSet', ''],
    image: ['registry.example/web', ''],
    fix: ['upgrade it', ''],
  };

  it.each(groupings)('by %s', (by) => {
    expect([groupValueOf(whole, by), groupValueOf(anObservation(), by)]).toEqual(expected[by]);
  });
});

describe('createCountTally', () => {
  it('counts by value and severity, the worst value first', () => {
    const tally = createCountTally();
    tally.add('many low', 'LOW', 90);
    tally.add('b', 'HIGH');
    tally.add('a', 'HIGH');
    tally.add('critical', 'CRITICAL');
    tally.add('two high', 'HIGH');
    tally.add('two high', 'HIGH');
    tally.add('a', 'UNKNOWN');
    const counts = tally.counts();
    expect(counts.map(({ value, total }) => [value, total])).toEqual([
      ['critical', 1],
      ['two high', 2],
      ['a', 2],
      ['b', 1],
      ['many low', 90],
    ]);
    expect(counts[2]).toEqual({
      value: 'a',
      total: 2,
      severities: { CRITICAL: 0, HIGH: 1, MEDIUM: 0, LOW: 0, UNKNOWN: 1 },
    });
    expect(totalOf(counts)).toBe(96);
  });

  it('puts equally bad values in the order of their names', () => {
    const tally = createCountTally();
    for (const value of ['b', 'c', 'a']) tally.add(value, 'LOW');
    expect(tally.counts().map(({ value }) => value)).toEqual(['a', 'b', 'c']);
  });
});
