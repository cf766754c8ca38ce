import { type KindSelector, selectIn } from '../api/kind-selector.ts';
import type { Cluster } from './context.ts';
import type { CommonSettings } from './settings.ts';

/** What a path that ends with `/*` is judged by. */
export interface Watching {
  readonly cluster: Pick<Cluster, 'watched'>;
  readonly functions: readonly { readonly name: string }[];
  readonly settings: CommonSettings;
}

/** Woken by references (never bodies) to objects of these kinds that were added, changed or deleted. */
export interface ApiServerSourceTrigger {
  readonly type: 'ApiServerSource';
  readonly kinds: readonly KindSelector[];
}

/** Woken by references to objects of the kinds that ObservationMappings and Ingesters name. */
export interface MappedKindsTrigger {
  readonly type: 'MappedKinds';
}

/** Woken once by each start of its process, by an event like the clock's. */
export interface StartTrigger {
  readonly type: 'Start';
}

/** Woken by the clock, every so many minutes. */
export interface PingSourceTrigger {
  readonly type: 'PingSource';
  readonly minutes: number;
}

/** Woken by events of the Broker of this type. */
export interface BrokerTrigger {
  readonly type: 'Broker';
  readonly eventType: string;
}

export interface RefusedItem {
  /** Where in the body the bad item is, such as `items[3].verb`. */
  readonly path: string;
  readonly message: string;
}

export interface SplitBody {
  /** `id` is the same whenever the same body is sent again, `data` is reduced to what may travel through a Broker. */
  readonly items: readonly { readonly id: string; readonly data: unknown }[];
  readonly refused: readonly RefusedItem[];
  /** How many more there were that can match no rule: seen at a glance, since most of a batch is like that. */
  readonly unwanted: number;
}

/** Raw HTTP from a tool that speaks no CloudEvents; the gateway turns it into events of `eventType`. */
export interface WebhookTrigger {
  readonly type: 'Webhook';
  readonly path: `/${string}`;
  readonly eventType: string;
  /** Where a body may hold many items: the member that lists them. They are then split one at a time. */
  readonly list?: string;
  /** Pure. Leaves out what no rule of the function can match. Throws a Refusal if the body as a whole can't be read. */
  split(body: unknown): SplitBody;
  /** Where the path ends with `/*`: whether there is such a path now. Throws a Refusal 503 while that is not known. */
  isServed?(path: string, watching: Watching): boolean;
  /** How many requests may be in flight before the next one is answered 503. */
  readonly inFlight: number;
  /**
   * Whether the sender sends again what was not acknowledged. It is answered 503 at the deadline while the Broker can't
   * be reached; the request of one that does not is held.
   */
  readonly senderRetries: boolean;
}

export type Trigger =
  | ApiServerSourceTrigger
  | MappedKindsTrigger
  | StartTrigger
  | PingSourceTrigger
  | BrokerTrigger
  | WebhookTrigger;

/** Woken by objects of these kinds: in `namespace`, in the one that is watched, or wherever they are. */
export function objects(
  kinds: readonly KindSelector[],
  settings: CommonSettings,
  namespace?: string,
): ApiServerSourceTrigger {
  return { type: 'ApiServerSource', kinds: kinds.map((kind) => selectIn(kind, settings, namespace)) };
}

/** The kinds whose objects wake a function with these triggers. */
export function kindsIn(triggers: readonly Trigger[]): KindSelector[] {
  return triggers.filter((trigger) => trigger.type === 'ApiServerSource').flatMap(({ kinds }) => kinds);
}
