import { describe, expect, it } from 'vitest';
import deadletter from '../../functions/deadletter.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { createTestContext, eventOf, handled, type Overrides } from '../pipeline/test-context.ts';

const url = 'http://falco.zen-system.svc.cluster.local';
const ownUrl = 'http://deadletter.zen-system.svc.cluster.local';
const functions = [
  { name: 'deadletter', url: ownUrl, webhooks: [], kinds: [], takesMappedKinds: false },
  { name: 'falco', url, webhooks: [], kinds: [], takesMappedKinds: false },
];

function letter(extensions: Record<string, string>) {
  return eventOf(
    'falco.rule.output.v1',
    { secret: 'PLANTED-SECRET' },
    { knativearrivaltime: '2026-03-01T11:59:00.5Z', ...extensions },
  );
}

async function handle(extensions: Record<string, string>, answer: number, context: Overrides = {}) {
  const delivered: { url: string; extensions: object }[] = [];
  const test = createTestContext(deadletter, {
    context: {
      functions,
      async sendTo(to, event) {
        delivered.push({ url: to, extensions: event.extensions });
        return answer;
      },
      ...context,
    },
  });
  const summary = await handled(deadletter, letter(extensions), test.context);
  return { summary, delivered, items: (await test.store.read({ limit: 9 })).items };
}

describe('deadletter', () => {
  it.each(['429', '500', '503', ''])('delivers once more what failed with "%s"', async (knativeerrorcode) => {
    const { delivered, items, summary } = await handle({ knativeerrordest: `${url}/`, knativeerrorcode }, 204);
    expect(delivered).toEqual([{ url, extensions: { knativearrivaltime: '2026-03-01T11:59:00.5Z' } }]);
    expect(items).toEqual([]);
    expect(summary.deadLetters).toEqual([{ source: 'falco', reason: 'redelivered', count: 1 }]);
  });

  it('delivers once more what failed without an answer', async () => {
    const { delivered, items } = await handle({ knativeerrordest: `${url}/` }, 204);
    expect(delivered).toHaveLength(1);
    expect(items).toEqual([]);
  });

  it.each([
    [199, 'recorded'],
    [200, 'redelivered'],
    [299, 'redelivered'],
    [300, 'recorded'],
    [404, 'recorded'],
    [503, 'recorded'],
  ])('answered %i to its second delivery, the event is %s', async (answer, reason) => {
    const { items, summary } = await handle({ knativeerrordest: `${url}/`, knativeerrorcode: '500' }, answer);
    expect(items).toHaveLength(reason === 'recorded' ? 1 : 0);
    expect(summary.deadLetters).toEqual([{ source: 'falco', reason, count: 1 }]);
    expect(summary.created).toHaveLength(items.length);
  });

  it('says what could not be delivered, where to, why and when', async () => {
    const { items, summary } = await handle({ knativeerrordest: 'http://elsewhere/', knativeerrorcode: '400' }, 204);
    expect(summary.deadLetters).toEqual([{ source: 'other', reason: 'recorded', count: 1 }]);
    expect(items.map(({ metadata, spec }) => [metadata.namespace, spec.details, spec.detectedAt])).toEqual([
      [
        'zen-system',
        {
          message: 'an event could not be delivered',
          destination: 'http://elsewhere/',
          errorCode: '400',
          ceType: 'falco.rule.output.v1',
          ceSource: '/tests',
          ceId: 'e-1',
        },
        '2026-03-01T11:59:00.5Z',
      ],
    ]);
  });

  it.each([
    ['400', `${url}/`, 0],
    ['422', `${url}/`, 0],
    ['50', `${url}/`, 0],
    ['5000', `${url}/`, 0],
    ['1500', `${url}/`, 0],
    ['5x0', `${url}/`, 0],
    ['503', `${ownUrl}/`, 0],
    ['503', 'http://attacker.example.com/', 0],
    ['503', 'http://falco.zen-system.svc.cluster.local.attacker.example.com/', 0],
    ['503', 'not a URL', 0],
    ['503', `${url}/`, 1],
  ])('records what failed with %s at %s (%i deliveries)', async (knativeerrorcode, knativeerrordest, deliveries) => {
    const { delivered, items } = await handle({ knativeerrordest, knativeerrorcode }, 503);
    expect(delivered).toHaveLength(deliveries);
    expect(items).toHaveLength(1);
    expect(items[0]?.spec).toMatchObject({
      category: 'operations',
      severity: 'HIGH',
      eventType: 'undeliverable-event',
      source: 'deadletter',
    });
    expect(items[0]?.spec.details).toMatchObject({ destination: knativeerrordest, errorCode: knativeerrorcode });
    expect(JSON.stringify(items)).not.toContain('PLANTED-SECRET');
  });

  it('records one Observation an hour for the same trouble', async () => {
    const test = createTestContext(deadletter);
    const at = (time: string) => letter({ knativeerrorcode: '400', knativearrivaltime: time });
    for (const time of ['2026-03-01T11:01:00Z', '2026-03-01T11:59:00Z', '2026-03-01T12:00:00Z']) {
      await handled(deadletter, at(time), { ...test.context });
    }
    expect((await test.store.read({ limit: 9 })).items).toHaveLength(2);
  });

  it('records each trouble of an hour by itself', async () => {
    const test = createTestContext(deadletter);
    for (const knativeerrordest of ['http://one/', 'http://two/']) {
      for (const knativeerrorcode of ['400', '422']) {
        await handled(deadletter, letter({ knativeerrordest, knativeerrorcode }), test.context);
        await handled(
          deadletter,
          { ...letter({ knativeerrordest, knativeerrorcode }), type: 'other.v1' },
          test.context,
        );
      }
    }
    expect((await test.store.read({ limit: 9 })).items).toHaveLength(8);
  });

  it('answers 503 only when it cannot record', async () => {
    const failing = {
      store: {
        ...createTestContext(deadletter).context.store,
        create: async () => Promise.reject(new Refusal(503, 'away')),
      },
    };
    await expect(handle({ knativeerrorcode: '400' }, 204, failing)).rejects.toMatchObject({ status: 503 });
  });
});
