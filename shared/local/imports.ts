import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** In the data folder: imported files, as `<source>/<file>`, observed like those in any other folder. */
export const importsFolder = 'imports';

/** Adds `.json` to other names: files without it would be ignored. */
function nameOf(file: string): string {
  const name = basename(file);
  return /\.json$/i.test(name) ? name : `${name}.json`;
}

/** Keeps a tool's output, replacing any kept under the same name. Returns where, and whether it replaced one. */
export function keepImport(data: string, source: string, file: string, text: string) {
  const folder = join(data, importsFolder, source);
  mkdirSync(folder, { recursive: true });
  const kept = join(folder, nameOf(file));
  const isReplaced = existsSync(kept);
  // Renamed into place, so that nobody reads a file that is half written.
  writeFileSync(`${kept}.new`, text);
  renameSync(`${kept}.new`, kept);
  return { kept, isReplaced };
}

/** Removes the files kept under this name, from one source or from all. Returns those sources. */
export function removeImport(data: string, source: string | undefined, file: string): string[] {
  const folder = join(data, importsFolder);
  const sources = existsSync(folder) ? readdirSync(folder) : [];
  const removed = sources.filter(
    (one) => (source === undefined || one === source) && existsSync(join(folder, one, nameOf(file))),
  );
  for (const one of removed) rmSync(join(folder, one, nameOf(file)));
  return removed;
}
