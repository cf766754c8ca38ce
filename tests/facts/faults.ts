import { expect } from 'vitest';

/** Fails with all faults. Each is a sentence that says what is missing, and where. */
export function expectNone(faults: readonly string[]): void {
  if (faults.length > 0) expect.fail(faults.join('\n'));
}

/** A sentence for each item that only one of two lists has. */
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

/** Items that a list has more than once. */
export function repeated(items: readonly string[]): string[] {
  return [...new Set(items.filter((item, index) => items.indexOf(item) !== index))];
}
