import type * as z from 'zod';
import type { CloudEvent } from './cloud-event.ts';
import type { Context } from './context.ts';
import type { CommonSettings } from './settings.ts';
import type { Summary } from './summary.ts';

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
  /** The setting that names the one namespace to look in; without it, all of them. */
  readonly namespaceSetting?: string;
}

/** Woken by references (never bodies) to objects of these kinds that were added, changed or deleted. */
export interface ApiServerSourceTrigger {
  readonly type: 'ApiServerSource';
  readonly resources: readonly Resource[];
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
  /** Pure. Throws a Refusal if the body as a whole can't be read. */
  split(body: unknown, settings: Settings & CommonSettings): SplitBody<Data>;
  /** Pure. Whether any rule of the function can match; what none can is counted and goes no further. */
  wanted(data: Data, settings: Settings & CommonSettings): boolean;
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
  | PingSourceTrigger
  | BrokerTrigger
  | WebhookTrigger<Data, Settings>;

/** One rule of the function's Role, in addition to those that its triggers and writing Observations need. */
export interface Permission {
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A request body at a path that is no CloudEvent's door. */
export interface RawRequest {
  /** The path alone, without query. */
  readonly path: string;
  /** The parsed JSON body. */
  readonly body: unknown;
  readonly correlationId: string;
}

/**
 * A function: what wakes it, what may be set, what it may do, and what it does. `settings` is a zod object whose keys
 * are the names of environment variables. `handle` answers only after everything that it derived from the event is
 * stored; it throws a Refusal (with the Summary of what was done) if something isn't.
 */
export interface FunctionDefinition<Settings = unknown, Data = unknown> {
  readonly name: string;
  readonly triggers: readonly Trigger<Data, Settings>[];
  readonly settings: z.ZodType<Settings>;
  readonly permissions: readonly Permission[];
  handle(event: CloudEvent, context: Context<Settings>): Promise<Summary>;
  /** Only the function that owns the HTTP paths of Webhook triggers has it. */
  receive?(request: RawRequest, context: Context<Settings>): Promise<Summary>;
}

/** Types a definition, and forgets its own types again, so that all functions fit in one list. */
export function defineFunction<Settings, Data = unknown>(
  definition: FunctionDefinition<Settings, Data>,
): FunctionDefinition {
  // The host hands each function only what its own schemas have parsed, so erasing the parameters is safe.
  return definition as unknown as FunctionDefinition;
}
