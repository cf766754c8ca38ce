import type { Resource } from './resource.ts';
import type { CommonSettings } from './settings.ts';
import type { KubernetesObject } from './stores.ts';

/** What a path that ends with `/*` is judged by. */
export interface Watching {
  watched(resource: Resource): readonly KubernetesObject[];
  readonly functions: readonly { readonly name: string }[];
  readonly settings: CommonSettings;
}

/** Woken by references (never bodies) to objects of these kinds that were added, changed or deleted. */
export interface ApiServerSourceTrigger {
  readonly type: 'ApiServerSource';
  readonly resources: readonly Resource[];
}

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
  /** How many more there were that can match no rule, whatever else is in them: most of a batch, seen at a glance. */
  readonly unwanted?: number;
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
  /** Where the path ends with `/*`: whether there is such a path now. Throws a Refusal 503 while that is not known. */
  isServed?(path: string, watching: Watching): boolean;
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

/** The kinds that a function's ApiServerSource triggers name. */
export function resourcesOf<Data, Settings>(definition: {
  readonly triggers: readonly Trigger<Data, Settings>[];
}): Resource[] {
  return definition.triggers
    .filter((trigger): trigger is ApiServerSourceTrigger => trigger.type === 'ApiServerSource')
    .flatMap(({ resources }) => resources);
}
