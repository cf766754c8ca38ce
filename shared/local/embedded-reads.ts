import type { DatabaseSync } from 'node:sqlite';
import * as z from 'zod';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { Refusal } from '../function/refusal.ts';
import type { ObservationList, ReadQuery } from '../view/observation-reader.ts';
import type { Sort } from '../view/order.ts';
import { anyOf } from '../view/selection.ts';
import { type ObjectRow, observationIn, selectObjects } from './embedded-objects.ts';
import { placeOf } from './embedded-rows.ts';
import { whereOf } from './embedded-selection.ts';

/** A page of rows, one more than the limit if there are more. */
type PageReader = (database: DatabaseSync, query: ReadQuery, start: Start | undefined) => ObjectRow[];

const startSchema = z.discriminatedUnion('sort', [
  z.strictObject({
    sort: z.literal('severity'),
    severity: z.enum(severities),
    after: z.tuple([z.string(), z.string(), z.string()]),
  }),
  z.strictObject({ sort: z.literal('age'), before: z.number() }),
  z.strictObject({ sort: z.literal('namespace'), after: z.tuple([z.string(), z.string()]) }),
]);

/** The last row of the page before. */
type Start = z.infer<typeof startSchema>;

/** One severity after another, each in the order of the index. */
const readBySeverity: PageReader = (database, query, start) => {
  const { where, values } = whereOf(database, { ...query, severity: undefined });
  const from = start?.sort === 'severity' ? start : undefined;
  const { severity: chosen = severities } = query;
  const wanted = severities.filter((severity) => anyOf(chosen).includes(severity));
  const rows: ObjectRow[] = [];
  for (const severity of wanted.slice(from ? wanted.indexOf(from.severity) : 0)) {
    const after = severity === from?.severity ? from.after : ['', '', ''];
    const sql = `WHERE severity = ? AND (source, place, name) > (?, ?, ?) AND ${where} ORDER BY source, place, name LIMIT ?`;
    rows.push(...selectObjects(database, sql, [severity, ...after, ...values, query.limit + 1 - rows.length]));
    if (rows.length > query.limit) break;
  }
  return rows;
};

/** The newest first, by the order in which they were stored. */
const readByAge: PageReader = (database, query, start) => {
  const { where, values } = whereOf(database, query);
  const before = start?.sort === 'age' ? start.before : Number.MAX_SAFE_INTEGER;
  const sql = `NOT INDEXED WHERE rowid < ? AND ${where} ORDER BY rowid DESC LIMIT ?`;
  return selectObjects(database, sql, [before, ...values, query.limit + 1]);
};

const readByNamespace: PageReader = (database, query, start) => {
  const { limit } = query;
  // One namespace is a range of the order; several are looked for in it.
  const namespace = typeof query.namespace === 'string' ? query.namespace : undefined;
  const { where, values } = whereOf(database, namespace === undefined ? query : { ...query, namespace: undefined });
  const [place, name] = start?.sort === 'namespace' ? start.after : ['', ''];
  const [range, from] =
    namespace === undefined ? ['(place, name) > (?, ?)', place] : ['place = ? AND name > ?', placeOf(namespace)];
  const sql = `WHERE ${range} AND ${where} ORDER BY place, name LIMIT ?`;
  return selectObjects(database, sql, [from, name, ...values, limit + 1]);
};

const readers: Readonly<Record<Sort, PageReader>> = {
  severity: readBySeverity,
  age: readByAge,
  namespace: readByNamespace,
};

function startAfter(sort: Sort, { rowid, severity, source, place, name }: ObjectRow): string {
  const starts = {
    severity: { sort, severity, after: [source, place, name] },
    age: { sort, before: rowid },
    namespace: { sort, after: [place, name] },
  };
  return Buffer.from(JSON.stringify(starts[sort])).toString('base64url');
}

function decodeStart(token: string, sort: Sort): Start {
  try {
    const start = startSchema.parse(JSON.parse(Buffer.from(token, 'base64url').toString()));
    if (start.sort === sort) return start;
  } catch {
    // Refused below, as a token of another order is.
  }
  throw new Refusal(400, 'a bad query', { path: 'continue' });
}

export function readPage(database: DatabaseSync, query: ReadQuery): ObservationList {
  const { sort = 'namespace', limit } = query;
  const start = query.continue === undefined ? undefined : decodeStart(query.continue, sort);
  const rows = readers[sort](database, query, start);
  const items = rows.slice(0, limit).map(observationIn);
  const last = rows[limit - 1];
  return rows.length > limit && last ? { items, continue: startAfter(sort, last) } : { items };
}

/** The one Observation with this name in a namespace. */
export function getRow(database: DatabaseSync, namespace: string, name: string): Observation | undefined {
  const [row] = selectObjects(database, 'WHERE place = ? AND name = ?', [placeOf(namespace), name]);
  return row && observationIn(row);
}

/** The Observations with this text in their names; if it is the whole name of any, only those. */
export function findRows(
  database: DatabaseSync,
  text: string,
  namespace: string | undefined,
  limit: number,
): readonly Observation[] {
  const { where, values } = whereOf(database, { namespace });
  const sql = `WHERE instr(name, ?) > 0 AND ${where} ORDER BY name = ? DESC, place, name LIMIT ?`;
  const found = selectObjects(database, sql, [text, ...values, text, limit]).map(observationIn);
  const exact = found.filter(({ metadata }) => metadata.name === text);
  return exact.length > 0 ? exact : found;
}
