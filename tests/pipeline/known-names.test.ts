import { describe, expect, it } from 'vitest';
import type { KnownNames } from '../../shared/function/context.ts';
import { createKnownNames } from '../../shared/pipeline/known-names.ts';

function has(known: KnownNames, name: string): boolean {
  return known.find(name) !== undefined;
}

function createWorld(size: number) {
  const clock = { now: 0 };
  let evicted = 0;
  const known = createKnownNames({
    size,
    elapsed: () => clock.now,
    onEvict: () => {
      evicted += 1;
    },
  });
  return { clock, known, evicted: () => evicted };
}

describe('createKnownNames', () => {
  it('knows where a name is, until it is deleted or was added for another place', () => {
    const { known } = createWorld(2);
    known.add('a', 'shop');
    known.add('b', 'pay');
    expect([known.find('a')?.namespace, known.find('b')?.namespace]).toEqual(['shop', 'pay']);
    known.add('a', 'zen-system');
    known.delete('b');
    expect([known.find('a')?.namespace, known.find('b')?.namespace]).toEqual(['zen-system', undefined]);
    expect(known.count()).toBe(1);
  });

  it('has the names that were added, and no others', () => {
    const { known } = createWorld(2);
    expect(has(known, 'a')).toBe(false);
    known.add('a', 'shop');
    expect([has(known, 'a'), has(known, 'a'), has(known, 'b')]).toEqual([true, true, false]);
    expect(known.count()).toBe(1);
  });

  it('evicts the least recently used name when there are too many, and calls onEvict', () => {
    const { known, evicted } = createWorld(2);
    known.add('a', 'shop');
    known.add('b', 'shop');
    expect(evicted()).toBe(0);
    expect(has(known, 'a')).toBe(true);
    known.add('c', 'shop');
    expect(evicted()).toBe(1);
    expect(known.count()).toBe(2);
    expect([has(known, 'a'), has(known, 'b'), has(known, 'c')]).toEqual([true, false, true]);
  });

  it('counts adding a name again as a use', () => {
    const { known, evicted } = createWorld(2);
    known.add('a', 'shop');
    known.add('b', 'shop');
    known.add('a', 'shop');
    expect([known.count(), evicted()]).toEqual([2, 0]);
    known.add('c', 'shop');
    expect([has(known, 'a'), has(known, 'b')]).toEqual([true, false]);
  });

  it('says of a name whether it was there a moment ago, however often it is asked', () => {
    const { known, clock } = createWorld(2);
    known.add('a', 'shop');
    clock.now = 89_999;
    expect(known.find('a')).toEqual({ namespace: 'shop', isRecent: true });
    clock.now = 90_000;
    expect([known.find('a'), known.find('a')].map((found) => found?.isRecent)).toEqual([false, false]);
    known.add('a', 'shop');
    expect(known.find('a')?.isRecent).toBe(true);
  });

  it('keeps nothing if its size is 0', () => {
    const { known, evicted } = createWorld(0);
    known.add('a', 'shop');
    expect([has(known, 'a'), known.count(), evicted()]).toEqual([false, 0, 0]);
  });

  it('works without onEvict', () => {
    const known = createKnownNames({ size: 1, elapsed: () => 0 });
    for (const name of ['a', 'b']) known.add(name, 'shop');
    expect([has(known, 'a'), has(known, 'b')]).toEqual([false, true]);
  });
});
