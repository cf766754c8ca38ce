import { type CloudEvent, isPing, isReference } from '../function/cloud-event.ts';
import type { FunctionDefinition } from '../function/function-definition.ts';
import { groupVersionOf } from '../function/group-version.ts';
import type { Trigger } from '../function/triggers.ts';
import { referenceOf } from '../pipeline/reference.ts';

/** Whether a trigger would be given this event. Throws a Refusal 422 if a reference can't be read. */
function triggers(trigger: Trigger, event: CloudEvent): boolean {
  switch (trigger.type) {
    case 'ApiServerSource': {
      if (!isReference(event)) return false;
      const { apiVersion, kind } = referenceOf(event);
      const { group } = groupVersionOf(apiVersion);
      return trigger.resources.some((resource) => resource.group === group && resource.kind === kind);
    }
    case 'MappedKinds':
      return isReference(event);
    case 'PingSource':
    case 'Start':
      return isPing(event);
    case 'Broker':
      return 'filter' in trigger && trigger.filter.type === event.type;
    case 'Webhook':
      return false;
  }
}

/** Whether a function has asked for such an event. What only the dead-letter sink sends is not asked for here. */
export function wants({ triggers: all }: FunctionDefinition, event: CloudEvent): boolean {
  return all.some((trigger) => triggers(trigger, event));
}

/** Whether a Broker delivers the event, so that it dead-letters what is refused. */
export function comesFromBroker(event: CloudEvent): boolean {
  return !isPing(event) && !isReference(event);
}

export function takesDeadLetters({ triggers: all }: FunctionDefinition): boolean {
  return all.some((trigger) => trigger.type === 'Broker' && 'deadLetters' in trigger);
}
