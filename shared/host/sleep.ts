import type { Deadline } from '../function/context.ts';

/** Resolves after this many milliseconds, or as soon as `signal` aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return wait(milliseconds, signal, (timer) => timer.ref());
}

/** The same, except that a process with nothing else to do doesn't wait for it. */
export function idleSleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return wait(milliseconds, signal, (timer) => timer.unref());
}

function wait(milliseconds: number, signal: AbortSignal, tune: (timer: NodeJS.Timeout) => void): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    tune(timer);
    signal.addEventListener('abort', done);
  });
}

/** Not AbortSignal.timeout and AbortSignal.any: what hangs on those is kept until the time is over. */
export function deadline(milliseconds: number, signal: AbortSignal): Deadline {
  const end = new AbortController();
  const abort = (): void => end.abort();
  const timer = setTimeout(abort, milliseconds).unref();
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  return {
    signal: end.signal,
    clear() {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    },
  };
}
