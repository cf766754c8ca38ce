import type * as z from 'zod';
import type { Normalized } from '../observation/observation.ts';
import { reconcilePass } from '../pipeline/completeness-pass.ts';
import { observeEvent } from '../pipeline/observe.ts';
import { reconcileReference } from '../pipeline/reference.ts';
import { isPing, isReference } from './cloud-event.ts';
import { defineFunction, type FunctionDefinition, type Trigger } from './function-definition.ts';
import type { CommonSettings } from './settings.ts';

export interface NormalizeOptions<Settings> {
  /** RFC 3339: the CloudEvent's time, or the object's creationTimestamp. */
  readonly time: string;
  readonly settings: Settings & CommonSettings;
}

/** What a source says of itself: the schema of its tool's data and a pure `normalize`. */
export interface SourceDefinition<Data, Settings> {
  readonly name: string;
  readonly triggers: readonly Trigger<Data, Settings>[];
  /** A zod object whose keys are the names of the source's own environment variables. */
  readonly settings: z.ZodType<Settings>;
  /** What the tool sends. Unknown fields are ignored. */
  readonly schema: z.ZodType<Data>;
  /** Uses its arguments only: no clock, no random, no environment, no logging; never throws on what `schema` accepts. */
  normalize(data: Data, options: NormalizeOptions<Settings>): Normalized;
}

/**
 * A source as a function. With an ApiServerSource trigger it is a state source: references and the completeness pass
 * read objects, and its Observations are open, missing or resolved. Without one it is an event source.
 */
export function defineSource<Data, Settings>(source: SourceDefinition<Data, Settings>): SourceFunction {
  const definition = defineFunction<Settings, Data>({
    name: source.name,
    triggers: source.triggers,
    settings: source.settings,
    permissions: [],
    handle(event, context) {
      if (isReference(event)) return reconcileReference(source, event, context);
      if (isPing(event)) return reconcilePass(source, context);
      return observeEvent(source, event, context);
    },
  });
  return { ...definition, source: source as unknown as SourceDefinition<unknown, unknown> };
}

/** A function made by `defineSource`; the definition stays visible for the tests that serve all sources. */
export interface SourceFunction extends FunctionDefinition {
  readonly source: SourceDefinition<unknown, unknown>;
}
