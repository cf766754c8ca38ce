import { SettingsError } from '../function/settings.ts';
import { UserError } from '../function/user-error.ts';
import { UsageError } from './arguments.ts';

/** The first line of a message, to append to another: parsers follow it with an excerpt of what they couldn't read. */
export function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/:$/, '');
}

function reasonOf(error: unknown): string {
  return firstLine(error instanceof Error ? error.message : String(error));
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something is already listening there: stop it, or choose another port (--port N, or PORT)',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'part of the path is a file, not a folder',
  EISDIR: 'it is a folder, not a file',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
};

/**
 * A line that describes an error of the operating system; `undefined` for any other error. `about` is what the error is
 * about, in case the error itself doesn't say.
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

/** Describes why the start failed: in one line if the user can fix it, otherwise with the stack. */
export function describeStartError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isUsers = error instanceof UsageError || error instanceof SettingsError || error instanceof UserError;
  return isUsers ? error.message : (systemFault(error) ?? error.stack ?? error.message);
}

/** Runs a step of the start in which any error is due to what the user gave for `option`. Throws a UserError. */
export function blaming<Result>(option: string, step: () => Result): Result {
  try {
    return step();
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(systemFault(error, option) ?? `${option}: ${reasonOf(error)}`, { cause: error });
  }
}
