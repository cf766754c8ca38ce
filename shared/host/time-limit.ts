/**
 * Runs the work for at most this many milliseconds. Then its signal aborts and the result is an Error, whether the work
 * heeds the signal or not.
 */
export async function withTimeLimit<Result>(
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const end = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    end.abort();
    reject(new Error('no answer in time'));
  }, milliseconds);
  try {
    return await Promise.race([work(end.signal), promise]);
  } finally {
    clearTimeout(timer);
  }
}
