import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import * as z from 'zod';

/** Where Stryker loads this from, here and in its own processes. */
export const samplePlugin = import.meta.filename;

interface Position {
  readonly line: number;
  readonly column: number;
}

interface Change {
  readonly id: string;
  readonly fileName: string;
  readonly location: { readonly start: Position; readonly end: Position };
  readonly replacement: string;
}

/** Which mutants are tried, given to Stryker's processes by the environment; without it, all. */
const sample = z
  .object({ MUTANTS_SAMPLE: z.coerce.number().default(1), MUTANTS_SEED: z.string().default('1') })
  .transform(({ MUTANTS_SAMPLE: share, MUTANTS_SEED: seed }) => ({ share, seed }));

/**
 * Whether a mutant is in the sample, which asks for nothing but itself: so it is the same mutants of a file, whichever other
 * files are tried.
 *
 * @param firstLine what the first line of a file is called
 */
export function isSampled({ fileName, location, replacement }: Change, firstLine: number): boolean {
  const { share, seed } = sample.parse(process.env);
  const { start, end } = location;
  const place = [start.line - firstLine, start.column - firstLine, end.line - firstLine, end.column - firstLine];
  const hash = createHash('sha256').update(
    JSON.stringify([seed, relative(process.cwd(), fileName), place, replacement]),
  );
  return hash.digest().readUInt32BE() < share * 2 ** 32;
}

/** Stryker calls `CompileError` what is not to be tried; it knows no other way to leave out a single mutant. */
export const strykerPlugins = [
  {
    kind: 'Checker',
    name: 'sample',
    value: {
      async init(): Promise<void> {},
      async group(mutants: readonly Change[]): Promise<string[][]> {
        return [mutants.map(({ id }) => id)];
      },
      async check(mutants: readonly Change[]): Promise<Record<string, object>> {
        const result = (mutant: Change): object =>
          isSampled(mutant, 0) ? { status: 'passed' } : { status: 'compileError', reason: 'not in the sample' };
        return Object.fromEntries(mutants.map((mutant) => [mutant.id, result(mutant)]));
      },
    },
  },
];
