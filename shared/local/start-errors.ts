import { SettingsError } from '../function/settings.ts';
import { UserError } from '../function/user-error.ts';
import { UsageError } from './arguments.ts';

/** The first line of a text, as an end of another line: parsers add pictures of what they could not read. */
export function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/:$/, '');
}

function reasonOf(error: unknown): string {
  return firstLine(error instanceof Error ? error.message : String(error));
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something listens there already: stop it, or take another port (--port N, or PORT)',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'that is not allowed',
  EPERM: 'that is not allowed',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of it is a file, not a folder',
  EISDIR: 'it is a folder, not a file',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
};

/**
 * What the system refused at the start, in a line; `undefined` where it is no refusal of the system's. `about` is what
 * it is about where the error doesn't know.
 */
function systemFault(error: unknown, about?: string): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const hint = advice[error.code];
  if (hint === undefined) return undefined;
  const { path, port, address }: Readonly<Record<string, unknown>> = { ...error };
  const where = path ?? (port === undefined ? undefined : `port ${port} of ${address ?? 'this machine'}`);
  const parts = [about, where === about?.split(' ')[1] ? undefined : where, `${hint} (${error.code})`];
  return parts.filter((part) => part !== undefined).join(': ');
}

/** What to say of a start that failed: a line for what a user can mend, with the stack for everything else. */
export function describeStartError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isUsers = error instanceof UsageError || error instanceof SettingsError || error instanceof UserError;
  return isUsers ? error.message : (systemFault(error) ?? error.stack ?? error.message);
}

/** Runs a step of the start whose every fault is about what a user named by `option`. Throws a UserError. */
export function blaming<Result>(option: string, step: () => Result): Result {
  try {
    return step();
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(systemFault(error, option) ?? `${option}: ${reasonOf(error)}`, { cause: error });
  }
}
