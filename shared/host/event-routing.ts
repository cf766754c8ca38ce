import { groupVersionOf } from '../api/kind-selector.ts';
import { type CloudEvent, isPing, isReference } from '../function/cloud-event.ts';
import type { Trigger } from '../function/triggers.ts';
import { referenceOf } from '../pipeline/reference.ts';
import type { BoundFunction } from './context.ts';

/** Whether a trigger asks for this event. Throws a Refusal 422 if a reference can't be read. */
function matches(trigger: Trigger, event: CloudEvent): boolean {
  switch (trigger.type) {
    case 'ApiServerSource': {
      if (!isReference(event)) return false;
      const { apiVersion, kind } = referenceOf(event);
      const { group } = groupVersionOf(apiVersion);
      return trigger.kinds.some((selector) => selector.group === group && selector.kind === kind);
    }
    case 'MappedKinds':
      return isReference(event);
    case 'PingSource':
    case 'Start':
      return isPing(event);
    case 'Broker':
      return trigger.eventType === event.type;
    case 'BrokerPrefix':
      return event.type.startsWith(trigger.prefix);
    case 'Webhook':
      return false;
  }
}

/** Whether a function asks for this event by one of its triggers. A dead-letter sink also gets others. */
export function wants({ triggers }: Pick<BoundFunction, 'triggers'>, event: CloudEvent): boolean {
  return triggers.some((trigger) => matches(trigger, event));
}

/** Whether a Broker delivers the event, and so dead-letters it if it is refused. */
export function comesFromBroker(event: CloudEvent): boolean {
  return !isPing(event) && !isReference(event);
}
