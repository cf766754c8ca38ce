import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { expiresAt, labels as labelNames } from '../api/labels.ts';
import { Refusal } from '../function/refusal.ts';
import type { Expired, NamesQuery, ObservationPatch, Stored, StoredRef } from '../function/stores.ts';
import {
  objectRowSchema,
  objectSchema,
  rowColumns,
  rowSchema,
  type StoredRow,
  type StoredSpec,
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
  return { ref, labels, history: row.history ?? undefined, hasAnnotations: true, createdAt };
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

export function* storedRows(database: DatabaseSync, { source, slots, namespace }: NamesQuery): Generator<Stored> {
  const { where, values } = conditionsOf({ source, place: namespace && placeOf(namespace), report: slots });
  // Names begin with their source, so a range of names skips the rows of all other sources unread.
  const ranged = source === undefined ? where : `name > ? AND name < ? AND ${where}`;
  const range = source === undefined ? [] : [`${source}-`, `${source}.`];
  const index = slots ? 'INDEXED BY by_report' : '';
  for (const row of pages(database, ranged, [...range, ...values], index)) yield storedOf(row);
}

export function* expiredRows(database: DatabaseSync, time: number): Generator<Expired> {
  for (const row of pages(database, 'expires_at < ?', [time])) {
    yield { ...storedOf(row), source: row.source };
  }
}

/** The one row of a namespace that has this name. */
export function findRow(database: DatabaseSync, namespace: string, name: string): Stored | undefined {
  const statement = database.prepare(`SELECT ${rowColumns} FROM observations WHERE place = ? AND name = ?`);
  const row = statement.get(placeOf(namespace), name);
  return row && storedOf(rowSchema.parse(row));
}

function specWith(spec: StoredSpec, facts: NonNullable<ObservationPatch['facts']>): object {
  const { severity: _severity, summary: _summary, remediation: _remediation, ...rest } = spec;
  const { references: _references, details: _details, ...kept } = rest;
  return { ...kept, ...facts };
}

/** Returns whether the row was there in that version. */
export function patchRow(
  database: DatabaseSync,
  { ref: { namespace, name, uid, version } }: Stored,
  { labels: changed, history, facts }: ObservationPatch,
): boolean {
  const key = [placeOf(namespace), name, uid, Number(version)];
  const statement = database.prepare(
    'SELECT labels, object FROM observations WHERE place = ? AND name = ? AND uid = ? AND version = ?',
  );
  const row = statement.get(...key);
  if (!row) return false;
  const { labels, object: text } = objectRowSchema.pick({ labels: true, object: true }).parse(row);
  const object = facts && objectSchema.parse(JSON.parse(text));
  const patched = object && { ...object, spec: specWith(object.spec, facts) };
  const update = database.prepare(
    `UPDATE observations SET labels = ?, version = version + 1, expires_at = coalesce(?, expires_at),
       report = coalesce(?, report), history = coalesce(?, history), severity = coalesce(?, severity),
       object = coalesce(?, object)
     WHERE place = ? AND name = ? AND uid = ? AND version = ?`,
  );
  const changes = [
    JSON.stringify({ ...labels, ...changed }),
    nullable(expiresAt(changed[labelNames.expires])),
    nullable(changed[labelNames.report]),
    nullable(history),
    nullable(facts?.severity),
    nullable(patched && JSON.stringify(patched)),
  ];
  return update.run(...changes, ...key).changes === 1;
}

/** Returns whether the row was there in that version. */
export function deleteRow(database: DatabaseSync, { namespace, name, uid, version }: StoredRef): boolean {
  const statement = database.prepare(
    'DELETE FROM observations WHERE place = ? AND name = ? AND uid = ? AND version = ?',
  );
  return statement.run(placeOf(namespace), name, uid, Number(version)).changes === 1;
}
