export interface BackoffOptions {
  /** Milliseconds of the first pause. */
  readonly first: number;
  /** Milliseconds that no pause exceeds. */
  readonly longest: number;
}

export interface Backoff {
  /** Milliseconds of the next pause: each is twice as long as the one before it. */
  next(): number;
  /** After a success: begins with the first pause again. */
  reset(): void;
}

/** Pauses that double, for a loop that has no end. */
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
  /** The maximum number of attempts; without it, as many as fit before the signal aborts. */
  readonly attempts?: number;
  /** Whether another attempt may succeed after this error; without it, any may. */
  readonly isRetried?: (error: unknown) => boolean;
  /** The pause after an error, given the one that the backoff suggests; without it, that one. */
  readonly pauseAfter?: (error: unknown, pause: number) => number;
}

/**
 * Makes attempts, with pauses that double, until one succeeds. Throws the last error once the signal has aborted or the
 * attempts are used up, or at once if no further attempt may succeed.
 */
export async function retry<Result>(attempt: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { sleep, signal, attempts = Number.POSITIVE_INFINITY } = options;
  const { isRetried = () => true, pauseAfter = (_error, pause) => pause } = options;
  // Nearly every first attempt succeeds, and needs none.
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
