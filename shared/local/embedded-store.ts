import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expiresAt, labels as labelNames, reportedByAnnotation } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import type { Store } from '../function/stores.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import { createCommits } from './embedded-commits.ts';
import { countRows } from './embedded-counts.ts';
import { type ViewRows, viewRowsOf } from './embedded-feed.ts';
import { findRows, getRow, readPage } from './embedded-reads.ts';
import {
  addSeriesToRow,
  countIn,
  deleteRow,
  endOfRow,
  eventRows,
  expiredRows,
  findRow,
  findWholeRow,
  guarded,
  nullable,
  observationRows,
  outboxIndex,
  patchRow,
  placeOf,
  storedRows,
} from './embedded-rows.ts';
import { hasSeverityIndex, severityIndex } from './embedded-selection.ts';

/**
 * The table keeps its row ids: keys are hashes, and without row ids the rows, which are large, would be inserted all over
 * the tree. It has no more indexes than it needs: each is another tree that every insert writes to.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS observations (
    place TEXT NOT NULL, -- <namespace>/, so that rows sort as the API server's objects do
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    severity TEXT NOT NULL,
    report TEXT,
    history TEXT,
    reported_by TEXT,
    told TEXT,
    series TEXT, -- JSON: status.series
    expires_at INTEGER NOT NULL,
    labels TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (place, name)
  );
`;

const reportIndex = 'CREATE INDEX IF NOT EXISTS by_report ON observations (report, place) WHERE report IS NOT NULL';

/** In the data folder. */
export const databaseFile = 'observations.sqlite';

export interface EmbeddedStoreOptions {
  /** Folder of the database; `:memory:` keeps everything in memory. */
  readonly data: string;
  readonly now: () => number;
}

export type EmbeddedStore = Store & ObservationReader & ViewRows & { close(): void };

/** The columns that a database of an earlier version lacks. */
function missingColumns(database: DatabaseSync): string[] {
  const columns = new Set(
    database
      .prepare('PRAGMA table_info(observations)')
      .all()
      .map(({ name }) => name),
  );
  return ['report', 'history', 'reported_by', 'told', 'series'].filter((column) => !columns.has(column));
}

function open(data: string): DatabaseSync {
  if (data !== ':memory:') mkdirSync(data, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(data === ':memory:' ? data : join(data, databaseFile));
  // FULL: a commit is on disk before it returns, so acknowledged data survives kill -9 and a power failure.
  database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  database.exec(schema);
  for (const column of missingColumns(database)) database.exec(`ALTER TABLE observations ADD COLUMN ${column} TEXT`);
  database.exec(reportIndex);
  database.exec(outboxIndex);
  database.exec(severityIndex);
  return database;
}

function createInsert(database: DatabaseSync, now: () => number): (object: Observation) => 'created' | 'exists' {
  const insert = database.prepare(
    `INSERT INTO observations (place, name, uid, version, created_at, source, severity, report, reported_by, expires_at, labels, object)
     VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  );
  return (object) => {
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
      nullable(metadata.labels[labelNames.report]),
      nullable(metadata.annotations[reportedByAnnotation]),
      ends,
      JSON.stringify(metadata.labels),
      JSON.stringify(object),
    );
    return changes === 1 ? 'created' : 'exists';
  };
}

function createReads(database: DatabaseSync): ObservationReader {
  return {
    sortsAcrossPages: hasSeverityIndex(database),

    async read(query) {
      return guarded(() => readPage(database, query));
    },

    async get(namespace, name) {
      return guarded(() => getRow(database, namespace, name));
    },

    async counts(selection, by) {
      return guarded(() => countRows(database, selection, by));
    },

    async findByName(text, namespace, limit) {
      return guarded(() => findRows(database, text, namespace, limit));
    },
  };
}

/** The Observations of a database that exists, which may be one of an older version. Changes and creates nothing. */
export function openEmbeddedReader(data: string): ObservationReader & { close(): void } {
  const database = new DatabaseSync(join(data, databaseFile), { readOnly: true });
  database.exec('PRAGMA busy_timeout = 5000');
  const missing = missingColumns(database).map((column) => `NULL AS ${column}`);
  // A temporary view hides the table of that name, which may not be changed.
  if (missing.length > 0) {
    const columns = ['rowid AS rowid', '*', ...missing].join(', ');
    database.exec(`CREATE TEMP VIEW observations AS SELECT ${columns} FROM main.observations`);
  }
  return { ...createReads(database), close: () => database.close() };
}

/** Observations in SQLite. */
export function createEmbeddedStore({ data, now }: EmbeddedStoreOptions): EmbeddedStore {
  const database = open(data);
  const insert = createInsert(database, now);
  const commits = createCommits(database);
  return {
    create: (object) => commits.write(() => insert(object)),

    patch: (stored, patch) => commits.write(() => patchRow(database, stored, patch)),

    addSeries: (ref, addition) => commits.write(() => addSeriesToRow(database, ref, addition)),

    delete: (ref) => commits.write(() => deleteRow(database, ref)),

    async *names(query) {
      for (const stored of storedRows(database, query)) yield stored;
    },

    // There is no CRD that could take anything away.
    async *stripped() {},

    async count(namespace) {
      return guarded(() => countIn(database, namespace));
    },

    async *observations(query) {
      for (const observation of observationRows(database, query)) yield observation;
    },

    async *events() {
      for (const event of eventRows(database)) yield event;
    },

    async *expired(time) {
      for (const expired of expiredRows(database, time)) yield expired;
    },

    async endOf(ref) {
      return guarded(() => endOfRow(database, ref));
    },

    async find(namespace, name) {
      return guarded(() => findRow(database, namespace, name));
    },

    async findWhole(namespace, name) {
      return guarded(() => findWholeRow(database, namespace, name));
    },

    ...createReads(database),
    ...viewRowsOf(database),

    close() {
      commits.finish();
      database.close();
    },
  };
}
