import type { Observation } from '../api/observation.ts';
import { acceptanceOf, acceptedUntilText, printable } from './columns.ts';
import { stateOf } from './selection.ts';

type Column = readonly [header: string, value: (object: Observation, now: number) => string];

const csvColumns: readonly Column[] = [
  ['namespace', ({ metadata }) => metadata.namespace],
  ['name', ({ metadata }) => metadata.name],
  ['source', ({ spec }) => spec.source],
  ['severity', ({ spec }) => spec.severity],
  ['state', stateOf],
  ['category', ({ spec }) => spec.category],
  ['eventType', ({ spec }) => spec.eventType],
  ['rule', ({ spec }) => spec.rule ?? ''],
  ['summary', ({ spec }) => spec.summary ?? ''],
  ['resourceKind', ({ spec }) => spec.resource?.kind ?? ''],
  ['resourceNamespace', ({ spec }) => spec.resource?.namespace ?? ''],
  ['resourceName', ({ spec }) => spec.resource?.name ?? ''],
  ['actor', ({ spec }) => spec.actor?.username ?? ''],
  ['remediation', ({ spec }) => spec.remediation ?? ''],
  ['references', ({ spec }) => (spec.references ?? []).join(' ')],
  ['detectedAt', ({ spec }) => spec.detectedAt],
  ['createdAt', ({ metadata }) => metadata.creationTimestamp ?? ''],
  ['acceptedUntil', (object, now) => acceptedUntilText(object, now)],
  ['acceptedBy', (object, now) => acceptanceOf(object, now)?.by ?? ''],
  ['acceptedReason', (object, now) => acceptanceOf(object, now)?.reason ?? ''],
  ['exception', (object, now) => acceptanceOf(object, now)?.exception ?? ''],
];

/**
 * A cell by RFC 4180. What a spreadsheet would take for a formula gets an apostrophe in front:
 * https://owasp.org/www-community/attacks/CSV_Injection
 */
function csvCell(text: string): string {
  const line = printable(text);
  const safe = /^[=+\-@]/.test(line) ? `'${line}` : line;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The records of a file of comma-separated values, header first. They are to be joined by CR and LF. */
export function csvOf(objects: readonly Observation[], now: number): string[] {
  return [
    csvColumns.map(([header]) => header).join(','),
    ...objects.map((object) => csvColumns.map(([, value]) => csvCell(value(object, now))).join(',')),
  ];
}
