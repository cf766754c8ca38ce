import type * as z from 'zod';
import type { BadRow, Normalized } from '../finding/finding.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal, schemaRefusal } from '../function/refusal.ts';
import type { CommonSettings } from '../function/settings.ts';

/** Parses data with a schema. Throws a Refusal 422 that names the field. */
export function parseData<Data>(schema: z.ZodType<Data>, data: unknown): Data {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw schemaRefusal(parsed.error, 'data');
}

/** Refuses data with a row that breaks the schema, after the other rows have been written. */
export function badRowRefusal({ path, message }: BadRow): Refusal {
  return new Refusal(422, 'the data breaks the schema', { path, cause: message });
}

/** Parses and normalizes what a tool sent. Throws a Refusal 422, since a retry would bring the same data. */
export function normalizeData<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  data: unknown,
  time: string,
  settings: Settings & CommonSettings,
): Normalized {
  try {
    const normalized = source.normalize(parseData(source.schema, data), { time, settings });
    const { findings, skipped, badRows = [] } = normalized;
    const hasOutcome = findings.length > 0 || badRows.length > 0 || Object.keys(skipped).length > 0;
    return hasOutcome ? normalized : { ...normalized, skipped: { nothing_reported: 1 } };
  } catch (cause) {
    // Any other error is a bug of ours, or data that is nested too deeply for the stack. A retry would fix neither.
    throw Refusal.from(cause, 422, 'the data could not be normalized', 'data');
  }
}
