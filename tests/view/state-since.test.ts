import { describe, expect, it } from 'vitest';
import { changeTime, type HistoryChange, stateSince } from '../../shared/view/state-since.ts';

const created = 1000;
const since = 9000;
const open = (time: number): HistoryChange => ({ time, state: 'open' });
const missing = (time: number): HistoryChange => ({ time, state: 'missing' });

describe('stateSince', () => {
  it.each<[what: string, state: string, changes: readonly HistoryChange[], expected: number]>([
    ['nothing has changed', 'open', [], since],
    ['it was accepted', 'open', [open(9000)], created],
    ['it was accepted, and is no longer', 'open', [open(9000), open(5000)], created],
    ['it was gone in between', 'open', [open(9000), open(6000), missing(3000)], 6000],
    ['it is gone', 'missing', [missing(9000), open(3000)], 9000],
    ['it is gone, and was accepted then', 'missing', [missing(9000), missing(7000), open(3000)], 7000],
    ['older changes may have been dropped', 'open', Array.from({ length: 10 }, (_, at) => open(9000 - at)), 8991],
    ['the history is of another state', 'resolved', [missing(7000)], since],
  ])('tells since when if %s', (_what, state, changes, expected) => {
    expect(stateSince(state, changes, { created, since })).toBe(expected);
  });
});

describe('changeTime', () => {
  it.each([
    ['2026-03-01T10:00:00Z', 1_772_359_200_000],
    ['1772359200000', 1_772_359_200_000],
    [1_772_359_200_000, 1_772_359_200_000],
    ['yesterday', Number.NaN],
    [undefined, Number.NaN],
  ])('of %j is %d', (time, expected) => {
    expect(changeTime(time)).toBe(expected);
  });
});
