import { expect } from 'vitest';

/** Fails with all of the faults, each a sentence that says what is missing where. */
export function expectNone(faults: readonly string[]): void {
  if (faults.length > 0) expect.fail(faults.join('\n'));
}

/** What only one of two lists has, said of each. */
export function differences(
  here: Iterable<string>,
  there: Iterable<string>,
  sentences: { readonly onlyHere: (item: string) => string; readonly onlyThere: (item: string) => string },
): string[] {
  const [left, right] = [new Set(here), new Set(there)];
  return [
    ...[...left.difference(right)].map(sentences.onlyHere),
    ...[...right.difference(left)].map(sentences.onlyThere),
  ];
}

/** Items that stand in a list more than once. */
export function repeated(items: readonly string[]): string[] {
  return [...new Set(items.filter((item, index) => items.indexOf(item) !== index))];
}
