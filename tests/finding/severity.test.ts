import { describe, expect, it } from 'vitest';
import { isBelow, parseSeverity, severities } from '../../shared/finding/severity.ts';

describe('parseSeverity', () => {
  it.each([
    ['CRITICAL', ['critical', 'Critical', 'FATAL', 'emergency']],
    ['HIGH', ['high', 'error', ' Alert ']],
    ['MEDIUM', ['medium', 'warning', 'warn\n']],
    ['LOW', ['low', 'info', 'informational', 'Notice', 'negligible']],
    ['UNKNOWN', ['unknown', 'none', '', 'toString', 'high er', undefined, null, 3, ['high']]],
  ])('is %s for %j', (severity, words) => {
    expect(words.map(parseSeverity)).toEqual(words.map(() => severity));
  });
});

describe('isBelow', () => {
  const rank = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];

  it.each(severities)('knows what is below %s, and of UNKNOWN that nobody knows', (minimum) => {
    const below = severities.filter((severity) => isBelow(severity, minimum));
    const expected = minimum === 'UNKNOWN' ? [] : rank.slice(0, rank.indexOf(minimum)).toReversed();
    expect(below).toEqual(expected);
  });
});
