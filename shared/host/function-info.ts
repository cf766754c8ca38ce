import type { FunctionInfo } from '../function/context.ts';
import { announcementFloor, type FunctionDefinition, triggersOf } from '../function/definitions.ts';
import { type Environment, parseSettings } from '../function/settings.ts';
import { kindsIn } from '../function/triggers.ts';
import { defaultClusterDomain } from './cluster-domain.ts';

/** The address of a function in a cluster. Local mode uses the same addresses and resolves them within the process. */
export function functionUrl(name: string, systemNamespace: string, clusterDomain = defaultClusterDomain): string {
  return `http://${name}.${systemNamespace}.svc.${clusterDomain}`;
}

/** What other functions may know about a function, according to its own settings. Throws a SettingsError. */
export function functionInfoOf(
  definition: FunctionDefinition,
  environment: Environment,
  ownUsers: readonly string[],
  clusterDomain?: string,
): FunctionInfo {
  const settings = parseSettings(environment, definition.settings, ownUsers);
  const triggers = triggersOf(definition, settings);
  return {
    name: definition.name,
    url: functionUrl(definition.name, settings.SYSTEM_NAMESPACE, clusterDomain),
    webhooks: triggers.filter((trigger) => trigger.type === 'Webhook'),
    kinds: kindsIn(triggers),
    isSink: definition.kind === 'sink',
    announcedFrom: announcementFloor(definition, settings),
    takesMappedKinds: triggers.some(({ type }) => type === 'MappedKinds'),
  };
}
