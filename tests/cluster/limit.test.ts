import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { callsInFlight, forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { type Program, until } from '../host/program.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { pingHeaders, policyReport, referenceTo, reportCrds } from './report-crds.ts';
import { writerRules } from './rules.ts';

const observations = '/apis/zen.kube-zen.io/v1/observations';
const signal = AbortSignal.timeout(600_000);

const listed = z.array(
  z.object({
    metadata: z.object({
      name: z.string(),
      namespace: z.string(),
      labels: z.record(z.string(), z.string()).default({}),
    }),
    spec: z.object({ source: z.string(), severity: z.string(), eventType: z.string() }),
  }),
);

/** A report whose results have this severity. */
function reportOf(name: string, namespace: string, severity: string, count: number) {
  const rules = Array.from({ length: count }, (_, index) => `${severity}-${index}`);
  const report = policyReport(name, namespace, rules);
  return { ...report, results: report.results.map((result) => ({ ...result, severity })) };
}

describe.skipIf(skipWithoutCluster())('MAX_OBSERVATIONS on a real API server', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  let proxy: FaultProxy;
  let folder: string;
  const running: Program[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'shop', 'tenant']) await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('functions', writerRules));
    proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault: () => undefined });
  }, 900_000);

  afterEach(async () => {
    await Promise.all(running.splice(0).map((program) => program.stop()));
    for (const namespace of ['zen-system', 'shop', 'tenant']) {
      await cluster.request('DELETE', observations.replace('observations', `namespaces/${namespace}/observations`));
    }
  });

  afterAll(async () => {
    await proxy.stop();
    await cluster.stop();
  });

  async function start(name: string, limit: number): Promise<Program> {
    const environment = { LOG_LEVEL: 'WARN', MAX_OBSERVATIONS: String(limit) };
    const program = await startReadyFunction(name, { server: proxy.server, folder, environment });
    running.push(program);
    return program;
  }

  async function run({ url }: Program): Promise<void> {
    expect(await postTo(url, pingHeaders, '')).toBe(204);
  }

  /** How many there are of each source and severity. */
  async function counts(): Promise<Readonly<Record<string, number>>> {
    const { body } = await cluster.request('GET', observations);
    const found: Record<string, number> = {};
    for (const { spec } of listed.parse(body.items)) {
      const key = spec.eventType === 'limit-reached' ? 'limit-reached' : `${spec.source} ${spec.severity}`;
      found[key] = (found[key] ?? 0) + 1;
    }
    return found;
  }

  async function report(object: ReturnType<typeof reportOf>): Promise<void> {
    const { metadata } = object;
    const path = `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${metadata.namespace}/policyreports`;
    await cluster.request('DELETE', `${path}/${metadata.name}`);
    expect((await cluster.request('POST', path, object)).status).toBe(201);
  }

  async function write(count: number, source: string, rule: (index: number) => string): Promise<void> {
    const { store, close } = connectAs(cluster.server, folder);
    const objects = Array.from({ length: count }, (_, index) => {
      const finding = { ...aFinding(rule(index), 'shop'), identity: { index: String(index) } };
      return anObservationOf(finding, { source, hasState: false, ttl: 604_800 });
    });
    await forEachConcurrently(objects, callsInFlight, async (object) => void (await store.create(object, signal)));
    close();
  }

  it("stores a new CRITICAL finding beside a tenant's LOW ones, of which it stores three fifths", async () => {
    const kyverno = await start('kyverno', 50);
    const send = async (object: ReturnType<typeof reportOf>): Promise<void> => {
      await report(object);
      const { headers, body } = referenceTo(object);
      expect(await postTo(kyverno.url, headers, body)).toBe(204);
    };
    await write(24, 'audit', (index) => `done ${index}`);
    await send(reportOf('noise', 'tenant', 'low', 70));
    const { 'kyverno LOW': low = 0, ...others } = await counts();
    // Above half, a namespace that holds a tenth is full; those that are in flight may be more.
    expect(low).toBeGreaterThanOrEqual(5);
    expect(low).toBeLessThan(5 + callsInFlight);
    expect(others).toEqual({ 'audit HIGH': 24, 'limit-reached': expect.any(Number) });
    await send(reportOf('web', 'shop', 'critical', 1));
    // The namespace shop holds more than a tenth.
    expect(await counts()).not.toHaveProperty('kyverno CRITICAL');
    await send(reportOf('node', 'zen-system', 'critical', 1));
    expect(await counts()).toMatchObject({ 'kyverno CRITICAL': 1 });
    // The first pass may be the first to find LOW kept out in the whole cluster; it says so.
    await run(kyverno);
    proxy.calls.length = 0;
    await run(kyverno);
    expect(proxy.calls.filter((call) => call.startsWith('POST'))).toEqual([]);
    expect(await counts()).toMatchObject({ 'kyverno LOW': low, 'limit-reached': 3 });
    await cluster.request('DELETE', '/apis/wgpolicyk8s.io/v1alpha2/namespaces/tenant/policyreports');
  });

  it('lets neither the alerts of one container nor what is made by hand push out what audit saw', async () => {
    const [falco, gc] = await Promise.all([start('falco', 50), start('gc', 50)]);
    await write(30, 'audit', (index) => `done ${index}`);
    for (let index = 0; index < 60; index += 1) {
      const fields = { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p', 'proc.cmdline': `sh ${index}` };
      const alert = { rule: 'shell', priority: 'Error', time: '2026-03-01T10:00:00Z', output_fields: fields };
      const headers = { ...eventHeaders('falco.rule.output.v1'), 'ce-id': String(index) };
      expect(await postTo(falco.url, headers, JSON.stringify(alert))).toBe(204);
    }
    const byHand = (index: number) => ({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata: { name: `by-hand-${index}`, labels: { 'zen.kube-zen.io/state': 'open' } },
      spec: { source: 'trivy', category: 'security', severity: 'CRITICAL', eventType: 'made' },
    });
    const path = observations.replace('observations', 'namespaces/tenant/observations');
    for (let index = 0; index < 70; index += 1) {
      expect((await cluster.request('POST', path, byHand(index))).status).toBe(201);
    }
    expect(await counts()).toEqual({ 'audit HIGH': 30, 'falco HIGH': 60, 'trivy CRITICAL': 70 });
    await run(gc);
    expect(await counts()).toEqual({ 'audit HIGH': 30, 'falco HIGH': 10 });
  });

  it('is kept by two collections at once, which delete no more than one would', async () => {
    const both = await Promise.all([start('gc', 250), start('gc', 250)]);
    await write(300, 'falco', (index) => `rule ${index % 7}`);
    await Promise.all(both.map(run));
    const left = await counts();
    expect(left).toEqual({ 'falco HIGH': 200 });
  });

  it('leaves alone what is being deleted, and deletes by its spec what has no number for a label', async () => {
    const gc = await start('gc', 1000);
    const object = (name: string, more: object) => ({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata: { name, ...more },
      spec: { source: 'old', category: 'c', severity: 'LOW', eventType: 'e', ttlSecondsAfterCreation: 1 },
    });
    const path = observations.replace('observations', 'namespaces/shop/observations');
    const names = ['never', '1e9', '9999999999999', '2030-01-01'];
    for (const label of names) {
      const labels = { 'zen.kube-zen.io/expires': label };
      expect((await cluster.request('POST', path, object(`x-${label}`, { labels }))).status).toBe(201);
    }
    const finalizers = ['example.com/keep'];
    expect((await cluster.request('POST', path, object('stuck', { finalizers }))).status).toBe(201);
    await cluster.request('DELETE', `${path}/stuck`);
    // A second is over when the API server's clock says so.
    await until('they are deleted', async () => {
      await run(gc);
      return (await counts())['old LOW'] === 1;
    });
    const metrics = await (await fetch(`${gc.url}/metrics`)).text();
    expect(metrics).toContain('zen_watcher_observations_deleted_total{source="old",reason="ttl"} 4');
    const patch = { metadata: { finalizers: null } };
    await cluster.request('PATCH', `${path}/stuck`, patch, { contentType: 'application/merge-patch+json' });
  });
});
