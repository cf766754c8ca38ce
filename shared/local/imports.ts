import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** In the data folder: imported files, as `<source>/<file>`, observed like those in any other folder. */
export const importsFolder = 'imports';

/** Adds `.json` to other names: files without it would be ignored. */
function nameOf(file: string): string {
  const name = basename(file);
  return /\.json$/i.test(name) ? name : `${name}.json`;
}

/** Where a tool's output is kept. */
export function importPath(data: string, source: string, file: string): string {
  return join(data, importsFolder, source, nameOf(file));
}

/** Keeps a tool's output. Returns whether it replaced one. */
export function keepImport(kept: string, text: string): boolean {
  mkdirSync(dirname(kept), { recursive: true, mode: 0o700 });
  const isReplaced = existsSync(kept);
  // Renamed into place, so that nobody reads a file that is half written.
  writeFileSync(`${kept}.new`, text);
  renameSync(`${kept}.new`, kept);
  return isReplaced;
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
