import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { UserError } from '../function/user-error.ts';

const busy = 5;

/**
 * Takes a data folder for this process alone: what one process doesn't read, it would call missing in what another has
 * stored. The operating system lets go of it however the process ends. Returns the function that lets go of it. Throws
 * a UserError if another process has it.
 */
export function lockData(data: string): () => void {
  if (data === ':memory:') return () => undefined;
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(join(data, 'in-use.sqlite'));
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!(error instanceof Error && 'errcode' in error && error.errcode === busy)) throw error;
    throw new UserError(`--data ${data}: another zen-watcher is using it: stop that one, or name another folder`);
  }
  return () => lock.close();
}
