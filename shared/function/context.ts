import type { CloudEvent } from './cloud-event.ts';
import type { Filter } from './filter.ts';
import type { CommonSettings } from './settings.ts';
import type { Objects, Store } from './stores.ts';
import type { WebhookTrigger } from './triggers.ts';

/** A function as another one sees it: `url` is its address in the system namespace. */
export interface Peer {
  readonly name: string;
  readonly url: string;
  readonly webhooks: readonly PeerWebhook[];
}

/** A Webhook trigger with its function's settings already given. */
export interface PeerWebhook extends Pick<WebhookTrigger<unknown, unknown>, 'path' | 'eventType' | 'answer'> {
  readonly inFlight: number;
  split(body: unknown): ReturnType<WebhookTrigger<unknown, unknown>['split']>;
  wanted(data: unknown): boolean;
}

/** The names that a function knows to exist: saves calls, decides nothing. */
export interface KnownNames {
  has(key: string): boolean;
  add(key: string): void;
}

/** Everything from outside comes in by this. */
export interface Context<Settings = unknown> {
  readonly store: Store;
  readonly objects: Objects;
  readonly filter: Filter;
  readonly known: KnownNames;
  readonly settings: Settings & CommonSettings;
  readonly functions: readonly Peer[];
  /** A place among at most `limit` requests in flight under `key`: the function that gives it back, or `undefined`. */
  admit(key: string, limit: number): (() => void) | undefined;
  /** Resolves when the Broker has the event; throws a Refusal 503 if it has not. */
  publish(event: CloudEvent, signal: AbortSignal): Promise<void>;
  /** Sends an event to an address; resolves to the status of the answer, 503 if there was none. */
  deliver(url: string, event: CloudEvent, signal: AbortSignal): Promise<number>;
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so many milliseconds, or at once when `signal` aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Aborted when the request's deadline has passed or the process shuts down. */
  readonly signal: AbortSignal;
  /** Goes into the log and into each Observation's annotation. */
  readonly correlationId: string;
}
