import type { Clock } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { Change } from '../function/stores.ts';
import type { BoundHandler } from '../host/context.ts';
import type { ProcessBroker } from './broker.ts';
import { referenceEvent } from './reference-event.ts';

/** How many references a function handles at a time: each may hold a report of 1.5 MiB, and what is made of it. */
const referencesInFlight = 4;

/** How many may wait. With more, a pass over everything costs less, and finds the same. */
const mostWaiting = 10_000;

export interface ReferencesOptions {
  readonly handler: BoundHandler;
  readonly broker: Pick<ProcessBroker, 'send'>;
  readonly requestPass: (handler: BoundHandler) => void;
  readonly clock: Pick<Clock, 'now' | 'deadline'>;
  /** How long a function may take for one. */
  readonly milliseconds: number;
  readonly signal: AbortSignal;
}

/**
 * Hands a function references to what has changed, one of an object at a time: what changes again meanwhile is handed once
 * more. Delivers with retries; if those end in vain, or too many wait, a pass makes up for it. Returns what takes a change.
 */
export function createReferences(options: ReferencesOptions): (change: Change) => void {
  const { handler, broker, requestPass, clock, milliseconds, signal } = options;
  const waiting = new Map<string, Change>();
  const inFlight = new Set<string>();

  async function deliver(key: string, change: Change): Promise<void> {
    const { signal: deadline, clear } = clock.deadline(milliseconds, signal);
    try {
      await broker.send(handler, referenceEvent(change, clock.now()), deadline);
    } catch (error) {
      // What is wrong with the object is recorded by the function, and no retry or pass mends it.
      if (Refusal.from(error).status === 503 && !signal.aborted) requestPass(handler);
    } finally {
      clear();
      inFlight.delete(key);
      next();
    }
  }

  function next(): void {
    for (const [key, change] of waiting) {
      if (inFlight.size >= referencesInFlight || signal.aborted) return;
      if (inFlight.has(key)) continue;
      waiting.delete(key);
      inFlight.add(key);
      void deliver(key, change);
    }
  }

  return (change) => {
    const { apiVersion, kind, namespace = '', name } = change.ref;
    waiting.set(JSON.stringify([apiVersion, kind, namespace, name]), change);
    if (waiting.size > mostWaiting) {
      waiting.clear();
      requestPass(handler);
    }
    next();
  };
}
