import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import webhook from '../../functions/webhook.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Clock, Context } from '../../shared/function/context.ts';
import { triggersOf } from '../../shared/function/definitions.ts';
import { maxValues } from '../../shared/function/json.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { createTally } from '../../shared/function/tally.ts';
import type { WebhookTrigger } from '../../shared/function/triggers.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { corpusFiles } from '../corpus/corpus.ts';
import { createTestContext, type Overrides } from '../pipeline/test-context.ts';
import { isQuick } from '../quick.ts';

const peers = [functionInfoOf(falco, {}, []), functionInfoOf(audit, {}, [])];

function webhookOf(path: string): WebhookTrigger {
  const found = peers.flatMap(({ webhooks }) => webhooks).find((one) => one.path === path);
  if (!found) throw new Error(path);
  return found;
}

const auditWebhook = webhookOf('/audit/webhook');
const falcoWebhook = webhookOf('/falco/webhook');

function audited(fields: Record<string, unknown> = {}) {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    auditID: '0f0f0f0f-1111-4222-8333-444444444444',
    stage: 'ResponseComplete',
    verb: 'delete',
    user: { username: 'eve', extra: { token: ['PLANTED-SECRET'] } },
    objectRef: { resource: 'deployments', apiGroup: 'apps', namespace: 'shop', name: 'p' },
    annotations: { a: 'PLANTED-SECRET' },
    ...fields,
  };
}

async function receive(body: unknown, path = '/audit/webhook', context: Overrides = {}) {
  const published: CloudEvent[] = [];
  const answers: unknown[] = [];
  const test = createTestContext(webhook, {
    // With its clock what is retried for ever ends at the deadline.
    context: {
      ...sleeper().context,
      functions: peers,
      publish: async (event) => void published.push(event),
      ...context,
    },
  });
  const tally = createTally();
  await webhook.receive(
    {
      path,
      endpoint: path,
      answerWith: (json) => answers.push(json),
      takeBody: () => (body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body))),
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
    { ...test.context, event: { ...test.context.event, tally } },
  );
  return { summary: tally.read(), published, answers };
}

describe('what a webhook sends to the Broker', () => {
  it('is an event per wanted item, with the same id every time', async () => {
    const body = { kind: 'EventList', items: [audited(), audited({ verb: 'get' }), audited({ auditID: 'my own/ID' })] };
    const { published, summary } = await receive(body);
    expect(published.map(({ id }) => id)).toEqual([
      '0f0f0f0f-1111-4222-8333-444444444444/ResponseComplete',
      expect.stringMatching(/^[0-9a-f]{32}\/ResponseComplete$/),
    ]);
    expect(published.every(({ type }) => type === 'io.kube-zen.audit.v1')).toBe(true);
    expect(summary).toMatchObject({ skipped: { no_rule: 1 }, dropped: 0 });
    expect((await receive(body)).published.map(({ id }) => id)).toEqual(published.map(({ id }) => id));
  });

  it('is what a Pod is hidden among, too, and that a Pod could not be read', async () => {
    const objectRef = { resource: 'pods', namespace: 'shop', name: 'padded' };
    const padded = `{"spec":{"containers":[{"name":"c","securityContext":{"privileged":true},"args":[${'"",'.repeat(maxValues())}""]}]}}`;
    const creation = JSON.stringify(audited({ verb: 'create', objectRef })).replace(
      /}$/,
      `,"requestObject":${padded}}`,
    );
    const items = [JSON.stringify(audited()), creation, JSON.stringify(audited({ auditID: 'other' }))];
    const { published, summary } = await receive(Buffer.from(`{"kind":"EventList","items":[${items.join()}]}`));
    expect(published).toHaveLength(3);
    expect(summary.dropped).toBe(0);
    const { findings } = normalizeData(
      audit.source,
      published[1]?.data,
      '2026-03-01T10:00:00Z',
      parseSettings({}, audit.settings, []),
    );
    expect(findings).toMatchObject([{ severity: 'MEDIUM', details: { isTruncated: true } }]);
  });

  it('is a sign of life, now and then, if nothing is wanted', async () => {
    const published: CloudEvent[] = [];
    const due: string[] = [];
    const life = {
      note: () => undefined,
      noteReport: async () => undefined,
      isDue: (key: string) => due.push(key) < 2,
    };
    const context = { life, publish: async (event: CloudEvent) => void published.push(event) };
    const plain = { kind: 'EventList', items: [audited({ verb: 'get' })] };
    await receive({ kind: 'EventList', items: [audited()] }, '/audit/webhook', context);
    await receive({ kind: 'EventList', items: [] }, '/audit/webhook', context);
    await receive({ kind: 'EventList', items: [audited(), audited({ verb: 'get' })] }, '/audit/webhook', context);
    expect([published.length, due]).toEqual([2, []]);
    for (let count = 0; count < 2; count += 1) await receive(plain, '/audit/webhook', context);
    expect(due).toEqual(['/audit/webhook', '/audit/webhook']);
    expect(published.slice(2)).toEqual([
      expect.objectContaining({
        id: expect.stringMatching(/^\/audit\/webhook \d{4}-/),
        ...{ type: 'io.kube-zen.audit.v1', source: '/audit/webhook', data: {} },
        extensions: { signoflife: 'true' },
      }),
    ]);
  });

  it('does not wait for a sign of life, nor need it', async () => {
    const life = { note: () => undefined, noteReport: async () => undefined, isDue: () => true };
    const publish = () => Promise.reject(new Error('no Broker'));
    const { summary } = await receive(audited({ verb: 'get' }), '/audit/webhook', { life, publish });
    expect(summary.skipped).toEqual({ no_rule: 1 });
  });

  it('contains nothing of the bodies of requests, except names and rights', async () => {
    const spec = {
      containers: [
        { name: 'c', env: [{ value: 'PLANTED-SECRET' }], securityContext: { privileged: true, x: 'PLANTED-SECRET' } },
      ],
      volumes: ['PLANTED-SECRET'],
    };
    const objectRef = { resource: 'pods', namespace: 'shop', name: 'p' };
    const secret = { data: { password: 'PLANTED-SECRET' }, spec };
    const items = [
      audited({ verb: 'create', objectRef, requestObject: { spec }, responseObject: { spec } }),
      audited({ verb: 'create', objectRef: { resource: 'secrets' }, requestObject: secret, responseObject: secret }),
      audited({
        verb: 'patch',
        objectRef: { resource: 'pods', subresource: 'ephemeralcontainers' },
        requestObject: [{ op: 'add', path: '/spec/ephemeralContainers/-', value: 'PLANTED-SECRET' }],
      }),
    ];
    const { published } = await receive({ kind: 'EventList', items });
    expect(published).toHaveLength(3);
    expect(JSON.stringify(published)).not.toContain('PLANTED-SECRET');
    expect(published[0]?.data).toMatchObject({ facts: { powers: ['container c is privileged'], containers: ['c'] } });
    for (const { data } of published) {
      expect(data).not.toHaveProperty('requestObject');
      expect(data).not.toHaveProperty('responseObject');
    }
  });

  it.each([
    ['a UUID', '0F0f0f0f-1111-4222-8333-444444444444', '0F0f0f0f-1111-4222-8333-444444444444/ResponseComplete'],
    ['text that starts with a UUID', '0f0f0f0f-1111-4222-8333-444444444444-1', /^[0-9a-f]{32}\/ResponseComplete$/],
    ['text that ends with a UUID', '1-0f0f0f0f-1111-4222-8333-444444444444', /^[0-9a-f]{32}\/ResponseComplete$/],
  ])('has a short id if the audit ID is %s', async (_case, auditID, id) => {
    const [event] = (await receive(audited({ auditID }))).published;
    expect(event?.id).toEqual(typeof id === 'string' ? id : expect.stringMatching(id));
  });

  it('has an id that is short, however long the audit ID is', async () => {
    const split = auditWebhook.split(audited({ auditID: 'a'.repeat(1000) }));
    expect(split.items.map(({ id }) => id)).toEqual([expect.stringMatching(/^[0-9a-f]{32}\/ResponseComplete$/)]);
  });

  it.each<[string, string, unknown]>([
    ['one event', '/audit/webhook', audited()],
    ['one alert', '/falco/webhook', { rule: 'r', priority: 'Error' }],
  ])('is exactly one event for %s', async (_case, path, body) => {
    const { published, summary } = await receive(body, path);
    expect(published).toHaveLength(1);
    expect(summary).toMatchObject({ observed: 1, dropped: 0, warnings: [] });
    expect(summary.skipped).toEqual({});
  });

  it('is every good item of a list; bad ones are named in a warning', async () => {
    const { published, summary } = await receive({
      kind: 'EventList',
      items: [audited(), { auditID: 7 }, 'x', audited({ stage: '' }), null, audited({ auditID: '' })],
    });
    expect(published).toHaveLength(1);
    expect(summary.dropped).toBe(5);
    // Three of them show what is wrong.
    expect(summary.warnings).toEqual([
      expect.stringContaining('items[1].auditID: Invalid input'),
      expect.stringContaining('items[2]: Invalid input'),
      expect.stringContaining('items[3].stage: Too small'),
    ]);
  });

  it('is every good alert of a list; the others are counted by reason', async () => {
    const good = { rule: 'r', priority: 'Error' };
    const list = [
      good,
      { rule: 'r', priority: 'Loud' },
      { rule: 'r', priority: 'Debug' },
      { ...good, source: 'internal' },
    ];
    const { published, summary } = await receive(list, '/falco/webhook');
    expect(published.map(({ data }) => data)).toEqual([expect.objectContaining(good)]);
    expect(summary).toMatchObject({ observed: 1, dropped: 1, skipped: { below_minimum_priority: 1, internal: 1 } });
    expect(summary.warnings).toEqual([expect.stringContaining('body[1].priority: must be one of')]);
  });

  it.each<[string, unknown, number, string]>([
    ['a list without an alert', [[], 7], 422, 'body[0]'],
    ['more than could be alerts', Array(25_001).fill(null), 413, 'body'],
    [
      'an alert of more values than its list may have',
      { rule: 'r', tags: Array(maxValues() / 8).fill(0) },
      413,
      'body',
    ],
    ['an alert of as many values', { rule: 'r', tags: Array(maxValues() / 8 - 4).fill(0) }, 422, 'body.priority'],
  ])('is nothing of %s', async (_case, list, status, path) => {
    await expect(receive(list, '/falco/webhook')).rejects.toMatchObject({ status, path });
  });

  it.each(['[]', ' [ ] ', '[{"rule":"r","priority":"Error"}]\n'])('is what is in the list %s', async (text) => {
    const { published, summary } = await receive(new TextEncoder().encode(text), '/falco/webhook');
    expect(published).toHaveLength(text.includes('rule') ? 1 : 0);
    expect(summary).toMatchObject({ observed: published.length, dropped: 0, skipped: {} });
  });

  it.each(['[{}', '[{}]]', '[{},]', '[{"rule":"r"}] x'])('is nothing of a list that is malformed: %s', async (text) => {
    const received = receive(new TextEncoder().encode(text), '/falco/webhook');
    await expect(received).rejects.toMatchObject({ status: 400, path: 'body' });
  });

  it('is published while a list is read, so that few of its alerts are in memory', async () => {
    let inFlight = 0;
    let most = 0;
    const list = Array.from({ length: 500 }, (_, index) => ({ rule: `r ${index}`, priority: 'Error' }));
    const publish = async (): Promise<void> => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= 1;
    };
    const { summary } = await receive(list, '/falco/webhook', { publish });
    expect(summary.observed).toBe(500);
    expect(most).toBe(8);
  });

  it.each<[string, Record<string, unknown>, 'no_rule' | 'refused']>([
    ['a get', { verb: 'get' }, 'no_rule'],
    ['a list', { verb: 'list' }, 'no_rule'],
    ['a watch', { verb: 'watch' }, 'no_rule'],
    ['a read without a stage', { verb: 'get', stage: undefined }, 'no_rule'],
    ['a read without an object', { verb: 'get', objectRef: undefined }, 'refused'],
    ['a read of an object that is null', { verb: 'get', objectRef: null }, 'refused'],
    ['a read of a Secret', { verb: 'get', objectRef: { resource: 'secrets' } }, 'refused'],
    ['a read that was denied', { verb: 'get', responseStatus: { code: 403 } }, 'refused'],
    ['a read by nobody', { verb: 'get', user: {} }, 'refused'],
    ['a read without signing in', { verb: 'get', user: { username: 'system:anonymous' } }, 'refused'],
    [
      'a read by an unauthenticated user',
      { verb: 'get', user: { username: 'x', groups: ['system:unauthenticated'] } },
      'refused',
    ],
    ['a read in the name of another', { verb: 'get', impersonatedUser: { username: 'root' } }, 'refused'],
    ['a write', { verb: 'delete' }, 'refused'],
    ['a verb that is not text', { verb: 7 }, 'refused'],
    ['no verb', { verb: undefined }, 'refused'],
    ['a read of a subresource', { verb: 'get', objectRef: { resource: 'pods', subresource: 'exec' } }, 'refused'],
    ['a read with text in place of an object', { verb: 'get', objectRef: 'pods' }, 'refused'],
    ['a read without an auditID', { verb: 'get', auditID: undefined }, 'refused'],
    ['a read with an empty auditID', { verb: 'get', auditID: '' }, 'refused'],
  ])('skips validation of plain reads, and of nothing else: %s', async (_case, fields, outcome) => {
    const items = [audited({ apiVersion: 'audit.k8s.io/v9', ...fields })];
    const { published, summary } = await receive({ kind: 'EventList', items });
    expect(published).toEqual([]);
    expect([summary.skipped, summary.dropped]).toEqual(outcome === 'refused' ? [{}, 1] : [{ no_rule: 1 }, 0]);
  });

  it.each<[unknown, string, string?]>([
    [null, 'body'],
    ['text', 'body'],
    [{ items: [] }, 'body.auditID'],
    [{ kind: 0 }, 'body.kind'],
    [{ kind: 'EventList' }, 'body.items'],
    [{ kind: 'Event', apiVersion: 'v1', auditID: 'a', stage: 's' }, 'body.apiVersion'],
    [{ rule: 'r', priority: 'Loud' }, 'body.priority', '/falco/webhook'],
  ])('is nothing if the body is %j', async (body, path, webhookPath = '/audit/webhook') => {
    await expect(receive(body, webhookPath)).rejects.toMatchObject({
      status: 422,
      path,
      message: 'the data breaks the schema',
    });
  });

  it('has the source, time and trace of the request', async () => {
    const { published } = await receive(audited(), '/audit/webhook', { now: () => Date.parse('2026-03-01T12:00:00Z') });
    expect(published).toEqual([
      {
        id: '0f0f0f0f-1111-4222-8333-444444444444/ResponseComplete',
        source: '/audit/webhook',
        type: 'io.kube-zen.audit.v1',
        time: '2026-03-01T12:00:00.000Z',
        datacontenttype: 'application/json',
        extensions: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
        data: expect.objectContaining({ verb: 'delete' }),
      },
    ]);
  });

  it.each(['/audit/webhook', '/falco/webhook'])('is nothing if the body is not JSON: %s', async (path) => {
    const received = receive(new TextEncoder().encode('{"rule":'), path);
    await expect(received).rejects.toMatchObject({ status: 400, path: 'body' });
  });

  it('is nothing if the body is nested too deeply to be read', async () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const body = new TextEncoder().encode(`{"rule":"r","priority":"Error","output_fields":{"a":${deep}}}`);
    await expect(receive(body, '/falco/webhook')).rejects.toMatchObject({
      status: 422,
      path: 'body',
      message: 'the data breaks the schema',
      cause: 'is nested too deeply',
    });
  });

  it.each<[string, string, unknown, number]>([
    ['an alert', '/falco/webhook', { rule: 'r', priority: 'Error', output: 'x'.repeat(2_000_000) }, 1],
    ['one event', '/audit/webhook', audited({ requestObject: 'x'.repeat(2_000_000) }), 1],
    ['one short event that has items', '/audit/webhook', audited({ items: [1, 2] }), 1],
    ['one event that has items', '/audit/webhook', audited({ items: [1, 2], x: 'x'.repeat(2_000_000) }), 1],
    ['one event that has no items', '/audit/webhook', audited({ items: [], x: 'x'.repeat(2_000_000) }), 1],
    ['an empty list', '/audit/webhook', { kind: 'EventList', items: [], x: 'x'.repeat(2_000_000) }, 0],
  ])('is complete, however long the body is: %s', async (_case, path, body, count) => {
    const { published, summary } = await receive(body, path);
    expect(published).toHaveLength(count);
    expect(summary).toMatchObject({ observed: count, dropped: 0 });
    expect(summary.skipped).toEqual({});
  });

  it('is every good item of a long list; bad ones are named by their index', async () => {
    const long = audited({ requestObject: 'x'.repeat(1_000_000) });
    const { published, summary } = await receive({ kind: 'EventList', items: [long, long, { auditID: 7 }, long, 'x'] });
    expect(published).toHaveLength(3);
    expect(summary.dropped).toBe(2);
    expect(summary.skipped).toEqual({});
    expect(summary.warnings).toEqual([
      expect.stringContaining('items[2].auditID: '),
      expect.stringContaining('items[4]: '),
    ]);
  });

  it('is the same whether a list is parsed as a whole or item by item', async () => {
    const few = Array.from({ length: 20 }, (_, index) =>
      audited({ auditID: `a${index}`, verb: index % 4 ? 'get' : 'delete' }),
    );
    const long = few.map((item) => ({ ...item, requestObject: 'x'.repeat(100_000) }));
    const [whole, itemwise] = [
      await receive({ kind: 'EventList', items: few }),
      await receive({ kind: 'EventList', items: long }),
    ];
    expect(itemwise.published).toEqual(whole.published);
    expect(itemwise.published).toHaveLength(5);
    expect([whole.summary, itemwise.summary]).toEqual(
      Array(2).fill(expect.objectContaining({ skipped: { no_rule: 15 } })),
    );
  });

  it('is nothing if a body has its list twice, since one would be lost', async () => {
    const list = JSON.stringify([audited()]);
    const body = new TextEncoder().encode(`{"kind":"EventList","items":${list},"items":${list}}`);
    await expect(receive(body)).rejects.toMatchObject({ status: 400, path: 'body.items' });
  });

  it('is exactly what the source turns into a finding', () => {
    const settings = Object.assign({}, parseSettings({}, audit.source.settings, []));
    const event = fc.record({
      auditID: fc.string({ minLength: 1 }),
      stage: fc.constantFrom('RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'),
      verb: fc.constantFrom('get', 'create', 'update', 'patch', 'delete', 'deletecollection', 'list', 'watch'),
      user: fc.record({
        username: fc.constantFrom(
          'eve',
          'system:anonymous',
          'system:node:a',
          'system:serviceaccount:zen-system:gc',
          'system:serviceaccount:shop:web',
        ),
      }),
      impersonatedUser: fc.constantFrom(undefined, { username: 'system:admin', groups: ['system:masters'] }),
      responseStatus: fc.constantFrom(undefined, { code: 200 }, { code: 403 }, { code: 404 }),
      objectRef: fc.record({
        resource: fc.constantFrom(
          'pods',
          'secrets',
          'roles',
          'leases',
          'events',
          'observations',
          'deployments',
          'nodes',
          'serviceaccounts',
          'configmaps',
        ),
        subresource: fc.constantFrom(undefined, 'exec', 'ephemeralcontainers', 'status', 'proxy', 'token'),
        apiGroup: fc.constantFrom(
          undefined,
          '',
          'rbac.authorization.k8s.io',
          'zen.kube-zen.io',
          'openreports.io',
          'coordination.k8s.io',
          'events.k8s.io',
          'apps',
        ),
      }),
      requestObject: fc.constantFrom(undefined, { spec: { containers: [{ securityContext: { privileged: true } }] } }),
    });
    fc.assert(
      fc.property(event, (one) => {
        const { findings } = normalizeData(audit.source, one, '2026-03-01T10:00:00Z', settings);
        const isWanted = findings.length > 0;
        const { items, unwanted } = auditWebhook.split(one);
        expect([items.length, unwanted]).toEqual(isWanted ? [1, 0] : [0, 1]);
        const sent: unknown[] = JSON.parse(JSON.stringify(items.map(({ data }) => data)));
        for (const data of sent) {
          expect(normalizeData(audit.source, data, '2026-03-01T10:00:00Z', settings).findings).toEqual(findings);
        }
        // Plain reads are skipped without a schema. None of them may be wanted.
        const listed = auditWebhook.split({ kind: 'EventList', items: [JSON.parse(JSON.stringify(one))] });
        expect([listed.items.length, listed.unwanted]).toEqual(isWanted ? [1, 0] : [0, 1]);
      }),
      { numRuns: isQuick ? 1000 : 5000 },
    );
  });

  it('results in the same findings as the raw payload, for every real one', () => {
    for (const { text } of corpusFiles('falco').filter(({ file }) => file.endsWith('.json'))) {
      const raw: unknown = JSON.parse(text);
      const settings = Object.assign({}, parseSettings({}, falco.source.settings, []));
      const time = '2026-03-01T10:00:00Z';
      const expected = normalizeData(falco.source, raw, time, settings);
      const sent: unknown[] = JSON.parse(JSON.stringify(falcoWebhook.split(raw).items.map(({ data }) => data)));
      expect(sent).toHaveLength(expected.findings.length);
      for (const data of sent) expect(normalizeData(falco.source, data, time, settings)).toEqual(expected);
    }
  });
});

/** A clock that only sleeping moves, deadlines too. `step` returns how long a sleep really takes. */
function sleeper(step: (milliseconds: number) => number = (milliseconds) => milliseconds) {
  const clock = { now: 0 };
  const pauses: number[] = [];
  const deadlines: { readonly at: number; readonly end: AbortController }[] = [];
  const deadline: Clock['deadline'] = (milliseconds, parent) => {
    const end = new AbortController();
    deadlines.push({ at: clock.now + milliseconds, end });
    parent.addEventListener('abort', () => end.abort());
    return { signal: end.signal, clear: () => undefined };
  };
  const sleep = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
    pauses.push(milliseconds);
    const until = clock.now + step(milliseconds);
    for (const { at, end } of deadlines.filter((deadline) => deadline.at <= until).sort((a, b) => a.at - b.at)) {
      clock.now = Math.max(clock.now, at);
      end.abort();
      if (signal.aborted) return;
    }
    clock.now = until;
  };
  return { clock, pauses, context: { now: () => clock.now, sleep, deadline } };
}

/** Posts a body to a tool whose items are published as they are, unless it is given otherwise. */
function receiveOf(tool: Partial<WebhookTrigger>, body: unknown, context: Overrides = {}) {
  const trigger: WebhookTrigger = {
    type: 'Webhook',
    path: '/tool',
    eventType: 'org.example.tool',
    inFlight: 1,
    senderRetries: true,
    split: (data) => ({ items: [{ id: '1', data }], refused: [], unwanted: 0 }),
    ...tool,
  };
  const shape = { url: 'http://tool', kinds: [], takesMappedKinds: false };
  return receive(body, '/tool', { functions: [{ name: 'tool', webhooks: [trigger], ...shape }], ...context });
}

const nothing = { items: [], refused: [], unwanted: 0 };

describe('what is posted to a tool', () => {
  it.each([undefined, { ok: true }])('is answered with what the tool says: %j', async (answer) => {
    const { answers } = await receiveOf({ split: () => (answer ? { ...nothing, answer } : nothing) }, {});
    expect(answers).toEqual(answer ? [answer] : []);
  });

  it('is counted as unwanted where the tool gives no reasons', async () => {
    const { summary } = await receiveOf({ split: () => ({ ...nothing, unwanted: 2 }) }, {});
    expect(summary.skipped).toEqual({ unwanted: 2 });
  });

  it.each([0, 1])('is a sign of life only if something was unwanted: %d', async (unwanted) => {
    const life = { note: () => undefined, noteReport: async () => undefined, isDue: () => true };
    const { published } = await receiveOf({ split: () => ({ ...nothing, unwanted }) }, {}, { life });
    expect(published).toHaveLength(unwanted);
  });

  it('has no time limit any more when it is done', async () => {
    let cleared = 0;
    const clear = () => {
      cleared += 1;
    };
    const deadline: Clock['deadline'] = (_milliseconds, signal) => ({ signal, clear });
    await receiveOf({}, {}, { deadline });
    await expect(receiveOf({}, {}, { deadline, acquire: async () => undefined })).rejects.toThrow();
    expect(cleared).toBe(2);
  });

  it('may have 25,000 items, and a member that is called as no list is', async () => {
    const items = Array(25_000).fill(0);
    expect((await receiveOf({ list: 'items' }, { items })).published).toHaveLength(1);
    expect((await receiveOf({}, { undefined: [...items, 0] })).published).toHaveLength(1);
  });

  it.each([0, 1_100_000])('may have no more than that, in a body that is longer by %d', async (length) => {
    const body = { items: Array(25_001).fill(0), x: 'x'.repeat(length) };
    const received = receiveOf({ list: 'items', split: () => nothing }, body);
    await expect(received).rejects.toMatchObject({ status: 413, message: 'the list is too long', path: 'body.items' });
  });

  it.each([
    ['a list', { takesLists: true }, Array(250).fill(0)],
    ['a list in a long body', { list: 'items' }, { items: Array(250).fill(0), x: 'x'.repeat(1_100_000) }],
  ])('lets others have their turn while it is read: %s', async (_what, tool, body) => {
    const turns: string[] = [];
    const split = () => {
      if (turns.length === 0) setImmediate(() => turns.push("another's"));
      turns.push('the list');
      return nothing;
    };
    await receiveOf({ ...tool, split }, body);
    expect(turns).toContain("another's");
    expect(turns.at(-1)).toBe('the list');
  });

  it('is refused once where it is a single item that has a list', async () => {
    const split = () => ({ ...nothing, refused: [{ path: 'body', message: 'wrong' }] });
    const { summary } = await receiveOf({ list: 'items', split }, { items: [1, 2], x: 'x'.repeat(1_100_000) });
    expect(summary.dropped).toBe(1);
  });

  it('may have more values in a list than may be parsed at once', async () => {
    const half = `[${'0,'.repeat(maxValues() / 2)}0]`;
    const { published } = await receiveOf(
      { list: 'items', split: (body) => ({ ...nothing, items: isEmptyList(body) ? [] : [{ id: '1', data: 1 }] }) },
      Buffer.from(`{"items":[${half},${half},${half}]}`),
    );
    expect(published).toHaveLength(3);
  });

  it('is refused where the tool fails at it', async () => {
    const split = () => {
      throw new TypeError('a bug');
    };
    const refusal = { status: 422, message: 'the body could not be read', path: 'body' };
    await expect(receiveOf({ split }, {})).rejects.toMatchObject(refusal);
  });

  it.each([
    [new TypeError('a bug'), { status: 422, message: 'the body could not be read' }],
    [new Refusal(503, 'later'), { status: 503, message: 'later' }],
  ])('is refused as a whole where the tool fails at an element: %s', async (fault, refusal) => {
    const split = (body: unknown) => {
      if (body === 1) throw fault;
      return nothing;
    };
    await expect(receiveOf({ takesLists: true, split }, [1, 2])).rejects.toMatchObject(refusal);
  });

  it.each([
    [undefined, 'body[0]'],
    ['body.rule', 'body[0].rule'],
    ['the body', 'the body'],
  ])('names the element that is wrong at %s: %s', async (path, shown) => {
    const split = (body: unknown) => {
      if (body === 1) throw new Refusal(422, 'refused', { path, cause: 'wrong' });
      return nothing;
    };
    const { summary } = await receiveOf({ takesLists: true, split }, [1, 2]);
    expect(summary.warnings).toEqual([`refused an item: ${shown}: wrong`]);
  });

  it('names the first three elements that are wrong', async () => {
    const split = (body: unknown) => {
      if (body === 1) throw new Refusal(422, 'refused');
      return nothing;
    };
    const { summary } = await receiveOf({ takesLists: true, split }, [1, 1, 2, 1, 1, 1]);
    expect(summary.dropped).toBe(5);
    expect(summary.warnings.map((warning) => /body\[\d\]/.exec(warning)?.[0])).toEqual([
      'body[0]',
      'body[1]',
      'body[3]',
    ]);
  });
});

function isEmptyList(body: unknown): boolean {
  return JSON.stringify(body) === '{"items":[]}';
}

describe('the paths of a webhook', () => {
  const anyTool: WebhookTrigger = {
    type: 'Webhook',
    path: '/any/*',
    eventType: 'org.example.any',
    inFlight: 1,
    senderRetries: true,
    split: (body) => ({ items: [{ id: '1', data: body }], refused: [], unwanted: 0 }),
    isServed: (path) => path === '/any/tool',
  };
  const shape = { url: 'http://any', kinds: [], takesMappedKinds: false };
  const functions = [
    { name: 'none', webhooks: [], ...shape },
    { name: 'any', webhooks: [anyTool], ...shape },
    ...peers,
  ];

  it.each([
    ['/any/tool', 'any', 'org.example.any', {}],
    ['/audit/webhook', 'audit', 'io.kube-zen.audit.v1', audited()],
    ['/falco/webhook', 'falco', 'falco.rule.output.v1', { rule: 'r', priority: 'Error' }],
  ])('are those of the functions: %s is for %s', async (path, to, type, body) => {
    const isRouted = (name: string, eventType: string): boolean => name === to && eventType === type;
    const { published } = await receive(body, path, { ...sleeper().context, functions, isRouted });
    expect(published).toMatchObject([{ source: path, type }]);
  });

  it.each(['/any/other', '/any', '/anything', '/audit', '/audit/webhook/', '/falco/webhook2', '/', ''])(
    'do not include %s',
    async (path) => {
      const received = receive({ rule: 'r', priority: 'Error' }, path, { functions });
      await expect(received).rejects.toMatchObject({ status: 404, message: 'no such path' });
    },
  );

  it.each([
    ['/audit/webhook', {}, 200],
    ['/falco/webhook', {}, 100],
    ['/audit/webhook', { AUDIT_BUFFER_SIZE: '7' }, 7],
    ['/falco/webhook', { FALCO_BUFFER_SIZE: '7' }, 7],
  ])(
    'take as many requests at a time as the settings of their function say: %s %j',
    async (path, environment, limit) => {
      const calls: unknown[] = [];
      const acquire = async (...[key, most]: Parameters<Context['acquire']>) => {
        calls.push([key, most]);
        return undefined;
      };
      const functions = [functionInfoOf(falco, environment, []), functionInfoOf(audit, environment, [])];
      const received = receive(audited({ rule: 'r', priority: 'Error' }), path, { functions, acquire });
      await expect(received).rejects.toMatchObject({ status: 503, message: 'too many requests are in flight' });
      expect(calls).toEqual([[path, limit]]);
    },
  );

  it('release their slot, whether the request succeeds or fails', async () => {
    const { context } = createTestContext(webhook);
    const shared = { functions, acquire: context.acquire };
    await receive('one', '/any/tool', shared);
    const publish = async (): Promise<void> => Promise.reject(new Refusal(413, 'too large'));
    await expect(receive('two', '/any/tool', { ...shared, publish })).rejects.toMatchObject({ status: 413 });
    expect((await receive('three', '/any/tool', shared)).published).toHaveLength(1);
  });

  it('do not take events from a Broker', () => {
    const { context } = createTestContext(webhook);
    expect(triggersOf(webhook, context.settings)).toEqual([]);
    expect(webhook).not.toHaveProperty('handle');
  });
});

describe('who may post to a webhook', () => {
  it.each<[Record<string, string>, object]>([
    [{}, { tokens: [], tokenFile: undefined, allowedAddresses: [], trustedProxies: [], requestsPerMinute: undefined }],
    [
      {
        WEBHOOK_AUTH_TOKEN: 'one\ntwo',
        WEBHOOK_AUTH_TOKEN_FILE: '/run/token',
        WEBHOOK_ALLOWED_IPS: '192.0.2.1, 2001:db8::/32',
        WEBHOOK_TRUSTED_PROXIES: '10.0.0.0/8',
        WEBHOOK_RATE_LIMIT: '60',
      },
      {
        tokens: ['one', 'two'],
        tokenFile: '/run/token',
        allowedAddresses: ['192.0.2.1', '2001:db8::/32'],
        trustedProxies: ['10.0.0.0/8'],
        requestsPerMinute: 60,
      },
    ],
  ])('is decided by the settings: %j', (environment, expected) => {
    const settings = Object.assign({}, parseSettings(environment, webhook.settings, []));
    expect(webhook.access?.(settings)).toEqual(expected);
  });

  it.each(['WEBHOOK_ALLOWED_IPS', 'WEBHOOK_TRUSTED_PROXIES'])('is not decided by names in %s', (name) => {
    expect(() => parseSettings({ [name]: '192.0.2.1,localhost' }, webhook.settings, [])).toThrow(
      'must be IP addresses and CIDRs, separated by commas',
    );
  });
});

describe('a webhook whose Broker is away', () => {
  const away = async (): Promise<void> => Promise.reject(new Refusal(503, 'no Broker'));
  const alert = { rule: 'r', priority: 'Error' };
  const minute = 60_000;

  it.each([
    ['Falco, which does not retry, for as long as Knative allows', '/falco/webhook', alert, 9, 10],
    ['the API server, which retries, for less time than its timeout', '/audit/webhook', audited(), 0.3, 0.5],
  ])('holds %s, and then answers 503', async (_case, path, body, least, most) => {
    const { clock, context } = sleeper();
    await expect(receive(body, path, { ...context, publish: away })).rejects.toMatchObject({ status: 503 });
    expect(clock.now).toBeGreaterThan(least * minute);
    expect(clock.now).toBeLessThan(most * minute);
  });

  it('publishes an alert from Falco even if the Broker is back only after minutes', async () => {
    const { clock, context } = sleeper();
    const publish = async (): Promise<void> => {
      if (clock.now < 9 * minute) await away();
    };
    const { summary } = await receive(alert, '/falco/webhook', { ...context, publish });
    expect(summary.observed).toBe(1);
  });

  it.each([
    ['/audit/webhook', audited(), new Refusal(503, 'there is no Broker yet'), 'there is no Broker yet'],
    ['/falco/webhook', alert, new Refusal(503, 'there is no Broker yet'), 'there is no Broker yet'],
    ['/falco/webhook', alert, new Refusal(413, 'too large'), 'the Broker did not take the event in time'],
    ['/falco/webhook', alert, new TypeError('a bug'), 'the Broker did not take the event in time'],
  ])(
    'tells the sender of %s in the end why the Broker did not take the event (%#)',
    async (path, body, fault, message) => {
      const { pauses, context } = sleeper();
      const publish = async (): Promise<void> => Promise.reject(fault);
      const cause = message === fault.message ? undefined : fault;
      await expect(receive(body, path, { ...context, publish })).rejects.toMatchObject({ status: 503, message, cause });
      // Often enough to notice soon that the Broker is back, but less and less often, so that it can recover.
      expect(Math.max(...pauses)).toBeLessThanOrEqual(5000);
      expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
    },
  );

  it.each([
    ['/audit/webhook', audited(), new Refusal(503, 'no Broker'), true],
    ['/audit/webhook', audited(), new Refusal(413, 'too large'), false],
    ['/audit/webhook', audited(), new TypeError('a bug'), false],
    ['/falco/webhook', { rule: 'r', priority: 'Error' }, new Refusal(413, 'too large'), true],
    ['/falco/webhook', { rule: 'r', priority: 'Error' }, new TypeError('a bug'), true],
  ])('publishes the event of %s again if that may help (%#)', async (path, body, error, isRetried) => {
    const { context } = sleeper();
    let attempts = 0;
    const publish = async (): Promise<void> => {
      attempts += 1;
      if (attempts < 3) throw error;
    };
    const received = receive(body, path, { ...context, publish });
    if (isRetried) expect((await received).summary.observed).toBe(1);
    else await expect(received).rejects.toBe(error);
    expect(attempts).toBe(isRetried ? 3 : 1);
  });

  it('holds a sender that would not retry until the Broker has the event', async () => {
    let refusals = 0;
    let taken = 0;
    const publish = async (): Promise<void> => {
      if (refusals < 20) {
        refusals += 1;
        await away();
      }
      taken += 1;
    };
    const { summary } = await receive({ rule: 'r', priority: 'Error' }, '/falco/webhook', { publish });
    expect([refusals, taken, summary.observed]).toEqual([20, 1, 1]);
  });

  it('answers 503 when the process shuts down', async () => {
    const stopping = new AbortController();
    const publish = async (): Promise<void> => {
      stopping.abort();
      await away();
    };
    const received = receive({ rule: 'r', priority: 'Error' }, '/falco/webhook', { publish, signal: stopping.signal });
    await expect(received).rejects.toMatchObject({ status: 503 });
  });

  it('holds an alert until there is a place for it, and answers an audit batch 503', async () => {
    const { context } = createTestContext(webhook);
    const { acquire } = context;
    const alert = { rule: 'r', priority: 'Error' };
    const places = await Promise.all(Array.from({ length: 100 }, () => acquire('/falco/webhook', 100)));
    const held = [1, 2, 3].map(() => receive(alert, '/falco/webhook', { acquire }));
    await Promise.all(Array.from({ length: 200 }, () => acquire('/audit/webhook', 200)));
    await expect(receive(audited(), '/audit/webhook', { acquire })).rejects.toMatchObject({ status: 503 });
    places[0]?.();
    expect((await Promise.all(held)).map(({ published }) => published.length)).toEqual([1, 1, 1]);
  });

  it('holds an alert that waits for a place as long as one that waits for the Broker', async () => {
    const { acquire } = createTestContext(webhook).context;
    await acquire('/falco/webhook', 100);
    const stopping = new AbortController();
    const full = (key: string, _limit: number, waiting?: AbortSignal) => acquire(key, 1, waiting);
    const held = receive({ rule: 'r', priority: 'Error' }, '/falco/webhook', {
      acquire: full,
      signal: stopping.signal,
    });
    stopping.abort();
    await expect(held).rejects.toMatchObject({ status: 503, message: 'too many requests are in flight' });
  });
});

describe('a webhook whose Trigger is not ready', () => {
  const alert = { rule: 'r', priority: 'Error' };

  it.each([
    ['/falco/webhook', alert],
    ['/audit/webhook', audited()],
  ])('publishes nothing, and answers 503 before the sender of %s gives up', async (path, body) => {
    const { clock, context } = sleeper();
    const published: unknown[] = [];
    const publish = async (event: unknown): Promise<void> => void published.push(event);
    const received = receive(body, path, { ...context, publish, isRouted: () => false });
    await expect(received).rejects.toMatchObject({ status: 503, message: 'no Trigger is ready for it' });
    expect(published).toEqual([]);
    // The timeout of the API server, which is the shorter of the two.
    expect(clock.now).toBeLessThan(30_000);
  });

  it('waits until the deadline, and no longer', async () => {
    const { clock, context } = sleeper(() => 12_500);
    const received = receive(alert, '/falco/webhook', { ...context, isRouted: () => false });
    await expect(received).rejects.toMatchObject({ status: 503 });
    expect(clock.now).toBe(25_000);
  });

  it('stops waiting when the process shuts down', async () => {
    const stopping = new AbortController();
    const sleep = async (): Promise<void> => stopping.abort();
    const received = receive(alert, '/falco/webhook', { sleep, signal: stopping.signal, isRouted: () => undefined });
    await expect(received).rejects.toMatchObject({ status: 503, message: 'the Triggers have not been read yet' });
  });

  it('publishes what arrived earlier, once the Trigger is ready', async () => {
    const { clock, context } = sleeper();
    const isRouted = (): boolean => clock.now > 20_000;
    expect((await receive(alert, '/falco/webhook', { ...context, isRouted })).published).toHaveLength(1);
    clock.now = 0;
    expect((await receive(audited(), '/audit/webhook', { ...context, isRouted })).published).toHaveLength(1);
  });

  it('holds requests longer while the state of the Trigger is unknown', async () => {
    const { clock, context } = sleeper();
    const isRouted = (): boolean | undefined => (clock.now > 100_000 ? true : undefined);
    expect((await receive(alert, '/falco/webhook', { ...context, isRouted })).published).toHaveLength(1);
    expect(clock.now).toBeGreaterThan(100_000);
  });

  it('does not affect other paths', async () => {
    const isRouted = (to: string): boolean => to === 'audit';
    expect((await receive(audited(), '/audit/webhook', { isRouted })).published).toHaveLength(1);
  });

  it('still counts what no rule wants', async () => {
    const { summary } = await receive({ rule: 'r', priority: 'Debug' }, '/falco/webhook', { isRouted: () => false });
    expect(summary.skipped).toEqual({ below_minimum_priority: 1 });
  });
});
