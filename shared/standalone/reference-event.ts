import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { Change } from '../function/stores.ts';

/** The event that an ApiServerSource sends: a reference in place of the object. */
export function referenceEvent({ type, ref, path }: Change, now: number): CloudEvent {
  const { apiVersion, kind, namespace, name } = ref;
  return {
    id: randomUUID(),
    source: 'urn:zen-watcher:objects',
    type: `dev.knative.apiserver.ref.${type}`,
    subject: path,
    time: new Date(now).toISOString(),
    extensions: {},
    data: { apiVersion, kind, namespace, name },
  };
}
