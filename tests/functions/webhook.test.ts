import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import webhook from '../../functions/webhook.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { createTally } from '../../shared/function/tally.ts';
import type { WebhookTrigger } from '../../shared/function/triggers.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { corpusFiles } from '../corpus/corpus.ts';
import { createTestContext, type Overrides } from '../pipeline/test-context.ts';

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
    objectRef: { resource: 'pods', namespace: 'shop', name: 'p' },
    annotations: { a: 'PLANTED-SECRET' },
    ...fields,
  };
}

async function receive(body: unknown, path = '/audit/webhook', context: Overrides = {}) {
  const published: CloudEvent[] = [];
  const test = createTestContext(webhook, {
    context: { functions: peers, publish: async (event) => void published.push(event), ...context },
  });
  const tally = createTally();
  await webhook.receive(
    {
      path,
      endpoint: path,
      takeBody: () => (body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body))),
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
    { ...test.context, event: { ...test.context.event, tally } },
  );
  return { summary: tally.read(), published };
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
    expect(summary).toMatchObject({ skipped: { unwanted: 1 }, dropped: 0 });
    expect((await receive(body)).published.map(({ id }) => id)).toEqual(published.map(({ id }) => id));
  });

  it('contains nothing of the bodies of requests, except the containers of a pod', async () => {
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
        objectRef: { resource: 'configmaps' },
        requestObject: [{ op: 'add', path: '/spec/ephemeralContainers/-', value: 'PLANTED-SECRET' }],
      }),
    ];
    const { published } = await receive({ kind: 'EventList', items });
    expect(published).toHaveLength(3);
    expect(JSON.stringify(published)).not.toContain('PLANTED-SECRET');
    expect(published[0]?.data).toMatchObject({
      requestObject: { spec: { containers: [{ name: 'c', securityContext: { privileged: true } }] } },
    });
  });

  it('is every good item of a list; bad ones are named in a warning', async () => {
    const { published, summary } = await receive({
      kind: 'EventList',
      items: [audited(), { auditID: 7 }, 'x', audited({ stage: '' })],
    });
    expect(published).toHaveLength(1);
    expect(summary.dropped).toBe(3);
    expect(summary.warnings.join()).toContain('items[1].auditID');
  });

  it.each([
    [null, 'body'],
    [[], 'body'],
    [{ kind: 0 }, 'body.kind'],
    [{ kind: 'EventList' }, 'body.items'],
    [{ kind: 'Event', apiVersion: 'v1', auditID: 'a', stage: 's' }, 'body.apiVersion'],
  ])('is nothing if the body is %j', async (body, path) => {
    await expect(receive(body)).rejects.toMatchObject({ status: 422, path });
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
      Array(2).fill(expect.objectContaining({ skipped: { unwanted: 15 } })),
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
      verb: fc.constantFrom('get', 'create', 'update', 'patch', 'delete', 'deletecollection', 'list'),
      user: fc.record({ username: fc.constantFrom('eve', 'system:node:a', 'system:serviceaccount:zen-system:gc') }),
      objectRef: fc.record({
        resource: fc.constantFrom('pods', 'secrets', 'roles', 'leases', 'observations'),
        subresource: fc.constantFrom(undefined, 'exec', 'ephemeralcontainers', 'status'),
        apiGroup: fc.constantFrom(undefined, '', 'rbac.authorization.k8s.io', 'zen.kube-zen.io', 'openreports.io'),
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
        // Plain reads in a list are skipped without a schema. None of them may be wanted.
        const listed = auditWebhook.split({ kind: 'EventList', items: [JSON.parse(JSON.stringify(one))] });
        expect([listed.items.length, listed.unwanted]).toEqual(isWanted ? [1, 0] : [0, 1]);
      }),
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

/** A clock that only sleeping moves, and by which time runs out. */
function sleeper() {
  const clock = { now: 0 };
  const deadlines: { readonly at: number; readonly end: AbortController }[] = [];
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
    const end = new AbortController();
    deadlines.push({ at: clock.now + milliseconds, end });
    return end.signal;
  });
  const sleep = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
    const until = clock.now + milliseconds;
    for (const { at, end } of deadlines.filter((deadline) => deadline.at <= until).sort((a, b) => a.at - b.at)) {
      clock.now = Math.max(clock.now, at);
      end.abort();
      if (signal.aborted) return;
    }
    clock.now = until;
  };
  return { clock, context: { now: () => clock.now, sleep } };
}

afterEach(() => {
  vi.restoreAllMocks();
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

  it('holds a sender that would not retry until the Broker has the event', async () => {
    let tries = 0;
    const publish = async (): Promise<void> => {
      tries += 1;
      if (tries < 20) await away();
    };
    const { summary } = await receive({ rule: 'r', priority: 'Error' }, '/falco/webhook', { publish });
    expect(tries).toBe(20);
    expect(summary.observed).toBe(1);
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

  it('answers 503 if too many requests are in flight', async () => {
    const acquire = (_key: string, limit: number) => (limit === 100 ? undefined : () => undefined);
    const received = receive({ rule: 'r', priority: 'Error' }, '/falco/webhook', { acquire });
    await expect(received).rejects.toMatchObject({ status: 503 });
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
    await expect(received).rejects.toMatchObject({ status: 503 });
    expect(published).toEqual([]);
    expect(clock.now).toBeGreaterThanOrEqual(25_000);
    expect(clock.now).toBeLessThan(27_000);
  });

  it('publishes what arrived earlier, once the Trigger is ready', async () => {
    const { clock, context } = sleeper();
    const { published } = await receive(alert, '/falco/webhook', { ...context, isRouted: () => clock.now > 5000 });
    expect(published).toHaveLength(1);
  });

  it('holds requests longer while the state of the Trigger is unknown', async () => {
    const { clock, context } = sleeper();
    const isRouted = (): boolean | undefined => (clock.now > 100_000 ? true : undefined);
    expect((await receive(alert, '/falco/webhook', { ...context, isRouted })).published).toHaveLength(1);
  });

  it('does not affect other paths', async () => {
    const isRouted = (to: string): boolean => to === 'audit';
    expect((await receive(audited(), '/audit/webhook', { isRouted })).published).toHaveLength(1);
  });

  it('still counts what no rule wants', async () => {
    const { summary } = await receive({ rule: 'r', priority: 'Debug' }, '/falco/webhook', { isRouted: () => false });
    expect(summary.skipped).toEqual({ unwanted: 1 });
  });
});
