import type { Hosted } from '../host/dispatch.ts';

/** A folder that changes changes often at once; the pass looks at all of it. */
const settleMilliseconds = 200;

export interface PassRequests {
  /** Asks for a completeness pass of a source soon: one for all that ask meanwhile. Others than sources have none. */
  request(hosted: Hosted): void;
  stop(): void;
}

export function createPassRequests(pass: (hosted: Hosted) => Promise<void>): PassRequests {
  const timers = new Map<Hosted, NodeJS.Timeout>();
  return {
    request(hosted) {
      const { triggers } = hosted.definition;
      const hasObjects = triggers.some(({ type }) => type === 'ApiServerSource' || type === 'MappedKinds');
      if (!hasObjects || !triggers.some(({ type }) => type === 'PingSource') || timers.has(hosted)) return;
      const run = (): void => {
        timers.delete(hosted);
        void pass(hosted);
      };
      timers.set(hosted, setTimeout(run, settleMilliseconds));
    },
    stop() {
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
