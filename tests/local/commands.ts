import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

const scripts = {
  start: 'main.ts',
  import: 'local/import-command.ts',
  observations: 'local/observations-command.ts',
} as const;

type Command = keyof typeof scripts;

/** What `npm run <name>` runs, without npm. */
export function commandLine(name: Command): string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'shared', scripts[name])];
}

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs one of npm's scripts to its end, without npm. */
export async function runCommand(name: Command, args: readonly string[], { environment = {} }: CommandOptions = {}) {
  const [file = '', ...rest] = commandLine(name);
  const child = spawn(file, [...rest, ...args], { env: { PATH: process.env.PATH, ...environment } });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  child.stdout.on('data', (chunk) => stdout.push(String(chunk)));
  child.stderr.on('data', (chunk) => stderr.push(String(chunk)));
  const [code] = await once(child, 'close');
  return { code, stdout: stdout.join(''), stderr: stderr.join('') };
}
