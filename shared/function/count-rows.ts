/** A count for each combination of labels, as metrics have them. */
export type CountRow<Name extends string> = Readonly<Record<Name, string>> & { readonly count: number };

/** Counts by the values of these labels, which `add` takes in their order. */
export function createCounts<Name extends string>(...names: readonly Name[]) {
  const rows = new Map<string, CountRow<Name>>();
  return {
    add(...values: readonly string[]): void {
      const key = JSON.stringify(values);
      const labels = Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
      const count = (rows.get(key)?.count ?? 0) + 1;
      // Every name has got its value, which the compiler can't see.
      rows.set(key, { ...labels, count } as CountRow<Name>);
    },
    rows: (): CountRow<Name>[] => [...rows.values()],
  };
}

/** The same counts with at most `most` values of a label: those that count most, and `other` for what is left. */
export function boundLabel<Name extends string>(
  rows: readonly CountRow<Name>[],
  name: NoInfer<Name>,
  most: number,
): CountRow<Name>[] {
  const totals = new Map<string, number>();
  for (const { [name]: value, count } of rows) totals.set(value, (totals.get(value) ?? 0) + count);
  const kept = new Set(
    [...totals]
      .sort(([, a], [, b]) => b - a)
      .slice(0, most)
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
