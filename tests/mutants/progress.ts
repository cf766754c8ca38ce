import { readFileSync, writeFileSync } from 'node:fs';
import * as z from 'zod';

const schema = z.object({
  /** The IDs of mutants that no test has noticed yet. */
  living: z.array(z.string()),
  /** Those that a test file noticed which was loaded for each of them; `control` is not to be among them. */
  noticed: z.array(z.string()),
  /** By test file. */
  coverage: z.record(
    z.string(),
    z.object({
      /** The mutants that can be tried only with the file loaded anew. */
      anew: z.array(z.string()),
      /** What it takes to load it and to run its tests. */
      milliseconds: z.number(),
      /** The names of its tests that run through none, and take their time. */
      idle: z.array(z.string()),
    }),
  ),
  /** The names of the tests that were too slow to be run again at first. */
  slow: z.array(z.string()),
  /** What is wrong with tests, but no mutant's doing. */
  remarks: z.array(z.string()),
});

/** No mutant has this ID: what runs with it must pass. */
export const control = 'none';

/** What the processes that run tests tell one another, and the one that starts them. */
export type Progress = z.infer<typeof schema>;

export function readProgress(file: string): Progress {
  return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
}

export function writeProgress(file: string, progress: Progress): void {
  writeFileSync(file, JSON.stringify(progress));
}
