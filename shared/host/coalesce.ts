export interface CoalescerOptions {
  readonly now: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/**
 * Runs work at most once in so many milliseconds, and never twice at a time. Who asks while a run is under way, or too
 * soon after one, shares the next: its work is that of the first who asked for it, and the result goes to that one.
 */
export function createCoalescer({ now, sleep, signal }: CoalescerOptions) {
  let running: Promise<unknown> = Promise.resolve();
  let waiting: Promise<unknown> | undefined;
  let began = Number.NEGATIVE_INFINITY;

  async function runNext<Result>(milliseconds: number, work: () => Promise<Result>): Promise<Result> {
    await running.catch(() => undefined);
    await sleep(Math.max(0, began + milliseconds - now()), signal);
    waiting = undefined;
    began = now();
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
