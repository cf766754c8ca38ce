import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import ingest from '../../functions/ingest.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { functionNames } from '../../shared/host/function-list.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { loadFixtures } from '../functions/fixtures.ts';
import { openConnection } from '../host/connection.ts';
import { heapOf, measurable } from '../host/heap.ts';
import { memoryOf, type Program, until } from '../host/program.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import {
  applyTriggers,
  pingHeaders,
  policyReport,
  referenceTo,
  reportCrds,
  vulnerabilityReport,
} from './report-crds.ts';
import { startBroker } from './senders.ts';

/** How many requests each function gets. */
const requests = Number(process.env.REQUESTS ?? 6000);

/**
 * What may be left of a request once it is answered, on average: the ids of the last 10,000 events, and what Node compiles as
 * code gets hot, come to about half of that.
 */
const bytesPerRequest = 300;

const token = 'the-token';
const json = { 'content-type': 'application/json' };
const structured = { 'content-type': 'application/cloudevents+json' };
const batch = { 'content-type': 'application/cloudevents-batch+json' };

let cluster: Cluster;
let folder = '';
let broker: Awaited<ReturnType<typeof startBroker>>;
const agent = new Agent({ keepAlive: true, maxSockets: 16 });

interface Message {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Resolves to the status, or 0 if there was no answer. */
function send(url: string, { path = '/', method = 'POST', headers = {}, body = '' }: Message): Promise<number> {
  return new Promise((resolve) => {
    const length = { 'content-length': Buffer.byteLength(body) };
    const call = request(url + path, { method, agent, headers: { ...headers, ...length } }, (response) => {
      response.on('error', () => resolve(0));
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    call.on('error', () => resolve(0));
    call.end(body);
  });
}

/** A client that goes away in the middle of its body. */
async function hangUp(url: string, { path = '/', headers = {}, body = '' }: Message): Promise<number> {
  const { socket, closed } = await openConnection(url);
  const lines = Object.entries({ host: 'x', ...headers, 'content-length': String(body.length + 100) });
  socket.write(`POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  await closed;
  return 0;
}

let count = 0;

/** An event as the Broker delivers it, with an id and a trace of its own. */
function eventOf(type: string, data: unknown, more: Readonly<Record<string, string>> = {}): Message {
  count += 1;
  const attributes = { specversion: '1.0', id: `event-${count}`, source: '/soak', type, ...more };
  const traceparent = `00-${count.toString(16).padStart(32, '0')}-b7ad6b7169203331-01`;
  return { headers: structured, body: JSON.stringify({ ...attributes, traceparent, data }) };
}

const alert = { rule: 'soak', priority: 'Error', time: '2026-03-01T10:00:00Z', output: 'z'.repeat(500) };
const deletion = loadFixtures('audit').find(({ expected }) => expected.observations.length > 0)?.event.data;

/** What each function makes something of. */
const wanted: Readonly<Record<string, () => Message>> = {
  falco: () => eventOf('falco.rule.output.v1', { ...alert, rule: `soak ${count % 50}` }),
  audit: () => eventOf('io.kube-zen.audit.v1', deletion),
  ingest: () => eventOf('io.kube-zen.ingest.v1', { id: count % 50, text: 'x' }, { source: '/ingest/posted' }),
  deadletter: () => eventOf('x.y', {}, { knativeerrordest: 'http://elsewhere', knativeerrorcode: '422' }),
  ...Object.fromEntries(
    [
      policyReport('soak', 'shop', ['a', 'b']),
      vulnerabilityReport('soak', 'shop', 5),
      configMapOf('checkov'),
      configMapOf('kube-bench'),
    ].map((object, index) => [['kyverno', 'trivy', 'checkov', 'kube-bench'][index], () => referenceTo(object)]),
  ),
};

function configMapOf(source: string) {
  const data = loadFixtures(source).find(({ expected }) => expected.observations.length > 0)?.event.data;
  return data as KubernetesObject & { readonly metadata: { readonly namespace: string } };
}

/** One request after another of each kind that a function with a door for events gets. */
function eventMessages(name: string): readonly ((url: string) => Promise<number>)[] {
  const own = (): Message => wanted[name]?.() ?? eventOf('x.y', {});
  const type = name === 'audit' ? 'io.kube-zen.audit.v1' : 'falco.rule.output.v1';
  const gone = policyReport('gone', 'shop', []);
  return [
    ...Array.from({ length: 6 }, () => (url: string) => send(url, own())),
    ...Array.from({ length: 6 }, () => (url: string) => send(url, eventOf('x.y', { text: 'x'.repeat(1000) }))),
    (url) => send(url, { headers: batch, body: `[${own().body},${eventOf('x.y', {}).body}]` }),
    (url) => send(url, referenceTo(gone)),
    (url) => send(url, { headers: structured, body: '{"specversion":' }),
    (url) => send(url, eventOf(type, { rule: 7 })),
    (url) => send(url, { headers: { ...structured, 'content-encoding': 'gzip' }, body: 'no gzip' }),
    (url) => hangUp(url, own()),
    (url) => send(url, { method: 'GET', path: '/metrics' }),
    (url) => send(url, { method: 'GET', path: `/nowhere/${count}` }),
  ];
}

const authorized = { ...json, authorization: `Bearer ${token}` };

/** The same for the gateway. */
const webhookMessages: readonly ((url: string) => Promise<number>)[] = [
  ...Array.from({ length: 8 }, () => (url: string) => {
    count += 1;
    return send(url, { path: '/falco/webhook', headers: authorized, body: JSON.stringify({ ...alert, count }) });
  }),
  (url) => send(url, { path: '/falco/webhook', headers: authorized, body: JSON.stringify([alert, { rule: 7 }]) }),
  ...Array.from({ length: 2 }, () => (url: string) => {
    const items = Array.from({ length: 20 }, () => deletion);
    return send(url, {
      path: '/audit/webhook',
      headers: authorized,
      body: JSON.stringify({ kind: 'EventList', items }),
    });
  }),
  (url) =>
    send(url, { path: '/ingest/posted', headers: authorized, body: JSON.stringify({ id: count % 50, text: 'x' }) }),
  (url) => send(url, { path: '/ingest/none', headers: authorized, body: '{}' }),
  (url) => send(url, { path: '/falco/webhook', headers: json, body: JSON.stringify(alert) }),
  (url) => send(url, { path: '/falco/webhook', headers: authorized, body: '{"rule":' }),
  (url) => send(url, { path: '/audit/webhook', headers: authorized, body: '{"kind":0}' }),
  (url) => hangUp(url, { path: '/falco/webhook', headers: authorized, body: JSON.stringify(alert) }),
  (url) => send(url, { method: 'GET', path: '/metrics' }),
  (url) => send(url, { method: 'GET', path: `/nowhere/${count}` }),
];

/** Those that come during a pass share the next one. */
const pings = 20;

/** Its passes look for other functions by names that nobody can resolve here, which takes seconds. */
const withSlowPasses = 'sources';

async function soak(name: string, { url }: Program, part: number): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  const messages = name === 'webhook' ? webhookMessages : eventMessages(name);
  const indexes = Array.from({ length: requests * part }, (_, index) => index);
  await forEachConcurrently(indexes, 16, async (index) => {
    const status = (await messages[index % messages.length]?.(url)) ?? 0;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  if (name !== 'webhook') {
    await Promise.all(
      Array.from({ length: name === withSlowPasses ? 1 : pings * part }, () => send(url, { headers: pingHeaders })),
    );
  }
  return statuses;
}

describe.skipIf(skipWithoutCluster())('thousands of requests', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'shop', 'checkov', 'kube-bench']) await cluster.namespace(name);
    await applyTriggers(cluster, [falco, audit, ingest]);
    ({ folder } = await cluster.serviceAccount('functions', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]));
    const paths = [
      ['/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports', policyReport('soak', 'shop', ['a', 'b'])],
      [
        '/apis/aquasecurity.github.io/v1alpha1/namespaces/shop/vulnerabilityreports',
        vulnerabilityReport('soak', 'shop', 5),
      ],
      ['/api/v1/namespaces/checkov/configmaps', configMapOf('checkov')],
      ['/api/v1/namespaces/kube-bench/configmaps', configMapOf('kube-bench')],
      [
        '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/ingesters',
        {
          ...{
            apiVersion: 'zen.kube-zen.io/v1alpha1',
            kind: 'Ingester',
            metadata: { name: 'posted', namespace: 'zen-system' },
          },
          spec: {
            ...{ source: 'posted', ingester: 'webhook', webhook: { path: 'posted' }, identity: ['.id'] },
            mappings: { severity: 'HIGH', category: 'security', eventType: 'posted', message: '.text' },
          },
        },
      ],
    ] as const;
    for (const [path, object] of paths) {
      await until(`${path} takes it`, async () => (await cluster.request('POST', path, object)).status === 201);
    }
    broker = await startBroker({ subscribers: new Map(), deadLetterSink: '' });
  }, 900_000);

  afterAll(async () => {
    agent.destroy();
    broker.stop();
    await cluster.stop();
  });

  it.each(functionNames())('leave nothing in %s', async (name) => {
    const environment = { LOG_LEVEL: 'INFO', K_SINK: broker.url, WEBHOOK_AUTH_TOKEN: token, ...measurable };
    const program = await startReadyFunction(name, { server: cluster.server, folder, environment });
    await soak(name, program, 0.25);
    const [early, resident] = [await heapOf(program), memoryOf(program.pid).now];
    const statuses = await soak(name, program, 0.75);
    const growth = ((await heapOf(program)) - early) / (0.75 * requests);
    console.log(
      `${name}: ${(early / 1_048_576).toFixed(1)} MiB, ${growth.toFixed(0)} bytes a request more at the end; ` +
        `resident ${resident.toFixed(0)} and ${memoryOf(program.pid).now.toFixed(0)} MiB; ${JSON.stringify([...statuses])}`,
    );
    expect(growth).toBeLessThan(bytesPerRequest);
    expect(await program.stop()).toBe(0);
  });
});
