export interface BackoffOptions {
  /** The first pause, in milliseconds. Each later pause is twice as long as the one before. */
  readonly first: number;
  /** The longest pause, in milliseconds. */
  readonly longest: number;
}

export interface Backoff {
  /** Returns the next pause, in milliseconds. */
  next(): number;
  /** Starts again with the first pause, after a success. */
  reset(): void;
}

/** Creates pauses that double, for a loop without an end. */
export function createBackoff({ first, longest }: BackoffOptions): Backoff {
  let pause = first;
  return {
    next() {
      const current = pause;
      pause = Math.min(pause * 2, longest);
      return current;
    },
    reset() {
      pause = first;
    },
  };
}

export interface RetryOptions extends BackoffOptions {
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** The maximum number of attempts; without it, attempts go on until the signal aborts. */
  readonly attempts?: number;
  /** Whether another attempt may succeed after this error; without it, every error is retried. */
  readonly isRetried?: (error: unknown) => boolean;
  /** Adjusts the pause after an error, such as to a Retry-After header, given the one that would follow. */
  readonly pauseAfter?: (error: unknown, pause: number) => number;
}

/**
 * Calls `attempt`, with pauses that double, until it succeeds. Throws the last error once the signal has aborted, the
 * attempts are used up, or the error is not one to retry.
 */
export async function retry<Result>(attempt: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { sleep, signal, attempts = Number.POSITIVE_INFINITY } = options;
  const { isRetried = () => true, pauseAfter = (_error, pause) => pause } = options;
  // Created on demand, since nearly every first attempt succeeds.
  let backoff: Backoff | undefined;
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || made >= attempts || !isRetried(error)) throw error;
      backoff ??= createBackoff(options);
      await sleep(pauseAfter(error, backoff.next()), signal);
      if (signal.aborted) throw error;
    }
  }
}
