import { spawnSync } from 'node:child_process';

/** For suites that run a command: skips with one line where it is not installed, and fails in CI. */
export function skipWithout(command: string, what: string): boolean {
  if (spawnSync(command, ['--version']).status === 0) return false;
  const reason = `${what} not tried: ${command} is not installed`;
  if (process.env.CI) throw new Error(reason);
  console.log(reason);
  return true;
}
