import { stringify } from 'yaml';
import { isAccepted } from '../api/acceptance.ts';
import type { Observation } from '../api/observation.ts';
import { printableJson, printableValue } from '../finding/printable.ts';
import { type Count, type Grouping, totalOf } from '../view/counts.ts';
import { csvOf } from '../view/csv.ts';
import type { Effects } from '../view/effects.ts';
import { type ExceptionOptions, exceptionText } from '../view/exception-for.ts';
import { describeFinding } from '../view/one-finding.ts';
import { stateOf } from '../view/selection.ts';
import { countsTableOf, effectsTableOf, tableOf } from '../view/table.ts';
import type { Output } from './observations-arguments.ts';

const leastColumns = 80;

/** How many cells a line may take; `undefined`, any number, unless a terminal shows it. */
function screenWidth(): number | undefined {
  return process.stdout.isTTY ? Math.max(leastColumns, process.stdout.columns) : undefined;
}

function write(lines: readonly string[], lineEnd = '\n'): void {
  if (lines.length > 0) process.stdout.write(lines.join(lineEnd) + lineEnd);
}

function yamlOf(value: unknown): string {
  return stringify(printableValue(value)).trimEnd();
}

function writeValue(value: unknown, output: 'json' | 'yaml'): void {
  write([output === 'json' ? printableJson(JSON.stringify(value, null, 2)) : yamlOf(value)]);
}

function tableFor(objects: readonly Observation[], output: Output): string[] {
  return tableOf(objects, { now: Date.now(), isWide: output === 'wide', width: screenWidth() });
}

export function printOne(object: Observation, output: Output): void {
  if (output === 'json' || output === 'yaml') writeValue(object, output);
  else write(describeFinding(object, { now: Date.now(), width: screenWidth() }));
}

/** An exception that accepts one, as YAML to be looked at and applied. */
export function printException(object: Observation, options: ExceptionOptions): void {
  // Escapes of JSON are escapes of YAML, too: what is applied means what is stored.
  write([printableJson(exceptionText(object, options).trimEnd())]);
}

/** What a name might mean, as lines. */
export function candidateLines(objects: readonly Observation[]): string[] {
  return tableFor(objects, 'table');
}

export function printList(objects: readonly Observation[], output: Output): void {
  if (output === 'json' || output === 'yaml') writeValue({ apiVersion: 'v1', kind: 'List', items: objects }, output);
  else if (output === 'csv') write(csvOf(objects, Date.now()), '\r\n');
  else if (objects.length > 0) write(tableFor(objects, output));
  else process.stderr.write('No observations found\n');
}

export interface CountsOptions {
  readonly by: Grouping;
  readonly limit: number | undefined;
  readonly output: Output;
}

export function printCounts(counts: readonly Count[], { by, limit, output }: CountsOptions): void {
  const items = counts.slice(0, limit);
  if (output === 'json' || output === 'yaml') writeValue({ by, total: totalOf(counts), items }, output);
  else if (counts.length > 0) write(countsTableOf(counts, { by, limit, width: screenWidth() }));
  else process.stderr.write('No observations found\n');
}

/** `of 12, 3 would be dropped, 1 would have another severity, and 2 would be accepted` */
function effectsText({ total, dropped, graded, accepted = 0, items }: Effects): string {
  if (items.length === 0) return `of ${total}, nothing matches`;
  const counts: readonly (readonly [count: number, what: string])[] = [
    [dropped, 'be dropped'],
    [graded, 'have another severity'],
    [accepted, 'be accepted'],
  ];
  const parts = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} would ${what}`);
  return `of ${total}, ${new Intl.ListFormat('en').format(parts)}`;
}

export interface EffectsOptions {
  readonly limit: number | undefined;
  readonly output: Output;
}

export function printEffects(effects: Effects, { limit, output }: EffectsOptions): void {
  const { total, dropped, graded, accepted, items } = effects;
  const shown = items.slice(0, limit);
  if (output === 'json' || output === 'yaml') {
    writeValue({ total, dropped, graded, accepted, items: shown }, output);
    return;
  }
  if (shown.length > 0) write(effectsTableOf(shown, screenWidth()));
  process.stderr.write(`${effectsText(effects)}\n`);
}

/** The part of an object that can change, with its identity. */
function versionOf({ metadata }: Observation): string {
  return JSON.stringify([metadata.namespace, metadata.name, metadata.labels]);
}

interface Printer {
  /** Prints those objects that are new or have changed since the last call. */
  print(all: readonly Observation[]): void;
}

function isSettled(object: Observation): boolean {
  return stateOf(object) === 'resolved' || isAccepted(object.metadata.labels, Date.now());
}

/**
 * Prints what changes, in kubectl's format: one JSON object per line, one YAML document per object. What is resolved
 * or accepted at the first call is left out if `hidesSettled`; what is so later has changed.
 */
export function createChangePrinter(output: Output, hidesSettled: boolean): Printer {
  let seen: ReadonlySet<string> | undefined;
  let shownHeader = '';

  /** A table's header is printed again if the columns are others, since those that don't fit are left out. */
  function tableLines(objects: readonly Observation[]): string[] {
    const [header = '', ...rows] = output === 'csv' ? csvOf(objects, Date.now()) : tableFor(objects, output);
    const names = header.split(/ +/).join(' ');
    const isSame = names === shownHeader || (objects.length === 0 && shownHeader !== '');
    if (isSame) return rows;
    shownHeader = names;
    return [header, ...rows];
  }

  function linesOf(objects: readonly Observation[]): string[] {
    if (output === 'json') return objects.map((object) => printableJson(JSON.stringify(object)));
    if (output === 'yaml') return objects.map((object) => `---\n${yamlOf(object)}`);
    return tableLines(objects);
  }

  return {
    print(all) {
      const before = seen;
      const changed =
        before === undefined
          ? all.filter((object) => !(hidesSettled && isSettled(object)))
          : all.filter((object) => !before.has(versionOf(object)));
      seen = new Set(all.map(versionOf));
      write(linesOf(changed), output === 'csv' ? '\r\n' : '\n');
    },
  };
}

/** Prints counts in full whenever they have changed. */
export function createCountsPrinter(options: CountsOptions): (counts: readonly Count[]) => void {
  let printed = '';
  return (counts) => {
    const now = JSON.stringify(counts);
    if (now !== printed) printCounts(counts, options);
    printed = now;
  };
}
