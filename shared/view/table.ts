import { styleText } from 'node:util';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { cutToWidth, padToWidth, widthOf } from './cells.ts';
import { columns, printable } from './columns.ts';
import { type Count, type Grouping, totalOf } from './counts.ts';
import type { Effect } from './effects.ts';

type Row = readonly string[];

export interface TableOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Shows every column in full, whatever its width. */
  readonly isWide: boolean;
  /** How many cells a line may take; `undefined`: any number. */
  readonly width: number | undefined;
}

const gap = '   ';

/** Names end with 32 digits, of which nine are enough to tell one from another. */
const spareDigits = 23;

const stateHeader = 'STATE';

/**
 * What makes a table narrower, one after another until it fits: no more cells than these for a column, none leaves it
 * out. A name that has been cut still finds its Observation, and begins with the source.
 */
const squeezes: readonly (readonly [header: string, cells: (natural: number) => number])[] = [
  ['SUMMARY', () => 60],
  ['NAME', (natural) => Math.max(16, natural - spareDigits)],
  ['SOURCE', () => 0],
  ['RESOURCE', () => 24],
  ['NAMESPACE', () => 20],
  ['SUMMARY', () => 40],
  ['KIND', () => 0],
  ['AGE', () => 0],
  ['RESOURCE', () => 16],
  ['NAMESPACE', () => 12],
  ['SUMMARY', () => 30],
  [stateHeader, () => 0],
  ['RESOURCE', () => 0],
  ['NAME', () => 24],
  ['SUMMARY', () => 20],
  ['NAMESPACE', () => 10],
  ['SUMMARY', () => 16],
];

function naturalWidths(rows: readonly Row[]): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, widthOf(cell));
  }
  return widths;
}

function totalWidth(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((sum, width) => sum + width + gap.length, -gap.length);
}

/** Whether something shown is gone, which nobody may take for what is open. */
function showsGone(headers: Row, rows: readonly Row[]): boolean {
  const index = headers.indexOf(stateHeader);
  return rows.some((row) => row[index] !== '' && row[index] !== 'open');
}

/** The widths of columns of which the last one takes what the others leave; 0 for those that are left out. */
function fittingWidths(headers: Row, rows: readonly Row[], limit: number): number[] {
  const natural = naturalWidths([headers, ...rows]);
  const widths = [...natural];
  const isStateShown = showsGone(headers, rows);
  for (const [header, cells] of squeezes) {
    if (totalWidth(widths) <= limit) break;
    if (header === stateHeader && isStateShown) continue;
    const index = headers.indexOf(header);
    widths[index] = Math.min(widths[index] ?? 0, cells(natural[index] ?? 0));
  }
  const last = widths.length - 1;
  const spare = Math.max(0, limit - totalWidth(widths));
  widths[last] = Math.min(natural[last] ?? 0, (widths[last] ?? 0) + spare);
  return widths;
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

/** Rows as kubectl prints them, each cell as wide as its column. */
function aligned(rows: readonly Row[], widths: readonly number[]): string[] {
  return rows.map((row) =>
    row
      .flatMap((cell, index) => {
        const width = widths[index] ?? 0;
        return width === 0 ? [] : [coloured(padToWidth(cutToWidth(cell, width), width))];
      })
      .join(gap)
      .trimEnd(),
  );
}

/** The lines of a table as kubectl prints it, header first. */
export function tableOf(objects: readonly Observation[], { now, isWide, width }: TableOptions): string[] {
  const shown = columns.filter(({ isExtra }) => isWide || !isExtra);
  const headers = shown.map(({ header }) => header);
  const rows = objects.map((object) => shown.map(({ cell }) => printable(cell(object, now))));
  const all = [headers, ...rows];
  return aligned(all, width !== undefined && !isWide ? fittingWidths(headers, rows, width) : naturalWidths(all));
}

const leastValueWidth = 20;

export interface CountsTableOptions {
  readonly by: Grouping;
  /** How many of the counts get a row; the last row sums up all of them. */
  readonly limit?: number | undefined;
  readonly width: number | undefined;
}

/** The lines of a table of counts, header first and the sum of all last. The values are cut to fit. */
export function countsTableOf(counts: readonly Count[], { by, limit, width }: CountsTableOptions): string[] {
  const rowOf = (name: string, { severities: bySeverity, total }: Omit<Count, 'value'>): Row => [
    name,
    ...severities.map((severity) => String(bySeverity[severity])),
    String(total),
  ];
  const sumOf = (severity: (typeof severities)[number]): number =>
    counts.reduce((sum, { severities: bySeverity }) => sum + bySeverity[severity], 0);
  const rows = [
    [by === 'eventType' ? 'TYPE' : by.toUpperCase(), ...severities, 'TOTAL'],
    ...counts.slice(0, limit).map((count) => rowOf(count.value === '' ? '<none>' : printable(count.value), count)),
    ['', ...severities.map((severity) => String(sumOf(severity))), String(totalOf(counts))],
  ];
  const [first = 0, ...others] = naturalWidths(rows);
  const room = width === undefined ? first : width - totalWidth(others) - gap.length;
  return aligned(rows, [Math.min(first, Math.max(leastValueWidth, room)), ...others]);
}

/** The lines of a table of what filters would do, header first. The examples are cut to fit. */
export function effectsTableOf(effects: readonly Effect[], width: number | undefined): string[] {
  const rows = [
    ['SOURCE', 'RULE', 'EFFECT', 'COUNT', 'EXAMPLE'],
    ...effects.map(({ source, rule, effect, count, example: { metadata, spec } }) => [
      printable(source),
      rule === '' ? '<none>' : printable(rule),
      effect,
      String(count),
      printable(`${metadata.namespace}: ${spec.summary ?? metadata.name}`),
    ]),
  ];
  const natural = naturalWidths(rows);
  const others = natural.slice(0, -1);
  const room = width === undefined ? Number.POSITIVE_INFINITY : width - totalWidth(others) - gap.length;
  return aligned(rows, [...others, Math.min(natural.at(-1) ?? 0, Math.max(leastValueWidth, room))]);
}
