export interface BackoffOptions {
  /** Milliseconds before the second attempt. Each later pause is twice as long as the one before. */
  readonly first: number;
  /** The longest pause, in milliseconds. */
  readonly longest: number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface RetryOptions extends BackoffOptions {
  /** The maximum number of attempts; without it, attempts go on until the signal aborts. */
  readonly attempts?: number;
  /** Whether another attempt may succeed after this error; without it, every error is retried. */
  readonly isRetried?: (error: unknown) => boolean;
  /** Adjusts the pause after an error, such as to a Retry-After header. */
  readonly pauseAfter?: (error: unknown, pause: number) => number;
}

/**
 * Calls `attempt`, with pauses that double, until it succeeds. Throws the last error once the signal has aborted, the
 * attempts are used up, or the error is not one to retry.
 */
export async function retry<Result>(attempt: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { first, longest, sleep, signal, attempts = Number.POSITIVE_INFINITY } = options;
  const { isRetried = () => true, pauseAfter = (_error, pause) => pause } = options;
  for (let made = 1, pause = first; ; made += 1, pause = Math.min(pause * 2, longest)) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || made >= attempts || !isRetried(error)) throw error;
      await sleep(pauseAfter(error, pause), signal);
      if (signal.aborted) throw error;
    }
  }
}
