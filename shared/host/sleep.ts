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
