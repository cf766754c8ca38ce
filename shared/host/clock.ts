import type { Clock } from '../function/context.ts';
import type { Log } from './log.ts';
import { deadline, sleep } from './sleep.ts';

export interface ClockOptions {
  /** Milliseconds since 1970, by this machine. */
  readonly now: () => number;
  readonly elapsed: Clock['elapsed'];
  readonly sleep: Clock['sleep'];
  /** Called once, with how far the API server's clock is ahead of ours in milliseconds, if that is too far. */
  readonly onOffset: (offset: number) => void;
}

/** A clock that knows what time it is for the API server. */
export interface HostClock extends Clock {
  /** Takes note of what time it is for the API server, in milliseconds since 1970. */
  noteServerTime(time: number): void;
  /** How far the API server's clock is ahead of ours, in milliseconds; `undefined` until it has said its time. */
  offset(): number | undefined;
}

/** Certificates and tokens are refused when clocks differ more than some minutes. */
const toleratedMilliseconds = 300_000;

/**
 * Makes a wrong clock harmless, be it ours or the API server's. Its clock is extrapolated from the last answer by one that
 * nobody sets, so that ours may be set at any time.
 */
export function createClock({ now, elapsed, sleep, onOffset }: ClockOptions): HostClock {
  let server: { readonly time: number; readonly at: number } | undefined;
  let isTold = false;
  const serverNow = (): number => (server === undefined ? now() : server.time + elapsed() - server.at);
  return {
    now,
    elapsed,
    sleep,
    deadline,
    earliest: () => Math.min(now(), serverNow()),
    latest: () => Math.max(now(), serverNow()),
    offset: () => (server === undefined ? undefined : serverNow() - now()),
    noteServerTime(time) {
      server = { time, at: elapsed() };
      const offset = time - now();
      if (isTold || Math.abs(offset) <= toleratedMilliseconds) return;
      isTold = true;
      onOffset(offset);
    },
  };
}

/** The clock of a process that logs when the API server's is far from it. */
export function processClock(log: Log): HostClock {
  return createClock({
    now: Date.now,
    elapsed: () => performance.now(),
    sleep,
    onOffset(offset) {
      const minutes = Math.round(Math.abs(offset) / 60_000);
      const order = offset > 0 ? 'ahead of' : 'behind';
      log.warn({ operation: 'clock' }, `the API server's clock is ${minutes} minutes ${order} ours: one is wrong`);
    },
  });
}
