import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planted } from './host/program.ts';

/** Before all tests: the bundle that they start, built from what is here now. After them: no log has shown a secret. */
export default function setup(): () => void {
  const root = join(import.meta.dirname, '..');
  execFileSync(process.execPath, [join(root, 'knative', 'build.ts')], { cwd: root, stdio: 'inherit' });
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
