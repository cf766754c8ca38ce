import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { atEnd } from './at-end.ts';
import { type ControlGroup, image } from './container.ts';

/** The built program, running. */
export interface Program {
  readonly url: string;
  readonly pid: number;
  /** Lines of its log so far. */
  readonly log: readonly string[];
  /** SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Stands in whatever tests send that no log may show: when all of them are over, every log is searched for it. */
export const planted = 'PLANTED-SECRET';

/** Where a test run keeps the lines of all programs that it starts: one file for each process that starts some. */
function keepLine(line: string): void {
  const folder = process.env.ZEN_WATCHER_TEST_LOGS;
  if (folder !== undefined) appendFileSync(join(folder, `${process.pid}.log`), `${line}\n`);
}

/** What `npm start` runs. */
export const sources = join(import.meta.dirname, '..', '..', 'shared', 'main.ts');

export interface StartOptions {
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** In this group, so that it is killed when it takes more memory. */
  readonly contained?: ControlGroup | undefined;
}

/** What a start has compiled is kept for the next: a process costs half as much. */
const compiled = process.env.ZEN_WATCHER_TEST_CACHE && { NODE_COMPILE_CACHE: process.env.ZEN_WATCHER_TEST_CACHE };

/** A function as the image starts it, local mode as `npm start` does. */
function commandOf({ args, environment = {} }: StartOptions) {
  const isFunction = args[0] !== undefined && !args[0].startsWith('-');
  return {
    command: [process.execPath, ...(isFunction ? image.arguments() : [sources]), ...args],
    env: {
      PATH: process.env.PATH,
      TMPDIR: process.env.TMPDIR,
      ...(isFunction ? image.environment : compiled),
      ...environment,
    },
  };
}

/** Starts the program and resolves when it listens. Rejects with its output if it ends before that. */
export async function startProgram(options: StartOptions): Promise<Program> {
  const { contained } = options;
  const { command, env } = commandOf(options);
  const enter = contained ? ['sh', '-c', `${contained.enter}; exec "$@"`, 'sh'] : [];
  const [file = '', ...rest] = [...enter, ...command];
  const child: ChildProcess = spawn(file, rest, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const hasEnded = atEnd(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit').then(([code]): number | null => {
    hasEnded();
    return typeof code === 'number' ? code : null;
  });
  const log: string[] = [];
  const { stdout, stderr, pid } = child;
  if (!stdout || !stderr || pid === undefined) throw new Error('the program did not start');
  const note = (line: string): void => {
    log.push(line);
    keepLine(line);
  };
  createInterface(stderr).on('line', note);
  const listening = new Promise<string>((resolve) => {
    createInterface(stdout).on('line', (line) => {
      note(line);
      const url = /listening on (http:\/\/[\d.:]+)/.exec(line)?.[1];
      // A function listens on every address; this is the one that is asked here.
      if (url !== undefined) resolve(url.replace('0.0.0.0', '127.0.0.1'));
    });
  });
  const url = await Promise.race([listening, exited]);
  if (typeof url !== 'string') throw new Error(`the program ended with ${url}: ${log.join('\n')}`);
  return {
    url,
    pid,
    log,
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Runs the program to its end. */
export async function runProgram(options: StartOptions) {
  const { command, env } = commandOf(options);
  const [file = '', ...rest] = command;
  const child = spawn(file, rest, { env });
  const hasEnded = atEnd(() => child.kill('SIGKILL'));
  const output: string[] = [];
  child.stdout.on('data', (chunk) => output.push(String(chunk)));
  child.stderr.on('data', (chunk) => output.push(String(chunk)));
  const [code] = await once(child, 'close');
  hasEnded();
  return { code, output: output.join('') };
}

/** How the name of each folder begins that `temporaryFolder` makes. */
export const folderPrefix = 'zen-watcher-test-';

/** A folder that is gone after the tests of a file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), folderPrefix));
  // A program that was killed a moment ago may still be writing there.
  atEnd(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/** Resident memory of a process in MiB: now, at its peak, and what of it no file can give back. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number; readonly anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { now: kibibytes('VmRSS') / 1024, peak: kibibytes('VmHWM') / 1024, anonymous: kibibytes('RssAnon') / 1024 };
}

/**
 * Polls until `check` gives a value, for five times the bound that users are promised, and prints what it took.
 */
export async function within<Value>(
  promise: string,
  seconds: number,
  check: () => Promise<Value | undefined> | Value | undefined,
): Promise<Value> {
  const started = performance.now();
  for (;;) {
    const value = await check();
    const took = (performance.now() - started) / 1000;
    if (value !== undefined) {
      console.log(`${promise}: ${took.toFixed(2)} s (promised: ${seconds} s)`);
      return value;
    }
    if (took > seconds * 5) throw new Error(`${promise}: not within ${seconds * 5} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves once a program that was started with `--samples` has played them. */
export async function samplesPlayed(log: readonly string[]): Promise<void> {
  await within('samples played', 20, () => log.some((line) => line.includes('samples played')) || undefined);
}

/**
 * Polls until it is so: for what nobody is promised a time for, with a limit that tells late on a loaded machine from never.
 */
export async function until(what: string, isSo: () => Promise<boolean> | boolean, seconds = 45): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface ShownObservation {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly source: string;
    readonly eventType: string;
    readonly rule: string;
  };
  readonly status?: { readonly series?: { readonly count: number; readonly lastObservedTime: string } };
}

/** All Observations that `GET /observations` shows, page by page. */
export async function observationsOf(url: string, query = ''): Promise<ShownObservation[]> {
  const all: ShownObservation[] = [];
  let token = '';
  do {
    const response = await fetch(`${url}/observations?limit=1000${query}${token}`);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const list: { items: ShownObservation[]; metadata: { continue?: string } } = JSON.parse(await response.text());
    all.push(...list.items);
    token = list.metadata.continue ? `&continue=${list.metadata.continue}` : '';
  } while (token !== '');
  return all;
}
