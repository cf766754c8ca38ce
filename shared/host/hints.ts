import { dueEventType } from '../api/announcement.ts';
import type { Broker, Clock } from '../function/context.ts';

/** How long a hint may take. What it is about is stored, and the next pass finds it. */
const hintMilliseconds = 2000;

/** How long where it is handled meanwhile: longer than that takes. */
const handledMilliseconds = 60_000;

export interface HintsOptions {
  readonly broker: Pick<Broker, 'publish' | 'isHere'>;
  readonly clock: Pick<Clock, 'now' | 'deadline'>;
  readonly systemNamespace: string;
  /** Aborts when the process ends. */
  readonly stopping: AbortSignal;
}

/**
 * Posts to the Broker that something is to be told. Nobody waits for it, and one at a time is enough: what is written
 * while one is on its way is in the next.
 */
export function createHints({ broker, clock, systemNamespace, stopping }: HintsOptions) {
  let running: Promise<void> | undefined;
  let isWaiting = false;

  async function post(): Promise<void> {
    const { signal, clear } = broker.isHere
      ? clock.deadline(handledMilliseconds, stopping)
      : clock.deadline(hintMilliseconds, new AbortController().signal);
    const event = {
      id: crypto.randomUUID(),
      source: `/apis/v1/namespaces/${systemNamespace}`,
      type: dueEventType,
      time: new Date(clock.now()).toISOString(),
      extensions: {},
      data: undefined,
    };
    // It is a hint: where it doesn't arrive, nothing is lost but time.
    await broker.publish(event, signal).catch(() => undefined);
    clear();
  }

  async function postAll(): Promise<void> {
    do {
      isWaiting = false;
      await post();
    } while (isWaiting);
    running = undefined;
  }

  return {
    hint(): void {
      isWaiting = true;
      running ??= postAll();
    },

    /** Resolves when the last hint has been posted, or given up. */
    async finish(): Promise<void> {
      await running;
    },
  };
}
