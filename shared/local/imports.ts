import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Below the data folder: the files that were imported, `<source>/<file>`, observed like those of any other folder. */
export const importsFolder = 'imports';

/** Files that were read as objects end so; others would not be looked at. */
function nameOf(file: string): string {
  const name = basename(file);
  return /\.json$/i.test(name) ? name : `${name}.json`;
}

/** Keeps a tool's output, in place of what was kept under the same name. Returns where, and whether there was one. */
export function keepImport(data: string, source: string, file: string, text: string) {
  const folder = join(data, importsFolder, source);
  mkdirSync(folder, { recursive: true });
  const kept = join(folder, nameOf(file));
  const isReplaced = existsSync(kept);
  // In one step, so that nobody reads half of it.
  writeFileSync(`${kept}.new`, text);
  renameSync(`${kept}.new`, kept);
  return { kept, isReplaced };
}

/** Removes what was kept under this name, of the one source or of any. Returns the sources that it was of. */
export function removeImport(data: string, source: string | undefined, file: string): string[] {
  const folder = join(data, importsFolder);
  const sources = existsSync(folder) ? readdirSync(folder) : [];
  const removed = sources.filter(
    (one) => (source === undefined || one === source) && existsSync(join(folder, one, nameOf(file))),
  );
  for (const one of removed) rmSync(join(folder, one, nameOf(file)));
  return removed;
}
