import type { ResourceRef } from '../finding/finding.ts';
import { severities } from '../finding/severity.ts';
import type { Sort } from './order.ts';
import { createTextColumn, type TextColumn } from './text-column.ts';
import type { ViewRow } from './view-row.ts';
import { workloadWord } from './workload-word.ts';

/** Texts that a row has as they are. */
const ownTexts = [
  'source',
  'severity',
  'namespace',
  'category',
  'eventType',
  'rule',
  'summary',
  'state',
  'actor',
  'image',
  'fix',
  'exception',
  'reason',
] as const;

/** What is made of its resource. */
const resourceTexts = ['resource', 'workload', 'kind', 'resourceName'] as const;

const textColumns = [...ownTexts, ...resourceTexts];

export type ColumnName = (typeof textColumns)[number];

const timeColumns = ['detectedAt', 'createdAt', 'changedAt', 'acceptedUntil'] as const;

type TimeName = (typeof timeColumns)[number];

/** Rows in columns, so that 100,000 of them take little memory, and all can be looked through within a frame. */
export interface ObservationIndex {
  /** The number of rows. */
  size(): number;
  /** Adds a row, or replaces the one with this namespace and name. */
  put(row: ViewRow): void;
  delete(namespace: string, name: string): void;
  /** What is not put between these two is removed by the second. */
  beginMarking(): void;
  keepOnlyMarked(): Pick<ViewRow, 'namespace' | 'name'>[];
  has(namespace: string, name: string): boolean;
  column(name: ColumnName): TextColumn;
  times(name: TimeName): Float64Array;
  /** The numbers of the rows, the worst first, the newest first, or by namespace and name. */
  order(sort: Sort): Uint32Array;
  row(number: number): ViewRow;
  /** Calls it with each row's number and `<namespace>/<name>`. */
  eachKey(call: (number: number, key: string) => void): void;
}

const firstCapacity = 1024;

/** As many texts as no row has may be kept before all are read anew. */
const mostUnused = 50_000;

function keyOf({ namespace, name }: Pick<ViewRow, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function resourceText(resource: ResourceRef | undefined): string {
  if (!resource) return '';
  const { apiVersion, kind, namespace, name } = resource;
  return JSON.stringify({ apiVersion, kind, namespace, name });
}

/** The resource that `column('resource')` has as a text. */
export function resourceOf(text: string): ResourceRef | undefined {
  return text === '' ? undefined : JSON.parse(text);
}

const ranks: ReadonlyMap<string, number> = new Map(severities.map((severity, rank) => [severity, rank]));

/** The columns of so many rows. */
function createColumns() {
  let capacity = firstCapacity;
  const workloads = new Map<string, string>();
  const texts = new Map<ColumnName, TextColumn>(textColumns.map((name) => [name, createTextColumn(capacity)]));
  const times = new Map<TimeName, Float64Array>(timeColumns.map((name) => [name, new Float64Array(capacity)]));
  let marks = new Uint32Array(capacity);

  function column(name: ColumnName): TextColumn {
    const found = texts.get(name);
    if (!found) throw new Error(`no column ${name}`);
    return found;
  }

  /** The same resource has many findings, and its workload takes a while to be found. */
  function workloadOf(text: string, resource: ResourceRef | undefined): string {
    if (!resource) return '';
    const known = workloads.get(text);
    if (known !== undefined) return known;
    const workload = workloadWord(resource);
    workloads.set(text, workload);
    return workload;
  }

  return {
    column,
    times(name: TimeName): Float64Array {
      return times.get(name) ?? new Float64Array(0);
    },
    marks: () => marks,
    /** How many texts there are in the columns of which each row may have one of its own. */
    texts: () => column('summary').values.length + column('resource').values.length,
    ensure(rows: number): void {
      if (rows <= capacity) return;
      capacity *= 2;
      for (const one of texts.values()) one.grow(capacity);
      for (const [name, old] of times) {
        const larger = new Float64Array(capacity);
        larger.set(old);
        times.set(name, larger);
      }
      const larger = new Uint32Array(capacity);
      larger.set(marks);
      marks = larger;
    },
    set(number: number, row: ViewRow): void {
      const { resource } = row;
      for (const name of ownTexts) column(name).set(number, row[name]);
      const text = resourceText(resource);
      column('resource').set(number, text);
      column('workload').set(number, workloadOf(text, resource));
      column('kind').set(number, resource?.kind ?? '');
      column('resourceName').set(number, resource?.name ?? '');
      for (const name of timeColumns) {
        const values = times.get(name);
        if (values) values[number] = row[name];
      }
    },
  };
}

type Columns = ReturnType<typeof createColumns>;

function rowAt(columns: Columns, number: number, key: string): ViewRow {
  const text = (name: ColumnName): string => {
    const { values, codes } = columns.column(name);
    return values[codes[number] ?? 0] ?? '';
  };
  const time = (name: TimeName): number => columns.times(name)[number] ?? 0;
  const severity = severities.find((one) => one === text('severity')) ?? 'UNKNOWN';
  return {
    namespace: text('namespace'),
    name: key.slice(text('namespace').length + 1),
    source: text('source'),
    severity,
    category: text('category'),
    eventType: text('eventType'),
    rule: text('rule'),
    summary: text('summary'),
    state: text('state'),
    actor: text('actor'),
    image: text('image'),
    fix: text('fix'),
    exception: text('exception'),
    reason: text('reason'),
    resource: resourceOf(text('resource')),
    acceptedUntil: time('acceptedUntil'),
    detectedAt: time('detectedAt'),
    createdAt: time('createdAt'),
    changedAt: time('changedAt'),
  };
}

/** Which number the row of a key has. One that is free is used again. */
function createNumbers() {
  const numbers = new Map<string, number>();
  const keys: (string | undefined)[] = [];
  const free: number[] = [];
  return {
    all: numbers,
    keyOf: (number: number): string => keys[number] ?? '',
    /** The highest number that was ever used, and one. */
    length: () => keys.length,
    take(key: string): number {
      const known = numbers.get(key);
      if (known !== undefined) return known;
      const number = free.pop() ?? keys.length;
      numbers.set(key, number);
      keys[number] = key;
      return number;
    },
    /** Returns whether there was one. */
    release(key: string): boolean {
      const number = numbers.get(key);
      if (number === undefined) return false;
      numbers.delete(key);
      keys[number] = undefined;
      free.push(number);
      return true;
    },
  };
}

type Numbers = ReturnType<typeof createNumbers>;

interface Rows {
  readonly columns: Columns;
  readonly numbers: Numbers;
}

function createRows(): Rows {
  return { columns: createColumns(), numbers: createNumbers() };
}

function putInto({ columns, numbers }: Rows, row: ViewRow, mark: number): void {
  const number = numbers.take(keyOf(row));
  columns.ensure(numbers.length());
  columns.set(number, row);
  columns.marks()[number] = mark;
}

/** Compares two rows by their numbers. */
function comparerOf({ columns, numbers }: Rows, sort: Sort): (a: number, b: number) => number {
  // The slash in keys makes namespaces sort as the API server sorts them.
  if (sort === 'namespace') return (a, b) => (numbers.keyOf(a) < numbers.keyOf(b) ? -1 : 1);
  const created = columns.times('createdAt');
  const byAge = (a: number, b: number): number => (created[b] ?? 0) - (created[a] ?? 0) || a - b;
  if (sort === 'age') return byAge;
  const { values, codes } = columns.column('severity');
  const rankOf = Uint8Array.from(values, (severity) => ranks.get(severity) ?? severities.length);
  const rankAt = (row: number): number => rankOf[codes[row] ?? 0] ?? 0;
  return (a, b) => rankAt(a) - rankAt(b) || byAge(a, b);
}

/** Texts that were once in a row stay in the columns, so after many changes all rows are written anew. */
function compacted(rows: Rows): Rows {
  const { columns, numbers } = rows;
  if (columns.texts() < 2 * numbers.all.size + mostUnused) return rows;
  const fresh = createRows();
  for (const [key, number] of numbers.all) putInto(fresh, rowAt(columns, number, key), columns.marks()[number] ?? 0);
  return fresh;
}

function placeOfKey(key: string): Pick<ViewRow, 'namespace' | 'name'> {
  const [namespace = '', name = ''] = key.split('/', 2);
  return { namespace, name };
}

export function createObservationIndex(): ObservationIndex {
  let rows = createRows();
  let mark = 0;
  let version = 0;
  const orders = new Map<Sort, { readonly version: number; readonly rows: Uint32Array }>();

  function remove(key: string): void {
    if (rows.numbers.release(key)) version += 1;
  }

  return {
    size: () => rows.numbers.all.size,
    put(row) {
      putInto(rows, row, mark);
      rows = compacted(rows);
      version += 1;
    },
    delete: (namespace, name) => remove(keyOf({ namespace, name })),
    beginMarking() {
      mark += 1;
    },
    keepOnlyMarked() {
      const marks = rows.columns.marks();
      const gone = [...rows.numbers.all].filter(([, number]) => marks[number] !== mark);
      for (const [key] of gone) remove(key);
      return gone.map(([key]) => placeOfKey(key));
    },
    has: (namespace, name) => rows.numbers.all.has(keyOf({ namespace, name })),
    column: (name) => rows.columns.column(name),
    times: (name) => rows.columns.times(name),
    order(sort) {
      const known = orders.get(sort);
      if (known?.version === version) return known.rows;
      const sorted = Uint32Array.from(rows.numbers.all.values());
      sorted.sort(comparerOf(rows, sort));
      orders.set(sort, { version, rows: sorted });
      return sorted;
    },
    row: (number) => rowAt(rows.columns, number, rows.numbers.keyOf(number)),
    eachKey(call) {
      for (const [key, number] of rows.numbers.all) call(number, key);
    },
  };
}
