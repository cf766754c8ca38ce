import { Refusal } from '../function/refusal.ts';

/** What one body takes of a budget. */
export interface Share {
  /** Throws a Refusal 503. */
  add(bytes: number): void;
  release(): void;
}

/** Bounds what all bodies of some kind take of the memory together. What it returns makes the share of one of them. */
export function createBudget(maxBytes: number): () => Share {
  let inFlight = 0;
  return () => {
    let taken = 0;
    return {
      add(bytes) {
        // A body that is alone always fits, however little memory there is: otherwise it would never get through.
        const isAlone = inFlight === taken;
        if (!isAlone && inFlight + bytes > maxBytes) throw new Refusal(503, 'too much is in flight');
        taken += bytes;
        inFlight += bytes;
      },
      release() {
        inFlight -= taken;
        taken = 0;
      },
    };
  };
}
