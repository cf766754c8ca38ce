import { type CloudEvent, pingOf } from '../function/cloud-event.ts';
import type { Clock } from '../function/context.ts';
import type { BoundHandler } from '../host/context.ts';

export interface TimersOptions {
  readonly functions: readonly BoundHandler[];
  readonly systemNamespace: string;
  readonly clock: Clock;
  /** Handles one ping; resolves whether or not that succeeds. */
  readonly ping: (handler: BoundHandler, event: CloudEvent) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Stands in for the PingSources: pings every function with a schedule at start, then at its interval.
 * Resolves when each has handled its first ping.
 */
export async function startTimers({ functions, systemNamespace, clock, ping, signal }: TimersOptions): Promise<void> {
  const first = functions.map(async (handler) => {
    const trigger = handler.triggers.find(({ type }) => type === 'PingSource');
    if (trigger?.type !== 'PingSource') return;
    const interval = trigger.minutes * 60_000;
    const tick = (): Promise<void> => ping(handler, pingOf(handler.definition.name, systemNamespace, clock.now()));
    await tick();
    void (async () => {
      for (await clock.sleep(interval, signal); !signal.aborted; await clock.sleep(interval, signal)) await tick();
    })();
  });
  await Promise.all(first);
}
