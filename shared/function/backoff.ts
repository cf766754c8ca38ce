export interface BackoffOptions {
  /** Milliseconds before the second attempt; each pause after it is twice as long. */
  readonly first: number;
  /** Milliseconds that no pause exceeds. */
  readonly longest: number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface RetryOptions extends BackoffOptions {
  /** How many attempts there are at most; without it, as many as fit before the signal aborts. */
  readonly attempts?: number;
  /** Whether another attempt may mend this fault; without it, any. */
  readonly isRetried?: (error: unknown) => boolean;
  /** The pause after a fault, made of the one that would follow; without it, that one. */
  readonly pauseAfter?: (error: unknown, pause: number) => number;
}

/**
 * Makes attempts, with pauses that double, until one succeeds. Throws the last fault when the signal has aborted, the
 * attempts are used up, or the fault is none that an attempt may mend.
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
