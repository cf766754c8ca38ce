import type { CloudEvent } from '../function/cloud-event.ts';
import type { BoundHandler } from '../host/context.ts';
import { wants } from '../host/event-routing.ts';
import { referenceEvent } from '../standalone/reference-event.ts';
import type { ObjectChange } from './folders.ts';

export interface ChangeObserverOptions {
  readonly functions: readonly BoundHandler[];
  /** Delivers an event to a function; resolves whether or not that succeeds. */
  readonly send: (handler: BoundHandler, event: CloudEvent) => Promise<void>;
  /** Asks for a completeness pass of a function. */
  readonly requestPass: (handler: BoundHandler) => void;
  readonly now: () => number;
}

/** Stands in for Knative's ApiServerSources in local mode: tells the functions that want it of each changed object. */
export function createChangeObserver(options: ChangeObserverOptions): (change: ObjectChange) => Promise<void> {
  const { functions, send, requestPass, now } = options;
  return async ({ type, object }) => {
    const { apiVersion, kind, metadata } = object;
    const ref = { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
    const event = referenceEvent({ type, ref }, now());
    for (const handler of functions) {
      if (!wants(handler, event)) continue;
      await send(handler, event);
      // The object may no longer report what it did before; only a pass finds that, and the next one may be an hour away.
      if (type !== 'add') requestPass(handler);
    }
  };
}
