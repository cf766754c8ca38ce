import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import * as z from 'zod';
import { group } from '../api/group.ts';
import { expiresAt, labels as labelNames } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { Refusal } from '../function/refusal.ts';
import type { Expired, NamesQuery, Store, Stored, StoredRef } from '../function/stores.ts';
import type { ObservationList, ObservationReader, ReadQuery } from '../view/observation-reader.ts';

/**
 * With row ids: the key is a hash, so rows that are as large as these would be inserted all over a tree of their own. No
 * index more than needed: each is another tree that every insert writes to.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS observations (
    place TEXT NOT NULL, -- <namespace>/, so that the order is the API server's
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    severity TEXT NOT NULL,
    subject TEXT,
    expires_at INTEGER NOT NULL,
    labels TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (place, name)
  );
  CREATE INDEX IF NOT EXISTS by_subject ON observations (subject, place) WHERE subject IS NOT NULL;
`;

const stringMap = z.record(z.string(), z.string());

const rowSchema = z.object({
  place: z.string(),
  name: z.string(),
  uid: z.string(),
  version: z.number(),
  created_at: z.number(),
  source: z.string(),
  labels: z.string().transform((text) => stringMap.parse(JSON.parse(text))),
});

const objectRowSchema = rowSchema.extend({ object: z.string() });

/** What was stored by `create`; it was checked then, so only its outline is checked now. */
const objectSchema = z.looseObject({
  apiVersion: z.literal(`${group}/v1`),
  kind: z.literal('Observation'),
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    labels: stringMap,
    annotations: stringMap,
  }),
  spec: z.object({
    source: z.string(),
    category: z.string(),
    severity: z.enum(severities),
    eventType: z.string(),
    resource: z
      .object({
        apiVersion: z.string().optional(),
        kind: z.string(),
        name: z.string().optional(),
        namespace: z.string().optional(),
      })
      .exactOptional(),
    details: z.record(z.string(), z.unknown()),
    detectedAt: z.string(),
    ttlSecondsAfterCreation: z.number(),
  }),
});

const rowColumns = 'place, name, uid, version, created_at, source, labels';

const rowsAPage = 500;

interface PendingCreate {
  readonly object: Observation;
  readonly resolve: (result: 'created' | 'exists') => void;
  readonly reject: (error: Refusal) => void;
}

export interface EmbeddedStoreOptions {
  /** Folder of the database; `:memory:` keeps everything in memory. */
  readonly data: string;
  readonly now: () => number;
}

export type EmbeddedStore = Store & ObservationReader & { close(): void };

function open(data: string): DatabaseSync {
  if (data !== ':memory:') mkdirSync(data, { recursive: true });
  const database = new DatabaseSync(data === ':memory:' ? data : join(data, 'observations.sqlite'));
  // FULL: a commit is on the disk before it returns, so what was acknowledged outlives kill -9 and a power failure.
  database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  database.exec(schema);
  return database;
}

/** Columns that must equal a value, or one of several; those without a value are not asked. */
function conditionsOf(columns: Readonly<Record<string, string | readonly string[] | undefined>>) {
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

function storageFault(cause: unknown): Refusal {
  return new Refusal(503, 'the embedded store failed', { cause });
}

function placeOf(namespace: string): string {
  return `${namespace}/`;
}

function storedOf(row: z.infer<typeof rowSchema>): Stored {
  const { place, name, uid, version, created_at: createdAt, labels } = row;
  return { ref: { namespace: place.slice(0, -1), name, uid, version: String(version) }, labels, createdAt };
}

function bind(value: string | number | undefined): SQLInputValue {
  return value ?? null;
}

/** Observations in SQLite. Creates that arrive together are committed together: one write to the disk for all of them. */
export function createEmbeddedStore({ data, now }: EmbeddedStoreOptions): EmbeddedStore {
  const database = open(data);
  const insert = database.prepare(
    `INSERT INTO observations (place, name, uid, version, created_at, source, severity, subject, expires_at, labels, object)
     VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  );
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  let pending: PendingCreate[] = [];

  function insertOne(object: Observation): 'created' | 'exists' {
    const { metadata, spec } = object;
    const createdAt = now();
    const ends = expiresAt(metadata.labels[labelNames.expires]) ?? createdAt + spec.ttlSecondsAfterCreation * 1000;
    const { changes } = insert.run(
      placeOf(metadata.namespace),
      metadata.name,
      randomUUID(),
      createdAt,
      spec.source,
      spec.severity,
      bind(metadata.labels[labelNames.subject]),
      ends,
      JSON.stringify(metadata.labels),
      JSON.stringify(object),
    );
    return changes === 1 ? 'created' : 'exists';
  }

  function flush(): void {
    const batch = pending;
    pending = [];
    try {
      begin.run();
      const results = batch.map(({ object }) => insertOne(object));
      commit.run();
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] ?? 'exists');
    } catch (cause) {
      if (database.isOpen && database.isTransaction) database.exec('ROLLBACK');
      for (const { reject } of batch) reject(storageFault(cause));
    }
  }

  function guarded<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (cause) {
      throw cause instanceof Refusal ? cause : storageFault(cause);
    }
  }

  /** Pages by key, so that what is deleted or written meanwhile shifts nothing. */
  function* pages(where: string, values: readonly SQLInputValue[], index = '') {
    const statement = database.prepare(
      `SELECT ${rowColumns} FROM observations ${index}
       WHERE (place, name) > (?, ?) AND ${where} ORDER BY place, name LIMIT ${rowsAPage}`,
    );
    let after: readonly [string, string] = ['', ''];
    for (;;) {
      const rows = guarded(() => statement.all(...after, ...values)).map((row) => rowSchema.parse(row));
      yield* rows;
      const last = rows.at(-1);
      if (!last || rows.length < rowsAPage) return;
      after = [last.place, last.name];
    }
  }

  return {
    create(object) {
      return new Promise((resolve, reject) => {
        pending.push({ object, resolve, reject });
        if (pending.length === 1) setImmediate(flush);
      });
    },

    async *names({ source, subjects, namespace }: NamesQuery) {
      const { where, values } = conditionsOf({ source, place: namespace && placeOf(namespace), subject: subjects });
      // Names begin with their source, so nothing of a row of another one is read.
      const ranged = source === undefined ? where : `name > ? AND name < ? AND ${where}`;
      const range = source === undefined ? [] : [`${source}-`, `${source}.`];
      const index = subjects ? 'INDEXED BY by_subject' : '';
      for (const row of pages(ranged, [...range, ...values], index)) yield storedOf(row);
    },

    async *expired(time) {
      for (const row of pages('expires_at < ?', [time])) {
        yield { ...storedOf(row), source: row.source } satisfies Expired;
      }
    },

    async relabel(ref: StoredRef, changed) {
      return guarded(() => {
        const statement = database.prepare(
          'SELECT labels FROM observations WHERE place = ? AND name = ? AND uid = ? AND version = ?',
        );
        const version = Number(ref.version);
        const row = statement.get(placeOf(ref.namespace), ref.name, ref.uid, version);
        if (!row) return false;
        const merged = { ...rowSchema.pick({ labels: true }).parse(row).labels, ...changed };
        const update = database.prepare(
          `UPDATE observations SET labels = ?, version = version + 1, expires_at = coalesce(?, expires_at)
           WHERE place = ? AND name = ? AND uid = ? AND version = ?`,
        );
        const ends = bind(expiresAt(changed[labelNames.expires]));
        return (
          update.run(JSON.stringify(merged), ends, placeOf(ref.namespace), ref.name, ref.uid, version).changes === 1
        );
      });
    },

    async delete({ namespace, name, uid, version }: StoredRef) {
      return guarded(() => {
        const statement = database.prepare(
          'DELETE FROM observations WHERE place = ? AND name = ? AND uid = ? AND version = ?',
        );
        return statement.run(placeOf(namespace), name, uid, Number(version)).changes === 1;
      });
    },

    async read(query: ReadQuery): Promise<ObservationList> {
      return guarded(() => readPage(database, query));
    },

    close() {
      if (pending.length > 0) flush();
      database.close();
    },
  };
}

function readPage(database: DatabaseSync, query: ReadQuery): ObservationList {
  const { source, severity, namespace, limit } = query;
  const { where, values } = conditionsOf({ source, severity, place: namespace && placeOf(namespace) });
  const statement = database.prepare(
    `SELECT ${rowColumns}, object FROM observations
     WHERE (place, name) > (?, ?) AND ${where} ORDER BY place, name LIMIT ?`,
  );
  const start = query.continue === undefined ? ['', ''] : decodeContinue(query.continue);
  const rows = statement.all(...start, ...values, limit + 1);
  const items = rows.slice(0, limit).map((row) => {
    const { object, ...columns } = objectRowSchema.parse(row);
    const { apiVersion, kind, metadata, spec } = objectSchema.parse(JSON.parse(object));
    const { uid, created_at: createdAt, labels, version } = columns;
    const creationTimestamp = new Date(createdAt).toISOString();
    const stored = { ...metadata, labels, uid, resourceVersion: String(version), creationTimestamp };
    return { apiVersion, kind, metadata: stored, spec };
  });
  const last = items.at(-1);
  return rows.length > limit && last ? { items, continue: encodeContinue(last.metadata) } : { items };
}

function encodeContinue({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return Buffer.from(`${namespace}/${name}`).toString('base64url');
}

function decodeContinue(token: string): [place: string, name: string] {
  const [namespace, name, ...more] = Buffer.from(token, 'base64url').toString().split('/');
  if (namespace && name && more.length === 0) return [placeOf(namespace), name];
  throw new Refusal(400, 'a bad query', { path: 'continue' });
}
