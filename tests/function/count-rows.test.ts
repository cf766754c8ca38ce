import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundLabel, createCounts } from '../../shared/function/count-rows.ts';

describe('counts by labels', () => {
  it('keep the values that count most, and sum the others', () => {
    const counts = createCounts('source', 'severity');
    for (const source of ['a', 'a', 'a', 'b', 'b', 'c', 'd']) counts.add(source, 'HIGH');
    counts.add('c', 'LOW');
    expect(boundLabel(counts.rows(), 'source', 2)).toEqual([
      { source: 'a', severity: 'HIGH', count: 3 },
      { source: 'b', severity: 'HIGH', count: 2 },
      { source: 'other', severity: 'HIGH', count: 2 },
      { source: 'other', severity: 'LOW', count: 1 },
    ]);
  });

  it('lose nothing, and are never more than they may, whatever is counted', () => {
    const value = fc.string({ maxLength: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value)), fc.integer({ min: 1, max: 5 }), (pairs, most) => {
        const counts = createCounts('a', 'b');
        for (const pair of pairs) counts.add(...pair);
        const bounded = boundLabel(counts.rows(), 'a', most);
        expect(bounded.reduce((sum, { count }) => sum + count, 0)).toBe(pairs.length);
        expect(new Set(bounded.map(({ a }) => a)).size).toBeLessThanOrEqual(most + 1);
      }),
    );
  });
});
