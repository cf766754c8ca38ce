import * as z from 'zod';
import { group } from '../api/group.ts';
import { formatPath } from '../finding/format-path.ts';
import { Refusal } from '../function/refusal.ts';
import type { ObservationReader } from './observation-reader.ts';

const query = z.strictObject({
  source: z.string().optional(),
  severity: z.string().toUpperCase().optional(),
  namespace: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(500),
  continue: z.string().optional(),
});

/** The answer to `GET /observations`: an ObservationList as the API server would give it. Throws a Refusal 400. */
export async function observationList(reader: ObservationReader, parameters: Readonly<Record<string, unknown>>) {
  const parsed = query.safeParse(parameters);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Refusal(400, 'a bad query', { path: formatPath(issue?.path ?? []) || issue?.message });
  }
  const { items, continue: token } = await reader.read(parsed.data);
  return {
    apiVersion: `${group}/v1`,
    kind: 'ObservationList',
    metadata: token === undefined ? {} : { continue: token },
    items,
  };
}
