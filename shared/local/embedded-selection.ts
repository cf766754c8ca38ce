import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import * as z from 'zod';
import { forever } from '../api/acceptance.ts';
import { labels as labelNames } from '../api/labels.ts';
import { severities } from '../finding/severity.ts';
import { anyOf, type Comparable, partsOf, type Selection } from '../view/selection.ts';
import { actorSchema, resourceSchema } from './embedded-objects.ts';
import { conditionsOf, placeOf } from './embedded-rows.ts';

/** SQL for an Observation's state. */
export const state = `coalesce(json_extract(labels, '$."${labelNames.state}"'), 'open')`;

const accepted = `json_extract(labels, '$."${labelNames.accepted}"')`;

/** SQL for whether an Observation is accepted at a time, as `isAccepted` tells it by its labels. */
function isAcceptedAt(milliseconds: number): string {
  const isTime = `${accepted} GLOB '[0-9]*' AND ${accepted} NOT GLOB '*[^0-9]*' AND length(${accepted}) <= 12`;
  return `CASE WHEN ${accepted} = '${forever}' THEN '1'
    WHEN ${isTime} THEN CAST(CAST(${accepted} AS INTEGER) * 1000 > ${Math.floor(milliseconds)} AS TEXT) ELSE '0' END`;
}

/**
 * The order of the most severe first, and what is counted most. A query uses it for the state, too, since the expression
 * is the same.
 */
export const severityIndex = `
  CREATE INDEX IF NOT EXISTS by_severity ON observations (severity, source, place, name, ${state})
`;

/** A database that is opened to be read only may be one of an older version, which has no such index. */
export function hasSeverityIndex(database: DatabaseSync): boolean {
  return database
    .prepare('PRAGMA index_list(observations)')
    .all()
    .some(({ name }) => name === 'by_severity');
}

/** SQL for a member of the spec. */
export function member(path: string): string {
  return `json_extract(object, '$.spec.${path}')`;
}

/** What a test compares, as `json_extract` gives several members at once: a list, with null for what is absent. */
const comparableSchema = z
  .tuple([
    z.string(),
    z.string().nullable(),
    z.string().nullable(),
    resourceSchema.nullable(),
    actorSchema.nullable(),
    z.string().nullable(),
    z.unknown(),
    z.string(),
    z.enum(severities),
  ])
  .transform(([detectedAt, rule, summary, resource, actor, remediation, image, source, severity]) => ({
    detectedAt,
    source,
    severity,
    image,
    ...(rule !== null && { rule }),
    ...(summary !== null && { summary }),
    ...(resource !== null && { resource }),
    ...(actor !== null && { actor }),
    ...(remediation !== null && { remediation }),
  }));

const members = [
  'detectedAt',
  'rule',
  'summary',
  'resource',
  'actor',
  'remediation',
  'details.image',
  'source',
  'severity',
];

const since = `json_extract(labels, '$."${labelNames.since}"')`;

/** What `comparableIn` reads. */
const comparable = `json_extract(object, ${members.map((path) => `'$.spec.${path}'`).join(', ')}), created_at, ${since}, place, name`;

function comparableIn([members, createdAt, since, place, name]: readonly unknown[]): Comparable {
  return {
    ...comparableSchema.parse(JSON.parse(String(members))),
    namespace: String(place).slice(0, -1),
    name: String(name),
    createdAt: Number(createdAt),
    changedAt: since === null ? Number.NaN : Number(since),
  };
}

interface Where {
  readonly where: string;
  readonly values: readonly SQLInputValue[];
}

/**
 * The conditions of a selection. With a plus in front of it, SQLite can't choose the index of a column, and so keeps to
 * that of the order: else it would sort whole rows for each page.
 */
export function whereOf(database: DatabaseSync, selection: Selection): Where {
  const { exact, test } = partsOf(selection);
  const { acceptance } = exact;
  const { where, values } = conditionsOf({
    '+source': exact.source,
    '+severity': exact.severity,
    '+place': exact.namespace && anyOf(exact.namespace).map(placeOf),
    [state]: exact.states,
    ...(acceptance && { [isAcceptedAt(acceptance.at)]: acceptance.isAccepted ? '1' : '0' }),
    [member('category')]: exact.category,
    [member('eventType')]: exact.eventType,
    [member('rule')]: exact.rule,
    [member('actor.username')]: exact.actor,
  });
  if (test === undefined) return { where, values };
  database.function('is_selected', { deterministic: true, varargs: true }, (...row) => Number(test(comparableIn(row))));
  return { where: `${where} AND is_selected(${comparable})`, values };
}
