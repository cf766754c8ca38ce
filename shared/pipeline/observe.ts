import type { CloudEvent } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { deriveFindings } from './derive.ts';
import { normalizeData } from './parse.ts';
import { writeFindings } from './write.ts';

/** The pipeline for an event that carries its data: parse, normalize, filter, name, write. */
export async function observeEvent<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<void> {
  const normalized = normalizeData(source, event.data, event.time, context.settings);
  const { findings } = deriveFindings(source, normalized, { dropOwn: false }, context);
  const [invalid] = await writeFindings(findings, { source: source.name }, context);
  if (invalid) throw invalid.refusal;
}
