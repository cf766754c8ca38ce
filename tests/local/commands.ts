import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs `npm run import` or `npm run observations` to its end, without npm. */
export async function runCommand(
  name: 'import' | 'observations',
  args: readonly string[],
  { environment = {}, cwd = root }: CommandOptions = {},
) {
  const script = join(root, 'shared', 'local', `${name}-command.ts`);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...environment },
  });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  child.stdout.on('data', (chunk) => stdout.push(String(chunk)));
  child.stderr.on('data', (chunk) => stderr.push(String(chunk)));
  const [code] = await once(child, 'close');
  return { code, stdout: stdout.join(''), stderr: stderr.join('') };
}
