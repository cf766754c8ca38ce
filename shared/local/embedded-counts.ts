import type { DatabaseSync } from 'node:sqlite';
import * as z from 'zod';
import { severities } from '../finding/severity.ts';
import { type Count, createCountTally, type Grouping } from '../view/counts.ts';
import { fixOf, imagesOf, type Selection } from '../view/selection.ts';
import { workloadWord } from '../view/workload-word.ts';
import { resourceSchema } from './embedded-objects.ts';
import { member, state, whereOf } from './embedded-selection.ts';

/** What is counted, as SQL; a workload is told from its resource. */
const groupValues: Readonly<Record<Grouping, string>> = {
  source: 'source',
  severity: 'severity',
  namespace: "rtrim(place, '/')",
  state,
  category: member('category'),
  eventType: member('eventType'),
  rule: member('rule'),
  workload: member('resource'),
  actor: member('actor.username'),
  kind: member('resource.kind'),
  image: member('details.image'),
  fix: member('remediation'),
};

const countSchema = z.object({
  value: z.string().nullable(),
  severity: z.enum(severities),
  count: z.number(),
});

/** What a value is counted under. */
function shown(by: Grouping, value: string): string {
  if (by === 'workload') return workloadWord(resourceSchema.parse(JSON.parse(value)));
  if (by === 'image') return imagesOf(value)[0] ?? '';
  return by === 'fix' ? fixOf(value) : value;
}

export function countRows(database: DatabaseSync, selection: Selection, by: Grouping): readonly Count[] {
  const { where, values } = whereOf(database, selection);
  // Materialized, since SQLite would otherwise sort whole objects.
  const statement = database.prepare(
    `WITH chosen AS MATERIALIZED (SELECT ${groupValues[by]} AS value, severity FROM observations WHERE ${where})
     SELECT value, severity, count(*) AS count FROM chosen GROUP BY value, severity`,
  );
  const tally = createCountTally();
  for (const row of statement.all(...values)) {
    const { value, severity, count } = countSchema.parse(row);
    tally.add(value === null ? '' : shown(by, value), severity, count);
  }
  return tally.counts();
}
