import type { FunctionInfo } from '../function/context.ts';
import { type FunctionDefinition, triggersOf } from '../function/definitions.ts';
import { type Environment, parseSettings } from '../function/settings.ts';
import { kindsIn } from '../function/triggers.ts';

/** Where a function answers in a cluster; local mode uses the same addresses, and resolves them in the process. */
export function functionUrl(name: string, systemNamespace: string): string {
  return `http://${name}.${systemNamespace}.svc.cluster.local`;
}

/** What others may know of a function, by its own settings. Throws a SettingsError. */
export function functionInfoOf(
  definition: FunctionDefinition,
  environment: Environment,
  ownUsers: readonly string[],
): FunctionInfo {
  const settings = parseSettings(environment, definition.settings, ownUsers);
  const triggers = triggersOf(definition, settings);
  return {
    name: definition.name,
    url: functionUrl(definition.name, settings.SYSTEM_NAMESPACE),
    webhooks: triggers.filter((trigger) => trigger.type === 'Webhook'),
    kinds: kindsIn(triggers),
    takesMappedKinds: triggers.some(({ type }) => type === 'MappedKinds'),
  };
}
