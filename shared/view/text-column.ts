/** A column of texts in which each text is stored once, and a row has its number. */
export interface TextColumn {
  readonly values: readonly string[];
  /** By row. */
  readonly codes: Int32Array;
  set(row: number, text: string): void;
  /** Makes room for so many rows. */
  grow(rows: number): void;
}

export function createTextColumn(rows: number): TextColumn {
  const numbers = new Map<string, number>();
  const values: string[] = [];
  let codes = new Int32Array(rows);
  return {
    values,
    get codes() {
      return codes;
    },
    set(row, text) {
      let number = numbers.get(text);
      if (number === undefined) {
        number = values.length;
        numbers.set(text, number);
        values.push(text);
      }
      codes[row] = number;
    },
    grow(more) {
      const larger = new Int32Array(more);
      larger.set(codes);
      codes = larger;
    },
  };
}

/** Which of a column's texts pass a test: 1 by number. Each text is tried once, however many rows have it. */
export function passing({ values }: TextColumn, test: (text: string) => boolean): Uint8Array {
  return Uint8Array.from(values, (text) => (test(text) ? 1 : 0));
}
