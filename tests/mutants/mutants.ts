import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, matchesGlob, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import { listedSurvivors, survivorKey } from './listed-survivors.ts';
import { type Room, rooms, slowTests } from './rooms.ts';
import { isSampled, samplePlugin } from './sample.ts';

type Mutant = Awaited<ReturnType<Stryker['runMutationTest']>>[number];

const root = join(import.meta.dirname, '..', '..');

/** Where the changed copies are: not below node_modules, where Node runs no TypeScript, which child processes of tests need. */
const sandboxes = mkdtempSync(join(realpathSync(tmpdir()), 'zen-watcher-mutants-'));
process.on('exit', () => rmSync(sandboxes, { recursive: true, force: true }));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    changed: { type: 'boolean' },
    since: { type: 'string', default: 'HEAD~1' },
    sample: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
});
const sample = Number(values.sample);
if (!(sample > 0 && sample <= 1)) throw new Error('--sample is the share of the mutants to try, like 0.2');
process.env.MUTANTS_SAMPLE = values.sample;
process.env.MUTANTS_SEED = values.seed;

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' });
}

/** `file:first-last` for each piece of a source that differs from `since`, what is not committed yet included. */
function changedLines(since: string): string[] {
  const pieces: string[] = [];
  let file = '';
  for (const line of git('diff', '--unified=0', '--no-ext-diff', since, '--', 'functions', 'shared').split('\n')) {
    if (line.startsWith('+++ ')) file = line.startsWith('+++ b/') ? line.slice(6) : '';
    const [, first, count = '1'] = /^@@ \S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    if (first === undefined || count === '0' || !file.endsWith('.ts')) continue;
    pieces.push(`${file}:${first}-${Number(first) + Number(count) - 1}`);
  }
  return pieces;
}

function isIn({ files }: Room, file: string): boolean {
  const [included, excluded] = [
    files.filter((glob) => !glob.startsWith('!')),
    files.filter((glob) => glob.startsWith('!')),
  ];
  return included.some((glob) => matchesGlob(file, glob)) && !excluded.some((glob) => matchesGlob(file, glob.slice(1)));
}

/** What of a room is changed: all of it, the files or folders that were asked for, or the lines that differ. */
function targetsIn(room: Room): readonly string[] {
  if (values.changed) return changed.filter((piece) => isIn(room, piece.split(':', 1).join('')));
  if (positionals.length === 0) return room.files;
  if (positionals.includes(room.name)) return room.files;
  return positionals.filter((file) => isIn(room, file));
}

const changed = values.changed ? changedLines(values.since) : [];
const listed = listedSurvivors();

const leftOut: ReadonlySet<Mutant['status']> = new Set(['CompileError', 'RuntimeError', 'Ignored']);

interface Outcome {
  readonly room: Room;
  readonly killed: number;
  readonly survivors: readonly Mutant[];
  readonly files: readonly string[];
  /** One line for each file. */
  readonly shares: readonly string[];
  readonly seconds: number;
}

async function tryRoom(room: Room, mutate: readonly string[]): Promise<Outcome> {
  process.env.MUTANTS_TESTS = room.tests.join(' ');
  process.env.MUTANTS_EXCLUDE = slowTests.join(' ');
  const started = performance.now();
  const stryker = new Stryker({
    mutate: [...mutate],
    testRunner: 'vitest',
    vitest: { configFile: join('tests', 'mutants', 'vitest.config.ts'), related: false },
    // Its own reading of tsconfig calls what TypeScript 7 no longer has, so it is given none.
    tsconfigFile: 'none.json',
    // A generated file with a line more would not be as it is generated.
    disableTypeChecks: false,
    plugins: ['@stryker-mutator/vitest-runner', samplePlugin],
    checkers: sample < 1 ? ['sample'] : [],
    coverageAnalysis: 'perTest',
    concurrency: Number(process.env.MUTANTS_CONCURRENCY ?? 2),
    reporters: ['progress-append-only'],
    tempDirName: sandboxes,
    cleanTempDir: 'always',
  });
  const mutants = (await stryker.runMutationTest()).filter(
    (mutant) => !leftOut.has(mutant.status) && isSampled(mutant, 1),
  );
  const survivors = mutants.filter(isSurvivor);
  const byFile = Map.groupBy(mutants, ({ fileName }) => relative(root, fileName));
  const shares = [...byFile].map(([file, all]) => {
    const killed = all.filter((mutant) => !isSurvivor(mutant)).length;
    return `${file}: ${killed} of ${all.length}, ${((100 * killed) / all.length).toFixed(1)} %`;
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  return { room, killed: mutants.length - survivors.length, survivors, files: [...byFile.keys()], shares, seconds };
}

function isSurvivor({ status }: Mutant): boolean {
  return status === 'Survived' || status === 'NoCoverage';
}

function shareOf({ killed, survivors }: Outcome): number {
  return killed + survivors.length === 0 ? 100 : (100 * killed) / (killed + survivors.length);
}

/** How far the share of all of a room's mutants may be from that of the sample, with a confidence of 95 %. */
function marginOf(outcome: Outcome): string {
  if (sample === 1) return '';
  const share = shareOf(outcome) / 100;
  const tried = outcome.killed + outcome.survivors.length;
  return ` ± ${(196 * Math.sqrt((share * (1 - share) * (1 - sample)) / Math.max(tried, 1))).toFixed(1)}`;
}

/** The text that a mutant replaces, read from the file; its lines and columns are counted from one. */
function originalOf({ fileName, location: { start, end } }: Mutant): string {
  const lines = readFileSync(fileName, 'utf8')
    .split('\n')
    .slice(start.line - 1, end.line);
  const last = lines.length - 1;
  return lines
    .map((line, index) => line.slice(index === 0 ? start.column - 1 : 0, index === last ? end.column - 1 : undefined))
    .join('\n');
}

function keyOf(mutant: Mutant): string {
  return survivorKey(relative(root, mutant.fileName), originalOf(mutant), mutant.replacement);
}

function printSurvivor(mutant: Mutant): boolean {
  const key = keyOf(mutant);
  const isListed = listed.has(key);
  console.log(`  ${isListed ? 'listed  ' : 'survived'} ${mutant.location.start.line} ${key}`);
  return isListed;
}

/** What is listed, but was killed or is no longer there: of the files that were tried whole, or of all. */
function staleKeys(outcomes: readonly Outcome[]): readonly string[] {
  if (values.changed || sample < 1) return [];
  const survivors = new Set(outcomes.flatMap((outcome) => outcome.survivors.map(keyOf)));
  const tried = outcomes.flatMap(({ files }) => files);
  return [...listed].filter(
    (key) => !survivors.has(key) && (positionals.length === 0 || tried.some((file) => key.startsWith(`${file}: `))),
  );
}

const outcomes: Outcome[] = [];
for (const room of rooms) {
  const mutate = targetsIn(room);
  if (mutate.length > 0) outcomes.push(await tryRoom(room, mutate));
}
for (const outcome of outcomes) {
  const { room, killed, survivors, shares, seconds } = outcome;
  const share = shareOf(outcome);
  const of = sample < 1 ? ` of a sample of ${100 * sample} % (seed ${values.seed})` : '';
  const counts = `${killed} killed, ${survivors.length} survived${of}`;
  console.log(`\n${room.name}: ${counts}, ${share.toFixed(1)}${marginOf(outcome)} %, ${seconds} s`);
  for (const line of shares) console.log(`  ${line}`);
  const unlisted = survivors.filter((survivor) => !printSurvivor(survivor));
  if (room.least === undefined) continue;
  if (share < room.least) console.log(`  fewer than ${room.least} % are killed`);
  if (unlisted.length > 0) console.log(`  ${unlisted.length} of them are not listed in tests/README.md`);
  if (share < room.least || unlisted.length > 0) process.exitCode = 1;
}
const stale = staleKeys(outcomes);
for (const key of stale) console.log(`listed in tests/README.md, but no survivor: ${key}`);
if (stale.length > 0) process.exitCode = 1;
if (outcomes.length === 0) console.log('nothing to try: no source was changed');
