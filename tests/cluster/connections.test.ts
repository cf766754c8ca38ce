import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import falco from '../../functions/falco.ts';
import gc from '../../functions/gc.ts';
import { createClock } from '../../shared/host/clock.ts';
import { sleep } from '../../shared/host/sleep.ts';
import { connectCluster } from '../../shared/kubernetes/cluster.ts';
import { serviceAccountCredentials } from '../../shared/kubernetes/credentials.ts';
import { atEnd } from '../host/at-end.ts';
import { type Program, temporaryFolder, until, within } from '../host/program.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';
import { startSwallowingProxy } from '../transport/swallowing-proxy.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { applyTriggers, broker, crd, pingHeaders, policyReport } from './report-crds.ts';
import { writerRules } from './rules.ts';

const day = 86_400_000;
const observations = '/apis/zen.kube-zen.io/v1/observations';
const headers = eventHeaders('falco.rule.output.v1');

let cluster: Cluster;
let folder: string;

function alert(rule: string): string {
  const fields = { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' };
  return JSON.stringify({ rule, priority: 'Error', output_fields: fields });
}

interface Found {
  readonly name: string;
  readonly namespace: string;
  readonly state: string | undefined;
}

/** Where the Observations with this rule are, and in which state. */
async function stored(rule: string): Promise<Found[]> {
  const { body } = await cluster.request('GET', `${observations}?fieldSelector=spec.rule%3D${rule}`);
  const items: { metadata: { name: string; namespace: string; labels: Record<string, string> } }[] = body.items;
  return items.map(({ metadata: { name, namespace, labels } }) => ({
    name,
    namespace,
    state: labels['zen.kube-zen.io/state'],
  }));
}

function portOf(server: string): number {
  return Number(server.split(':')[1]);
}

async function start(name: string, server: string, environment = {}): Promise<Program> {
  const program = await startReadyFunction(name, { server, folder, environment });
  atEnd(() => void program.kill());
  return program;
}

describe.skipIf(skipWithoutCluster())('between functions and a real API server', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    await applyTriggers(cluster, [falco]);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
  }, 900_000);

  afterAll(async () => void (await cluster.stop()));

  it('connections that die without a word cost one attempt, and blind no watch for longer than it says', async () => {
    const proxy = await startSwallowingProxy(portOf(cluster.server));
    const program = await start('falco', `127.0.0.1:${proxy.port}`, { API_TIMEOUT_SECONDS: '3' });
    const many = Array.from({ length: 40 }, (_, index) => postTo(program.url, headers, alert(`before-${index}`)));
    expect(new Set(await Promise.all(many))).toEqual(new Set([204]));
    proxy.swallow();
    const filters = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationfilters';
    const { status } = await cluster.request('POST', filters, {
      apiVersion: 'zen.kube-zen.io/v1alpha1',
      kind: 'ObservationFilter',
      metadata: { name: 'late', namespace: 'zen-system' },
      spec: { targetSource: 'falco', minSeverity: 'CRITICAL' },
    });
    expect(status).toBe(201);
    const began = performance.now();
    expect(await postTo(program.url, headers, alert('after'))).toBe(204);
    const waited = (performance.now() - began) / 1000;
    console.log(`an alert over dead connections: ${waited.toFixed(1)} s with API_TIMEOUT_SECONDS=3`);
    expect(waited).toBeLessThan(15);
    expect(await stored('after')).toHaveLength(1);
    let sent = 0;
    await within('a watch that has died is noticed', 22, async () => {
      sent += 1;
      const rule = `forbidden-${sent}`;
      expect(await postTo(program.url, headers, alert(rule))).toBe(204);
      return (await stored(rule)).length === 0 || undefined;
    });
    await cluster.request('DELETE', `${filters}/late`);
    await program.stop();
  });

  it('a Falco alert is not held while the Broker can be reached over another connection', async () => {
    const types: unknown[] = [];
    const broker = createServer(async (request, response) => {
      const event: { data?: { rule?: string } } = JSON.parse((await request.toArray()).join(''));
      types.push(event.data?.rule);
      response.writeHead(202).end();
    });
    broker.keepAliveTimeout = 0;
    broker.listen(0, '127.0.0.1');
    await once(broker, 'listening');
    const proxy = await startSwallowingProxy((broker.address() as AddressInfo).port);
    const program = await start('webhook', cluster.server, { K_SINK: `http://127.0.0.1:${proxy.port}/` });
    const post = (rule: string): Promise<number> =>
      postTo(`${program.url}/falco/webhook`, { 'content-type': 'application/json' }, alert(rule));
    expect(await post('first')).toBe(204);
    proxy.swallow();
    const answered = post('second');
    await within('an alert over a dead connection', 62, () => types.includes('second') || undefined);
    expect(await answered).toBe(204);
    await program.stop();
    broker.close();
    broker.closeAllConnections();
  });

  it('webhook is ready while there is no Broker, and posts to where the Broker is at the moment, with its token', async () => {
    const brokers = '/apis/eventing.knative.dev/v1/namespaces/zen-system/brokers';
    const seen: string[] = [];
    const server = createServer(async (request, response) => {
      const event: { data?: { rule?: string } } = JSON.parse((await request.toArray()).join(''));
      seen.push([request.url, event.data?.rule, request.headers.authorization ?? 'no token'].join(' '));
      response.writeHead(202).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    const token = join(temporaryFolder(), 'token');
    writeFileSync(token, 'for-the-broker');
    const program = await start('webhook', cluster.server, { BROKER_TOKEN_FILE: token });
    const post = (rule: string): Promise<number> =>
      postTo(`${program.url}/falco/webhook`, { 'content-type': 'application/json' }, alert(rule));
    const move = (address: object) =>
      cluster.request('PATCH', `${brokers}/zen-watcher`, broker(address), {
        contentType: 'application/merge-patch+json',
      });
    const held = post('held');
    const { status } = await cluster.request('POST', brokers, { ...broker({}), status: {} });
    expect(status).toBe(201);
    await cluster.request('POST', brokers, { ...broker({ url: at('/other') }), metadata: { name: 'other' } });
    await move({ url: at('/first') });
    expect(await held).toBe(204);
    await move({ url: at('/second'), audience: 'zen-watcher' });
    await within('the Broker has moved', 5, async () => {
      expect(await post('moved')).toBe(204);
      return seen.at(-1)?.startsWith('/second') || undefined;
    });
    expect(seen[0]).toBe('/first held no token');
    expect(seen.at(-1)).toBe('/second moved Bearer for-the-broker');
    await program.stop();
    server.close();
    server.closeAllConnections();
  });

  it('what a finalizer keeps after it was deleted counts neither as stored nor as a duplicate', async () => {
    const program = await start('falco', cluster.server);
    expect(await postTo(program.url, headers, alert('stuck'))).toBe(204);
    const [first] = await stored('stuck');
    const path = `/apis/zen.kube-zen.io/v1/namespaces/shop/observations/${first?.name}`;
    const contentType = 'application/merge-patch+json';
    const finalize = (finalizers: readonly string[]) =>
      cluster.request('PATCH', path, { metadata: { finalizers } }, { contentType });
    await finalize(['example.com/stuck']);
    await cluster.request('DELETE', path);
    // A process that has not just seen it.
    const another = await start('falco', cluster.server);
    expect(await postTo(another.url, headers, alert('stuck'))).toBe(204);
    expect((await stored('stuck')).map(({ namespace }) => namespace)).toContain('zen-system');
    await another.stop();
    await finalize([]);
    await until('it is gone', async () => (await cluster.request('GET', path)).status === 404);
    expect(await stored('stuck')).toEqual([{ ...first, namespace: 'zen-system' }]);
    await program.stop();
  });

  it('a collector whose clock is eight days ahead deletes nothing early', async () => {
    const told: number[] = [];
    const clock = createClock({
      now: () => Date.now() + 8 * day,
      elapsed: () => performance.now(),
      sleep,
      onOffset: (offset) => told.push(offset),
    });
    const connection = connectCluster({
      credentials: serviceAccountCredentials({ server: cluster.server, folder, elapsed: clock.elapsed }),
      sleep,
      watchNamespace: undefined,
      defaultTtl: 604_800,
      attemptSeconds: 10,
      onTime: clock.noteServerTime,
    });
    const { signal } = new AbortController();
    await connection.touch(signal);
    expect(told.map((offset) => Math.round(offset / day))).toEqual([-8]);
    const before = (await cluster.request('GET', observations)).body.items.length;
    expect(before).toBeGreaterThan(40);
    const { store, objects } = connection;
    const { context } = createTestContext(gc, { context: { ...clock, store, objects } });
    await handled(gc, ping, context);
    expect((await cluster.request('GET', observations)).body.items.length).toBe(before);
    connection.close();
  });

  it('a CRD that is gone for a minute closes nothing that was reported', async () => {
    const reports = crd('wgpolicyk8s.io', 'v1alpha2', 'PolicyReport');
    const path = '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports';
    const isServed = async (): Promise<boolean> => (await cluster.request('GET', path)).status === 200;
    await cluster.apply(reports);
    await until('reports are served', isServed);
    await cluster.request('POST', path, policyReport('web', 'shop', ['kept']));
    const program = await start('kyverno', cluster.server);
    const pass = (): Promise<number> => postTo(program.url, pingHeaders, '');
    await until('a pass sees it', async () => (await pass()) === 204 && (await stored('p/kept')).length === 1);
    const definition = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/policyreports.wgpolicyk8s.io';
    await cluster.request('DELETE', definition);
    await until('it is no longer served', async () => !(await isServed()));
    expect([await pass(), await pass()]).toEqual([204, 204]);
    expect((await stored('p/kept')).map(({ state }) => state)).toEqual(['open']);
    await until('its definition is gone', async () => (await cluster.request('GET', definition)).status === 404);
    await cluster.apply(reports);
    await until('reports are served again', isServed);
    // This is an empty list.
    await until('a pass has seen that', async () => {
      await pass();
      return (await stored('p/kept'))[0]?.state === 'missing';
    });
    await program.stop();
  });
});
