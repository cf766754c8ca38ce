import { group } from './group.ts';
import type { KindSelector } from './kind-selector.ts';

/**
 * The API groups that every cluster serves, and ours: their ApiServerSources can be generated. One for a group that is
 * not served would crash its adapter, so those of all others are made when the group is there.
 */
export const alwaysServed: ReadonlySet<string> = new Set(['', 'apiextensions.k8s.io', 'apiregistration.k8s.io', group]);

/** What tells functions of changes: https://knative.dev/docs/eventing/sources/apiserversource/ */
export const apiServerSources: KindSelector = {
  group: 'sources.knative.dev',
  versions: ['v1'],
  kind: 'ApiServerSource',
  plural: 'apiserversources',
  namespaced: true,
};

/** The name of the ApiServerSource of a function and an API group. */
export function apiServerSourceName(functionName: string, apiGroup: string): string {
  return `${functionName}-${apiGroup === '' ? 'core' : apiGroup.replaceAll('.', '-')}`;
}

/** The plural that ApiServerSource takes for granted: UnsafeGuessKindToResource of k8s.io/apimachinery. */
export function guessedPlural(kind: string): string {
  const singular = kind.toLowerCase();
  if (singular.endsWith('endpoints')) return singular;
  if (singular.endsWith('s')) return `${singular}es`;
  return singular.endsWith('y') ? `${singular.slice(0, -1)}ies` : `${singular}s`;
}

/** What gives a Broker's events to functions: https://knative.dev/docs/eventing/triggers/ */
export const knativeTriggers: KindSelector = {
  group: 'eventing.knative.dev',
  versions: ['v1'],
  kind: 'Trigger',
  plural: 'triggers',
  namespaced: true,
};
