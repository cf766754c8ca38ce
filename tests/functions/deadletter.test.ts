import { describe, expect, it } from 'vitest';
import deadletter from '../../functions/deadletter.ts';
import { observationName } from '../../shared/finding/name.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { FunctionInfo } from '../../shared/function/context.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import type { SplitBody, WebhookTrigger } from '../../shared/function/triggers.ts';
import { createTestContext, eventOf, handled, type Overrides } from '../pipeline/test-context.ts';
import { aFinding } from '../stores/store-contract.ts';

const url = 'http://falco.zen-system.svc.cluster.local';
const ownUrl = 'http://deadletter.zen-system.svc.cluster.local';
const ingestUrl = 'http://ingest.zen-system.svc.cluster.local';

function webhook(path: `/${string}`, eventType: string): WebhookTrigger {
  const split = (): SplitBody => ({ items: [], refused: [], unwanted: 0 });
  return { type: 'Webhook', path, eventType, split, inFlight: 1, senderRetries: true };
}

const functions: FunctionInfo[] = [
  { name: 'deadletter', url: ownUrl, webhooks: [], kinds: [], takesMappedKinds: false },
  {
    name: 'falco',
    url,
    webhooks: [webhook('/falco/webhook', 'falco.rule.output.v1')],
    kinds: [],
    takesMappedKinds: false,
  },
  {
    name: 'ingest',
    url: ingestUrl,
    webhooks: [webhook('/ingest/*', 'io.kube-zen.ingest.v1')],
    kinds: [],
    takesMappedKinds: true,
  },
];

function letter(extensions: Record<string, string>) {
  return eventOf(
    'falco.rule.output.v1',
    { secret: 'PLANTED-SECRET' },
    { knativearrivaltime: '2026-03-01T11:59:00.5Z', ...extensions },
  );
}

async function handle(extensions: Record<string, string>, answer: number, context: Overrides = {}) {
  const sent: { url: string; extensions: object }[] = [];
  const test = createTestContext(deadletter, {
    context: {
      functions,
      async sendTo(to, event) {
        sent.push({ url: to, extensions: event.extensions });
        return answer;
      },
      ...context,
    },
  });
  const summary = await handled(deadletter, letter(extensions), test.context);
  return { summary, sent, items: (await test.store.read({ limit: 9 })).items };
}

describe('deadletter', () => {
  it.each(['429', '500', '503', ''])('sends an event once more that failed with "%s"', async (knativeerrorcode) => {
    const { sent, items, summary } = await handle({ knativeerrordest: `${url}/`, knativeerrorcode }, 204);
    expect(sent).toEqual([{ url, extensions: { knativearrivaltime: '2026-03-01T11:59:00.5Z' } }]);
    expect(items).toEqual([]);
    expect(summary.deadLetters).toEqual([{ source: 'falco', reason: 'redelivered', count: 1 }]);
  });

  it('sends an event once more that got no response', async () => {
    const { sent, items } = await handle({ knativeerrordest: `${url}/` }, 204);
    expect(sent).toHaveLength(1);
    expect(items).toEqual([]);
  });

  it.each([
    [199, 'recorded'],
    [200, 'redelivered'],
    [299, 'redelivered'],
    [300, 'recorded'],
    [404, 'recorded'],
    [503, 'recorded'],
  ])('with %i as the response to its second delivery, an event is %s', async (answer, reason) => {
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

  it('leaves time to record what a receiver does not answer', async () => {
    let limit = 0;
    const hanging: Overrides = {
      async sendTo(_url, _event, _signal, milliseconds) {
        limit = milliseconds;
        return 503;
      },
    };
    const { items } = await handle({ knativeerrordest: `${url}/`, knativeerrorcode: '503' }, 0, hanging);
    expect(items).toHaveLength(1);
    // A function has 60 s for an event, and an attempt at the API server takes 10 s at most.
    expect(limit).toBeLessThanOrEqual(40_000);
  });

  it.each([
    [
      'our own answer',
      '{"error":"the data breaks the schema","path":"data.rule"}',
      'the data breaks the schema: data.rule',
    ],
    ['another text', 'dispatch error: Post "http://falco/":\n EOF', 'dispatch error: Post "http://falco/": EOF'],
    ['other JSON', '{"message":"no"}', '{"message":"no"}'],
    ['control characters', '\u001b[31mred', '\\u{1b}[31mred'],
    ['bytes that are no text', '\u00ff', '\u00ff'],
  ])('says why, in the words of %s', async (_case, words, reason) => {
    const knativeerrordata = Buffer.from(words).toString('base64');
    const { items } = await handle({ knativeerrorcode: '422', knativeerrordest: url, knativeerrordata }, 204);
    expect(items[0]?.spec.details).toMatchObject({ reason });
    expect(items[0]?.spec.summary).toBe(
      `an event of type falco.rule.output.v1 could not be delivered to ${url}: 422 ${reason}`,
    );
  });

  it.each<[string, Record<string, string>, string]>([
    ['no reason', { knativeerrorcode: '422' }, ': 422'],
    ['an empty reason', { knativeerrorcode: '422', knativeerrordata: '' }, ': 422'],
    ['no answer', { knativeerrordata: Buffer.from('EOF').toString('base64') }, ': EOF'],
    ['nothing', {}, ''],
  ])('says what it knows with %s', async (_case, extensions, end) => {
    const { items } = await handle({ ...extensions, knativeerrordest: 'http://elsewhere/' }, 204);
    expect(items[0]?.spec.summary).toBe(
      `an event of type falco.rule.output.v1 could not be delivered to http://elsewhere/${end}`,
    );
  });

  it('says so if nobody knows where it should have gone', async () => {
    const { items } = await handle({}, 204);
    expect(items[0]?.spec.summary).toBe(
      'an event of type falco.rule.output.v1 could not be delivered to its destination',
    );
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
  ])(
    'records an event that failed with %s at %s (after %i attempts)',
    async (knativeerrorcode, knativeerrordest, attempts) => {
      const { sent, items } = await handle({ knativeerrordest, knativeerrorcode }, 503);
      expect(sent).toHaveLength(attempts);
      expect(items).toHaveLength(1);
      expect(items[0]?.spec).toMatchObject({
        category: 'operations',
        severity: 'HIGH',
        eventType: 'undeliverable-event',
        source: 'deadletter',
      });
      expect(items[0]?.spec.details).toMatchObject({ destination: knativeerrordest, errorCode: knativeerrorcode });
      expect(JSON.stringify(items)).not.toContain('PLANTED-SECRET');
    },
  );

  it('records one Observation per hour for the same fault', async () => {
    const test = createTestContext(deadletter);
    const at = (time: string) => letter({ knativeerrorcode: '400', knativearrivaltime: time });
    for (const time of ['2026-03-01T11:01:00Z', '2026-03-01T11:59:00Z', '2026-03-01T12:00:00Z']) {
      await handled(deadletter, at(time), { ...test.context });
    }
    expect((await test.store.read({ limit: 9 })).items).toHaveLength(2);
  });

  it('records different faults of the same hour separately', async () => {
    const test = createTestContext(deadletter, { context: { functions, sendTo: async () => 503 } });
    for (const knativeerrordest of [url, ingestUrl]) {
      for (const knativeerrorcode of ['400', '422']) {
        for (const source of ['/falco/webhook', '/elsewhere']) {
          await handled(deadletter, { ...letter({ knativeerrordest, knativeerrorcode }), source }, test.context);
        }
      }
    }
    // What was sent to ingest is of neither its type nor one of its paths.
    expect((await test.store.read({ limit: 9 })).items).toHaveLength(6);
  });

  const ofFalco = { destination: 'falco', errorCode: '400', ceType: 'other', ceSource: 'other' };
  const ofIngest = { ...ofFalco, destination: 'ingest' };
  const toFalco = { knativeerrordest: url, knativeerrorcode: '400' };
  const toIngest = { ...toFalco, knativeerrordest: ingestUrl };
  const [falcosType, ingestsType] = ['falco.rule.output.v1', 'io.kube-zen.ingest.v1'];

  it.each<[object, string, string, Record<string, string>]>([
    [{ ...ofFalco, ceType: falcosType, ceSource: '/falco/webhook' }, falcosType, '/falco/webhook', toFalco],
    [ofFalco, 'x', '/falco/webhook/more', toFalco],
    [{ ...ofFalco, errorCode: 'other' }, 'x', '/x', { ...toFalco, knativeerrorcode: '418' }],
    [{ ...ofFalco, errorCode: '' }, 'x', '/x', { knativeerrordest: url }],
    [{ ...ofIngest, ceType: ingestsType, ceSource: '/ingest/*' }, ingestsType, '/ingest/a', toIngest],
    [ofIngest, falcosType, '/a/ingest/', toIngest],
    [{ destination: 'other', hour: 'other' }, 'x', '/x', { knativearrivaltime: '2020-01-01T00:00:00Z' }],
    [{ destination: 'other' }, falcosType, '/falco/webhook', { ...toFalco, knativeerrordest: 'http://x/' }],
  ])('is told apart by %j: of type %s from %s', async (told, type, source, extensions) => {
    const test = createTestContext(deadletter, { context: { functions, sendTo: async () => 503 } });
    await handled(deadletter, { ...letter(extensions), type, source }, test.context);
    const { items } = await test.store.read({ limit: 9 });
    const { category = '', eventType = '' } = items[0]?.spec ?? {};
    const parts = Object.entries({ hour: '2026-03-01T11', ...told }).filter(([, part]) => part !== '');
    const identity = Object.fromEntries(parts);
    expect(items.map(({ metadata }) => metadata.name)).toEqual([
      observationName('deadletter', { ...aFinding('r', 'shop'), category, eventType, resource: undefined, identity }),
    ]);
  });

  const hour = 3_600_000;
  const now = Date.parse('2026-03-01T12:00:00Z');

  it.each<[string, (index: number) => CloudEvent, number]>([
    ['types', (index) => ({ ...letter({ knativeerrordest: url, knativeerrorcode: '400' }), type: `type ${index}` }), 1],
    ['sources', (index) => ({ ...letter({ knativeerrordest: url }), source: `/source/${index}` }), 1],
    ['paths', (index) => ({ ...letter({ knativeerrordest: ingestUrl }), source: `/ingest/${index}` }), 1],
    ['destinations', (index) => letter({ knativeerrordest: `http://${index}/`, knativeerrorcode: '400' }), 1],
    ['codes', (index) => letter({ knativeerrordest: url, knativeerrorcode: String(index + 300) }), 11],
    ['codes of nobody', (index) => letter({ knativeerrorcode: `4${index}` }), 1],
    [
      'hours',
      (index) =>
        letter({ knativeerrorcode: '400', knativearrivaltime: new Date(now + (index - 150) * hour).toISOString() }),
      48,
    ],
    ['event times', (index) => ({ ...letter({}), extensions: {}, time: new Date(index * hour).toISOString() }), 1],
  ])('records 300 %s as few', async (_what, letterOf, expected) => {
    const test = createTestContext(deadletter, { context: { functions, sendTo: async () => 503 } });
    for (let index = 0; index < 300; index += 1) await handled(deadletter, letterOf(index), test.context);
    expect((await test.store.read({ limit: 400 })).items).toHaveLength(expected);
  });

  it('answers 503 if it cannot record the event', async () => {
    const failing = {
      store: {
        ...createTestContext(deadletter).context.store,
        create: async () => Promise.reject(new Refusal(503, 'away')),
      },
    };
    await expect(handle({ knativeerrorcode: '400' }, 204, failing)).rejects.toMatchObject({ status: 503 });
  });
});
