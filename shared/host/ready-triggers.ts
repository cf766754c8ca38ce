import * as z from 'zod';
import type { KubernetesObject } from '../function/stores.ts';

const attributes = z.object({ type: z.string() });

/** https://knative.dev/docs/eventing/triggers/ */
const triggerSchema = z.object({
  metadata: z.object({ deletionTimestamp: z.string().nullish() }),
  spec: z.object({
    broker: z.string().optional(),
    filter: z.object({ attributes: attributes.optional() }).optional().catch(undefined),
    filters: z
      .array(z.object({ exact: attributes.optional() }))
      .default([])
      .catch([]),
    subscriber: z.object({ ref: z.object({ name: z.string() }).optional() }),
  }),
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }),
});

/** What an event needs a Trigger for. */
export interface Route {
  readonly functionName: string;
  readonly eventType: string;
  /** `undefined` for any Broker. */
  readonly brokerName?: string | undefined;
}

/**
 * Whether one of these Triggers is ready and delivers the Broker's events of the type to the function. A Broker answers 202
 * to an event that no ready Trigger asks for, and drops it.
 */
export function isRoutedBy(triggers: readonly KubernetesObject[], route: Route): boolean {
  const { functionName, eventType, brokerName } = route;
  return triggers.some((object) => {
    const { data: trigger } = triggerSchema.safeParse(object);
    if (!trigger || trigger.metadata.deletionTimestamp) return false;
    const { broker, filter, filters, subscriber } = trigger.spec;
    const types = [filter?.attributes?.type, ...filters.map(({ exact }) => exact?.type)];
    const isOurs = subscriber.ref === undefined || subscriber.ref.name === functionName;
    const isOfBroker = brokerName === undefined || broker === undefined || broker === brokerName;
    const isReady = trigger.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    return isOurs && isOfBroker && isReady && types.includes(eventType);
  });
}
