import type { CloudEvent } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/source-definition.ts';
import { addSummaries, type Summary, summaryOf } from '../function/summary.ts';
import { type Derivation, derive } from './derive.ts';
import { normalizeData } from './parse.ts';
import { withSummary, writeObservations } from './write.ts';

/** What a derivation says of itself, before anything is written. */
export function derivationSummary(derivation: Derivation, skipped: Summary['skipped']): Summary {
  return summaryOf({ observed: derivation.observed, skipped, filtered: derivation.filtered });
}

/** The pipeline for an event that carries its data: parse, normalize, filter, name, write. */
export async function observeEvent<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<Summary> {
  const { settings, filter } = context;
  const { observations, skipped } = normalizeData(source, event.data, event.time, settings);
  const derivation = derive(observations, {
    source: source.name,
    dropOwn: false,
    filter,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
  });
  const before = derivationSummary(derivation, skipped);
  try {
    const { summary, invalid } = await writeObservations(
      derivation.derived,
      { source: source.name, hasState: false },
      context,
    );
    if (invalid[0]) throw withSummary(invalid[0].refusal, summary);
    return addSummaries(before, summary);
  } catch (error) {
    throw withSummary(error, before);
  }
}
