import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunnerTestCase, type RunnerTestFile, type RunnerTestSuite, TestRunner } from 'vitest';
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

/** A test, and what vitest does around it. */
class RepeatedTest {
  readonly name: string;
  readonly #test: RunnerTestCase;
  readonly #hooks: readonly ReturnType<typeof TestRunner.getSuiteHooks>[];

  constructor(test: RunnerTestCase) {
    this.name = test.fullTestName;
    this.#test = test;
    this.#hooks = suitesOf(test.suite ?? test.file).map((suite) => TestRunner.getSuiteHooks(suite));
  }

  async run(): Promise<void> {
    await TestRunner.getTestFn(this.#test)();
  }

  /** Ends what a run has begun, and prepares the next one. */
  async renew(): Promise<void> {
    const { context, file } = this.#test;
    for (const hook of this.#hooks.flatMap(({ afterEach }) => afterEach).toReversed()) {
      await succeeds(() => hook(context, file));
    }
    for (const hook of this.#hooks.flatMap(({ beforeEach }) => beforeEach)) await succeeds(() => hook(context, file));
  }

  /** Begins anew what all tests of a suite share, which a mutant may have broken for good. */
  async restart(): Promise<void> {
    const { file } = this.#test;
    for (const hook of this.#hooks.flatMap(({ afterAll }) => afterAll).toReversed()) await succeeds(() => hook(file));
    for (const hook of this.#hooks.flatMap(({ beforeAll }) => beforeAll)) await succeeds(() => hook(file));
    await this.renew();
  }
}

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
    if (__stryker__.activeMutant === undefined) await this.#runForEach(new RepeatedTest(test));
    else if (!this.#isDone && !this.#left.has(test.fullTestName)) {
      this.#isDone = true;
      await new RepeatedTest(test).run();
      this.#isDone = false;
    }
  }

  override onAfterRunTask(test: RunnerTestCase): void {
    super.onAfterRunTask(test);
    this.#forgive(test, test.fullTestName);
  }

  override async onAfterRunSuite(suite: RunnerTestSuite): Promise<void> {
    await super.onAfterRunSuite(suite);
    if (suite.tasks.length > 0) this.#forgive(suite, suite.fullTestName ?? suite.name);
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
      } else if (file.result?.state === 'fail' || runsForEver())
        this.#progress.noticed.push(basename(file.name, '.test.ts'));
    }
    writeProgress(environment.MUTANTS_PROGRESS, { ...this.#progress, living: [...this.#living] });
  }

  /** What ends badly, perhaps for what a mutant left behind, does not keep the others from being tried. */
  #forgive({ result }: RunnerTestCase | RunnerTestSuite, name: string): void {
    if (__stryker__.activeMutant !== undefined || result?.state !== 'fail') return;
    this.#progress.remarks.push(`begins or ends badly: ${name}`);
    Object.assign(result, { state: 'pass', errors: [] });
  }

  async #runForEach(test: RepeatedTest): Promise<void> {
    const { name } = test;
    const hits: Record<string, number> = {};
    coverage.perTest[name] = hits;
    __stryker__.currentTestId = name;
    const started = performance.now();
    let passes = await succeeds(() => test.run());
    const milliseconds = performance.now() - started;
    this.#milliseconds += milliseconds;
    const isIdle = Object.keys(hits).length === 0;
    if (!isIdle) this.#runsThroughSome = true;
    else if (milliseconds > idleMilliseconds) this.#idle.add(name);
    if (!passes) {
      // Perhaps for what an earlier test left behind, when a mutant was tried with it.
      await test.restart();
      passes = await succeeds(() => test.run());
    }
    // What mutants run through is counted, too: by that, one that loops would let the next loop a hundred times as long.
    if (passes) await this.#tryMutants({ ...hits }, test, milliseconds);
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

  async #tryMutants(hits: Readonly<Record<string, number>>, test: RepeatedTest, milliseconds: number): Promise<void> {
    const ids = Object.keys(hits).filter((id) => this.#living.has(id));
    if (ids.length === 0) return;
    if (!this.#hasTurn(test.name, milliseconds)) return;
    const limit = Math.max(3000, 10 * milliseconds);
    const fails = async (id: string): Promise<boolean> => {
      const isNoticed = await failsWith(id, { test, limit, hits: hits[id] ?? 0 });
      await test.renew();
      return isNoticed;
    };
    const passesAnew = async (): Promise<boolean> => {
      await test.restart();
      return !(await fails(control));
    };
    await test.renew();
    // A test that does not pass twice, or not after a mutant that it noticed, is left to a process of its own.
    for (const id of [control, ...ids]) {
      if (!(await fails(id))) {
        // What ran only once, because its result is remembered, was not tried by this.
        if ((__stryker__.hitCount ?? 0) < (hits[id] ?? 0)) this.#anew.add(id);
        continue;
      }
      if (id === control || ((await fails(control)) && !(await passesAnew()))) {
        this.#progress.remarks.push(
          `can't be run twice${id === control ? '' : ', or not after a mutant'}: ${test.name}`,
        );
        for (const left of ids) this.#anew.add(left);
        return;
      }
      this.#living.delete(id);
    }
  }
}

function suitesOf(suite: RunnerTestSuite): readonly RunnerTestSuite[] {
  return 'filepath' in suite ? [suite] : [...suitesOf(suite.suite ?? suite.file), suite];
}

async function succeeds(does: () => unknown): Promise<boolean> {
  try {
    await does();
    return true;
  } catch {
    return false;
  }
}

function runsForEver(): boolean {
  return (__stryker__.hitCount ?? 0) > (__stryker__.hitLimit ?? Number.POSITIVE_INFINITY);
}

async function failsWith(
  id: string,
  { test, limit, hits }: { test: RepeatedTest; limit: number; hits: number },
): Promise<boolean> {
  Object.assign(__stryker__, { activeMutant: id, hitCount: 0, hitLimit: 100 * hits + 1000 });
  const [done, late] = [new AbortController(), Symbol('late')];
  try {
    const end = await Promise.race([test.run(), sleep(limit, late, { signal: done.signal })]);
    return end === late || runsForEver();
  } catch {
    return true;
  } finally {
    done.abort();
    __stryker__.activeMutant = undefined;
  }
}
