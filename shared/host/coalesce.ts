export interface CoalescerOptions {
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/**
 * Runs work at most once in so many milliseconds, and never twice at a time. Calls that come during a run, or too soon
 * after one, share the next run: it does the work of the first of these calls, and only that call gets the result.
 */
export function createCoalescer({ elapsed, sleep, signal }: CoalescerOptions) {
  let running: Promise<unknown> = Promise.resolve();
  let waiting: Promise<unknown> | undefined;
  let startedAt = Number.NEGATIVE_INFINITY;

  async function runNext<Result>(milliseconds: number, work: () => Promise<Result>): Promise<Result> {
    await running.catch(() => undefined);
    await sleep(Math.max(0, startedAt + milliseconds - elapsed()), signal);
    waiting = undefined;
    startedAt = elapsed();
    const run = work();
    running = run;
    return run;
  }

  return async <Result>(milliseconds: number, work: () => Promise<Result>): Promise<Result | undefined> => {
    if (waiting) {
      await waiting;
      return undefined;
    }
    const run = runNext(milliseconds, work);
    waiting = run;
    return run;
  };
}
