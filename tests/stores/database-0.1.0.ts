import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Observation } from '../../shared/api/observation.ts';
import { temporaryFolder } from '../host/program.ts';

/** Makes a data folder with the statements of version 0.1.0, and these Observations. */
export function oldDatabase(observations: readonly Observation[], createdAt: number): string {
  const data = temporaryFolder();
  const database = new DatabaseSync(join(data, 'observations.sqlite'));
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS observations (
      place TEXT NOT NULL, -- <namespace>/, so that rows sort as the API server's objects do
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
  `);
  const insert = database.prepare('INSERT INTO observations VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)');
  for (const object of observations) {
    const { metadata, spec } = object;
    const subject = metadata.labels['zen.kube-zen.io/subject'] ?? null;
    const key = [`${metadata.namespace}/`, metadata.name, crypto.randomUUID(), createdAt];
    const texts = [JSON.stringify(metadata.labels), JSON.stringify(object)];
    insert.run(...key, spec.source, spec.severity, subject, createdAt + 604_800_000, ...texts);
  }
  database.close();
  return data;
}
