import type { KindSelector } from '../api/kind-selector.ts';
import type { ResourceRef } from '../finding/finding.ts';
import type { Severity } from '../finding/severity.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Exceptions } from './exceptions.ts';
import type { Filter } from './filter.ts';
import type { CommonSettings } from './settings.ts';
import type { Cluster, KubernetesObject, Store } from './stores.ts';
import type { Tally } from './tally.ts';
import type { WebhookTrigger } from './triggers.ts';

/** What a function may know about another one. */
export interface FunctionInfo {
  readonly name: string;
  /** Its address in the system namespace. */
  readonly url: string;
  readonly webhooks: readonly WebhookTrigger[];
  /** The kinds that its ApiServerSource triggers name. */
  readonly kinds: readonly KindSelector[];
  /** Whether it only tells others. Then a source may have its name: what a receiver says is not what it was told. */
  readonly isSink?: boolean;
  /** From which severity on others are told of what it writes. */
  readonly announcedFrom?: Severity;
  /** Whether it also takes the kinds that ObservationMappings and Ingesters name. */
  readonly takesMappedKinds: boolean;
}

/** The names that no mapping may give its source. */
export function reservedNames(functions: readonly Pick<FunctionInfo, 'name' | 'isSink'>[]): string[] {
  return functions.filter(({ isSink }) => !isSink).map(({ name }) => name);
}

/** A name that was in the store. */
export interface KnownName {
  readonly namespace: string;
  /** Whether it was there a moment ago. Since then, somebody may have deleted it. */
  readonly isRecent: boolean;
}

/** A cache of names that were in the store. It saves calls, and nothing depends on it. */
export interface KnownNames {
  find(name: string): KnownName | undefined;
  /** Notes that the name is in the store now. */
  add(name: string, namespace: string): void;
  delete(name: string): void;
}

/** An event that led to a finding. */
export interface Occurrence {
  /** Tells events apart. What is noted again with the same event and name is a redelivery. */
  readonly event: string;
  /** The finding's Observation. */
  readonly name: string;
  readonly namespace: string;
  /** Whether it existed already. */
  readonly isRepeat: boolean;
  /** RFC 3339. */
  readonly time: string;
  readonly about?: string | undefined;
  /** The label `expires` that the Observation should have now. */
  readonly expires?: string | undefined;
}

/** Counts how often events repeat. It is best effort: no event waits for it, or fails because of it. */
export interface RepeatCounter {
  note(occurrence: Occurrence): void;
}

/** Why a new finding is kept out: of its severity, or of its namespace, there are enough. */
export type LimitReached = { readonly severities: readonly Severity[] } | { readonly namespace: string };

/**
 * Keeps out new findings that have a state, once MAX_OBSERVATIONS is near. What is stored is renewed, changed and opened
 * all the same.
 */
export interface ObservationLimit {
  /**
   * Resolves to why a new finding of this severity may not be stored now that is about something in this namespace;
   * to `undefined` if it may. Throws a Refusal 503 if that can't be found out.
   */
  against(namespace: string, severity: Severity, signal: AbortSignal): Promise<LimitReached | undefined>;
  /** Notes that an Observation was created in `place`, about something in `namespace`. */
  created(namespace: string, place: string): void;
  /** Whether to tell something now: once a minute for each key. */
  mayTell(key: string): boolean;
}

/** Shows that a source is alive, even if all that it says is known, or nobody wants it. */
export interface SignsOfLife {
  /** Notes that the source has just said something. Best effort, and nothing waits for it. */
  note(): void;
  /** Notes when the newest of its reports was made, in milliseconds since 1970; 0 if it has none. */
  noteReport(at: number, signal: AbortSignal): Promise<void>;
  /** For whoever passes such signs on: whether it is time for another one, by the key. */
  isDue(key: string): boolean;
}

/** The controllers that people know resources by: the Deployment of a Pod. Best effort, and within a time limit. */
export interface Controllers {
  /**
   * Resolves to the controller, or to the resource itself if nothing that people know controls it; to `undefined` if that
   * can't be found out now. Never throws.
   */
  of(resource: ResourceRef): Promise<ResourceRef | undefined>;
}

export interface Broker {
  /** Resolves once the Broker has taken the event; throws a Refusal 503 if it has not. */
  publish(event: CloudEvent, signal: AbortSignal): Promise<void>;
  /** Sends an event to an address; resolves to the status of the response, or to 503 if there was none within `limit` ms. */
  sendTo(url: string, event: CloudEvent, signal: AbortSignal, limit: number): Promise<number>;
  /**
   * Whether a ready Trigger delivers events of this type to that function. Without one the Broker drops them.
   * `undefined` until that is known.
   */
  isRouted(functionName: string, eventType: string): boolean | undefined;
  /** Whether it is in this process: then it has handled an event that it has taken, and whoever stops waiting stops that. */
  readonly isHere?: true;
}

/** Something to be sent to a system that isn't ours. */
export interface Outgoing {
  readonly url: string | { readonly file: string };
  readonly contentType: string;
  readonly body: string;
  /** The file of a Bearer token. */
  readonly tokenFile: string | undefined;
  /** A file of CA certificates (PEM) that are trusted besides Node's own. */
  readonly caFile: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** In seconds. */
  readonly retryAfter: number | undefined;
  /** What the other side has to say, if that is text: its beginning. */
  readonly words: string;
  /** Whether it wasn't asked, since it gets a pause: then this is what it has answered before. */
  readonly isAtRest?: true;
}

/** Sends to other systems. */
export interface Outside {
  /** Posts once. Resolves to the answer, whatever it is; throws an Error if there is none. */
  post(outgoing: Outgoing, signal: AbortSignal): Promise<Answer>;
}

/** A signal that aborts at a certain time, or when the one does that it was made from. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Must be called when the work is over: until then everything that the signal leads to is kept in memory. */
  clear(): void;
}

export interface Clock {
  /** Milliseconds since 1970, by this machine. */
  now(): number;
  /** The earlier of this machine's clock and the API server's: by it, something is due. */
  earliest(): number;
  /** The later of the two: from it is reckoned how long something is kept. */
  latest(): number;
  /** Milliseconds by a clock that nobody sets: for waiting, and for how old something is that only this process knows. */
  elapsed(): number;
  /** Resolves after this many milliseconds, or as soon as `signal` aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** A deadline this many milliseconds ahead, for work that `signal` ends anyway. */
  deadline(milliseconds: number, signal: AbortSignal): Deadline;
}

/** The part of the context that belongs to the current event. */
export interface EventContext {
  /** Aborts when the event's deadline is exceeded or the process shuts down. */
  readonly signal: AbortSignal;
  /** Written to the log and to an annotation of each Observation. */
  readonly correlationId: string;
  readonly tally: Tally;
}

/** Takes note of expressions that could not be answered. That stops nothing: it is counted, and shown on the object. */
export interface ExpressionErrors {
  /** Counts a failure that is shown otherwise. */
  count(kind: KindSelector): void;
  /** `message` begins with the field, such as `spec.expression: at 1:9: field not found: a`. */
  note(kind: KindSelector, object: KubernetesObject, message: string): void;
  /**
   * Shows on each object that has been noted that its expression fails: once, until the object changes. Best effort: it never
   * throws.
   */
  settle(context: { readonly cluster: Cluster; readonly clock: Clock; readonly event: EventContext }): Promise<void>;
}

/** Everything that a function gets from outside. */
export interface Context<Settings = unknown> {
  readonly settings: Settings & CommonSettings;
  readonly store: Store;
  readonly cluster: Cluster;
  readonly broker: Broker;
  readonly outside: Outside;
  /** The other functions; empty unless the function declares `seesOthers`. */
  readonly functions: readonly FunctionInfo[];
  readonly filter: Filter;
  readonly exceptions: Exceptions;
  readonly expressionErrors: ExpressionErrors;
  readonly known: KnownNames;
  readonly repeats: RepeatCounter;
  readonly limit: ObservationLimit;
  readonly controllers: Controllers;
  /** From which severity on others are told of what it writes; `undefined` where nobody is. */
  readonly announcedFrom: Severity | undefined;
  readonly life: SignsOfLife;
  readonly clock: Clock;
  /**
   * Takes one of `limit` places for requests in flight under `key`. Resolves to the function that releases it. If all are
   * taken, resolves to `undefined`: at once, or when `waiting` aborts before there is one.
   */
  acquire(key: string, limit: number, waiting?: AbortSignal): Promise<(() => void) | undefined>;
  /**
   * Runs the work at most once in this many milliseconds, and never concurrently: calls that arrive in between wait for
   * the next run and share it. Resolves to `undefined` for all but the caller whose work was run.
   */
  coalesce<Result>(milliseconds: number, work: () => Promise<Result>): Promise<Result | undefined>;
  readonly event: EventContext;
}

/** A function's context between events. */
export type FunctionContext = Omit<Context, 'event'>;
