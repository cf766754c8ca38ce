import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import buildOnce from './build-once.ts';
import { atEnd } from './host/at-end.ts';
import { folderPrefix, planted } from './host/program.ts';

/** Throws, and lets the run fail. */
function fail(message: string): never {
  process.exitCode = 1;
  throw new Error(message);
}

/** A folder that is gone when the run is over, also when it is broken off. */
function folderOfRun(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `zen-watcher-${name}-`));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** No log that the tests' programs wrote may show what was planted. */
function searchLogs(logs: string): void {
  const lines = readdirSync(logs).flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'));
  const shown = lines.filter((line) => line.includes(planted));
  console.log(`${lines.length} lines of log searched for planted secrets: ${shown.length} show one`);
  if (shown.length > 0) fail(`a log shows what it must not: ${shown[0]}`);
}

/**
 * Neither the tests nor what they start may leave anything in the temporary folder. Vitest runs no hook of a file whose tests
 * are all skipped, so the folders that it made while it was read stay: empty ones, of which this says nothing.
 */
function expectNothingIn(temporary: string): void {
  const left = readdirSync(temporary).flatMap((name) => {
    const path = join(temporary, name);
    const within = statSync(path).isDirectory() ? readdirSync(path) : [];
    if (within.length > 0) return `${name} (${within.slice(0, 3).join(', ')})`;
    return name.startsWith(folderPrefix) ? [] : name;
  });
  if (left.length > 0) fail(`left in the temporary folder: ${left.join('; ')}`);
}

/**
 * Builds what the tests start, keeps all logs of it, and gives the run a temporary folder of its own. When the tests are
 * over the logs are searched for secrets, and the folder must be empty.
 */
export default function setup(): () => void {
  buildOnce();
  const [logs, temporary] = [folderOfRun('logs'), folderOfRun('run')];
  process.env.ZEN_WATCHER_TEST_LOGS = logs;
  process.env.ZEN_WATCHER_TEST_CACHE = folderOfRun('cache');
  process.env.TMPDIR = temporary;
  return () => {
    searchLogs(logs);
    expectNothingIn(temporary);
  };
}
