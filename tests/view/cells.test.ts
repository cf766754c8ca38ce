import { describe, expect, it } from 'vitest';
import { cutToWidth, padToWidth, widthOf, wrapLine } from '../../shared/view/cells.ts';

describe('widthOf', () => {
  it.each<[text: string, expected: number]>([
    ['', 0],
    ['abc', 3],
    ['ünïcödé', 7],
    ['e\u0301', 1],
    ['日本語', 6],
    ['ひらがな', 8],
    ['カタカナ', 8],
    ['ｶﾀｶﾅ', 4],
    ['한국어', 6],
    ['ＡＢ', 4],
    ['「」', 4],
    ['🦀', 2],
    ['👍🏽', 2],
    ['🇨🇭', 2],
    ['❤️', 2],
    ['❤', 1],
    ['…', 1],
    ['a🦀b', 4],
  ])('of %j is %d', (text, expected) => {
    expect(widthOf(text)).toBe(expected);
  });
});

describe('cutToWidth', () => {
  it.each<[text: string, width: number, expected: string]>([
    ['abcdef', 6, 'abcdef'],
    ['abcdef', 5, 'abcd…'],
    ['abc def', 5, 'abc…'],
    ['日本語', 6, '日本語'],
    ['日本語', 5, '日本…'],
    ['日本語', 4, '日…'],
    ['日本語', 1, '…'],
    ['ünïcödé', 3, 'ün…'],
  ])('%j to %d cells is %j', (text, width, expected) => {
    expect(cutToWidth(text, width)).toBe(expected);
  });
});

describe('padToWidth', () => {
  it.each<[text: string, width: number, expected: string]>([
    ['ab', 4, 'ab  '],
    ['日', 4, '日  '],
    ['abc', 2, 'abc'],
  ])('%j to %d cells is %j', (text, width, expected) => {
    expect(padToWidth(text, width)).toBe(expected);
  });
});

describe('wrapLine', () => {
  it.each<[line: string, width: number, expected: readonly string[]]>([
    ['short  line', 20, ['short  line']],
    ['exactly  as', 11, ['exactly  as']],
    ['one two three', 7, ['one two', 'three']],
    ['one two ', 3, ['one', 'two']],
    ['one two three', 6, ['one', 'two', 'three']],
    ['one   two   three', 8, ['one two', 'three']],
    ['  indented text here', 10, ['  indented', '  text', '  here']],
    ['abcdefghij', 4, ['abcd', 'efgh', 'ij']],
    ['a abcdefghij', 4, ['a', 'abcd', 'efgh', 'ij']],
    ['日本語日本語', 5, ['日本', '語日', '本語']],
    ['      deep', 3, [' de', ' ep']],
    ['日本', 1, ['日', '本']],
    ['', 5, ['']],
  ])('%j to %d cells', (line, width, expected) => {
    expect(wrapLine(line, width)).toEqual(expected);
  });
});
