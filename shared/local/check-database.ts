import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../function/user-error.ts';
import { databaseFile } from './embedded-store.ts';

const magic = 'SQLite format 3\0';

/**
 * Whether a data folder has a store. Throws a UserError if what is there can't be one: SQLite's own error says neither
 * which file it means nor what to do about it.
 */
export function checkDatabase(data: string): boolean {
  if (data === ':memory:' || !existsSync(data)) return false;
  if (!statSync(data).isDirectory()) throw new UserError(`--data: ${data} is a file, not a folder`);
  const file = join(data, databaseFile);
  if (!existsSync(file)) return false;
  if (!statSync(file).isFile()) throw new UserError(`--data: ${file} is not a file`);
  const start = Buffer.alloc(magic.length);
  const opened = openSync(file, 'r');
  try {
    const length = readSync(opened, start);
    if (length === 0) return false;
    if (start.toString('latin1') !== magic) {
      throw new UserError(`--data: ${file} is not a database: move it away, or name another folder with --data`);
    }
  } finally {
    closeSync(opened);
  }
  return true;
}
