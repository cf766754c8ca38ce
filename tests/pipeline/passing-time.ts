import { expect } from 'vitest';

export const start = Date.parse('2026-03-01T12:00:00Z');
export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;

/** Lets everything run that waits for nothing but itself. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Time that passes on demand, for what sleeps a minute at a time. */
export function createPassingTime() {
  let wake: (() => void) | undefined;
  const deadlines = new Set<() => void>();
  const time = { now: start };
  return {
    time,
    now: () => time.now,
    isWaiting: () => wake !== undefined,
    sleep: (milliseconds: number, ended: AbortSignal) =>
      new Promise<void>((resolve) => {
        expect(milliseconds).toBe(minute);
        if (ended.aborted) return resolve();
        wake = resolve;
        ended.addEventListener('abort', () => {
          wake = undefined;
          resolve();
        });
      }),
    /** It is over with the minute, if not before. */
    deadline(milliseconds: number, signal: AbortSignal) {
      expect(milliseconds).toBeLessThanOrEqual(minute);
      const end = new AbortController();
      const abort = (): void => end.abort();
      deadlines.add(abort);
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
      return { signal: end.signal, clear: () => void deadlines.delete(abort) };
    },
    /** How many deadlines nobody has cleared yet. */
    openDeadlines: () => deadlines.size,
    /** A minute passes, and what follows from it at once happens. */
    async minute(): Promise<void> {
      time.now += minute;
      for (const end of deadlines) end();
      const due = wake;
      wake = undefined;
      due?.();
      await settle();
    },
  };
}
