import { describe, expect, it } from 'vitest';
import { globTest } from '../../shared/finding/glob.ts';

describe('globTest', () => {
  it.each<[pattern: string, text: string, expected: boolean]>([
    ['a', 'a', true],
    ['a', 'ab', false],
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'anything at\nall', true],
    ['CVE-2024-*', 'CVE-2024-1', true],
    ['CVE-2024-*', 'CVE-2024-', true],
    ['CVE-2024-*', 'CVE-2023-2024-1', false],
    ['*-rule', 'check-rule', true],
    ['*-rule', 'check-rules', false],
    ['a*b', 'ab', true],
    ['a*b', 'aXXb', true],
    ['a*b', 'aXXbc', false],
    ['a*a', 'a', false],
    ['aa*aa', 'aaa', false],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a*bb*bb*c', 'abbbc', false],
    ['a*bb*bb*c', 'abbbbc', true],
    ['a**c', 'abc', true],
    ['*b*', 'abc', true],
    ['*b*', 'ac', false],
    ['a*b*b', 'ab', false],
    ['a.c', 'abc', false],
    ['[a]*', 'abc', false],
    ['A*', 'abc', false],
  ])('says of %j and %j: %s', (pattern, text, expected) => {
    expect(globTest(pattern)(text)).toBe(expected);
  });
});
