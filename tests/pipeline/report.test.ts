import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { Normalized } from '../../shared/finding/finding.ts';
import type { SourceDefinition } from '../../shared/function/definitions.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { readReport, reportedByOf } from '../../shared/pipeline/report.ts';
import { createTestContext, tallied } from './test-context.ts';
import { aFinding, anObject, boxes, crate, jar } from './test-sources.ts';

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

describe('reportedByOf', () => {
  it.each([
    [anObject('a'), 'shop/Box.example.com'],
    [anObject('a', { resource: crate }), '/Crate.example.com'],
    [anObject('a', { resource: jar }), 'shop/Jar'],
  ])('of %j is %s', (object, text) => {
    expect(reportedByOf(object)).toBe(text);
  });
});

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
    expect(report).toMatchObject({ fault: { status: 422 }, held: [], isPartial: true });
    expect([report?.leftOut().size, report?.accepted.size, report?.held.length]).toEqual([0, 0, 0]);
    expect(skipped).toEqual({ unreadable: 1 });
  });

  it.each<[string, Normalized, boolean]>([
    ['all of it is read', { findings: [aFinding('a')], skipped: {} }, false],
    ['a row is bad', { findings: [], skipped: {}, badRows: [badRow] }, true],
    ['the source says that there may be more', { findings: [], skipped: {}, isPartial: true }, true],
  ])('knows whether an object may report more: %s', async (_case, normalized, isPartial) => {
    expect((await read(normalized)).report?.isPartial).toBe(isPartial);
  });

  it('drops what is about zen-watcher itself', async () => {
    const own = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', namespace: 'shop', name: 'o' };
    const { report } = await read({ findings: [aFinding('a', { resource: own }), aFinding('b')], skipped: {} });
    expect(report?.findings.map(({ finding }) => finding.rule)).toEqual(['b']);
    expect([...(report?.leftOut().values() ?? [])]).toEqual(['filtered']);
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
