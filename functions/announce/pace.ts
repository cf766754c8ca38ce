import type { Clock } from '../../shared/function/context.ts';

/** Lets one through every so many milliseconds, however many wait. */
export function createPace(pause: number, { elapsed, sleep }: Pick<Clock, 'elapsed' | 'sleep'>) {
  let next = Number.NEGATIVE_INFINITY;
  return async (signal: AbortSignal): Promise<void> => {
    const now = elapsed();
    const turn = Math.max(now, next);
    next = turn + pause;
    if (turn > now) await sleep(turn - now, signal);
  };
}
