import { describe, expect, it } from 'vitest';
import { createKnownNames } from '../../shared/pipeline/known-names.ts';

const minute = 60_000;

function createWorld(size: number) {
  const clock = { now: 0 };
  let evicted = 0;
  const known = createKnownNames({
    size,
    now: () => clock.now,
    onEvict: () => {
      evicted += 1;
    },
  });
  return { clock, known, evicted: () => evicted };
}

describe('createKnownNames', () => {
  it('knows what it was told, and nothing else', () => {
    const { known } = createWorld(2);
    expect(known.has('a')).toBe(false);
    known.add('a');
    expect([known.has('a'), known.has('a'), known.has('b')]).toEqual([true, true, false]);
    expect(known.count()).toBe(1);
  });

  it('forgets what was not asked about for longest when there are too many, and says so', () => {
    const { known, evicted } = createWorld(2);
    known.add('a');
    known.add('b');
    expect(evicted()).toBe(0);
    expect(known.has('a')).toBe(true);
    known.add('c');
    expect(evicted()).toBe(1);
    expect(known.count()).toBe(2);
    expect([known.has('a'), known.has('b'), known.has('c')]).toEqual([true, false, true]);
  });

  it('takes a name that is told again for one that was asked about', () => {
    const { known, evicted } = createWorld(2);
    known.add('a');
    known.add('b');
    known.add('a');
    expect([known.count(), evicted()]).toEqual([2, 0]);
    known.add('c');
    expect([known.has('a'), known.has('b')]).toEqual([true, false]);
  });

  it('believes a name for ten minutes, however often it is asked about, and anew when it is told again', () => {
    const { known, clock } = createWorld(2);
    known.add('a');
    clock.now = 10 * minute - 1;
    expect(known.has('a')).toBe(true);
    clock.now = 10 * minute;
    expect(known.has('a')).toBe(false);
    expect(known.count()).toBe(0);
    known.add('a');
    clock.now = 15 * minute;
    known.add('a');
    clock.now = 24 * minute;
    expect(known.has('a')).toBe(true);
  });

  it('keeps nothing where its size is 0', () => {
    const { known, evicted } = createWorld(0);
    known.add('a');
    expect([known.has('a'), known.count(), evicted()]).toEqual([false, 0, 0]);
  });

  it('needs nobody to tell', () => {
    const known = createKnownNames({ size: 1, now: () => 0 });
    for (const name of ['a', 'b']) known.add(name);
    expect([known.has('a'), known.has('b')]).toEqual([false, true]);
  });
});
