import { createHash } from 'node:crypto';
import type { Mutant } from './instrument.ts';

/** The share of the mutants that are tried, from 0 to 1, and which. */
export interface Sample {
  readonly share: number;
  readonly seed: string;
}

/**
 * Whether a mutant is in the sample, which asks for nothing but itself: so it is the same mutants of a file, whichever other
 * files are tried.
 */
export function isSampled({ file, location, replacement }: Mutant, { share, seed }: Sample): boolean {
  const { start, end } = location;
  const place = [start.line, start.column, end.line, end.column];
  const hash = createHash('sha256').update(JSON.stringify([seed, file, place, replacement]));
  return hash.digest().readUInt32BE() < share * 2 ** 32;
}
