import type { Context } from './context.ts';
import type { CommonSettings } from './settings.ts';

/** A kind of Kubernetes object that a function wants to know of. */
export interface Resource {
  /** API group, empty for core. */
  readonly group: string;
  /** Versions that the function can read, best first: the first one that the cluster serves is used. */
  readonly versions: readonly string[];
  readonly kind: string;
  /** Lower-case plural, as in URLs. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Only objects with all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Only objects that a selector picks: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ */
  readonly labelSelector?: string;
  /** The one namespace to look in. */
  readonly namespace?: string;
  /** The setting that names the one namespace to look in (not set: the system namespace); without it, all of them. */
  readonly namespaceSetting?: string;
}

/** Woken by references (never bodies) to objects of these kinds that were added, changed or deleted. */
export interface ApiServerSourceTrigger {
  readonly type: 'ApiServerSource';
  readonly resources: readonly Resource[];
}

/**
 * The API groups that every cluster serves, and ours: their ApiServerSources can be generated. One for a group that is
 * not served would crash its adapter, so those of all others are made when the group is there.
 */
export const alwaysServed: ReadonlySet<string> = new Set([
  '',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'zen.kube-zen.io',
]);

/** Woken by references to objects of the kinds that ObservationMappings and Ingesters name. */
export interface MappedKindsTrigger {
  readonly type: 'MappedKinds';
}

/** Woken once by each start of its process, by an event like the clock's. */
export interface StartTrigger {
  readonly type: 'Start';
}

/** Woken by the clock. `schedule` is the setting that holds the interval in minutes. */
export interface PingSourceTrigger {
  readonly type: 'PingSource';
  readonly schedule: 'RESYNC_INTERVAL_MINUTES' | 'GC_INTERVAL_MINUTES';
}

/** Woken by events of the Broker whose attributes equal these; `deadLetters` takes what nobody else could take. */
export type BrokerTrigger =
  | { readonly type: 'Broker'; readonly filter: { readonly type: string } }
  | { readonly type: 'Broker'; readonly deadLetters: true };

export interface RefusedItem {
  /** Where in the body the bad item is, such as `items[3].verb`. */
  readonly path: string;
  readonly message: string;
}

export interface SplitBody<Data> {
  /** `id` is the same whenever the same body is sent again, `data` is reduced to what may travel through a Broker. */
  readonly items: readonly { readonly id: string; readonly data: Data }[];
  readonly refused: readonly RefusedItem[];
}

/** Raw HTTP from a tool that speaks no CloudEvents; the function that owns HTTP turns it into events of `eventType`. */
export interface WebhookTrigger<Data, Settings> {
  readonly type: 'Webhook';
  readonly path: `/${string}`;
  readonly eventType: string;
  /** Where a body may hold many items: the member that lists them. They are then split one at a time. */
  readonly list?: string;
  /** Pure. Throws a Refusal if the body as a whole can't be read. */
  split(body: unknown, settings: Settings & CommonSettings): SplitBody<Data>;
  /** Pure. Whether any rule of the function can match; what none can is counted and goes no further. */
  wanted(data: Data, settings: Settings & CommonSettings): boolean;
  /** Where the path ends with `/*`: whether there is such a path now; `undefined` while that is not known. */
  isServed?(path: string, context: Pick<Context, 'watched' | 'functions' | 'settings'>): boolean | undefined;
  /** How many requests may be in flight before the next one is answered 503. */
  inFlight(settings: Settings & CommonSettings): number;
  /**
   * What to do while the Broker can't be reached: answer 503 at the deadline (the sender retries), or hold the request
   * (the sender doesn't).
   */
  readonly answer: 'deadline' | 'hold';
}

export type Trigger<Data = unknown, Settings = unknown> =
  | ApiServerSourceTrigger
  | MappedKindsTrigger
  | StartTrigger
  | PingSourceTrigger
  | BrokerTrigger
  | WebhookTrigger<Data, Settings>;

/** What tells functions of changes: https://knative.dev/docs/eventing/sources/apiserversource/ */
export const apiServerSources: Resource = {
  ...{ group: 'sources.knative.dev', versions: ['v1'], kind: 'ApiServerSource', plural: 'apiserversources' },
  namespaced: true,
};

/** The name of the ApiServerSource of a function and an API group. */
export function apiServerSourceName(functionName: string, group: string): string {
  return `${functionName}-${group === '' ? 'core' : group.replaceAll('.', '-')}`;
}

/** The plural that ApiServerSource takes for granted: UnsafeGuessKindToResource of k8s.io/apimachinery. */
export function guessedPlural(kind: string): string {
  const singular = kind.toLowerCase();
  if (singular.endsWith('endpoints')) return singular;
  if (singular.endsWith('s')) return `${singular}es`;
  return singular.endsWith('y') ? `${singular.slice(0, -1)}ies` : `${singular}s`;
}

/** What gives a Broker's events to functions: https://knative.dev/docs/eventing/triggers/ */
export const knativeTriggers: Resource = {
  ...{ group: 'eventing.knative.dev', versions: ['v1'], kind: 'Trigger', plural: 'triggers', namespaced: true },
  namespaceSetting: 'SYSTEM_NAMESPACE',
};

/** The kinds that a function's ApiServerSource triggers name. */
export function resourcesOf<Data, Settings>(definition: {
  readonly triggers: readonly Trigger<Data, Settings>[];
}): Resource[] {
  return definition.triggers
    .filter((trigger): trigger is ApiServerSourceTrigger => trigger.type === 'ApiServerSource')
    .flatMap(({ resources }) => resources);
}

/** The one namespace in which to look for a kind; `undefined` for all. */
export function namespaceOf(
  { namespace: fixed, namespaceSetting }: Resource,
  settings: CommonSettings,
): string | undefined {
  if (fixed !== undefined) return fixed;
  if (namespaceSetting === undefined || settings.WATCH_NAMESPACE !== undefined) return settings.WATCH_NAMESPACE;
  const all: Readonly<Record<string, unknown>> = { ...settings };
  const namespace = all[namespaceSetting];
  return typeof namespace === 'string' ? namespace : settings.SYSTEM_NAMESPACE;
}

/** ConfigMaps in which a tool's output is kept: with the label `app`, in the namespace that a setting names. */
export function labelledConfigMaps(app: string, namespaceSetting: string): Resource {
  const configMaps = { group: '', versions: ['v1'], kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
  return { ...configMaps, labels: { app }, namespaceSetting };
}
