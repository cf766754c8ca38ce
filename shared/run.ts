import { SettingsError } from './function/settings.ts';
import { functionNames, loadFunctions } from './host/function-list.ts';
import { createLog, type ProcessLog } from './host/log.ts';
import { parseStartArguments, UsageError } from './local/arguments.ts';

/**
 * Stops what was started and ends the process, even while it is still starting. A second signal ends the process at
 * once.
 */
function stopOnSignal(started: Promise<{ stop(): Promise<void> }>, log: ProcessLog): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      void started
        .then(({ stop }) => stop())
        .then(() => log.flush())
        .then(() => process.exit(0));
    });
  }
}

async function start(commandLine: readonly string[]): Promise<void> {
  const args = parseStartArguments(commandLine);
  if (args.mode === 'help') {
    process.stdout.write(`${args.usage}\n`);
    return;
  }
  const log = createLog(process.env.LOG_LEVEL || 'INFO', args.mode === 'function' ? args.name : 'local');
  if (args.mode === 'function') {
    const names = functionNames();
    if (!names.includes(args.name)) throw new UsageError(`no function ${args.name}`, `There are: ${names.join(', ')}`);
    const { startFunctionMode } = await import('./host/function-mode.ts');
    const started = startFunctionMode({ name: args.name, environment: process.env, log });
    stopOnSignal(started, log);
    const { url } = await started;
    log.announce({ operation: 'start' }, `listening on ${url}`);
    return;
  }
  const { startLocalMode } = await import('./local/local-mode.ts');
  const definitions = await loadFunctions();
  const started = startLocalMode({ args, definitions, environment: process.env, log });
  stopOnSignal(started, log);
  await started;
}

/** Runs the program with these arguments. If it can't start, prints why and ends the process. */
export async function run(commandLine: readonly string[]): Promise<void> {
  try {
    await start(commandLine);
  } catch (error) {
    const isUserError = error instanceof UsageError || error instanceof SettingsError;
    process.stderr.write(
      `zen-watcher: ${error instanceof Error ? (isUserError ? error.message : error.stack) : error}\n`,
    );
    process.exit(error instanceof UsageError ? 2 : 1);
  }
}
