import type { BoundHandler } from '../host/context.ts';

/** A folder that changes changes often at once; the pass looks at all of it. */
const settleMilliseconds = 200;

export interface PassRequests {
  /** Asks for a completeness pass of a source soon: one for all that ask meanwhile. Others than sources have none. */
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
