/** As many words as a search may have. */
export const mostWords = 20;

/** What a search looks for: its words, each of which must be somewhere, in any case. */
export function wordsOf(search: string): readonly string[] {
  const words = search
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return [...new Set(words)];
}

/** Which of the words are in a text: a bit for each. */
export function wordBits(words: readonly string[], text: string): number {
  const lower = text.toLowerCase();
  let bits = 0;
  for (let at = 0; at < words.length; at += 1) if (lower.includes(words[at] ?? '')) bits |= 1 << at;
  return bits;
}

/** The bits of all of so many words. */
export function allBits({ length }: readonly string[]): number {
  return (1 << length) - 1;
}
