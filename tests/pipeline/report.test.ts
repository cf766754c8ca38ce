import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Normalized } from '../../shared/finding/finding.ts';
import type { SourceDefinition } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { readReport } from '../../shared/pipeline/report.ts';
import { createTestContext, tallied } from './test-context.ts';
import { aFinding, anObject, boxes } from './test-sources.ts';

const time = '2026-03-01T12:00:00Z';
const badRow = { path: 'data.rows[0]', message: 'is missing' };

/** A source that makes this of every object, or throws it. */
function sourceOf(outcome: Normalized | Error): SourceDefinition<unknown, unknown> {
  return {
    name: 'tool',
    triggers: () => [],
    settings: z.object({}),
    schema: z.unknown(),
    normalize() {
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
  };
}

async function read(outcome: Normalized | Error) {
  const { context } = createTestContext(boxes);
  const reports: ReturnType<typeof readReport>[] = [];
  const { skipped } = await tallied(context, async (own) => {
    reports.push(readReport(sourceOf(outcome), anObject('a'), time, own));
  });
  return { report: reports[0], skipped };
}

describe('readReport', () => {
  it.each<[string, Error]>([
    ['not like this: data.x why', new Refusal(422, 'not like this', { path: 'data.x', cause: 'why' })],
    ['not like this: data.x why', new Refusal(422, 'not like this', { path: 'data.x', cause: new Error('why') })],
    ['not like this: data.x', new Refusal(422, 'not like this', { path: 'data.x' })],
    ['not like this: data.x', new Refusal(422, 'not like this', { path: 'data.x', cause: { why: 'odd' } })],
    ['not like this: why', new Refusal(422, 'not like this', { cause: 'why' })],
    ['not like this', new Refusal(422, 'not like this')],
    ['the data could not be normalized: data a bug', new TypeError('a bug')],
  ])('says why an object can not be read: %s', async (reason, error) => {
    const { report, skipped } = await read(error);
    expect(report?.findings.map(({ finding: { details } }) => details.message)).toEqual([reason]);
    expect(report?.fault).toMatchObject({ status: 422 });
    expect(skipped).toEqual({ unreadable: 1 });
  });

  it('throws what is not the fault of the object', async () => {
    await expect(read(new Refusal(503, 'a filter can not be read'))).rejects.toMatchObject({ status: 503 });
  });

  it.each<[string, Normalized, object]>([
    ['findings', { findings: [aFinding('a')], skipped: {} }, {}],
    ['bad rows', { findings: [], skipped: {}, badRows: [badRow] }, {}],
    ['what is skipped', { findings: [], skipped: { noise: 2 } }, { noise: 2 }],
    ['nothing', { findings: [], skipped: {} }, { nothing_reported: 1 }],
    ['nothing, in other words', { findings: [], skipped: {}, badRows: [] }, { nothing_reported: 1 }],
  ])('counts as skipped only what is: an object with %s', async (_case, normalized, skipped) => {
    expect((await read(normalized)).skipped).toEqual(skipped);
  });
});
