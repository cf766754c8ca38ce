import { RE2JS } from '@bufbuild/re2';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, type Pattern } from '../../shared/rules/expression-pattern.ts';

function compiled(pattern: string): Pattern {
  const made = compilePattern(pattern);
  if (typeof made === 'string') throw new Error(made);
  return made;
}

function isFound(pattern: string, text: string): boolean {
  return compiled(pattern).test(text, { left: Number.MAX_VALUE });
}

const atoms = [
  'a',
  'b',
  'ab',
  '.',
  '[ab]',
  '[^a]',
  '\\d',
  '\\w',
  '\\b',
  '\\B',
  '^',
  '$',
  '(?i)B',
  'ñ',
  '😀',
  '\\.',
  '',
];
const patterns = fc
  .letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(...atoms),
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `${a}${b}`),
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{1,3}', '*?', '{2}'))
        .map(([a, end]) => `(?:${a})${end}`),
      tie('pattern').map((inside) => `(${inside})`),
    ),
  }))
  .pattern.filter((pattern) => pattern.length < 80);
const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'B', '1', '_', ' ', '\n', '.', 'ñ', '😀'), maxLength: 12 });

describe('compilePattern', () => {
  it('finds what the library finds', () => {
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        expect(`${isFound(pattern, text)} ${pattern}`).toBe(`${RE2JS.compile(pattern).test(text)} ${pattern}`);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['gr(a|e)y', 'grey', true],
    ['^CVE-20(25|26)-[0-9]+$', 'CVE-2026-1', true],
    ['^CVE-20(25|26)-[0-9]+$', 'xCVE-2026-1', false],
    ['(?m)^b$', 'a\nb\nc', true],
    ['a.c', 'a\nc', false],
    ['(?s)a.c', 'a\nc', true],
    ['(?i)straße', 'STRAßE', true],
    ['^$', '', true],
    ['\\bb', 'ab', false],
    ['x*', 'anything', true],
  ])('says of %s in %j: %s', (pattern, text, expected) => {
    expect(isFound(pattern, text)).toBe(expected);
  });

  it.each([
    ['(', /missing closing/],
    ['a(?=b)', /invalid or unsupported Perl syntax/],
    ['\\1', /invalid escape/],
    ['a{1001}', /invalid repeat count/],
    ['(?:a{1,30}){30}', /too large/],
  ])('refuses %s and says why', (pattern, message) => {
    expect(compilePattern(pattern)).toEqual(expect.stringMatching(message));
  });

  it('takes no text more work than its instructions times the characters', () => {
    const text = `c${'abba'.repeat(1000)}`;
    for (const pattern of [
      '(a|b)*a(a|b){40}d',
      '(?:.*a){20}d',
      '(a?){40}a{40}d',
      '((a|b)*a(a|b){12}d)+',
      '[ab]*a[ab]{90}d',
    ]) {
      const instructions = RE2JS.compile(pattern).re2().prog.numInst();
      const meter = { left: 1e9 };
      expect(compiled(pattern).test(text, meter)).toBe(false);
      expect(1e9 - meter.left).toBeLessThanOrEqual(((instructions + 1) * (text.length + 1)) / 16);
    }
  });

  it('says no once nothing is left of the work', () => {
    const pattern = compiled('(a|b)*c');
    expect(pattern.test(`${'ab'.repeat(500)}c`, { left: 1000 })).toBe(true);
    const meter = { left: 10 };
    expect([pattern.test(`${'ab'.repeat(500)}c`, meter), meter.left < 0]).toEqual([false, true]);
    expect(pattern.test('abc', { left: 10 })).toBe(true);
  });
});
