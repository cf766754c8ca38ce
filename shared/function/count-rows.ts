/** The count for one combination of label values, as in a metric. */
export type CountRow<Name extends string> = Readonly<Record<Name, string>> & { readonly count: number };

/** Counts by the values of these labels; `add` takes the values in the same order. */
export function createCounts<Name extends string>(...names: readonly Name[]) {
  const rows = new Map<string, CountRow<Name>>();
  return {
    add(...values: readonly string[]): void {
      const key = JSON.stringify(values);
      const labels = Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
      const count = (rows.get(key)?.count ?? 0) + 1;
      // Each name has a value now, but the compiler can't tell.
      rows.set(key, { ...labels, count } as CountRow<Name>);
    },
    rows: (): CountRow<Name>[] => [...rows.values()],
  };
}

/**
 * Merges rows so that a label has at most `maxValues` values: those with the highest counts. The rest become `other`.
 */
export function boundLabel<Name extends string>(
  rows: readonly CountRow<Name>[],
  name: NoInfer<Name>,
  maxValues: number,
): CountRow<Name>[] {
  const totals = new Map<string, number>();
  for (const { [name]: value, count } of rows) totals.set(value, (totals.get(value) ?? 0) + count);
  const kept = new Set(
    [...totals]
      .sort(([, a], [, b]) => b - a)
      .slice(0, maxValues)
      .map(([value]) => value),
  );
  const merged = new Map<string, CountRow<Name>>();
  for (const row of rows) {
    const bounded = kept.has(row[name]) ? row : { ...row, [name]: 'other' };
    const key = JSON.stringify({ ...bounded, count: 0 });
    merged.set(key, { ...bounded, count: (merged.get(key)?.count ?? 0) + row.count });
  }
  return [...merged.values()];
}
