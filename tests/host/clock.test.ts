import { describe, expect, it } from 'vitest';
import { createClock } from '../../shared/host/clock.ts';

const hour = 3_600_000;
const day = 24 * hour;
const noon = Date.parse('2026-03-01T12:00:00Z');

/** A machine whose clock is set, and an API server that says what time it is there. */
function create() {
  const machine = { now: noon, elapsed: 1000 };
  const told: number[] = [];
  const clock = createClock({
    now: () => machine.now,
    elapsed: () => machine.elapsed,
    sleep: async () => undefined,
    onOffset: (offset) => told.push(offset),
  });
  const pass = (milliseconds: number): void => {
    machine.now += milliseconds;
    machine.elapsed += milliseconds;
  };
  return { machine, told, clock, pass };
}

describe('the clock of a process', () => {
  it("is the machine's, until the API server has said what time it is", () => {
    const { clock } = create();
    expect([clock.now(), clock.earliest(), clock.latest(), clock.offset()]).toEqual([noon, noon, noon, undefined]);
  });

  it.each([
    ['ahead', 8 * day],
    ['behind', -8 * day],
  ])('goes by the earlier or the later clock where one is %s', (_case, offset) => {
    const { clock, pass } = create();
    clock.noteServerTime(noon + offset);
    pass(hour);
    const [earlier = 0, later = 0] = [noon, noon + offset].toSorted((a, b) => a - b);
    expect([clock.now(), clock.earliest(), clock.latest()]).toEqual([noon + hour, earlier + hour, later + hour]);
    expect(clock.offset()).toBe(offset);
  });

  it("knows what time it is for the API server when the machine's clock is set", () => {
    const { clock, machine, pass } = create();
    clock.noteServerTime(noon);
    pass(hour);
    machine.now -= 2 * hour;
    expect([clock.earliest(), clock.latest()]).toEqual([noon - hour, noon + hour]);
    machine.now += 10 * day;
    expect([clock.earliest(), clock.latest()]).toEqual([noon + hour, noon - hour + 10 * day]);
  });

  it('says once that clocks differ by more than five minutes', () => {
    const { clock, told } = create();
    clock.noteServerTime(noon - 300_000);
    clock.noteServerTime(noon + 300_000);
    expect(told).toEqual([]);
    clock.noteServerTime(noon + 300_001);
    clock.noteServerTime(noon - day);
    expect(told).toEqual([300_001]);
  });
});
