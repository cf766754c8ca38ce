import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oneLine } from '../../shared/finding/one-line.ts';
import { isQuick } from '../quick.ts';
import { anyCharacter } from './any-character.ts';

const hostile = [
  '\u0000',
  '\u001b[31m',
  '\r\n',
  '\t',
  ' ',
  '\u00a0',
  '\u2028',
  '\u0085',
  '\u202e',
  '\u200b',
  '\ufeff',
  '🦀',
  '\ud800',
  '\udc00',
];
const text = fc.string({
  unit: fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: anyCharacter, maxLength: 2 })),
  size: 'large',
});

describe('oneLine', () => {
  it.each([
    ['as it is', 'as it is'],
    ['', ''],
    [' \n\t ', ''],
    ['  two\r\n\r\nlines\t ', 'two lines'],
    ['a\u2028b\u2029c\u00a0d\ufeffe', 'a b c d e'],
    ['a\u001b[31mred', 'a\\u{1b}[31mred'],
    ['a\u0000b\u007fc\u0085d', 'a\\u{0}b\\u{7f}c\\u{85}d'],
    ['a\u202eb\u2066c\u200bd', 'a\\u{202e}b\\u{2066}c\\u{200b}d'],
    ['a\u{e0041}b', 'a\\u{e0041}b'],
    ['a\ud800b', 'a\ufffdb'],
    ['Ünïcödé 🦀 "quoted" \\n', 'Ünïcödé 🦀 "quoted" \\n'],
  ])('shows %j as %j', (given, line) => {
    expect(oneLine(given, 256)).toBe(line);
  });

  it.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdefg', 6, 'abcde…'],
    ['abcd🦀g', 6, 'abcd…'],
    ['abc🦀efg', 6, 'abc🦀…'],
    ['abcdef     ', 6, 'abcdef'],
    ['abc\u0007', 6, 'abc\\u…'],
  ])('cuts %j to %i units: %j', (given, max, line) => {
    expect(oneLine(given, max)).toBe(line);
  });

  it('is one printable line, no longer than it may be and well formed, of whatever it is made', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 300 }), (given, max) => {
        const line = oneLine(given, max);
        expect(line.length).toBeLessThanOrEqual(max);
        expect(line.isWellFormed()).toBe(true);
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(line).not.toMatch(/^\s|\s$|\s\s|[^\S ]/);
      }),
      { numRuns: isQuick ? 200 : 1000 },
    );
  });

  it('changes nothing if it is made of a line', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 300 }), (given, max) => {
        const line = oneLine(given, max);
        expect(oneLine(line, max)).toBe(line);
      }),
      { numRuns: isQuick ? 200 : 1000 },
    );
  });

  it('says that something is missing wherever it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3000 }), fc.constantFrom(' ', '\n', ' x'), (times, unit) => {
        const line = oneLine(`begin${unit.repeat(times)}end`, 256);
        expect(line.endsWith('end') || line.endsWith('…')).toBe(true);
      }),
    );
  });

  it('takes no time for what it cuts', () => {
    expect(oneLine(`${' \n'.repeat(5_000_000)}x`, 256)).toMatch(/^(x|…)$/);
  });
});
