import { type CloudEvent, pingOf } from '../function/cloud-event.ts';
import type { PingSourceTrigger } from '../function/triggers.ts';
import type { Hosted } from '../host/dispatch.ts';
import { sleep } from '../host/sleep.ts';

export interface TimersOptions {
  readonly functions: readonly Hosted[];
  readonly systemNamespace: string;
  readonly now: () => number;
  /** Handles one ping; resolves whatever becomes of it. */
  readonly ping: (hosted: Hosted, event: CloudEvent) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * The PingSource's part in local mode: every function with a schedule is pinged at start and then at its interval.
 * Resolves when each has had its first ping.
 */
export async function startTimers({ functions, systemNamespace, now, ping, signal }: TimersOptions): Promise<void> {
  const first = functions.map(async (hosted) => {
    const trigger = hosted.definition.triggers.find((one): one is PingSourceTrigger => one.type === 'PingSource');
    if (!trigger) return;
    const interval = hosted.context.settings[trigger.schedule] * 60_000;
    const tick = (): Promise<void> => ping(hosted, pingOf(hosted.definition.name, systemNamespace, now()));
    await tick();
    void (async () => {
      for (await sleep(interval, signal); !signal.aborted; await sleep(interval, signal)) await tick();
    })();
  });
  await Promise.all(first);
}
