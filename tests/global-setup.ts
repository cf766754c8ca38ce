import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import buildOnce from './build-once.ts';
import { planted } from './host/program.ts';

/** Builds what the tests start, keeps all logs of it, and searches them for secrets when the tests are over. */
export default function setup(): () => void {
  buildOnce();
  const logs = mkdtempSync(join(tmpdir(), 'zen-watcher-logs-'));
  process.env.ZEN_WATCHER_TEST_LOGS = logs;
  return () => {
    const lines = readdirSync(logs).flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'));
    rmSync(logs, { recursive: true });
    const shown = lines.filter((line) => line.includes(planted));
    console.log(`${lines.length} lines of log searched for planted secrets: ${shown.length} show one`);
    if (shown.length > 0) {
      process.exitCode = 1;
      throw new Error(`a log shows what it must not: ${shown[0]}`);
    }
  };
}
