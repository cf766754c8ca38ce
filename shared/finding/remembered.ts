const maxTexts = 1000;
const maxLength = 512;

/**
 * A pure function of a text that remembers what it made of the last ones, since reports say the same texts over and over.
 * Holds at most a thousand texts, of at most 512 UTF-16 code units each.
 */
export function remembered<Result>(make: (text: string) => Result): (text: string) => Result {
  const results = new Map<string, Result>();
  return (text) => {
    const known = results.get(text);
    if (known !== undefined) return known;
    const made = make(text);
    if (text.length > maxLength) return made;
    if (results.size >= maxTexts) results.clear();
    results.set(text, made);
    return made;
  };
}
