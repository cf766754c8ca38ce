import { describe, expect, it } from 'vitest';
import { acceptedUntil, isAccepted } from '../../shared/api/acceptance.ts';
import { labels } from '../../shared/api/labels.ts';

describe('acceptedUntil', () => {
  it.each([
    ['forever', Number.POSITIVE_INFINITY],
    ['0', 0],
    ['1772366400', Date.parse('2026-03-01T12:00:00Z')],
    ['999999999999', 999_999_999_999_000],
    [undefined, undefined],
    ['', undefined],
    ['Forever', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e9', undefined],
    [' 1772366400', undefined],
    ['1772366400\n', undefined],
    ['9999999999999', undefined],
  ])('of a label %j is %j', (label, until) => {
    expect(acceptedUntil(label)).toBe(until);
  });
});

describe('isAccepted', () => {
  const until = Date.parse('2026-03-01T12:00:00Z');
  const accepted = { [labels.accepted]: String(until / 1000) };

  it.each([
    ['before that time', accepted, until - 1, true],
    ['at that time', accepted, until, false],
    ['after that time', accepted, until + 1, false],
    ['forever', { [labels.accepted]: 'forever' }, until, true],
    ['without the label', {}, until, false],
    ['with a label that says nothing', { [labels.accepted]: 'yes' }, until, false],
  ])('is asked %s', (_case, found, now, expected) => {
    expect(isAccepted(found, now)).toBe(expected);
  });
});
