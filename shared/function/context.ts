import type { CloudEvent } from './cloud-event.ts';
import type { Filter } from './filter.ts';
import type { Resource } from './resource.ts';
import type { CommonSettings } from './settings.ts';
import type { Discovery, KubernetesObject, Objects, Store } from './stores.ts';
import type { WebhookTrigger } from './triggers.ts';

/** A function as another one sees it: `url` is its address in the system namespace. */
export interface Peer {
  readonly name: string;
  readonly url: string;
  readonly webhooks: readonly PeerWebhook[];
  /** The kinds that its ApiServerSource triggers name. */
  readonly resources: readonly Resource[];
  /** Whether it wants the kinds that ObservationMappings and Ingesters name. */
  readonly takesMappedKinds: boolean;
}

/** A Webhook trigger with its function's settings already given. */
export interface PeerWebhook
  extends Pick<WebhookTrigger<unknown, unknown>, 'path' | 'eventType' | 'answer' | 'isServed' | 'list'> {
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
  /** What the cluster serves; `undefined` where there are no API groups to be asked for (local mode). */
  readonly discovery: Discovery | undefined;
  /**
   * The objects of a kind that the function watches, as they are now; the same array until one changes. Throws a Refusal
   * 503 until they have been read once.
   */
  watched(resource: Resource): readonly KubernetesObject[];
  readonly filter: Filter;
  readonly known: KnownNames;
  readonly settings: Settings & CommonSettings;
  readonly functions: readonly Peer[];
  /** A place among at most `limit` requests in flight under `key`: the function that gives it back, or `undefined`. */
  admit(key: string, limit: number): (() => void) | undefined;
  /**
   * Does the work at most once in so many milliseconds, and never twice at a time: who comes meanwhile waits for the
   * next run and shares it. Resolves to `undefined` for all but the one whose work was run.
   */
  coalesce<Result>(milliseconds: number, work: () => Promise<Result>): Promise<Result | undefined>;
  /**
   * Whether the Broker has a ready Trigger that gives events of this type to that function: without one it drops them.
   * `undefined` until that is known.
   */
  isRouted(functionName: string, eventType: string): boolean | undefined;
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
