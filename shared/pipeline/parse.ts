import type * as z from 'zod';
import type { Normalized } from '../finding/finding.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal, schemaRefusal } from '../function/refusal.ts';
import type { CommonSettings } from '../function/settings.ts';

/** Data as its schema has it, or a Refusal 422 that names the field. */
export function parseData<Data>(schema: z.ZodType<Data>, data: unknown): Data {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw schemaRefusal(parsed.error, 'data');
}

/** Parses what a tool sent and normalizes it. Throws a Refusal 422: the same data will never be better. */
export function normalizeData<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  data: unknown,
  time: string,
  settings: Settings & CommonSettings,
): Normalized {
  try {
    const normalized = source.normalize(parseData(source.schema, data), { time, settings });
    const saysWhy = normalized.findings.length > 0 || Object.keys(normalized.skipped).length > 0;
    return saysWhy ? normalized : { findings: [], skipped: { nothing_reported: 1 } };
  } catch (cause) {
    // Anything else is a fault of ours (or a stack that data nested too deeply has used up): retrying can't mend it.
    throw Refusal.from(cause, 422, 'the data could not be normalized', 'data');
  }
}
