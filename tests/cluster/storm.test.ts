import { type ChildProcess, spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import audit from '../../functions/audit.ts';
import falco from '../../functions/falco.ts';
import { atEnd } from '../host/at-end.ts';
import { type ControlGroup, createControlGroup, memoryMiB } from '../host/container.ts';
import { memoryOf, type Program } from '../host/program.ts';
import { type AttackOptions, attacks } from './attackers.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import { applyTriggers, policyReport, reportCrds } from './report-crds.ts';
import { writerRules } from './rules.ts';
import { startBroker } from './senders.ts';

/** How long all attacks at once last; each alone takes a fifth of it. */
const seconds = Number(process.env.SECONDS ?? 15);

/** What honest senders are promised: the 99th percentile of an alert, and of /health. */
const promisedAlert = 2;
const promisedHealth = 1;

const alertsPerSecond = 10;
const eventsPerBatch = 400;
const wantedPerBatch = 5;
const token = 'the-token';

const names = ['webhook', 'falco', 'audit', 'kyverno'] as const;

interface Running {
  readonly program: Program;
  readonly group: ControlGroup | undefined;
}

let cluster: Cluster;
let folder = '';
let broker: Awaited<ReturnType<typeof startBroker>>;
const running = new Map<string, Running>();
const subscribers = new Map<string, string>();
const agent = new Agent({ keepAlive: true });

function urlOf(name: string): string {
  const found = running.get(name);
  if (!found) throw new Error(`${name} was not started`);
  return found.program.url;
}

/** Resolves to the status, or 0 if there was no answer. */
function send(url: string, body: string): Promise<number> {
  const headers = {
    ...{ 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    authorization: `Bearer ${token}`,
  };
  return new Promise((resolve) => {
    // Much longer than is promised: where a function is gone, nothing answers.
    const signal = AbortSignal.timeout(30_000);
    const call = request(url, { method: 'POST', agent, headers, signal }, (response) => {
      response.on('error', () => resolve(0));
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    call.on('error', () => resolve(0));
    call.end(body);
  });
}

function alertOf(rule: string): string {
  const fields = { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p1' };
  const time = new Date().toISOString();
  return JSON.stringify({ rule, priority: 'Error', time, output: 'z'.repeat(500), output_fields: fields });
}

/** 2 MiB, of which little is wanted: what the API server of a busy cluster sends if it logs request bodies. */
function batchOf(name: string): string {
  const items = Array.from({ length: eventsPerBatch }, (_, index) => ({
    ...{ kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'RequestResponse', stage: 'ResponseComplete' },
    ...{ auditID: `${name}${index}`, verb: index < wantedPerBatch ? 'delete' : 'get', user: { username: 'eve' } },
    ...{ requestReceivedTimestamp: new Date().toISOString(), responseStatus: { code: 200 } },
    objectRef: {
      ...{ resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', namespace: 'shop', name: `${name}${index}` },
      apiVersion: 'v1',
    },
    requestObject: { metadata: { annotations: { note: 'x'.repeat(5000) } } },
  }));
  return JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items });
}

interface Sight {
  /** Names of what was sent and must be stored. */
  readonly sent: string[];
  readonly refused: number[];
  readonly alertMilliseconds: number[];
  readonly healthMilliseconds: number[];
  readonly memory: Map<string, number>;
}

/** Sends as Falco does, at its pace, whatever the answers are. */
async function sendAlerts(prefix: string, until: number, { sent, refused, alertMilliseconds }: Sight): Promise<void> {
  const answers: Promise<void>[] = [];
  for (let index = 0; performance.now() < until; index += 1) {
    const name = `${prefix}-${index}`;
    sent.push(name);
    const began = performance.now();
    answers.push(
      send(`${urlOf('webhook')}/falco/webhook`, alertOf(name)).then((status) => {
        alertMilliseconds.push(performance.now() - began);
        if (status !== 204) refused.push(status);
      }),
    );
    await pause(1000 / alertsPerSecond);
  }
  await Promise.all(answers);
}

/** Sends a batch a second as kube-apiserver does: five tries. */
async function sendBatches(prefix: string, until: number, { sent, refused }: Sight): Promise<void> {
  for (let index = 0; performance.now() < until; index += 1) {
    const name = `${prefix}-batch-${index}-`;
    sent.push(...Array.from({ length: wantedPerBatch }, (_, item) => `${name}${item}`));
    const body = batchOf(name);
    let status = 0;
    for (let tries = 0; tries < 5 && status !== 204; tries += 1) {
      if (tries > 0) await pause(500 * 1.5 ** tries);
      status = await send(`${urlOf('webhook')}/audit/webhook`, body);
    }
    if (status !== 204) refused.push(status);
    await pause(1000);
  }
}

async function watchHealth(until: number, { healthMilliseconds, memory }: Sight): Promise<void> {
  while (performance.now() < until) {
    await Promise.all(
      names.map(async (name) => {
        const began = performance.now();
        // A connection of its own, as a probe has it.
        const { status } = await fetch(`${urlOf(name)}/health`, { headers: { connection: 'close' } }).catch(() => ({
          status: 0,
        }));
        healthMilliseconds.push(status === 200 ? performance.now() - began : Number.POSITIVE_INFINITY);
        if (ended().includes(name)) return;
        const { anonymous } = memoryOf(running.get(name)?.program.pid ?? 0);
        memory.set(name, Math.max(memory.get(name) ?? 0, anonymous));
      }),
    );
    await pause(100);
  }
}

/** Plays attacks; the result ends that, and resolves to how many bytes were sent. */
function attack(names: readonly string[]): () => Promise<number> {
  const urls = { webhook: urlOf('webhook'), falco: urlOf('falco'), kyverno: urlOf('kyverno') };
  const options: AttackOptions = { attacks: names, urls, token };
  const file = join(import.meta.dirname, 'attackers.ts');
  const child: ChildProcess = spawn(process.execPath, [file, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const hasEnded = atEnd(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return async () => {
    child.kill('SIGTERM');
    await closed;
    hasEnded();
    return Number(output);
  };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) / 1000;
}

async function storedNames(): Promise<Set<string>> {
  const stored = new Set<string>();
  let token = '';
  do {
    const path = `/apis/zen.kube-zen.io/v1/observations?limit=2000${token}`;
    const { body } = await cluster.request('GET', path);
    const items: { spec: { source: string; rule: string; resource?: { name: string } } }[] = body.items;
    for (const { spec } of items) stored.add(spec.source === 'falco' ? spec.rule : (spec.resource?.name ?? ''));
    token = body.metadata.continue ? `&continue=${body.metadata.continue}` : '';
  } while (token !== '');
  return stored;
}

/** Whose process is no longer there: what it was limited to was not enough. */
function ended(): string[] {
  return names.filter((name) => {
    try {
      return !process.kill(running.get(name)?.program.pid ?? 0, 0);
    } catch {
      return true;
    }
  });
}

/** Starts the functions, and in later rounds those that did not survive the one before. */
async function startMissing(): Promise<void> {
  for (const name of names) {
    if (running.has(name) && !ended().includes(name)) continue;
    const group = running.get(name)?.group ?? createControlGroup(`storm-${name}`, { memoryMiB });
    const environment = { LOG_LEVEL: 'INFO', K_SINK: broker.url, WEBHOOK_AUTH_TOKEN: token };
    const options = { server: cluster.server, folder, environment, contained: group };
    running.set(name, { program: await startReadyFunction(name, options), group });
  }
  subscribers.set('falco.rule.output.v1', urlOf('falco'));
  subscribers.set('io.kube-zen.audit.v1', urlOf('audit'));
}

let rounds = 0;

async function withstand(title: string, attackNames: readonly string[], duration: number): Promise<void> {
  rounds += 1;
  await startMissing();
  const sight: Sight = { sent: [], refused: [], alertMilliseconds: [], healthMilliseconds: [], memory: new Map() };
  const prefix = `round-${rounds}-${Date.now()}`;
  const end = attack(attackNames);
  // The attackers have begun.
  await pause(500);
  const until = performance.now() + duration * 1000;
  await Promise.all([sendAlerts(prefix, until, sight), sendBatches(prefix, until, sight), watchHealth(until, sight)]);
  const bytes = await end();
  const stored = await storedNames();
  const lost = sight.sent.filter((name) => !stored.has(name));
  const [p99, health] = [percentile(sight.alertMilliseconds, 0.99), percentile(sight.healthMilliseconds, 1)];
  const memory = names.map((name) => (sight.memory.get(name) ?? 0).toFixed(0)).join(' / ');
  console.log(
    `| ${title} | ${(bytes / 1_048_576).toFixed(1)} MiB | ${memory} MiB | ${p99.toFixed(2)} s | ${health.toFixed(2)} s | ` +
      `${sight.sent.length - lost.length} of ${sight.sent.length} |`,
  );
  for (const name of ended()) console.log(`${name} ended: ${running.get(name)?.program.log.slice(-8).join('\n')}`);
  expect(ended()).toEqual([]);
  expect(sight.refused).toEqual([]);
  expect(lost).toEqual([]);
  expect(p99).toBeLessThan(5 * promisedAlert);
  expect(health).toBeLessThan(5 * promisedHealth);
  for (const [name, { group }] of running) if (group) expect(sight.memory.get(name), name).toBeLessThan(memoryMiB);
}

describe.skipIf(skipWithoutCluster())('honest senders', { timeout: 600_000 }, () => {
  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    await applyTriggers(cluster, [falco, audit]);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
    const reports = '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports';
    for (let index = 0; index < 50; index += 1) {
      await cluster.request('POST', reports, policyReport(`p${index}`, 'shop', ['a', 'b']));
    }
    broker = await startBroker({ subscribers, deadLetterSink: '' });
    console.log(`| attack | bytes sent | memory of ${names.join(' / ')} | p99 of an alert | /health | stored |`);
  }, 900_000);

  afterAll(async () => {
    agent.destroy();
    for (const { program, group } of running.values()) {
      await program.kill();
      group?.remove();
    }
    broker.stop();
    await cluster.stop();
  });

  it('are served while nobody attacks', async () => {
    await withstand('none', [], seconds / 5);
  });

  it.each(Object.keys(attacks))('are served during %s', async (name) => {
    await withstand(name, [name], seconds / 5);
  });

  it('are served during all of it at once', async () => {
    await withstand('all at once', Object.keys(attacks), seconds);
  });
});
