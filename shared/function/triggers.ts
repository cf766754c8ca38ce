import { type KindSelector, selectIn } from '../api/kind-selector.ts';
import type { Counts } from '../finding/finding.ts';
import type { CommonSettings } from './settings.ts';
import type { Cluster } from './stores.ts';

/** What `isServed` may use to decide whether a path exists. */
export interface PathContext {
  readonly cluster: Pick<Cluster, 'watched'>;
  readonly functions: readonly { readonly name: string; readonly isSink?: boolean }[];
  readonly settings: CommonSettings;
}

/**
 * Starts a function when objects of these kinds are added, changed or deleted; the events hold references, not objects.
 */
export interface ApiServerSourceTrigger {
  readonly type: 'ApiServerSource';
  readonly kinds: readonly KindSelector[];
}

/** The same for the kinds that ObservationMappings and Ingesters name. */
export interface MappedKindsTrigger {
  readonly type: 'MappedKinds';
}

/** Starts a function once per start of its process, with the same event as PingSource. */
export interface StartTrigger {
  readonly type: 'Start';
}

/** Starts a function every so many minutes. */
export interface PingSourceTrigger {
  readonly type: 'PingSource';
  readonly minutes: number;
}

/** Starts a function for each of the Broker's events of this type. */
export interface BrokerTrigger {
  readonly type: 'Broker';
  readonly eventType: string;
}

/** The same for all types that begin so. */
export interface BrokerPrefixTrigger {
  readonly type: 'BrokerPrefix';
  readonly prefix: string;
}

export interface RefusedItem {
  /** Where in the body the bad item is, such as `items[3].verb`. */
  readonly path: string;
  readonly message: string;
}

export interface SplitBody {
  /** `id` is the same if the same body is sent again; `data` is reduced to what a Broker may see. */
  readonly items: readonly { readonly id: string; readonly data: unknown }[];
  readonly refused: readonly RefusedItem[];
  /** How many other items there were, which no rule can match. Most items of a batch are like that. */
  readonly unwanted: number;
  /** The same by reason, where there are several. */
  readonly reasons?: Counts;
  /** What the sender must read to take the request for received: JSON, with 200. Others are answered 204. */
  readonly answer?: Readonly<Record<string, unknown>>;
}

/** Where a sender that can't sign in as others do, with a Bearer token, puts its token. */
export interface TokenPlaces {
  /** A header of its own, in lower case. */
  readonly tokenHeader?: string;
  /** Basic authentication, with any user and the token as the password: all that fits into a URL. */
  readonly takesBasic?: boolean;
}

/** Raw HTTP from a tool that does not speak CloudEvents; the gateway turns it into events of `eventType`. */
/** How JSON that holds too many values is shortened. */
export interface Shortening {
  readonly members: readonly string[];
  /** What stands in their place. */
  readonly text: string;
}

export interface WebhookTrigger extends TokenPlaces {
  readonly type: 'Webhook';
  readonly path: `/${string}`;
  readonly eventType: string;
  /** A body in JSON, on one line and without quotation marks `'`: what to post to try it. */
  readonly example?: string;
  /**
   * The member of a body that lists its items, if it may hold many. A long list is split item by item to save memory.
   */
  readonly list?: string;
  /**
   * What an item of the list does without where it holds more values than may be parsed: these members are replaced by a text.
   */
  readonly shortens?: Shortening;
  /**
   * Whether a body may also be a list of what it is else. Then it is parsed element by element, and each is split by itself:
   * one that is refused with 422 doesn't hold up the others.
   */
  readonly takesLists?: boolean;
  /**
   * Splits a body into items, and leaves out those that no rule can match. Pure. Throws a Refusal if the body is
   * unreadable.
   */
  split(body: unknown): SplitBody;
  /**
   * For a path that ends with `/*`: whether a path exists at the moment. Throws a Refusal 503 while that is unknown.
   */
  isServed?(path: string, context: PathContext): boolean;
  /** How many requests are forwarded at a time; further ones wait or, if the sender retries, are answered 503. */
  readonly inFlight: number;
  /**
   * Whether the sender retries what was not acknowledged. While the Broker can't be reached, such a sender is answered
   * 503 after a short deadline; the request of any other sender is held for as long as possible.
   */
  readonly senderRetries: boolean;
}

export type Trigger =
  | ApiServerSourceTrigger
  | MappedKindsTrigger
  | StartTrigger
  | PingSourceTrigger
  | BrokerTrigger
  | BrokerPrefixTrigger
  | WebhookTrigger;

/** A trigger for objects of these kinds: in the watched namespace if there is one, else in `namespace`, else in all. */
export function objects(
  kinds: readonly KindSelector[],
  settings: CommonSettings,
  namespace?: string,
): ApiServerSourceTrigger {
  return { type: 'ApiServerSource', kinds: kinds.map((kind) => selectIn(kind, settings, namespace)) };
}

/** The kinds whose objects start a function with these triggers. */
export function kindsIn(triggers: readonly Trigger[]): KindSelector[] {
  return triggers.filter((trigger) => trigger.type === 'ApiServerSource').flatMap(({ kinds }) => kinds);
}
