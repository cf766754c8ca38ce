import type { BoundHandler } from '../host/context.ts';

/** Changes in a folder often come in bursts, and one pass looks at all of them. */
const settleMilliseconds = 200;

export interface PassRequests {
  /** Schedules a completeness pass of a source, one for all requests in the meantime. Does nothing for other functions. */
  request(handler: BoundHandler): void;
  stop(): void;
}

export function createPassRequests(pass: (handler: BoundHandler) => Promise<void>): PassRequests {
  const timers = new Map<BoundHandler, NodeJS.Timeout>();
  return {
    request(handler) {
      const { triggers } = handler;
      const hasObjects = triggers.some(({ type }) => type === 'ApiServerSource' || type === 'MappedKinds');
      if (!hasObjects || !triggers.some(({ type }) => type === 'PingSource') || timers.has(handler)) return;
      const run = (): void => {
        timers.delete(handler);
        void pass(handler);
      };
      timers.set(handler, setTimeout(run, settleMilliseconds));
    },
    stop() {
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
