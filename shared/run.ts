import { functionNames, loadFunctions } from './host/function-list.ts';
import type { LineWriter } from './host/line-writer.ts';
import { createLog, type ProcessLog, standardOutput } from './host/log.ts';
import { parseStartArguments, type StartArguments, UsageError } from './local/arguments.ts';
import { readable } from './local/readable-log.ts';
import { describeStartError } from './local/start-errors.ts';

/**
 * Stops what was started and ends the process, even while it is still starting. A second signal ends the process at
 * once.
 */
function stopOnSignal(started: Promise<{ stop(): Promise<void> }>, log: ProcessLog): void {
  let isStopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      void started
        .then(({ stop }) => stop())
        .then(() => log.flush())
        .then(() => process.exit(0));
    });
  }
}

const parentMilliseconds = 500;

/** npm runs its scripts by a shell, which ends at once when npm is told to, and says nothing to us. */
function endWithNpm(environment: NodeJS.ProcessEnv): void {
  if (environment.npm_lifecycle_event === undefined) return;
  const shell = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, parentMilliseconds);
  timer.unref();
}

function checkNames(names: readonly string[]): void {
  const known = functionNames();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`no function ${unknown}`, `There are: ${known.join(', ')}`);
}

async function startStandalone(without: readonly string[], log: ProcessLog): Promise<void> {
  checkNames(without);
  const { startStandaloneMode } = await import('./standalone/standalone-mode.ts');
  const definitions = (await loadFunctions()).filter(({ name }) => !without.includes(name));
  const started = startStandaloneMode({ definitions, environment: process.env, log });
  stopOnSignal(started, log);
  const { url, secureUrl } = await started;
  log.announce({ operation: 'start' }, `listening on ${[url, secureUrl].filter(Boolean).join(' and ')}`);
}

/** `screen` is for a person; there is none where a program reads the log. */
async function start(args: StartArguments, log: ProcessLog, screen: LineWriter | undefined): Promise<void> {
  if (args.mode === 'help') {
    process.stdout.write(`${args.usage}\n`);
    return;
  }
  if (args.mode === 'function') {
    checkNames([args.name]);
    const { startFunctionMode } = await import('./host/function-mode.ts');
    const started = startFunctionMode({ name: args.name, environment: process.env, log });
    stopOnSignal(started, log);
    const { url } = await started;
    log.announce({ operation: 'start' }, `listening on ${url}`);
    return;
  }
  if (args.mode === 'standalone') return startStandalone(args.without, log);
  endWithNpm(process.env);
  const { startLocalMode } = await import('./local/local-mode.ts');
  const definitions = await loadFunctions();
  const started = startLocalMode({ args, definitions, environment: process.env, log, screen });
  stopOnSignal(started, log);
  await started;
}

/** Runs the program with these arguments. If it can't start, prints why and ends the process. */
export async function run(commandLine: readonly string[]): Promise<void> {
  // Without anybody to take it, a word to a closed standard error would end the process.
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', () => undefined);
  let log: ProcessLog | undefined;
  try {
    const args = parseStartArguments(commandLine, process.env);
    const output = standardOutput();
    const isPerson = args.mode === 'local' && process.stdout.isTTY;
    const component = args.mode === 'function' ? args.name : args.mode;
    log = createLog(process.env.LOG_LEVEL || 'INFO', component, isPerson ? readable(output) : output);
    await start(args, log, isPerson ? output : undefined);
  } catch (error) {
    await log?.flush();
    process.stderr.write(`zen-watcher: ${describeStartError(error)}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  }
}
