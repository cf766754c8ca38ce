import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import * as z from 'zod';
import { acceptanceAnnotations } from '../api/acceptance.ts';
import { due, expiresAt, labels as labelNames, laterExpiry, outboxLabel } from '../api/labels.ts';
import { seriesWith } from '../api/series.ts';
import { Refusal } from '../function/refusal.ts';
import type {
  Expired,
  NamesQuery,
  ObservationPatch,
  ObservationsQuery,
  SeriesAddition,
  SpecEnd,
  Stored,
  StoredEvent,
  StoredObservation,
  StoredRef,
} from '../function/stores.ts';
import {
  type ObjectRow,
  objectRowSchema,
  objectSchema,
  observationIn,
  rowColumns,
  rowSchema,
  type StoredObject,
  type StoredRow,
  type StoredSpec,
  selectObjects,
  seriesColumn,
} from './embedded-objects.ts';
import { diskIsFull } from './store-health.ts';

const rowsPerPage = 500;

/** https://www.sqlite.org/rescode.html */
const fullCode = 13;

export function storageFault(cause: unknown): Refusal {
  const isFull = cause instanceof Error && 'errcode' in cause && cause.errcode === fullCode;
  return new Refusal(503, isFull ? diskIsFull : 'the embedded store failed', { cause });
}

/** Runs a query, and throws whatever goes wrong as a Refusal. */
export function guarded<Result>(query: () => Result): Result {
  try {
    return query();
  } catch (cause) {
    throw cause instanceof Refusal ? cause : storageFault(cause);
  }
}

export function placeOf(namespace: string): string {
  return `${namespace}/`;
}

/** A value to bind: SQLite knows null only. */
export function nullable(value: string | number | undefined): SQLInputValue {
  return value ?? null;
}

function storedOf(row: StoredRow): Stored {
  const { place, name, uid, version, created_at: createdAt, labels } = row;
  const ref = { namespace: place.slice(0, -1), name, uid, version: String(version) };
  const history = row.history ?? undefined;
  const reportedBy = row.reported_by ?? undefined;
  const told = row.told ?? undefined;
  return { ref, labels, history, reportedBy, told, acceptance: row.noted, hasAnnotations: true, createdAt };
}

function wholeOf(row: ObjectRow): StoredObservation {
  return { ...storedOf(row), observation: observationIn(row) };
}

/** A condition for each column with a value: it must equal that, or one of several. */
export function conditionsOf(columns: Readonly<Record<string, string | readonly string[] | undefined>>) {
  const conditions = ['true'];
  const values: SQLInputValue[] = [];
  for (const [column, wanted] of Object.entries(columns)) {
    if (wanted === undefined) continue;
    const any = typeof wanted === 'string' ? [wanted] : wanted;
    conditions.push(`${column} IN (${any.map(() => '?').join(', ')})`);
    values.push(...any);
  }
  return { where: conditions.join(' AND '), values };
}

/** Pages by key, so that rows deleted or inserted in the meantime don't shift the pages. */
function* pages(database: DatabaseSync, where: string, values: readonly SQLInputValue[], index = '') {
  const statement = database.prepare(
    `SELECT ${rowColumns} FROM observations ${index}
     WHERE (place, name) > (?, ?) AND ${where} ORDER BY place, name LIMIT ${rowsPerPage}`,
  );
  let after: readonly [string, string] = ['', ''];
  for (;;) {
    const rows = guarded(() => statement.all(...after, ...values)).map((row) => rowSchema.parse(row));
    yield* rows;
    const last = rows.at(-1);
    if (!last || rows.length < rowsPerPage) return;
    after = [last.place, last.name];
  }
}

/** SQL for whether something is to be told of an Observation. */
const isDueRow = `json_extract(labels, '$."${outboxLabel}"') = '${due}'`;

/** Few have the mark at any time, so no other insert pays for it. */
export const outboxIndex = `CREATE INDEX IF NOT EXISTS by_outbox ON observations (place, name) WHERE ${isDueRow}`;

export function* storedRows(
  database: DatabaseSync,
  { source, slots, namespace, affected, isDue }: NamesQuery,
): Generator<Stored> {
  const { where, values } = conditionsOf({
    source,
    place: namespace && placeOf(namespace),
    report: slots,
    [`json_extract(labels, '$."${labelNames.namespace}"')`]: affected,
  });
  // Names begin with their source, so a range of names skips the rows of all other sources unread.
  const ranged = source === undefined ? where : `name > ? AND name < ? AND ${where}`;
  const range = source === undefined ? [] : [`${source}-`, `${source}.`];
  // A partial index is used only for the condition that it was made with, word for word.
  const selected = isDue ? `${isDueRow} AND ${ranged}` : ranged;
  const index = slots ? 'INDEXED BY by_report' : '';
  for (const row of pages(database, selected, [...range, ...values], index)) yield storedOf(row);
}

/** The rows that a query selects, whole. */
export function* observationRows(
  database: DatabaseSync,
  { namespace, name, isMarked, severities, isOpen }: ObservationsQuery,
): Generator<StoredObservation> {
  const { where, values } = conditionsOf({ severity: severities, place: namespace && placeOf(namespace), name });
  const mark = `json_extract(labels, '$."${labelNames.accepted}"')`;
  const state = `coalesce(json_extract(labels, '$."${labelNames.state}"'), 'open')`;
  const conditions = [
    where,
    ...(isMarked === undefined ? [] : [`${mark} IS ${isMarked ? 'NOT ' : ''}NULL`]),
    ...(isOpen ? [`${state} NOT IN ('missing', 'resolved')`] : []),
  ].join(' AND ');
  const sql = `WHERE (place, name) > (?, ?) AND ${conditions} ORDER BY place, name LIMIT ${rowsPerPage}`;
  let after: readonly [string, string] = ['', ''];
  for (;;) {
    const rows = guarded(() => selectObjects(database, sql, [...after, ...values]));
    yield* rows.map(wholeOf);
    const last = rows.at(-1);
    if (!last || rows.length < rowsPerPage) return;
    after = [last.place, last.name];
  }
}

export function* expiredRows(database: DatabaseSync, time: number): Generator<Expired> {
  for (const row of pages(database, 'expires_at < ?', [time])) {
    yield { ...storedOf(row), source: row.source };
  }
}

const endSchema = z
  .object({ source: z.string(), expires_at: z.number() })
  .transform(({ source, expires_at: endsAt }) => ({ source, endsAt }));

const ruleSchema = z.object({ rule: z.string() });

const countSchema = z.object({ count: z.number() });

/** Of a row whose label says nothing valid, this was reckoned from its spec when it was written. */
export function endOfRow(database: DatabaseSync, { namespace, name }: StoredRef): SpecEnd | undefined {
  const statement = database.prepare('SELECT source, expires_at FROM observations WHERE place = ? AND name = ?');
  const row = statement.get(placeOf(namespace), name);
  return row && endSchema.parse(row);
}

/** The rows of events, with their rules. */
export function* eventRows(database: DatabaseSync): Generator<StoredEvent> {
  const isEvent = `json_extract(labels, '$."${labelNames.state}"') IS NULL`;
  const statement = database.prepare(
    "SELECT coalesce(json_extract(object, '$.spec.rule'), '') AS rule FROM observations WHERE place = ? AND name = ?",
  );
  for (const row of pages(database, isEvent, [])) {
    const found = guarded(() => statement.get(row.place, row.name));
    if (found) yield { ...storedOf(row), ...ruleSchema.parse(found) };
  }
}

export function countIn(database: DatabaseSync, namespace: string | undefined): number {
  const { where, values } = conditionsOf({ place: namespace && placeOf(namespace) });
  const statement = database.prepare(`SELECT count(*) AS count FROM observations WHERE ${where}`);
  return countSchema.parse(statement.get(...values)).count;
}

/** The one row of a namespace that has this name. */
export function findRow(database: DatabaseSync, namespace: string, name: string): Stored | undefined {
  const statement = database.prepare(`SELECT ${rowColumns} FROM observations WHERE place = ? AND name = ?`);
  const row = statement.get(placeOf(namespace), name);
  return row && storedOf(rowSchema.parse(row));
}

/** The same, whole. */
export function findWholeRow(database: DatabaseSync, namespace: string, name: string): StoredObservation | undefined {
  const [row] = selectObjects(database, 'WHERE place = ? AND name = ?', [placeOf(namespace), name]);
  return row && wholeOf(row);
}

function specWith(spec: StoredSpec, facts: NonNullable<ObservationPatch['facts']>): object {
  const { severity: _severity, summary: _summary, remediation: _remediation, ...rest } = spec;
  const { references: _references, details: _details, ...kept } = rest;
  return { ...kept, ...facts };
}

/** The object with new facts, or with what is said about its acceptance; `undefined` if neither is given. */
function objectWith(text: string, { facts, acceptance }: ObservationPatch): StoredObject | undefined {
  if (facts === undefined && acceptance === undefined) return undefined;
  const object = objectSchema.parse(JSON.parse(text));
  const noted = acceptance === undefined ? {} : acceptanceAnnotations(acceptance);
  const annotations = withChanges(object.metadata.annotations, noted);
  const spec = facts ? objectSchema.shape.spec.parse(specWith(object.spec, facts)) : object.spec;
  return { ...object, metadata: { ...object.metadata, annotations }, spec };
}

/** Labels or annotations with changes; those that are changed to null are removed. */
function withChanges(
  before: Readonly<Record<string, string>>,
  changed: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const after = { ...before };
  for (const [name, value] of Object.entries(changed)) {
    if (value === null) delete after[name];
    else after[name] = value;
  }
  return after;
}

/** Returns whether the row was there in that version. */
export function patchRow(database: DatabaseSync, { ref }: Stored, patch: ObservationPatch): boolean {
  const { labels: changed, history, reportedBy, told, facts } = patch;
  const key = [placeOf(ref.namespace), ref.name, ref.uid, Number(ref.version)];
  const statement = database.prepare(
    'SELECT labels, object FROM observations WHERE place = ? AND name = ? AND uid = ? AND version = ?',
  );
  const row = statement.get(...key);
  if (!row) return false;
  const { labels, object: text } = objectRowSchema.pick({ labels: true, object: true }).parse(row);
  const object = objectWith(text, patch);
  const update = database.prepare(
    `UPDATE observations SET labels = ?, version = version + 1, expires_at = coalesce(?, expires_at),
       report = coalesce(?, report), history = coalesce(?, history), reported_by = coalesce(?, reported_by), told = coalesce(?, told), severity = coalesce(?, severity),
       object = coalesce(?, object)
     WHERE place = ? AND name = ? AND uid = ? AND version = ?`,
  );
  const changes = [
    JSON.stringify(withChanges(labels, changed)),
    nullable(expiresAt(changed[labelNames.expires] ?? undefined)),
    nullable(changed[labelNames.report] ?? undefined),
    nullable(history),
    nullable(reportedBy),
    nullable(told),
    nullable(facts?.severity),
    nullable(object && JSON.stringify(object)),
  ];
  return update.run(...changes, ...key).changes === 1;
}

const seriesRowSchema = rowSchema.pick({ version: true, labels: true }).extend({ series: seriesColumn });

export function addSeriesToRow(
  database: DatabaseSync,
  { namespace, name }: Pick<StoredRef, 'namespace' | 'name'>,
  { expires, ...repeats }: SeriesAddition,
): 'added' | 'changed' | 'gone' {
  const key = [placeOf(namespace), name];
  const row = database
    .prepare('SELECT version, labels, series FROM observations WHERE place = ? AND name = ?')
    .get(...key);
  if (!row) return 'gone';
  const { version, labels, series } = seriesRowSchema.parse(row);
  const later = laterExpiry(expires, labels[labelNames.expires]);
  const renewed = later === undefined ? labels : { ...labels, [labelNames.expires]: later };
  const update = database.prepare(
    `UPDATE observations SET labels = ?, version = version + 1, expires_at = coalesce(?, expires_at), series = ?
     WHERE place = ? AND name = ? AND version = ?`,
  );
  const changes = [JSON.stringify(renewed), nullable(expiresAt(later)), JSON.stringify(seriesWith(series, repeats))];
  return update.run(...changes, ...key, version).changes === 1 ? 'added' : 'changed';
}

/** Returns whether the row was there in that version. */
export function deleteRow(database: DatabaseSync, { namespace, name, uid, version }: StoredRef): boolean {
  const statement = database.prepare(
    'DELETE FROM observations WHERE place = ? AND name = ? AND uid = ? AND version = ?',
  );
  return statement.run(placeOf(namespace), name, uid, Number(version)).changes === 1;
}
