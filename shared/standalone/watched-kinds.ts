import type { KindSelector } from '../api/kind-selector.ts';
import { knativeTriggers } from '../api/knative-kinds.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import { type Environment, parseSettings } from '../function/settings.ts';

/** The kinds that functions must know before they can answer. There are no Triggers and no Broker to watch. */
export function watchedKinds(definitions: readonly FunctionDefinition[], environment: Environment): KindSelector[] {
  return definitions
    .flatMap(({ watches, settings }) => watches?.(Object.assign({}, parseSettings(environment, settings, []))) ?? [])
    .filter(({ group }) => group !== knativeTriggers.group);
}
