import type * as z from 'zod';
import { group } from '../api/group.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import type { Normalized } from '../finding/finding.ts';
import type { AccessOptions } from './access-options.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Context } from './context.ts';
import type { CommonSettings } from './settings.ts';
import type { Trigger } from './triggers.ts';

/** One rule of the function's Role, in addition to those that its triggers and writing Observations need. */
export interface Permission {
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** `system`: in the system namespace alone. `cluster`: a kind without namespaces, which a tenant's roles leave out. */
  readonly scope?: 'system' | 'cluster';
}

/**
 * What a function needs that writes Observations, sources aside. `get`: a namespace over its quota answers the same
 * whether the name is there or not. `record`: what the admission policy asks of whoever writes in our name.
 */
export const observationWrites: Permission = {
  group,
  resources: ['observations'],
  verbs: ['create', 'get', 'record'],
};

/** What all kinds of functions say of themselves. */
interface Declaration<Settings> {
  readonly name: string;
  /** A zod object whose keys are the names of the function's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  readonly permissions: readonly Permission[];
  /** Kinds that it reads before it is ready and watches while it runs: `context.cluster.watched`. */
  watches?(settings: Settings & CommonSettings): readonly KindSelector[];
  /** Whether it needs to know what the other functions declare: `context.functions`. */
  readonly seesOthers?: boolean;
}

/**
 * What takes CloudEvents. `handle` resolves only after everything that it derived from the event is stored; it throws a
 * Refusal if something isn't. What it has done by then is in `context.event.tally`.
 */
interface Handler<Settings> {
  handle(event: CloudEvent, context: Context<Settings>): Promise<void>;
}

interface Triggered<Settings> {
  triggers(settings: Settings & CommonSettings): readonly Trigger[];
}

/** Work of zen-watcher's own that objects, the clock, a start or events wake. */
export interface TaskDefinition<Settings = unknown>
  extends Declaration<Settings>,
    Handler<Settings>,
    Triggered<Settings> {
  readonly kind: 'task';
}

/** A source as a function, made by `defineSource`. */
export interface SourceFunction extends Declaration<unknown>, Handler<unknown>, Triggered<unknown> {
  readonly kind: 'source';
  readonly source: SourceDefinition<unknown, unknown>;
}

/** A request body at a path that is no CloudEvent's door. */
export interface RawRequest {
  /** The path alone, without query. */
  readonly path: string;
  /** The Webhook trigger's path, which may end with `/*`: one of a few. */
  readonly endpoint: string;
  /** The decompressed body, once: whoever takes it alone decides how long it is held. */
  takeBody(): Uint8Array;
  /** The sender's trace context, or a new one: what is made of the request goes on in it. */
  readonly traceparent: string;
}

/** The one function that owns the HTTP paths of Webhook triggers, and turns what is posted there into events. */
export interface GatewayDefinition<Settings = unknown> extends Declaration<Settings> {
  readonly kind: 'gateway';
  /** Who may use the paths. */
  access(settings: Settings): AccessOptions;
  /** Resolves when the Broker has all that was made of the request; throws a Refusal if not. */
  receive(request: RawRequest, context: Context<Settings>): Promise<void>;
}

/** The one function that takes what the Broker could not deliver, whatever it is. */
export interface DeadLetterSinkDefinition<Settings = unknown> extends Declaration<Settings>, Handler<Settings> {
  readonly kind: 'dead-letter-sink';
}

export type HandlerDefinition = SourceFunction | TaskDefinition | DeadLetterSinkDefinition;

export type FunctionDefinition = HandlerDefinition | GatewayDefinition;

// The host hands each function only what its own schemas have parsed, so forgetting the type of its settings is safe.

export function defineTask<Settings>(definition: Omit<TaskDefinition<Settings>, 'kind'>): TaskDefinition {
  return { kind: 'task', ...definition } as unknown as TaskDefinition;
}

export function defineGateway<Settings>(definition: Omit<GatewayDefinition<Settings>, 'kind'>): GatewayDefinition {
  return { kind: 'gateway', ...definition } as unknown as GatewayDefinition;
}

export function defineDeadLetterSink<Settings>(
  definition: Omit<DeadLetterSinkDefinition<Settings>, 'kind'>,
): DeadLetterSinkDefinition {
  return { kind: 'dead-letter-sink', ...definition } as unknown as DeadLetterSinkDefinition;
}

/** What wakes a function; nothing but the Broker's failures a dead-letter sink, nothing but requests a gateway. */
export function triggersOf(definition: FunctionDefinition, settings: CommonSettings): readonly Trigger[] {
  return 'triggers' in definition ? definition.triggers(Object.assign({}, settings)) : [];
}

export interface NormalizeOptions<Settings> {
  /** RFC 3339: the CloudEvent's time, or the object's creationTimestamp. */
  readonly time: string;
  readonly settings: Settings & CommonSettings;
}

/** What a source says of itself: the schema of its tool's data and a pure `normalize`. */
export interface SourceDefinition<Data, Settings> extends Triggered<Settings> {
  readonly name: string;
  /** A zod object whose keys are the names of the source's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  /** What the tool sends. Unknown fields are ignored. */
  readonly schema: z.ZodType<Data>;
  /** Uses its arguments only: no clock, no random, no environment, no logging; never throws on what `schema` accepts. */
  normalize(data: Data, options: NormalizeOptions<Settings>): Normalized;
}
