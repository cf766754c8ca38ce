import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import * as z from 'zod';
import { acceptanceIn } from '../api/acceptance.ts';
import { group } from '../api/group.ts';
import { historyAnnotation, labels as labelNames, reportedByAnnotation, toldAnnotation } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { statusSchema } from '../api/series.ts';
import { severities } from '../finding/severity.ts';

const stringMap = z.record(z.string(), z.string());

/** What is read of a row without the object. */
export const rowSchema = z.object({
  place: z.string(),
  name: z.string(),
  uid: z.string(),
  version: z.number(),
  created_at: z.number(),
  source: z.string(),
  history: z.string().nullable(),
  reported_by: z.string().nullable(),
  /** JSON of the annotations, if it bears the label `accepted`. */
  noted: z
    .string()
    .nullable()
    .transform((text) => (text === null ? undefined : acceptanceIn(stringMap.parse(JSON.parse(text))))),
  told: z.string().nullable(),
  labels: z.string().transform((text) => stringMap.parse(JSON.parse(text))),
});

export type StoredRow = z.infer<typeof rowSchema>;

/** Few are accepted, so the objects of the others are not looked into. */
const noted = `CASE WHEN instr(labels, '"${labelNames.accepted}"') > 0
  THEN json_extract(object, '$.metadata.annotations') END AS noted`;

export const rowColumns = `place, name, uid, version, created_at, source, history, reported_by, told, ${noted}, labels`;

export const actorSchema = z.object({
  username: z.string(),
  groups: z.array(z.string()).exactOptional(),
  sourceIP: z.string().exactOptional(),
  userAgent: z.string().exactOptional(),
  via: z.string().exactOptional(),
});

export const resourceSchema = z.object({
  apiVersion: z.string().optional(),
  kind: z.string(),
  name: z.string().optional(),
  namespace: z.string().optional(),
});

/** Only the outline of a stored object: it was checked in full before it was stored. */
export const objectSchema = z.looseObject({
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
    rule: z.string().exactOptional(),
    summary: z.string().exactOptional(),
    actor: actorSchema.exactOptional(),
    remediation: z.string().exactOptional(),
    references: z.array(z.string()).exactOptional(),
    resource: resourceSchema.exactOptional(),
    details: z.record(z.string(), z.unknown()),
    detectedAt: z.string(),
    ttlSecondsAfterCreation: z.number(),
  }),
});

export type StoredObject = z.infer<typeof objectSchema>;

export type StoredSpec = StoredObject['spec'];

/** Of an Observation that has happened again. */
export const seriesColumn = z
  .string()
  .nullable()
  .transform((text) => (text === null ? undefined : statusSchema.parse({ series: JSON.parse(text) }).series));

export const objectRowSchema = rowSchema.extend({
  series: seriesColumn,
  rowid: z.number(),
  severity: z.string(),
  object: z.string(),
});

/** A stored Observation, whole. */
export type ObjectRow = z.infer<typeof objectRowSchema>;

const objectColumns = `rowid, ${rowColumns}, severity, series, object`;

export function observationIn(row: ObjectRow): Observation {
  const { uid, created_at: createdAt, labels, history, reported_by: reportedBy, told, series, version, object } = row;
  const { apiVersion, kind, metadata, spec } = objectSchema.parse(JSON.parse(object));
  const stored = {
    ...metadata,
    labels,
    annotations: {
      ...metadata.annotations,
      ...(history !== null && { [historyAnnotation]: history }),
      ...(reportedBy !== null && { [reportedByAnnotation]: reportedBy }),
      ...(told !== null && { [toldAnnotation]: told }),
    },
    uid,
    resourceVersion: String(version),
    creationTimestamp: new Date(createdAt).toISOString(),
  };
  return { apiVersion, kind, metadata: stored, spec, ...(series && { status: { series } }) };
}

/** The rows that the rest of a statement selects. */
export function selectObjects(database: DatabaseSync, sql: string, values: readonly SQLInputValue[]): ObjectRow[] {
  const rows = database.prepare(`SELECT ${objectColumns} FROM observations ${sql}`).all(...values);
  return rows.map((row) => objectRowSchema.parse(row));
}
