import * as z from 'zod';
import { group } from '../api/group.ts';
import { Refusal } from '../function/refusal.ts';
import { groupings, totalOf } from './counts.ts';
import type { ObservationReader } from './observation-reader.ts';
import { sorts } from './order.ts';
import { oneOf, parameterFault, queryParameters, upTo } from './parameters.ts';
import type { Selection } from './selection.ts';
import { viewSelection, views } from './view-query.ts';

const maxItems = 1000;

const selectionSchema = z.object({ ...queryParameters, view: oneOf(views).optional() });

const parameters = {
  ...selectionSchema.shape,
  limit: upTo(maxItems).default(500),
};

export const listSchema = z.strictObject({
  ...parameters,
  sort: oneOf(sorts).default('severity'),
  continue: z.string().optional(),
});

export const countsSchema = z.strictObject({
  ...parameters,
  by: oneOf(groupings).default('source'),
});

type Parameters = Readonly<Record<string, unknown>>;

/** Throws a Refusal 400 that names the parameter, and says what it takes. */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, given: Parameters): z.output<Schema> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const { name, message } = parameterFault(parsed.error);
  throw new Refusal(400, `a bad query: ${message}`, { path: name });
}

/** What a query selects; a view is the beginning, of which it may take something back. */
export function selectionOf(
  { view, state, accepted, fixable, since, created, changed, ...rest }: z.output<typeof selectionSchema>,
  now: number,
): Selection {
  const before = (milliseconds: number | undefined) => (milliseconds === undefined ? undefined : now - milliseconds);
  return {
    ...(view && viewSelection(view, now)),
    ...rest,
    ...(state !== undefined && { states: [state] }),
    ...(accepted !== undefined && { acceptance: { isAccepted: accepted, at: now } }),
    isFixable: fixable,
    since: before(since),
    ...(created !== undefined && { createdSince: before(created) }),
    ...(changed !== undefined && { changedSince: before(changed) }),
  };
}

export interface ObservationAnswers {
  /** The answer to `GET /observations`: an ObservationList as the API server would give it. Throws a Refusal 400. */
  list(query: Parameters): Promise<unknown>;
  /** The answer to `GET /observations/counts`. Throws a Refusal 400. */
  counts(query: Parameters): Promise<unknown>;
}

export function createObservationAnswers(reader: ObservationReader, now: () => number): ObservationAnswers {
  return {
    async list(query) {
      const { sort, limit, continue: start, ...selection } = parseQuery(listSchema, query);
      const page = await reader.read({ ...selectionOf(selection, now()), sort, limit, continue: start });
      return {
        apiVersion: `${group}/v1`,
        kind: 'ObservationList',
        metadata: page.continue === undefined ? {} : { continue: page.continue },
        items: page.items,
      };
    },

    async counts(query) {
      const { by, limit, ...selection } = parseQuery(countsSchema, query);
      const counts = await reader.counts(selectionOf(selection, now()), by);
      return { by, total: totalOf(counts), items: counts.slice(0, limit) };
    },
  };
}
