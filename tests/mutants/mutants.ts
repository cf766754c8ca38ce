import { execFileSync } from 'node:child_process';
import { join, matchesGlob } from 'node:path';
import { parseArgs } from 'node:util';
import type { Mutant, Target } from './instrument.ts';
import { listedSurvivors, survivorKey } from './listed-survivors.ts';
import { type Room, rooms, slowTests } from './rooms.ts';
import { isSampled } from './sample.ts';
import { projectFiles, tryMutants } from './try-mutants.ts';

const root = join(import.meta.dirname, '..', '..');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    changed: { type: 'boolean' },
    since: { type: 'string', default: 'HEAD~1' },
    sample: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
});
const share = Number(values.sample);
if (!(share > 0 && share <= 1)) throw new Error('--sample is the share of the mutants to try, like 0.2');

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' });
}

/** The lines of each source that differ from `since`, what is not committed yet included. */
function changedLines(since: string): Target[] {
  const lines = new Map<string, { first: number; last: number }[]>();
  let file = '';
  for (const line of git('diff', '--unified=0', '--no-ext-diff', since, '--', 'functions', 'shared').split('\n')) {
    if (line.startsWith('+++ ')) file = line.startsWith('+++ b/') ? line.slice(6) : '';
    const [, first, count = '1'] = /^@@ \S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    if (first === undefined || count === '0' || !file.endsWith('.ts')) continue;
    const piece = { first: Number(first), last: Number(first) + Number(count) - 1 };
    lines.set(file, [...(lines.get(file) ?? []), piece]);
  }
  return [...lines].map(([name, pieces]) => ({ file: name, lines: pieces }));
}

function isIn({ files }: Room, file: string): boolean {
  const [included, excluded] = [
    files.filter((glob) => !glob.startsWith('!')),
    files.filter((glob) => glob.startsWith('!')),
  ];
  return included.some((glob) => matchesGlob(file, glob)) && !excluded.some((glob) => matchesGlob(file, glob.slice(1)));
}

const asked = values.changed ? changedLines(values.since) : projectFiles().map((file): Target => ({ file }));

/** What of a room is changed: all of it, the files that were asked for, or the lines that differ. */
function targetsIn(room: Room): readonly Target[] {
  const isWhole = positionals.length === 0 || positionals.includes(room.name);
  return asked.filter(({ file }) => isIn(room, file) && (isWhole || positionals.includes(file)));
}

const listed = listedSurvivors();

interface Outcome {
  readonly room: Room;
  readonly killed: number;
  readonly survivors: readonly Mutant[];
  readonly remarks: readonly string[];
  readonly files: readonly string[];
  /** One line for each file. */
  readonly shares: readonly string[];
  readonly seconds: number;
}

async function tryRoom(room: Room, targets: readonly Target[]): Promise<Outcome> {
  const started = performance.now();
  const { mutants, living, remarks } = await tryMutants({
    targets,
    tests: room.tests,
    exclude: slowTests,
    isTried: (mutant) => isSampled(mutant, { share, seed: values.seed }),
  });
  const survivors = mutants.filter(({ id }) => living.has(id));
  const byFile = Map.groupBy(mutants, ({ file }) => file);
  const shares = [...byFile].map(([file, all]) => {
    const killed = all.filter(({ id }) => !living.has(id)).length;
    return `${file}: ${killed} of ${all.length}, ${((100 * killed) / all.length).toFixed(1)} %`;
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  const killed = mutants.length - survivors.length;
  return { room, killed, survivors, remarks, files: [...byFile.keys()], shares, seconds };
}

function shareOf({ killed, survivors }: Outcome): number {
  return killed + survivors.length === 0 ? 100 : (100 * killed) / (killed + survivors.length);
}

/** How far the share of all of a room's mutants may be from that of the sample, with a confidence of 95 %. */
function marginOf(outcome: Outcome): number {
  const killed = shareOf(outcome) / 100;
  const tried = outcome.killed + outcome.survivors.length;
  return 196 * Math.sqrt((killed * (1 - killed) * (1 - share)) / Math.max(tried, 1));
}

function keyOf({ file, original, replacement }: Mutant): string {
  return survivorKey(file, original, replacement);
}

function printSurvivor(mutant: Mutant): boolean {
  const key = keyOf(mutant);
  const isListed = listed.has(key);
  console.log(`  ${isListed ? 'listed  ' : 'survived'} ${mutant.location.start.line + 1} ${key}`);
  return isListed;
}

/** What is listed, but was killed or is no longer there: of the files that were tried whole, or of all. */
function staleKeys(outcomes: readonly Outcome[]): readonly string[] {
  if (values.changed || share < 1) return [];
  const survivors = new Set(outcomes.flatMap((outcome) => outcome.survivors.map(keyOf)));
  const tried = outcomes.flatMap(({ files }) => files);
  return [...listed].filter(
    (key) => !survivors.has(key) && (positionals.length === 0 || tried.some((file) => key.startsWith(`${file}: `))),
  );
}

/** @returns whether enough are killed, and the others are listed */
function report(outcome: Outcome): boolean {
  const { room, killed, survivors, remarks, shares, seconds } = outcome;
  const [percentage, margin] = [shareOf(outcome), marginOf(outcome)];
  const about = share < 1 ? ` ± ${margin.toFixed(1)}` : '';
  const of = share < 1 ? ` of a sample of ${100 * share} % (seed ${values.seed})` : '';
  const counts = `${killed} killed, ${survivors.length} survived${of}`;
  console.log(`\n${room.name}: ${counts}, ${percentage.toFixed(1)}${about} %, ${seconds} s`);
  for (const line of [...shares, ...remarks]) console.log(`  ${line}`);
  const unlisted = survivors.filter((survivor) => !printSurvivor(survivor));
  if (room.least === undefined) return true;
  const isEnough = percentage + margin >= room.least;
  if (!isEnough) console.log(`  fewer than ${room.least} % are killed`);
  if (unlisted.length > 0) console.log(`  ${unlisted.length} of them are not listed in tests/README.md`);
  return isEnough && unlisted.length === 0;
}

const outcomes: Outcome[] = [];
const waiting = rooms.values();

/** Rooms have nothing in common, so each core tries one after the other. */
async function tryWaiting(): Promise<void> {
  for (const room of waiting) {
    const targets = targetsIn(room);
    if (targets.length === 0) continue;
    const outcome = await tryRoom(room, targets);
    outcomes.push(outcome);
    if (!report(outcome)) process.exitCode = 1;
  }
}

await Promise.all(Array.from({ length: Number(process.env.MUTANTS_CONCURRENCY ?? 2) }, tryWaiting));
const stale = staleKeys(outcomes);
for (const key of stale) console.log(`listed in tests/README.md, but no survivor: ${key}`);
if (stale.length > 0) process.exitCode = 1;
if (outcomes.length === 0) console.log('nothing to try: no source was changed');
