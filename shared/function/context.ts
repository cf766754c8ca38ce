import type { KindSelector } from '../api/kind-selector.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Filter } from './filter.ts';
import type { CommonSettings } from './settings.ts';
import type { Discovery, KubernetesObject, Objects, Store } from './stores.ts';
import type { Tally } from './tally.ts';
import type { WebhookTrigger } from './triggers.ts';

/** What a function may know of another one. */
export interface FunctionInfo {
  readonly name: string;
  /** Its address in the system namespace. */
  readonly url: string;
  readonly webhooks: readonly WebhookTrigger[];
  /** The kinds that its ApiServerSource triggers name. */
  readonly kinds: readonly KindSelector[];
  /** Whether it wants the kinds that ObservationMappings and Ingesters name. */
  readonly takesMappedKinds: boolean;
}

/** The names that a function knows to exist: saves calls, decides nothing. */
export interface KnownNames {
  has(key: string): boolean;
  add(key: string): void;
}

/** Kubernetes objects other than Observations, and the kinds that there are. */
export interface Cluster {
  readonly objects: Objects;
  /** `undefined` where folders stand for the cluster, which serve whatever lies in them. */
  readonly kinds: Discovery | undefined;
  /**
   * The objects of a kind that the function watches, as they are now; the same array until one changes. Throws a Refusal
   * 503 until they have been read once.
   */
  watched(kind: KindSelector): readonly KubernetesObject[];
  /** Whether Knative's ApiServerSources wake functions here; elsewhere changes are seen by watching folders, or by passes. */
  readonly hasApiServerSources: boolean;
}

export interface Broker {
  /** Resolves when the Broker has the event; throws a Refusal 503 if it has not. */
  publish(event: CloudEvent, signal: AbortSignal): Promise<void>;
  /** Sends an event to an address; resolves to the status of the answer, 503 if there was none. */
  deliver(url: string, event: CloudEvent, signal: AbortSignal): Promise<number>;
  /**
   * Whether the Broker has a ready Trigger that gives events of this type to that function: without one it drops them.
   * `undefined` until that is known.
   */
  isRouted(functionName: string, eventType: string): boolean | undefined;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so many milliseconds, or at once when `signal` aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** What belongs to the event that is being handled. */
export interface EventContext {
  /** Aborted when the event's deadline has passed or the process shuts down. */
  readonly signal: AbortSignal;
  /** Goes into the log and into each Observation's annotation. */
  readonly correlationId: string;
  readonly tally: Tally;
}

/** Everything from outside reaches a function by this. */
export interface Context<Settings = unknown> {
  readonly settings: Settings & CommonSettings;
  readonly store: Store;
  readonly cluster: Cluster;
  readonly broker: Broker;
  /** Empty for a function that does not say `seesOthers`. */
  readonly functions: readonly FunctionInfo[];
  readonly filter: Filter;
  readonly known: KnownNames;
  readonly clock: Clock;
  /** A place among at most `limit` requests in flight under `key`: the function that releases it, or `undefined`. */
  acquire(key: string, limit: number): (() => void) | undefined;
  /**
   * Does the work at most once in so many milliseconds, and never twice at a time: who comes meanwhile waits for the
   * next run and shares it. Resolves to `undefined` for all but the one whose work was run.
   */
  coalesce<Result>(milliseconds: number, work: () => Promise<Result>): Promise<Result | undefined>;
  readonly event: EventContext;
}

/** A function's context apart from any event. */
export type FunctionContext = Omit<Context, 'event'>;
