import { group } from './group.ts';
import { type KindSelector, selectIn } from './kind-selector.ts';

/**
 * The API groups that every cluster serves, and our own. Their ApiServerSources can be part of the generated manifests.
 * The adapter of an ApiServerSource crashes if the group is not served, so all others are created once their group is.
 */
export const alwaysServed: ReadonlySet<string> = new Set(['', 'apiextensions.k8s.io', 'apiregistration.k8s.io', group]);

/** Tells functions that objects have changed: https://knative.dev/docs/eventing/sources/apiserversource/ */
export const apiServerSources: KindSelector = {
  group: 'sources.knative.dev',
  versions: ['v1'],
  kind: 'ApiServerSource',
  plural: 'apiserversources',
  namespaced: true,
};

/** The name of a function's ApiServerSource for an API group. */
export function apiServerSourceName(functionName: string, apiGroup: string): string {
  return `${functionName}-${apiGroup === '' ? 'core' : apiGroup.replaceAll('.', '-')}`;
}

/**
 * The name of the one for what tenants have mapped, and nobody else. It is apart, since each change of it makes Knative start
 * its adapter anew, which sees nothing meanwhile.
 */
export function tenantsSourceName(functionName: string, apiGroup: string): string {
  return `${apiServerSourceName(functionName, apiGroup)}-tenants`;
}

/** The plural that ApiServerSource assumes: UnsafeGuessKindToResource in k8s.io/apimachinery. */
export function guessedPlural(kind: string): string {
  const singular = kind.toLowerCase();
  if (singular.endsWith('endpoints')) return singular;
  if (singular.endsWith('s')) return `${singular}es`;
  return singular.endsWith('y') ? `${singular.slice(0, -1)}ies` : `${singular}s`;
}

/**
 * Why a kind is not watched by an ApiServerSource, so that only the completeness pass sees it change; `undefined` if it is.
 * Each Pod of ours that ends writes Events, and what they wake ends again.
 */
export function whyPassOnly({
  group,
  kind,
  plural,
}: Pick<KindSelector, 'group' | 'kind' | 'plural'>): string | undefined {
  if (plural !== guessedPlural(kind)) return `Knative does not guess the plural ${plural}`;
  const isEvent = kind === 'Event' && (group === '' || group === 'events.k8s.io');
  return isEvent ? 'the Events of our own Pods would wake them for ever' : undefined;
}

/** Delivers a Broker's events to a function: https://knative.dev/docs/eventing/triggers/ */
export const knativeTriggers: KindSelector = {
  group: 'eventing.knative.dev',
  versions: ['v1'],
  kind: 'Trigger',
  plural: 'triggers',
  namespaced: true,
};

/** Takes events and hands them to Triggers: https://knative.dev/docs/eventing/brokers/ */
export const knativeBrokers: KindSelector = {
  group: 'eventing.knative.dev',
  versions: ['v1'],
  kind: 'Broker',
  plural: 'brokers',
  namespaced: true,
};

/** What a function watches that posts to the Broker: the Broker, which knows its own address, unless K_SINK is set. */
export function ownBroker(settings: {
  readonly K_SINK?: string | undefined;
  readonly BROKER_NAME: string;
  readonly SYSTEM_NAMESPACE: string;
  readonly WATCH_NAMESPACE?: string | undefined;
}): KindSelector[] {
  if (settings.K_SINK !== undefined) return [];
  return [{ ...selectIn(knativeBrokers, settings, settings.SYSTEM_NAMESPACE), name: settings.BROKER_NAME }];
}
