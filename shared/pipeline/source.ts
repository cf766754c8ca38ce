import { selectIn } from '../api/kind-selector.ts';
import { observationExceptions } from '../api/observation-exception.ts';
import { observationFilters } from '../api/observation-filter.ts';
import { isPing, isReference } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition, SourceFunction } from '../function/definitions.ts';
import { observeEvent } from './observe.ts';
import { reconcilePass } from './pass.ts';
import { reconcileReference } from './reference.ts';

/** A pass at a time: whoever asks meanwhile shares the next one. */
async function passOnce(source: SourceDefinition<unknown, unknown>, context: Context): Promise<void> {
  const isDone = await context.coalesce(0, async () => {
    await reconcilePass(source, context);
    return true;
  });
  if (!isDone) context.event.tally.skipped('coalesced');
}

/**
 * Makes a source into a function. A source with an ApiServerSource trigger is a state source: references and the
 * completeness pass read objects, and its Observations are open, missing or resolved. Any other is an event source.
 */
export function defineSource<Data, Settings>(source: SourceDefinition<Data, Settings>): SourceFunction {
  // The host gives a function only what its own schemas have parsed, so it is safe to forget their types here.
  const definition = source as unknown as SourceDefinition<unknown, unknown>;
  return {
    kind: 'source',
    name: source.name,
    triggers: (settings) => definition.triggers(settings),
    settings: definition.settings,
    permissions: [],
    watches: (settings) => [observationFilters, observationExceptions].map((kind) => selectIn(kind, settings)),
    handle(event, context) {
      if (isReference(event)) return reconcileReference(definition, event, context);
      if (isPing(event)) return passOnce(definition, context);
      return observeEvent(definition, event, context);
    },
    source: definition,
  };
}
