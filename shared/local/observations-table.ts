import { styleText } from 'node:util';
import { labels } from '../observation/labels.ts';
import type { ObservationObject } from '../observation/observation-object.ts';
import { severities } from '../observation/severity.ts';

type Column = readonly [header: string, cell: (object: ObservationObject, now: number) => string];

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const;

/** As kubectl prints ages: `45s`, `12m`, `3h`, `5d`. */
function ageOf(timestamp: string | undefined, now: number): string {
  if (timestamp === undefined) return '';
  const seconds = Math.max(0, Math.floor((now - Date.parse(timestamp)) / 1000));
  const unit = units.find(([, length]) => seconds >= 2 * length);
  return unit ? `${Math.floor(seconds / unit[1])}${unit[0]}` : `${seconds}s`;
}

/** What of the details a person recognizes the finding by. */
function messageOf({ spec: { details } }: ObservationObject): string {
  const keys = ['output', 'message', 'title', 'testDesc', 'verb'];
  const value = keys.map((key) => details[key]).find((candidate) => typeof candidate === 'string');
  return typeof value === 'string' ? value.replaceAll(/\s+/g, ' ').slice(0, 100) : '';
}

/** Where a finding is that is about no Kubernetes resource: an image, a folder, a line of Terraform. */
function placeIn({ details }: ObservationObject['spec']): string {
  const keys = ['image', 'artifact', 'resource', 'reportFile'];
  const value = keys.map((key) => details[key]).find((candidate) => typeof candidate === 'string');
  return typeof value === 'string' ? value : '';
}

const columns: readonly Column[] = [
  ['NAMESPACE', ({ metadata }) => metadata.namespace],
  ['NAME', ({ metadata }) => metadata.name],
  ['SOURCE', ({ spec }) => spec.source],
  ['CATEGORY', ({ spec }) => spec.category],
  ['SEVERITY', ({ spec }) => spec.severity],
  ['TYPE', ({ spec }) => spec.eventType],
  ['RESOURCE', ({ spec }) => (spec.resource ? `${spec.resource.kind}/${spec.resource.name ?? ''}` : placeIn(spec))],
  ['STATE', ({ metadata }) => metadata.labels[labels.state] ?? ''],
  ['AGE', ({ metadata }, now) => ageOf(metadata.creationTimestamp, now)],
];

const wideColumns: readonly Column[] = [...columns, ['MESSAGE', messageOf]];

/** Worst first, then by source and place. */
export function bySeverity(a: ObservationObject, b: ObservationObject): number {
  const worse = severities.indexOf(a.spec.severity) - severities.indexOf(b.spec.severity);
  const keyOf = ({ spec, metadata }: ObservationObject): string =>
    JSON.stringify([spec.source, metadata.namespace, metadata.name]);
  return worse !== 0 ? worse : keyOf(a) < keyOf(b) ? -1 : 1;
}

/** A terminal must not be told what to do by what a tool wrote. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}/gu, '?');
}

const colours: Readonly<Record<string, Parameters<typeof styleText>[0]>> = {
  CRITICAL: ['bold', 'red'],
  HIGH: 'red',
  MEDIUM: 'yellow',
  LOW: 'cyan',
};

/** A severity in its colour, where the terminal takes colours and nobody has said otherwise (NO_COLOR, FORCE_COLOR). */
function coloured(cell: string): string {
  const colour = colours[cell.trimEnd()];
  return colour === undefined ? cell : styleText(colour, cell, { stream: process.stdout });
}

/** Rows as kubectl prints them: columns as wide as their widest cell. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) =>
    rows.reduce((widest, row) => Math.max(widest, row[index]?.length ?? 0), 0),
  );
  return rows.map((row) =>
    row
      .map((cell, index) => coloured(index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
}

/** The lines of a table as kubectl prints it, header first. */
export function tableOf(objects: readonly ObservationObject[], now: number, isWide: boolean): string[] {
  const shown = isWide ? wideColumns : columns;
  return aligned([
    shown.map(([header]) => header),
    ...objects.map((object) => shown.map(([, cell]) => printable(cell(object, now)))),
  ]);
}

/** How many of each severity each source has, the source with most first, and in all. */
export function countsOf(objects: readonly ObservationObject[]): string[] {
  const bySource = [...Map.groupBy(objects, ({ spec }) => spec.source)].sort(([, a], [, b]) => b.length - a.length);
  const row = (name: string, group: readonly ObservationObject[]): string[] => [
    printable(name),
    ...severities.map((severity) => String(group.filter(({ spec }) => spec.severity === severity).length)),
    String(group.length),
  ];
  return aligned([
    ['SOURCE', ...severities, 'TOTAL'],
    ...bySource.map(([source, group]) => row(source, group)),
    row('', objects),
  ]);
}
