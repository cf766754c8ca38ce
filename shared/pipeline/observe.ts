import { expiresLabel } from '../api/labels.ts';
import { type CloudEvent, signAttribute } from '../function/cloud-event.ts';
import type { Context, Occurrence } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { deriveFindings, type NamedFinding } from './derive.ts';
import { expiry } from './lifecycle.ts';
import { badRowRefusal, normalizeData } from './parse.ts';
import { type Created, faultOf, writeFindings } from './write.ts';

/** What is noted of a finding, so that its repeats are counted. */
function occurrenceOf<Settings>(
  { source, id }: CloudEvent,
  { name, finding: { detectedAt, repeat } }: NamedFinding,
  { outcome, namespace }: Created,
  { clock, settings }: Context<Settings>,
): Occurrence {
  const expires = repeat?.isOngoing ? expiresLabel(expiry(clock.latest(), false, settings)) : undefined;
  return {
    event: `${source} ${id}`,
    ...{ name, namespace, expires },
    isRepeat: outcome === 'exists',
    time: detectedAt,
    about: repeat?.about,
  };
}

/** Where what an event tells is kept: with `EVENT_NAMESPACE=system` it outlives the namespace that it is about. */
function placeOf<Settings>({ settings }: Context<Settings>): string | undefined {
  return settings.EVENT_NAMESPACE === 'system' ? settings.SYSTEM_NAMESPACE : undefined;
}

/** The pipeline for an event that carries its data: parse, normalize, filter, name, write. */
export async function observeEvent<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<void> {
  context.life.note();
  if (event.extensions[signAttribute] !== undefined) return context.event.tally.skipped('sign_of_life');
  const normalized = normalizeData(source, event.data, event.time, context.settings);
  const { findings, held } = deriveFindings(source, normalized, { hasState: false }, context);
  const onStored = (named: NamedFinding, stored: Created): void =>
    context.repeats.note(occurrenceOf(event, named, stored, context));
  const fault = faultOf(
    await writeFindings(findings, { source: source.name, place: placeOf(context), onStored }, context),
  );
  const refusal = held[0]?.refusal ?? fault;
  if (refusal) throw refusal;
  const [bad] = normalized.badRows ?? [];
  if (bad) throw badRowRefusal(bad);
}
