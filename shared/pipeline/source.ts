import { isPing, isReference } from '../function/cloud-event.ts';
import { observationFilters } from '../function/filter-spec.ts';
import { defineFunction, type FunctionDefinition } from '../function/function-definition.ts';
import type { SourceDefinition } from '../function/source-definition.ts';
import { reconcilePass } from './completeness-pass.ts';
import { observeEvent } from './observe.ts';
import { reconcileReference } from './reference.ts';

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
    watches: [observationFilters],
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
