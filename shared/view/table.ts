import { styleText } from 'node:util';
import { labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';

type Column = readonly [header: string, cell: (object: Observation, now: number) => string];

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

/** The detail by which a person recognizes the finding. */
function messageOf({ spec: { details } }: Observation): string {
  const keys = ['output', 'message', 'title', 'testDesc', 'verb'];
  const value = keys.map((key) => details[key]).find((candidate) => typeof candidate === 'string');
  return typeof value === 'string' ? value.replaceAll(/\s+/g, ' ').slice(0, 100) : '';
}

/** Where a finding is that is about no Kubernetes resource: an image, a folder, a line of Terraform. */
function placeIn({ details }: Observation['spec']): string {
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

const wideColumns: readonly Column[] = [
  ...columns,
  ['COUNT', ({ status }) => String(status?.series?.count ?? '')],
  ['MESSAGE', messageOf],
];

/** For sorting: the most severe first, then by source, namespace and name. */
export function bySeverity(a: Observation, b: Observation): number {
  const worse = severities.indexOf(a.spec.severity) - severities.indexOf(b.spec.severity);
  const keyOf = ({ spec, metadata }: Observation): string =>
    JSON.stringify([spec.source, metadata.namespace, metadata.name]);
  return worse !== 0 ? worse : keyOf(a) < keyOf(b) ? -1 : 1;
}

/** Without control characters: a tool's text must not give orders to the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}/gu, '?');
}

const colours: Readonly<Record<string, Parameters<typeof styleText>[0]>> = {
  CRITICAL: ['bold', 'red'],
  HIGH: 'red',
  MEDIUM: 'yellow',
  LOW: 'cyan',
};

/** A severity in its colour, if the terminal shows colours; NO_COLOR and FORCE_COLOR override that. */
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
export function tableOf(objects: readonly Observation[], now: number, isWide: boolean): string[] {
  const shown = isWide ? wideColumns : columns;
  return aligned([
    shown.map(([header]) => header),
    ...objects.map((object) => shown.map(([, cell]) => printable(cell(object, now)))),
  ]);
}

/**
 * The lines of a table of how many Observations each source has of each severity, the largest source first, and in all.
 */
export function countsOf(objects: readonly Observation[]): string[] {
  const bySource = [...Map.groupBy(objects, ({ spec }) => spec.source)].sort(([, a], [, b]) => b.length - a.length);
  const row = (name: string, group: readonly Observation[]): string[] => [
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
