import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Real payloads that are kept beside the project; tests read them where they are, and say so where they are not. */
const folder = join(import.meta.dirname, '..', '..', '..', 'shared', 'corpus');

/** Small inputs that once went wrong, beside them. */
export const casesFolder = join(folder, '..', 'cases');

export const corpusMissing: string | undefined = existsSync(join(folder, 'INDEX.md'))
  ? undefined
  : 'no corpus beside the project: its real payloads are not tried';

if (corpusMissing) console.log(corpusMissing);

export interface CorpusFile {
  readonly file: string;
  readonly text: string;
}

export function corpusFiles(source: string): CorpusFile[] {
  if (corpusMissing) return [];
  return readdirSync(join(folder, source))
    .sort()
    .map((file) => ({ file: `${source}/${file}`, text: readFileSync(join(folder, source, file), 'utf8') }));
}

export function corpusBytes(source: string): { readonly file: string; readonly bytes: Buffer }[] {
  if (corpusMissing) return [];
  return readdirSync(join(folder, source))
    .sort()
    .map((file) => ({ file: `${source}/${file}`, bytes: readFileSync(join(folder, source, file)) }));
}
