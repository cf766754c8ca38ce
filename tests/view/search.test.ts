import { describe, expect, it } from 'vitest';
import { allBits, mostWords, wordBits, wordsOf } from '../../shared/view/search.ts';

describe('wordsOf', () => {
  it.each([
    ['OpenSSL 3.0.7', ['openssl', '3.0.7']],
    ['  a\tb  a ', ['a', 'b']],
    ['  ', []],
  ])('of %j are %j', (search, words) => {
    expect(wordsOf(search)).toEqual(words);
  });
});

describe('wordBits', () => {
  it('has a bit for each word that is in the text, in any case', () => {
    const words = wordsOf('web SHOP db');
    expect(wordBits(words, 'Deployment/Web')).toBe(0b001);
    expect(wordBits(words, 'shop/web')).toBe(0b011);
    expect(wordBits(words, '')).toBe(0);
    expect(wordBits(words, 'db shop web')).toBe(allBits(words));
  });

  it('tells as many words apart as a search may have', () => {
    const words = Array.from({ length: mostWords }, (_, at) => `w${at}.`);
    expect(wordBits(words, words.join(' '))).toBe(allBits(words));
    expect(wordBits(words, words.slice(0, -1).join(' '))).not.toBe(allBits(words));
  });
});
