import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Program, temporaryFolder, until, within } from '../host/program.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { eventHeaders, startFunction, startReadyFunction } from './functions.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { applyTriggers, pingHeaders } from './report-crds.ts';
import { writerRules } from './rules.ts';

const filtersPath = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationfilters';
const configMaps = '/api/v1/namespaces/zen-system/configmaps';

function aFilter(name: string, spec: object) {
  const typed = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter' };
  return { ...typed, metadata: { name }, spec: { targetSource: 'falco', ...spec } };
}

describe.skipIf(skipWithoutCluster())('filters on a real API server', { timeout: 180_000 }, () => {
  let cluster: Cluster;
  let proxy: FaultProxy;
  let folder: string;
  let fault: 'no answer' | undefined;
  let count = 0;

  const alertOf = (rule: string, priority: string): string =>
    JSON.stringify({
      rule,
      priority,
      time: '2026-03-01T10:00:00Z',
      output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' },
    });
  const send = ({ url }: Program, rule: string, priority = 'Error'): Promise<number> =>
    postTo(url, eventHeaders('falco.rule.output.v1'), alertOf(rule, priority));
  const stored = async (source = 'falco'): Promise<string[]> => {
    const selector = encodeURIComponent(`zen.kube-zen.io/source=${source}`);
    const { body } = await cluster.request('GET', `/apis/zen.kube-zen.io/v1/observations?labelSelector=${selector}`);
    return body.items.map(
      ({ spec }: { spec: { rule: string; details: { rule?: string; field?: string } } }) =>
        spec.details.rule ?? spec.details.field ?? spec.rule,
    );
  };
  const passes = async (program: Program, priority = 'Error'): Promise<boolean> => {
    count += 1;
    expect(await send(program, `probe ${count}`, priority)).toBe(204);
    return (await stored()).includes(`probe ${count}`);
  };
  const start = (server = cluster.server): Promise<Program> => startFunction('falco', { server, folder });
  const statusOf = async ({ url }: Program): Promise<number> => (await fetch(`${url}/ready`)).status;
  const acts = (what: string, isSo: () => Promise<boolean>): Promise<unknown> =>
    within(what, 2, async () => (await isSo()) || undefined);
  const ready = (program: Program): Promise<void> =>
    until('it is ready', async () => (await statusOf(program)) === 200);

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    for (const name of ['zen-system', 'shop']) await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('filters-test', [
      ...writerRules,
      {
        apiGroups: ['zen.kube-zen.io'],
        resources: ['*'],
        verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
      },
    ]));
    proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault: () => fault });
  }, 900_000);

  afterAll(async () => {
    await proxy.stop();
    await cluster.stop();
  });

  it('act within two seconds, even under load: what is sent before passes, what is sent after does not', async () => {
    const program = await start();
    await ready(program);
    expect((await cluster.request('POST', filtersPath, aFilter('load', { minSeverity: 'LOW' }))).status).toBe(201);
    let sent = 0;
    let isChanged = false;
    let isOver = false;
    const after: string[] = [];
    const load = Promise.all(
      [1, 2, 3, 4].map(async (sender) => {
        for (let index = 0; !isOver && index < 20_000; index += 1) {
          const rule = `load ${sender}-${index}`;
          const wasChanged = isChanged;
          expect(await send(program, rule, 'Warning')).toBe(204);
          sent += 1;
          if (wasChanged) after.push(rule);
        }
      }),
    );
    await until('some load', async () => sent > 100);
    await cluster.request(
      'PATCH',
      `${filtersPath}/load`,
      { spec: { minSeverity: 'HIGH' } },
      { contentType: 'application/merge-patch+json' },
    );
    await acts('a changed filter', async () => !(await passes(program, 'Warning')));
    isChanged = true;
    const before = (await stored()).length;
    await until('more load', async () => after.length > 100);
    isOver = true;
    await load;
    const rules = new Set(await stored());
    console.log(
      `${sent} sent, ${rules.size} stored, ${after.length} after the change, ${after.filter((rule) => rules.has(rule)).length} of them stored`,
    );
    expect(after.filter((rule) => rules.has(rule))).toEqual([]);
    expect(before).toBeGreaterThan(50);
    await cluster.request('DELETE', `${filtersPath}/load`);
    await acts('a deleted filter', () => passes(program, 'Warning'));
    await program.stop();
  });

  it('with an expression drop what it is false of, keep what it fails on, and are shown to fail', async () => {
    const spec = { expression: 'rule != "dropped" && (rule != "failing" || details.nothing == 1)' };
    expect((await cluster.request('POST', filtersPath, aFilter('expression', spec))).status).toBe(201);
    const program = await start();
    await ready(program);
    for (const rule of ['dropped', 'kept', 'failing', 'failing']) expect(await send(program, rule)).toBe(204);
    const rules = await stored();
    expect([rules.includes('kept'), rules.includes('failing'), rules.includes('dropped')]).toEqual([true, true, false]);
    const { body } = await cluster.request('GET', `${filtersPath}/expression`);
    expect(body.status.conditions).toEqual([
      expect.objectContaining({
        ...{ type: 'Failing', status: 'True', reason: 'ExpressionFailed', observedGeneration: 1 },
        message: 'spec.expression: at 1:51: field not found: nothing',
      }),
    ]);
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    expect(metrics).toMatch(/^zen_watcher_expression_errors_total\{kind="ObservationFilter"\} [12]$/m);
    await cluster.request('DELETE', `${filtersPath}/expression`);
    await program.stop();
  });

  it('are read before the function is ready, and an outage never lets anything pass unfiltered', async () => {
    expect((await cluster.request('POST', filtersPath, aFilter('outage', { enabled: false }))).status).toBe(201);
    await proxy.close();
    const program = await start(proxy.server);
    expect(await statusOf(program)).toBe(503);
    expect(await send(program, 'in the outage')).toBe(503);
    await proxy.open();
    await until('ready after the outage', async () => (await statusOf(program)) === 200);
    expect(await send(program, 'after it')).toBe(204);
    expect(await stored()).not.toContain('in the outage');
    expect(await stored()).not.toContain('after it');
    // A function that was ready continues with the filters that it knows.
    fault = 'no answer';
    expect(await statusOf(program)).toBe(200);
    expect(await send(program, 'in the next outage')).toBe(204);
    fault = undefined;
    await cluster.request('DELETE', `${filtersPath}/outage`);
    await program.stop();
  });

  it('act as fast if there are 1,000', async () => {
    for (let index = 0; index < 1000; index += 1) {
      const spec = { excludeRules: [`rule ${index}`], ...(index === 777 && { minSeverity: 'CRITICAL' }) };
      expect((await cluster.request('POST', filtersPath, aFilter(`many-${index}`, spec))).status).toBe(201);
    }
    const program = await start();
    await ready(program);
    expect(await passes(program)).toBe(false);
    await cluster.request('DELETE', `${filtersPath}/many-777`);
    await acts('one of 1,000 filters', () => passes(program));
    expect(await send(program, 'rule 999')).toBe(204);
    expect(await stored()).not.toContain('rule 999');
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    expect(metrics).toContain('zen_watcher_informer_cache_synced{resource="observationfilters.zen.kube-zen.io"} 1');
    expect(metrics).toContain('zen_watcher_observations_filtered_total{source="falco",reason="exclude_rule"} 1');
    await program.stop();
    await cluster.request('DELETE', filtersPath);
  });

  it('are made of a ConfigMap of nearly 1 MiB, and an invalid one changes nothing', async () => {
    const program = await startReadyFunction('filters', { server: cluster.server, folder });
    const sources = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [
        `source-${index}`,
        { excludeRules: Array.from({ length: 250 }, (_unused, rule) => `${rule} ${'x'.repeat(53)}`) },
      ]),
    );
    const configMap = (value: object) => ({
      metadata: { name: 'zen-watcher-filter' },
      data: { 'filter.json': JSON.stringify({ sources: value }) },
    });
    const big = configMap(sources);
    expect(JSON.stringify(big).length).toBeGreaterThan(900_000);
    expect((await cluster.request('POST', configMaps, big)).status).toBe(201);
    expect(await postTo(program.url, pingHeaders, '')).toBe(204);
    const names = async (): Promise<number> => (await cluster.request('GET', filtersPath)).body.items.length;
    expect(await names()).toBe(60);
    await cluster.request(
      'PUT',
      `${configMaps}/zen-watcher-filter`,
      configMap({ ...sources, falco: { minSeverity: 'hgih' } }),
    );
    expect(await postTo(program.url, pingHeaders, '')).toBe(204);
    expect(await names()).toBe(60);
    expect(await stored('filters')).toEqual(['sources.falco.minSeverity']);
    // What was made of the last valid one outlives the process.
    await program.stop();
    const again = await startReadyFunction('filters', { server: cluster.server, folder });
    expect(await postTo(again.url, pingHeaders, '')).toBe(204);
    expect(await names()).toBe(60);
    await cluster.request('DELETE', `${configMaps}/zen-watcher-filter`);
    expect(await postTo(again.url, pingHeaders, '')).toBe(204);
    expect(await names()).toBe(0);
    await again.stop();
  });

  it('cost an idle function nothing but its watches, and a sign of life now and then', async () => {
    const program = await start(proxy.server);
    await ready(program);
    proxy.calls.length = 0;
    for (let index = 0; index < 5; index += 1) await send(program, `idle ${index}`);
    const calls = proxy.calls.filter((call) => !call.startsWith('POST') && !call.includes('/leases/'));
    console.log(`calls beside the creates of 5 alerts: ${calls.length}`);
    expect(calls).toEqual([]);
    expect(proxy.calls.filter((call) => call.includes('/leases/')).length).toBeLessThanOrEqual(1);
    await program.stop();
  });

  it('webhook opens a path when its Ingester comes, and what is posted there is observed', async () => {
    await applyTriggers(cluster, [(await import('../../functions/ingest.ts')).default]);
    const ingest = await startReadyFunction('ingest', { server: cluster.server, folder });
    const { startBroker } = await import('./senders.ts');
    const broker = await startBroker({
      subscribers: new Map([['io.kube-zen.ingest.v1', ingest.url]]),
      deadLetterSink: 'http://127.0.0.1:1',
    });
    const token = join(temporaryFolder(), 'token');
    mkdirSync(join(token, '..'), { recursive: true });
    writeFileSync(token, 'good-token\n');
    const environment = { K_SINK: broker.url, WEBHOOK_AUTH_TOKEN_FILE: token };
    const webhook = await startFunction('webhook', { server: cluster.server, folder, environment });
    await ready(webhook);
    const post = (authorization?: string): Promise<number> =>
      postTo(
        `${webhook.url}/ingest/ci`,
        { 'content-type': 'application/json', ...(authorization && { authorization }) },
        JSON.stringify({ level: 'high', rule: 'posted' }),
      );
    expect(await post('Bearer good-token')).toBe(404);
    const typed = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester' };
    const spec = {
      ...{ source: 'ci', ingester: 'webhook', webhook: { path: 'ci' } },
      mappings: { severity: '.level', category: 'operational', eventType: 'ci', details: { rule: '.rule' } },
    };
    const path = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/ingesters';
    expect((await cluster.request('POST', path, { ...typed, metadata: { name: 'ci' }, spec })).status).toBe(201);
    await acts('a new Ingester', async () => (await post('Bearer good-token')) === 204);
    expect([await post(), await post('Bearer other')]).toEqual([401, 401]);
    expect(await stored('ci')).toEqual(['posted']);
    await until('its conditions', async () => {
      await postTo(ingest.url, pingHeaders, '');
      const { body } = await cluster.request('GET', `${path}/ci`);
      return JSON.stringify(body.status ?? {}).includes('"Accepted"');
    });
    broker.stop();
    await Promise.all([webhook.stop(), ingest.stop()]);
  });
});
