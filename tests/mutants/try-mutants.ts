import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { instrument, type Mutant, type Target } from './instrument.ts';
import { control, type Progress, readProgress, writeProgress } from './progress.ts';

const root = join(import.meta.dirname, '..', '..');
const progressFile = 'progress.json';
const freshFolder = 'tests/mutants/fresh';

/** Not below node_modules, where Node runs no TypeScript, which child processes of tests need. */
const sandboxes = mkdtempSync(join(realpathSync(tmpdir()), 'zen-watcher-mutants-'));
const end = new AbortController();
process.on('exit', () => {
  end.abort();
  rmSync(sandboxes, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** The project's files, those that are not committed yet included. */
export function projectFiles(): string[] {
  return execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)));
}

function createSandbox(sources: ReadonlyMap<string, string>): string {
  const sandbox = mkdtempSync(join(sandboxes, 'room-'));
  for (const file of projectFiles()) cpSync(join(root, file), join(sandbox, file), { verbatimSymlinks: true });
  symlinkSync(join(root, 'node_modules'), join(sandbox, 'node_modules'));
  for (const [file, source] of sources) writeFileSync(join(sandbox, file), source);
  // Tests ask git for the project's files.
  for (const step of [
    ['-c', 'init.defaultBranch=main', 'init', '--quiet'],
    ['add', '--all'],
  ]) {
    execFileSync('git', step, { cwd: sandbox });
  }
  return sandbox;
}

interface Run {
  readonly tests: readonly string[];
  readonly exclude: readonly string[];
  readonly isolate: boolean;
  /** Which tests are run again for each mutant. */
  readonly testsAre: 'quick' | 'slow';
}

/** @returns what was printed, if something failed */
async function runTests(sandbox: string, { tests, exclude, isolate, testsAre }: Run): Promise<string | undefined> {
  const temporary = mkdtempSync(join(sandboxes, 'run-'));
  try {
    await promisify(execFile)(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--config', 'tests/mutants/vitest.config.ts', '--silent', '--no-color'],
      {
        cwd: sandbox,
        signal: end.signal,
        maxBuffer: 2 ** 28,
        env: {
          ...process.env,
          TMPDIR: temporary,
          MUTANTS_TESTS: tests.join(' '),
          MUTANTS_EXCLUDE: exclude.join(' '),
          MUTANTS_ISOLATE: isolate ? 'yes' : 'no',
          MUTANTS_TESTS_ARE: testsAre,
          MUTANTS_PROGRESS: join(sandbox, progressFile),
        },
      },
    );
    return undefined;
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Loads a test file anew for each mutant that still lives and that can be tried only so, and once for none. */
async function tryLoadedAnew(sandbox: string, file: string): Promise<void> {
  const path = join(sandbox, progressFile);
  const before = readProgress(path);
  const ids = before.living.filter((id) => before.coverage[file]?.anew.includes(id));
  if (ids.length === 0) return;
  const folder = join(sandbox, freshFolder);
  mkdirSync(folder);
  for (const id of [control, ...ids]) {
    const lines = [
      "import { vi } from 'vitest';",
      'vi.resetModules();',
      `Object.assign(globalThis.__stryker__, { activeMutant: '${id}', hitCount: 0, hitLimit: 1_000_000 });`,
      `await import('../../../${file}');`,
    ];
    writeFileSync(join(folder, `${id}.test.ts`), lines.join('\n'));
  }
  await runTests(sandbox, { tests: [`${freshFolder}/*.test.ts`], exclude: [], isolate: false, testsAre: 'slow' });
  rmSync(folder, { recursive: true });
  const after = readProgress(path);
  if (after.noticed.includes(control)) {
    const remarks = [...before.remarks, `fails without a mutant, when it is loaded again: ${file}`];
    return writeProgress(path, { ...before, remarks });
  }
  const living = before.living.filter((id) => !after.noticed.includes(id));
  writeProgress(path, { ...after, living, noticed: [] });
}

export interface Trial {
  readonly mutants: readonly Mutant[];
  /** The IDs of those that no test notices. */
  readonly living: ReadonlySet<string>;
  /** What is wrong with tests: they notice fewer than they could. */
  readonly remarks: readonly string[];
}

export interface TrialOptions {
  readonly targets: readonly Target[];
  readonly tests: readonly string[];
  readonly exclude: readonly string[];
  readonly isTried: (mutant: Mutant) => boolean;
}

/**
 * Tries mutants in a copy of the project. Most are noticed by tests that are run again in the same process, quick ones first.
 * What then still lives is looked for with modules that are loaded anew: that takes longer, but it is the only way for what
 * runs while a module is loaded, or is remembered, and for tests that can be run once only.
 */
export async function tryMutants({ targets, tests, exclude, isTried }: TrialOptions): Promise<Trial> {
  const { mutants: all, sources } = await instrument(root, targets);
  const mutants = all.filter(isTried);
  const sandbox = createSandbox(sources);
  const path = join(sandbox, progressFile);
  const living = mutants.map(({ id }) => id);
  writeProgress(path, { living, coverage: {}, noticed: [], slow: [], remarks: [] });
  for (const testsAre of ['quick', 'slow'] as const) {
    if (testsAre === 'slow' && readProgress(path).slow.length === 0) continue;
    const failure = await runTests(sandbox, { tests, exclude, isolate: true, testsAre });
    if (failure !== undefined) throw new Error(`the tests can't be loaded: ${failure}`);
  }
  const files = Object.entries(readProgress(path).coverage).toSorted(([, a], [, b]) => a.milliseconds - b.milliseconds);
  for (const [file] of files) await tryLoadedAnew(sandbox, file);
  const last: Progress = readProgress(path);
  rmSync(sandbox, { recursive: true });
  return { mutants, living: new Set(last.living), remarks: [...new Set(last.remarks)] };
}
