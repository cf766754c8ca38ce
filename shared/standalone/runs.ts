import { createInFlight } from '../edge/in-flight.ts';
import { retry } from '../function/backoff.ts';
import { pingOf } from '../function/cloud-event.ts';
import type { Clock } from '../function/context.ts';
import type { BoundHandler } from '../host/context.ts';
import type { Dispatcher } from '../host/dispatch.ts';

/**
 * How long one may take. On Knative no request runs longer than ten minutes; here nobody ends one, and one that is ended begins
 * anew: where there are thousands of large reports and little CPU, it would read the same ones again and again.
 */
const runMilliseconds = 3_000_000;

/** They hold what they compare, so no more than these run at a time. */
const runsInFlight = 2;

/** One that fails is tried again after these pauses, and then at its next time. */
const retries = { first: 1000, longest: 60_000, attempts: 8 };

export interface RunsOptions {
  readonly dispatcher: Pick<Dispatcher, 'handle'>;
  readonly clock: Pick<Clock, 'now' | 'sleep' | 'deadline'>;
  readonly systemNamespace: string;
  readonly stopping: AbortSignal;
}

/** Makes what runs a function that is due, by its schedule or because a pass was asked for. It resolves whatever comes of it. */
export function createRuns(options: RunsOptions): (handler: BoundHandler) => Promise<void> {
  const { dispatcher, clock, systemNamespace, stopping } = options;
  const acquire = createInFlight();

  /** One of a function at a time. Its deadline begins with it: what waits for another takes nobody's place meanwhile. */
  async function run(handler: BoundHandler): Promise<void> {
    const { name } = handler.definition;
    const releaseFunction = await acquire(name, 1, stopping);
    const release = await acquire('all', runsInFlight, stopping);
    const { signal, clear } = clock.deadline(runMilliseconds, stopping);
    try {
      if (release) await dispatcher.handle(handler, pingOf(name, systemNamespace, clock.now()), signal);
    } finally {
      clear();
      release?.();
      releaseFunction?.();
    }
  }

  // The dispatcher logs each failure.
  return (handler) =>
    retry(() => run(handler), { ...retries, sleep: clock.sleep, signal: stopping }).catch(() => undefined);
}
