import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { control } from './progress.ts';

interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Location {
  readonly start: Position;
  readonly end: Position;
}

/** One small change of a source. Its lines and columns are counted from zero. */
export interface Mutant {
  readonly id: string;
  readonly file: string;
  readonly location: Location;
  readonly original: string;
  readonly replacement: string;
}

/** A file to change, in the project's folder: all of it, or only some lines. */
export interface Target {
  readonly file: string;
  readonly lines?: readonly { readonly first: number; readonly last: number }[];
}

interface Instrumented {
  readonly mutants: readonly Mutant[];
  /** By file: the source with all of its mutants in it, each behind a switch. */
  readonly sources: ReadonlyMap<string, string>;
}

function nothing(): void {}

const no = (): boolean => false;

const silent = {
  isTraceEnabled: no,
  isDebugEnabled: no,
  isInfoEnabled: no,
  isWarnEnabled: no,
  isErrorEnabled: no,
  isFatalEnabled: no,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: console.warn,
  error: console.error,
  fatal: console.error,
};

function textAt(source: string, { start, end }: Location): string {
  const lines = source.split('\n').slice(start.line, end.line + 1);
  const last = lines.length - 1;
  return lines
    .map((line, index) => line.slice(index === 0 ? start.column : 0, index === last ? end.column : undefined))
    .join('\n');
}

function rangesOf({ lines }: Target): Location[] | true {
  if (lines === undefined) return true;
  return lines.map(({ first, last }) => ({
    start: { line: first - 1, column: 0 },
    end: { line: last - 1, column: Number.MAX_SAFE_INTEGER },
  }));
}

const [counting, ending] = ['function cover() {', "throw new Error('Stryker: Hit count limit reached"];

/**
 * What Stryker counts is asked for of a run without a mutant alone, and takes half of the time. What a mutant makes run for
 * ever may catch the error that is to end it, and go on: it ends as it does without the mutant.
 */
function withChangedSwitches(source: string): string {
  return source
    .replace(counting, `${counting} if (ns.activeMutant !== undefined) return;`)
    .replace(ending, `ns.activeMutant = '${control}'; ${ending}`);
}

/** Stryker makes the mutants. */
export async function instrument(root: string, targets: readonly Target[]): Promise<Instrumented> {
  const originals = new Map(targets.map(({ file }) => [file, readFileSync(join(root, file), 'utf8')]));
  const { mutants, files } = await new Instrumenter(silent).instrument(
    targets.map((target) => ({
      name: target.file,
      content: originals.get(target.file) ?? '',
      mutate: rangesOf(target),
    })),
    { ignorers: [], plugins: null, excludedMutations: [] },
  );
  return {
    mutants: mutants
      .filter(({ status }) => status !== 'Ignored')
      .map(({ id, fileName, location, replacement }) => ({
        id,
        file: fileName,
        location,
        original: textAt(originals.get(fileName) ?? '', location),
        replacement,
      })),
    sources: new Map(files.map(({ name, content }) => [name, withChangedSwitches(content)])),
  };
}
