import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  escapeUnprintable,
  printableJson,
  printableLines,
  printableValue,
  replaceUnprintable,
} from '../../shared/finding/printable.ts';
import { anyCharacter } from './any-character.ts';

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

describe('escapeUnprintable', () => {
  it.each([
    ['', ''],
    ['Ünïcödé 🦀 ❤️ "quoted" \\n', 'Ünïcödé 🦀 ❤️ "quoted" \\n'],
    ['a\u001b[2Jb\u0007', 'a\\u{1b}[2Jb\\u{7}'],
    ['a\r\nb\tc', 'a\\u{d}\\u{a}b\\u{9}c'],
    ['a\u007f\u0080\u009b\u009fb', 'a\\u{7f}\\u{80}\\u{9b}\\u{9f}b'],
    ['a\u061c\u200b\u200e\u202e\u2066\ufeffb', 'a\\u{61c}\\u{200b}\\u{200e}\\u{202e}\\u{2066}\\u{feff}b'],
    ['a\u2028b\u2029c', 'a\\u{2028}b\\u{2029}c'],
    ['a\u{e0000}b\u{e0041}c\u{e01ef}d', 'a\\u{e0000}b\\u{e0041}c\\u{e01ef}d'],
    ['a\u034f\u115f\u3164\uffa0b', 'a\\u{34f}\\u{115f}\\u{3164}\\u{ffa0}b'],
    ['a\ud800b\udc00', 'a\ufffdb\ufffd'],
  ])('shows %j as %j', (given, shown) => {
    expect(escapeUnprintable(given)).toBe(shown);
    expect(replaceUnprintable(given, '?')).toBe(shown.replaceAll(/\\u\{[0-9a-f]+\}/g, '?'));
  });
});

describe('printableLines', () => {
  it.each([
    ['one\n\ttwo\r\nthree\rfour', 'one\n\ttwo\nthree\\u{d}four'],
    ['one\u0085two\u2028three', 'one\\u{85}two\\u{2028}three'],
    ['\u001b[1A\u202e', '\\u{1b}[1A\\u{202e}'],
  ])('shows %j as %j', (given, shown) => {
    expect(printableLines(given)).toBe(shown);
  });

  it('changes nothing that it has made', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (given) => {
        const shown = printableLines(given);
        expect(printableLines(shown)).toBe(shown);
        expect(shown.replaceAll(/[\n\t]/g, '')).not.toMatch(unprintable);
      }),
    );
  });
});

describe('printableJson', () => {
  it('means the same and can be shown', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: anyCharacter }), fc.constantFrom(undefined, 2), (value, indent) => {
        const json = JSON.stringify(value, null, indent);
        const shown = printableJson(json);
        expect(JSON.parse(shown)).toEqual(JSON.parse(json));
        expect(shown.replaceAll('\n', '')).not.toMatch(unprintable);
      }),
    );
    expect(printableJson('"\u009b\u{e0041}"')).toBe('"\\u009b\\udb40\\udc41"');
  });
});

describe('printableValue', () => {
  it('has printable texts alone, the names of members too', () => {
    const value = { 'a\u001b': ['b\u202e\n', 1, true, null, { c: '\r\n' }] };
    expect(printableValue(value)).toEqual({ 'a\\u{1b}': ['b\\u{202e}\n', 1, true, null, { c: '\n' }] });
  });

  it('ends somewhere', () => {
    const nested: unknown = JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`);
    expect(JSON.stringify(printableValue(nested))).toHaveLength(2 * 65 + 3);
  });
});
