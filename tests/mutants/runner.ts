import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunnerTestCase, type RunnerTestFile, TestRunner } from 'vitest';
import * as z from 'zod';
import { control, readProgress, writeProgress } from './progress.ts';

declare global {
  /** What the switches in an instrumented source look at. */
  var __stryker__: {
    activeMutant?: string | undefined;
    currentTestId?: string | undefined;
    /** What runs through a mutant more often than this is taken to run for ever. */
    hitCount?: number;
    hitLimit?: number;
    mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
  };
}

const environment = z
  .object({ MUTANTS_PROGRESS: z.string(), MUTANTS_TESTS_ARE: z.enum(['quick', 'slow']) })
  .parse(process.env);

/** Tests that take no longer are run again for each mutant first: they notice most of what the slow ones would. */
const quickMilliseconds = 250;

/** Who takes longer and runs through no mutant, such as the tests of another function, is not asked again. */
const idleMilliseconds = 10;

/** But in a file that takes no longer all tests are asked. */
const quickFileMilliseconds = 2000;

const coverage: NonNullable<typeof __stryker__.mutantCoverage> = { static: {}, perTest: {} };
globalThis.__stryker__ = { mutantCoverage: coverage };

/**
 * Runs each test as it is, and then again for each mutant that it ran through and that still lives: in the same process, so
 * that nothing is loaded anew. In a file that switches a mutant on by itself each test is run once, until the first fails.
 */
export default class MutantRunner extends TestRunner {
  readonly #progress = readProgress(environment.MUTANTS_PROGRESS);
  readonly #living = new Set(this.#progress.living);
  readonly #anew = new Set<string>();
  readonly #idle = new Set<string>();
  readonly #slow = new Set(this.#progress.slow);
  readonly #left = new Set(Object.values(this.#progress.coverage).flatMap(({ idle }) => idle));
  #milliseconds = 0;
  #runsThroughSome = false;
  #isDone = false;

  override onCollectStart(file: RunnerTestFile): void {
    this.#isDone = false;
    super.onCollectStart(file);
  }

  async runTask(test: RunnerTestCase): Promise<void> {
    const run = async (): Promise<void> => TestRunner.getTestFn(test)();
    if (__stryker__.activeMutant === undefined) await this.#runForEach(run, test.fullTestName);
    else if (!this.#isDone && !this.#left.has(test.fullTestName)) {
      this.#isDone = true;
      await run();
      this.#isDone = false;
    }
  }

  override onAfterRunFiles(files: RunnerTestFile[]): void {
    super.onAfterRunFiles(files);
    for (const file of files) {
      if (__stryker__.activeMutant === undefined) {
        const before = this.#progress.coverage[file.name];
        this.#progress.coverage[file.name] = {
          anew: [...new Set([...Object.keys(coverage.static), ...this.#anew, ...(before?.anew ?? [])])],
          milliseconds: this.#milliseconds + (file.collectDuration ?? 0),
          // A file in which no test runs through any is there for what is made while it is loaded, and a quick one may be.
          idle: this.#runsThroughSome && this.#milliseconds > quickFileMilliseconds ? [...this.#idle] : [],
        };
      } else if (file.result?.state === 'fail') this.#progress.noticed.push(basename(file.name, '.test.ts'));
    }
    writeProgress(environment.MUTANTS_PROGRESS, { ...this.#progress, living: [...this.#living] });
  }

  async #runForEach(run: () => Promise<void>, name: string): Promise<void> {
    const hits: Record<string, number> = {};
    coverage.perTest[name] = hits;
    __stryker__.currentTestId = name;
    const started = performance.now();
    const passes = await run().then(
      () => true,
      () => false,
    );
    const milliseconds = performance.now() - started;
    this.#milliseconds += milliseconds;
    const isIdle = Object.keys(hits).length === 0;
    if (!isIdle) this.#runsThroughSome = true;
    else if (milliseconds > idleMilliseconds) this.#idle.add(name);
    // Perhaps for what an earlier test left behind, when a mutant was tried with it.
    // What mutants run through is counted, too: by that, one that loops would let the next loop a hundred times as long.
    if (passes) await this.#tryMutants({ ...hits }, { run, name, milliseconds });
    else {
      this.#progress.remarks.push(`fails without a mutant: ${name}`);
      for (const id of Object.keys(hits)) this.#anew.add(id);
    }
    __stryker__.currentTestId = undefined;
  }

  /** Slow tests have theirs after all others. */
  #hasTurn(name: string, milliseconds: number): boolean {
    if (environment.MUTANTS_TESTS_ARE === 'slow') return this.#slow.has(name);
    const isQuick = milliseconds <= quickMilliseconds;
    if (!isQuick) this.#progress.slow.push(name);
    return isQuick;
  }

  async #tryMutants(
    hits: Readonly<Record<string, number>>,
    { run, name, milliseconds }: { run: () => Promise<void>; name: string; milliseconds: number },
  ): Promise<void> {
    const ids = Object.keys(hits).filter((id) => this.#living.has(id));
    if (ids.length === 0) return;
    if (!this.#hasTurn(name, milliseconds)) return;
    const limit = Math.max(3000, 10 * milliseconds);
    const fails = (id: string): Promise<boolean> => failsWith(id, { run, limit, hits: hits[id] ?? 0 });
    // A test that does not pass twice, or not after a mutant that it noticed, is left to a process of its own.
    for (const id of [control, ...ids]) {
      if (!(await fails(id))) {
        // What ran only once, because its result is remembered, was not tried by this.
        if ((__stryker__.hitCount ?? 0) < (hits[id] ?? 0)) this.#anew.add(id);
        continue;
      }
      if (id === control || (await fails(control))) {
        this.#progress.remarks.push(`can't be run twice${id === control ? '' : ', or not after a mutant'}: ${name}`);
        for (const left of ids) this.#anew.add(left);
        return;
      }
      this.#living.delete(id);
    }
  }
}

async function failsWith(
  id: string,
  { run, limit, hits }: { run: () => Promise<void>; limit: number; hits: number },
): Promise<boolean> {
  Object.assign(__stryker__, { activeMutant: id, hitCount: 0, hitLimit: 100 * hits + 1000 });
  const [done, late] = [new AbortController(), Symbol('late')];
  try {
    const end = await Promise.race([run(), sleep(limit, late, { signal: done.signal })]);
    return end === late;
  } catch {
    return true;
  } finally {
    done.abort();
    __stryker__.activeMutant = undefined;
  }
}
