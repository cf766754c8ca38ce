import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import type { BadRow } from '../../shared/finding/finding.ts';
import { createTestContext, handled, ping, referenceTo } from './test-context.ts';
import { aFinding, anObject, boxes } from './test-sources.ts';

function badRows(count: number): BadRow[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `report.rows[${index}].id`,
    message: `is bad ${index}`,
  }));
}

function createWorld(count: number) {
  const { context, store, objects, clock } = createTestContext(boxes);
  const object = anObject('a', { findings: [aFinding('good'), aFinding('better')], badRows: badRows(count) });
  objects.all.push(object);
  return {
    clock,
    objects,
    handle: (event: Parameters<typeof boxes.handle>[0]) =>
      handled(boxes, event, context).catch((error: unknown) => error),
    async recorded() {
      return (await store.read({ limit: 99 })).items.filter(({ spec }) => spec.eventType === 'unreadable-object');
    },
    async states(): Promise<Record<string, string | undefined>> {
      const found = (await store.read({ limit: 99 })).items.filter(({ spec }) => spec.category !== 'operations');
      return Object.fromEntries(found.map(({ spec, metadata }) => [spec.rule, metadata.labels[labels.state]]));
    },
  };
}

const events = [
  ['a reference', referenceTo(anObject('a'))],
  ['a pass', ping],
] as const;

describe.each(events)('bad rows in a report, seen by %s', (_case, event) => {
  it.each([
    [1, '1 row: report.rows[0].id is bad 0'],
    [2, '2 rows: report.rows[0].id is bad 0; report.rows[1].id is bad 1'],
    [
      7,
      `7 rows: ${badRows(5)
        .map(({ path, message }) => `${path} ${message}`)
        .join('; ')}`,
    ],
  ])('are one Observation, with their number and the first five: %i', async (count, reason) => {
    const { handle, recorded, clock } = createWorld(count);
    await handle(event);
    clock.now += 60_000;
    await handle(event);
    const found = await recorded();
    expect(found).toHaveLength(1);
    expect(found[0]?.metadata.namespace).toBe('shop');
    expect(found[0]?.spec).toMatchObject({
      category: 'operations',
      severity: 'HIGH',
      rule: 'unreadable-object',
      resource: { kind: 'Box', namespace: 'shop', name: 'a' },
      details: { message: reason, field: 'report.rows[0].id' },
    });
    const whole = `Box a can't be read: ${reason}`;
    expect(found[0]?.spec.summary).toBe(whole.length > 256 ? `${whole.slice(0, 255)}…` : whole);
  });

  it('keep no other row from being stored', async () => {
    const { handle, states } = createWorld(3);
    await handle(event);
    await handle(ping);
    expect(await states()).toEqual({ good: 'open', better: 'open' });
  });

  it('are not recorded if there are none', async () => {
    const { handle, recorded } = createWorld(0);
    await handle(event);
    expect(await recorded()).toEqual([]);
  });
});

describe('bad rows', () => {
  it('refuse the event about their report, with the path of the first', async () => {
    const { handle } = createWorld(2);
    expect(await handle(referenceTo(anObject('a')))).toMatchObject({
      status: 422,
      message: 'the data breaks the schema',
      path: 'report.rows[0].id',
      cause: 'is bad 0',
    });
  });

  it('leave open what their report said before: it may be in one of them', async () => {
    const { handle, states, objects } = createWorld(0);
    await handle(ping);
    objects.all[0] = anObject('a', { findings: [aFinding('good')], badRows: badRows(1) });
    await handle(ping);
    expect(await states()).toEqual({ good: 'open', better: 'open' });
  });
});
