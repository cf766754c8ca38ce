import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import webhookFunction from '../../functions/webhook.ts';
import { scaling } from '../../knative/generator/scaling.ts';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { type ControlGroup, createControlGroup, memoryMiB } from '../host/container.ts';
import { memoryOf, type Program, planted } from '../host/program.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import { applyTriggers } from './report-crds.ts';
import { writerRules } from './rules.ts';
import { startBroker } from './senders.ts';
import { startService } from './serving.ts';

const connections = 200;
const auditConnections = 20;
const eventsPerBatch = 400;
const wantedPerBatch = 5;

interface Running {
  readonly name: string;
  readonly program: Program;
  readonly contained: ControlGroup | undefined;
  anonymousMiB: number;
}

/** How the Broker is doing, and for how many seconds. */
const phases = [
  { broker: 'well', seconds: 10 },
  { broker: 'slow', seconds: 15 },
  { broker: 'gone', seconds: 15 },
  { broker: 'well', seconds: 20 },
] as const;

const slowMilliseconds = 500;

let cluster: Cluster;
let folder = '';
const groups: ControlGroup[] = [];
const running: Running[] = [];

const agent = new Agent({ keepAlive: true, maxSockets: connections });

/** Resolves to the status, or 0 if there was no answer. */
function post(url: string, body: string, by = agent): Promise<{ status: number; retryAfter: string | undefined }> {
  const headers = {
    ...{ 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    authorization: `Bearer ${planted}`,
  };
  return new Promise((resolve) => {
    const call = request(url, { method: 'POST', agent: by, headers }, (response) => {
      response.on('error', () => resolve({ status: 0, retryAfter: undefined }));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] }),
      );
      response.resume();
    });
    call.on('error', () => resolve({ status: 0, retryAfter: undefined }));
    call.end(body);
  });
}

/** 2 MiB, of which little is wanted: what the API server of a busy cluster sends if it logs request bodies. */
function batchOf(name: string): string {
  const items = Array.from({ length: eventsPerBatch }, (_, index) => ({
    ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'RequestResponse', stage: 'ResponseComplete' },
    ...{ auditID: `${name}${index}`, verb: index < wantedPerBatch ? 'delete' : 'get', user: { username: 'eve' } },
    ...{ requestReceivedTimestamp: '2026-03-01T10:00:00.000001Z', responseStatus: { code: 200 } },
    objectRef: {
      resource: 'roles',
      apiGroup: 'rbac.authorization.k8s.io',
      namespace: 'shop',
      name: `${name}${index}`,
      apiVersion: 'v1',
    },
    requestObject: { metadata: { annotations: { note: planted + 'x'.repeat(5000) } } },
  }));
  return JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
}

function alertOf(name: string): string {
  return JSON.stringify({
    ...{ rule: name, priority: 'Error', time: '2026-03-01T10:00:00Z', output: `${planted} ${'z'.repeat(500)}` },
    output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p1' },
  });
}

describe.skipIf(skipWithoutCluster())('a flood', () => {
  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    await applyTriggers(cluster, [falco, audit]);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
  }, 900_000);

  afterAll(async () => {
    agent.destroy();
    await Promise.all(running.map(({ program }) => program.kill()));
    for (const group of groups) group.remove();
    await cluster.stop();
  });

  it('of alerts that 3,000 Falcos post at once, while everything is asleep, is stored whole', {
    timeout: 300_000,
  }, async () => {
    const serve = async (definition: FunctionDefinition, environment = {}) => {
      const { containerConcurrency = 0 } = scaling(definition, parseSettings({}, definition.settings, []));
      const contained = createControlGroup(`burst-${definition.name}`, { memoryMiB });
      if (contained) groups.push(contained);
      const start = async (): Promise<Program> => {
        const pod = { server: cluster.server, folder, environment, contained };
        const program = await startReadyFunction(definition.name, pod);
        running.push({ name: definition.name, program, contained, anonymousMiB: 0 });
        return program;
      };
      return startService({ start, containerConcurrency, hasActivator: true });
    };
    const falcoService = await serve(falco);
    const subscribers = new Map([['falco.rule.output.v1', falcoService.url]]);
    const broker = await startBroker({ subscribers, deadLetterSink: '' });
    const webhook = await serve(webhookFunction, { K_SINK: broker.url, WEBHOOK_AUTH_TOKEN: planted });

    const falcos = new Agent({ keepAlive: true });
    const started = performance.now();
    const names = Array.from({ length: 3000 }, (_, index) => `burst-${index}`);
    const answers = new Map<number, number>();
    await Promise.all(
      names.map(async (name) => {
        const { status } = await post(`${webhook.url}/falco/webhook`, alertOf(name), falcos);
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }),
    );
    falcos.destroy();
    const took = ((performance.now() - started) / 1000).toFixed(1);
    const { stored, duplicates } = await storedNames();
    const memory = running.map(({ name, program }) => `${name} ${memoryOf(program.pid).anonymous.toFixed(0)}`);
    console.log(
      `${names.length} at once: ${took} s, answers ${JSON.stringify(Object.fromEntries(answers))}, ` +
        `waiting ${JSON.stringify(webhook.read())}, MiB: ${memory.join(', ')}`,
    );
    expect([...answers]).toEqual([[204, names.length]]);
    expect(names.filter((name) => !stored.has(name))).toEqual([]);
    expect(duplicates).toEqual([]);
    for (const { program } of running.splice(0)) expect(await program.stop()).toBe(0);
    for (const service of [webhook, falcoService, broker]) service.stop();
  });

  it('of Falco is held, one of audit batches refused as far as it is too much, and nothing that was answered 2xx is lost', {
    timeout: 300_000,
  }, async () => {
    const start = async (name: string, environment = {}) => {
      const contained = createControlGroup(name, { memoryMiB });
      if (contained) groups.push(contained);
      const pod = { LOG_LEVEL: 'INFO', ...environment };
      const program = await startReadyFunction(name, { server: cluster.server, folder, environment: pod, contained });
      const started: Running = { name, program, contained, anonymousMiB: 0 };
      running.push(started);
      return started;
    };
    const subscribers = new Map<string, string>();
    let isSlow = false;
    const brokerOptions = {
      ...{ subscribers, deadLetterSink: '' },
      turn: async () => void (isSlow && (await pause(slowMilliseconds))),
    };
    let broker = await startBroker(brokerOptions);
    const brokerPort = Number(new URL(broker.url).port);
    const falcoFunction = await start('falco');
    const auditFunction = await start('audit');
    const webhook = await start('webhook', { K_SINK: broker.url, WEBHOOK_AUTH_TOKEN: planted });
    subscribers.set('falco.rule.output.v1', falcoFunction.program.url);
    subscribers.set('io.kube-zen.audit.v1', auditFunction.program.url);

    const { url } = webhook.program;
    let isOver = false;
    let next = 0;
    const acknowledged = new Set<string>();
    const answers = new Map<string, number>();
    const withoutRetryAfter: number[] = [];

    async function sender(path: string, bodyOf: (name: string) => string, ending: string): Promise<void> {
      while (!isOver) {
        next += 1;
        const name = `flood-${next}${ending}`;
        const { status, retryAfter } = await post(url + path, bodyOf(name));
        const key = `${path} ${status}`;
        answers.set(key, (answers.get(key) ?? 0) + 1);
        if (status === 503 && retryAfter === undefined) withoutRetryAfter.push(status);
        if (status === 204) acknowledged.add(name);
        else await pause(20);
      }
    }

    const health = new Map<number, number>();
    async function watchHealth(): Promise<void> {
      while (!isOver) {
        const status = await fetch(`${url}/health`, { signal: AbortSignal.timeout(15_000) }).then(
          (response) => response.text().then(() => response.status),
          () => 0,
        );
        health.set(status, (health.get(status) ?? 0) + 1);
        await pause(250);
      }
    }

    const sampling = setInterval(() => {
      for (const one of running) one.anonymousMiB = Math.max(one.anonymousMiB, memoryOf(one.program.pid).anonymous);
    }, 100);
    const senders = Array.from({ length: connections }, (_, index) =>
      index < auditConnections ? sender('/audit/webhook', batchOf, '-') : sender('/falco/webhook', alertOf, ''),
    );
    const flood = Promise.all([watchHealth(), ...senders]);
    for (const { broker: is, seconds } of phases) {
      isSlow = is === 'slow';
      if (is === 'gone') await broker.kill();
      await pause(seconds * 1000);
      if (is === 'gone') broker = await startBroker({ ...brokerOptions, port: brokerPort });
    }
    isOver = true;
    await flood;
    clearInterval(sampling);

    const { stored, duplicates } = await storedNames();
    const lost = [...acknowledged].filter((name) => !stored.has(name));
    const peak = running.map(
      ({ name, anonymousMiB: anonymous, contained }) =>
        `${name} ${anonymous.toFixed(0)} (${contained ? contained.peak().toFixed(0) : '?'} with files)`,
    );
    console.log(
      `sent ${next}, answers ${JSON.stringify(Object.fromEntries(answers))}, Observations ${stored.size}, ` +
        `peak MiB: ${peak.join(', ')}; /health ${JSON.stringify(Object.fromEntries(health))}`,
    );
    expect(lost).toEqual([]);
    expect(duplicates).toEqual([]);
    expect([...answers.keys()].sort()).toEqual(['/audit/webhook 204', '/audit/webhook 503', '/falco/webhook 204']);
    expect(withoutRetryAfter).toEqual([]);
    expect([...health.keys()]).toEqual([200]);
    for (const one of running) if (one.contained) expect(one.anonymousMiB, one.name).toBeLessThan(memoryMiB);
    // Afterwards, events are accepted again, and what was refused is counted.
    expect((await post(`${url}/falco/webhook`, alertOf('after the flood'))).status).toBe(204);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const dropped = /^zen_watcher_webhook_events_dropped_total\{endpoint="\/audit\/webhook"\} (\d+)$/m.exec(metrics);
    expect(Number(dropped?.[1])).toBe(answers.get('/audit/webhook 503'));
    for (const { program } of running) expect(await program.stop()).toBe(0);
    broker.stop();
  });
});

/** The names of all alerts that were stored, and of all batches whose wanted events were all stored. */
async function storedNames(): Promise<{ stored: Set<string>; duplicates: string[] }> {
  const counts = new Map<string, number>();
  const { body } = await cluster.request('GET', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations');
  const items: { spec: { source: string; rule: string; resource: { name: string } } }[] = body.items;
  for (const { spec } of items) {
    const name = spec.source === 'falco' ? spec.rule : spec.resource.name;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const stored = new Set(counts.keys());
  for (const name of counts.keys()) {
    const batch = /^flood-\d+-/.exec(name)?.[0];
    if (batch && Array.from({ length: wantedPerBatch }, (_, index) => batch + index).every((one) => stored.has(one))) {
      stored.add(batch);
    }
  }
  return { stored, duplicates: [...counts].filter(([, count]) => count > 1).map(([name]) => name) };
}
