import type * as z from 'zod';
import type { AccessOptions } from './access-options.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Context } from './context.ts';
import type { Resource } from './resource.ts';
import type { Summary } from './summary.ts';
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
  group: 'zen.kube-zen.io',
  resources: ['observations'],
  verbs: ['create', 'get', 'record'],
};

/** A request body at a path that is no CloudEvent's door. */
export interface RawRequest {
  /** The path alone, without query. */
  readonly path: string;
  /** The Webhook trigger's path, which may end with `/*`: one of a few. */
  readonly endpoint: string;
  /** The body as it was before it was compressed, once: whoever takes it alone decides how long it is held. */
  takeBody(): Uint8Array;
  /** The sender's trace context, or a new one: what is made of the request goes on in it. */
  readonly traceparent: string;
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
  /** Kinds that it reads before it is ready and watches while it runs: `context.watched`. */
  readonly watches?: readonly Resource[];
  /** Whether it needs to know what the other functions declare: `context.functions`. */
  readonly seesOthers?: boolean;
  handle(event: CloudEvent, context: Context<Settings>): Promise<Summary>;
  /** Who may use the HTTP paths that it owns. */
  access?(settings: Settings): AccessOptions;
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
