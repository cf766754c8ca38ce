import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import gc from '../../functions/gc.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { type Program, startProgram, temporaryFolder, until, within } from '../host/program.ts';
import { createRandom } from '../host/random.ts';
import { runCommand } from '../local/commands.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { applyCrds, type Cluster, kubectl, observationColumns, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { eventHeaders, startFunction, startReadyFunction } from './functions.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { pingHeaders, policyReport, referenceTo, reportCrds, vulnerabilityReport } from './report-crds.ts';
import { writerRules } from './rules.ts';

const hour = 3_600_000;
let cluster: Cluster;
let proxy: FaultProxy;
let folder: string;
let token: string;
const auditLog = join(temporaryFolder(), 'audit.log');

const observations = '/apis/zen.kube-zen.io/v1/observations';

interface Listed {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Record<string, string> };
  readonly spec: {
    readonly source: string;
    readonly eventType: string;
    readonly rule: string;
    readonly details: Record<string, unknown>;
  };
}

async function listed(selector: string): Promise<Listed[]> {
  const { body } = await cluster.request('GET', `${observations}?labelSelector=${encodeURIComponent(selector)}`);
  return body.items;
}

async function withFunction<Result>(
  name: string,
  work: (program: Program) => Promise<Result>,
  environment = {},
): Promise<Result> {
  const program = await startReadyFunction(name, { server: proxy.server, folder, environment });
  try {
    return await work(program);
  } finally {
    await program.stop();
  }
}

async function create(object: ReturnType<typeof policyReport> | ReturnType<typeof vulnerabilityReport>): Promise<void> {
  const plural = `${object.kind.toLowerCase()}s`;
  const { status, body } = await cluster.request(
    'POST',
    `/apis/${object.apiVersion}/namespaces/${object.metadata.namespace}/${plural}`,
    object,
  );
  expect(status, JSON.stringify(body)).toBe(201);
}

async function remove(object: ReturnType<typeof policyReport>): Promise<void> {
  await cluster.request(
    'DELETE',
    `/apis/${object.apiVersion}/namespaces/${object.metadata.namespace}/policyreports/${object.metadata.name}`,
  );
}

describe.skipIf(skipWithoutCluster())('functions on a real API server', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    const policy = join(temporaryFolder(), 'policy.yaml');
    writeFileSync(
      policy,
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n',
    );
    cluster = await startCluster({ apiServerFlags: [`--audit-log-path=${auditLog}`, `--audit-policy-file=${policy}`] });
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'shop', 'many', 'calls', 'calls-new', 'two', 'pass', 'burst'])
      await cluster.namespace(name);
    ({ folder, token } = await cluster.serviceAccount('functions', writerRules));
    proxy = await startProxy({ target: cluster.server, certificates: cluster.certificates, fault: () => undefined });
    const reports = '/apis/wgpolicyk8s.io/v1alpha2/policyreports';
    await until(
      'reports may be listed',
      async () => (await cluster.request('GET', reports, undefined, { token })).status === 200,
    );
  }, 900_000);

  afterAll(async () => {
    await proxy.stop();
    await cluster.stop();
  });

  it('makes 2 calls for a report that says what is stored, the get of it among them, and 7 besides the creates for a new one', async () => {
    for (const count of [300, 1000]) {
      const report = vulnerabilityReport(count === 300 ? 'few' : 'many', 'calls', count);
      await create(report);
      const { headers, body } = referenceTo(report);
      const callsOf = async (): Promise<string[]> => {
        proxy.calls.length = 0;
        expect(await withFunction('trivy', ({ url }) => postTo(url, headers, body))).toBe(204);
        // What it lists and watches from its start on is no event's, nor is the sign of life that a process gives now and then.
        return proxy.calls.filter((call) => !/\/observation(?:filters|exceptions)\?|\/leases\//.test(call));
      };
      const fresh = await callsOf();
      const known = await callsOf();
      console.log(`API calls: ${fresh.length} for ${count} new findings, ${known.length} for as many known ones`);
      // The report, what is stored here and in the system namespace, the slot's reports before and after, the controller,
      // and how many Observations there are.
      expect(fresh).toHaveLength(count + 7);
      expect(known).toHaveLength(2);
    }
    expect(await listed('zen.kube-zen.io/source=trivy')).toHaveLength(1300);
  });

  it('lists at most 3 times for each further namespace of a report', async () => {
    const report = policyReport('spread', 'two', []);
    const namespaces = ['shop', 'many', 'two', 'calls'];
    const results = namespaces.flatMap((namespace) =>
      ['a', 'b', 'c', 'd', 'e'].map((name) => ({
        ...{ policy: 'p', rule: 'spread', result: 'fail', source: 'kyverno' },
        resources: [{ apiVersion: 'v1', kind: 'Pod', name, namespace }],
      })),
    );
    await create({ ...report, results: results as never });
    const { headers, body } = referenceTo(report);
    await withFunction('kyverno', ({ url }) => postTo(url, headers, body));
    proxy.calls.length = 0;
    await withFunction('kyverno', ({ url }) => postTo(url, headers, body));
    console.log(`API calls: ${proxy.calls.length} for a report about 20 Pods in ${namespaces.length} namespaces`);
    expect(proxy.calls.length).toBeLessThanOrEqual(5 + 3 * (namespaces.length - 1));
    await remove(report);
  });

  it('creates each Observation once, though 4 replicas get the same 2,000 events in different orders', async () => {
    const { shuffle, seed } = createRandom();
    const events = Array.from({ length: 2000 }, (_, index) => {
      const fields = { 'k8s.ns.name': 'many', 'k8s.pod.name': `p${index % 50}` };
      return JSON.stringify({
        rule: `replica ${index}`,
        priority: 'Error',
        time: '2026-03-01T10:00:00Z',
        output_fields: fields,
      });
    });
    const replicas = await Promise.all(
      [1, 2, 3, 4].map(() => startReadyFunction('falco', { server: cluster.server, folder })),
    );
    await Promise.all(
      replicas.map(({ url }) =>
        forEachConcurrently(shuffle(events), 16, async (body) => {
          const headers = eventHeaders('falco.rule.output.v1');
          expect(await postTo(url, headers, body)).toBe(204);
        }),
      ),
    );
    const items = (await listed('zen.kube-zen.io/source=falco')).filter(
      ({ metadata }) => metadata.namespace === 'many',
    );
    const rules = items.map(({ spec }) => spec.rule);
    console.log(
      `seed ${seed}: 4 replicas x 2,000 events, ${items.length} Observations, ${new Set(rules).size} different`,
    );
    expect(items).toHaveLength(2000);
    expect(new Set(rules).size).toBe(2000);
    await Promise.all(replicas.map((replica) => replica.stop()));
  });

  it('loses nothing when it is stopped and replaced in the middle of a burst', async () => {
    const headers = eventHeaders('falco.rule.output.v1');
    const alerts = Array.from({ length: 600 }, (_, index) =>
      JSON.stringify({
        ...{ rule: `burst ${index}`, priority: 'Error', time: '2026-03-01T10:00:00Z' },
        output_fields: { 'k8s.ns.name': 'burst', 'k8s.pod.name': `p${index % 9}` },
      }),
    );
    let current = await startFunction('falco', { server: cluster.server, folder });
    let answered = 0;
    let refused = 0;
    let stopping: Promise<number | null> | undefined;
    const replace = async (): Promise<number | null> => {
      const stopped = current.stop();
      current = await startFunction('falco', { server: cluster.server, folder });
      return stopped;
    };
    await forEachConcurrently(alerts, 24, async (body) => {
      // Sends again until one of the two acknowledges it, as the Broker does.
      while ((await postTo(current.url, headers, body)) !== 204) refused += 1;
      answered += 1;
      if (answered === 100) stopping = replace();
    });
    expect(await stopping).toBe(0);
    const items = (await listed('zen.kube-zen.io/source=falco')).filter(
      ({ metadata }) => metadata.namespace === 'burst',
    );
    console.log(`burst of ${alerts.length}, stopped after 100: ${refused} sent again, ${items.length} Observations`);
    expect(new Set(items.map(({ spec }) => spec.rule)).size).toBe(600);
    expect(items).toHaveLength(600);
    await current.stop();
  });

  it('finds in a pass what existed before, and resolves in two what is gone', async () => {
    const reports = Array.from({ length: 30 }, (_, index) => policyReport(`w${index}`, 'pass', ['a', 'b']));
    for (const report of reports) await create(report);
    const environment = { RESYNC_INTERVAL_MINUTES: '1' };
    const pass = () => withFunction('kyverno', ({ url }) => postTo(url, pingHeaders, ''), environment);
    const stateOf = async (): Promise<Record<string, number>> => {
      const items = (await listed('zen.kube-zen.io/source=kyverno')).filter(
        ({ metadata }) => metadata.namespace === 'pass',
      );
      const counts: Record<string, number> = {};
      for (const { metadata } of items) {
        const state = metadata.labels['zen.kube-zen.io/state'] ?? 'none';
        counts[state] = (counts[state] ?? 0) + 1;
      }
      return counts;
    };
    expect(await pass()).toBe(204);
    expect(await stateOf()).toEqual({ open: 60 });
    for (const report of reports.slice(0, 10)) await remove(report);
    expect(await pass()).toBe(204);
    expect(await stateOf()).toEqual({ open: 40, missing: 20 });
    expect(await pass()).toBe(204);
    expect(await stateOf()).toEqual({ open: 40, missing: 20 });
    // Half an interval later. The label is changed, because another process has its own clock.
    const { body } = await cluster.request(
      'GET',
      `/apis/zen.kube-zen.io/v1/namespaces/pass/observations?labelSelector=${encodeURIComponent('zen.kube-zen.io/state=missing')}`,
    );
    for (const { metadata } of body.items as Listed[]) {
      const labels = { 'zen.kube-zen.io/since': String(Date.now() - 31_000) };
      await cluster.request(
        'PATCH',
        `/apis/zen.kube-zen.io/v1/namespaces/pass/observations/${metadata.name}`,
        { metadata: { labels } },
        { contentType: 'application/merge-patch+json' },
      );
    }
    expect(await pass()).toBe(204);
    expect(await stateOf()).toEqual({ open: 40, resolved: 20 });
    for (const report of reports.slice(0, 10)) await create(report);
    expect(await pass()).toBe(204);
    expect(await stateOf()).toEqual({ open: 60 });
  });

  // So many that each of the two lists has several pages.
  it('deletes what is due among 8,000 of mixed ages, and nothing else', { timeout: 600_000 }, async () => {
    const { store, close } = connectAs(cluster.server, folder);
    const now = Date.now() + 100 * hour;
    const signal = AbortSignal.timeout(600_000);
    const kept = new Set<string>();
    const all = Array.from({ length: 8000 }, (_, index) => {
      const ttl = (index % 200) + 1;
      const namespace = index % 2 === 0 ? 'many' : 'shop';
      const object = anObservationOf(aFinding(`gc ${index}`, namespace), {
        source: 'ages',
        ttl: ttl * 3600,
        hasState: index % 3 === 0,
      });
      const ends = Number(object.metadata.labels['zen.kube-zen.io/expires']) * hour;
      // One in ten has no labels, so its TTL is the one in its spec, counted from its creation.
      const isUnlabelled = index % 10 === 0;
      if (isUnlabelled ? ttl > 102 : ends >= now) kept.add(object.metadata.name);
      if (isUnlabelled && ttl >= 99 && ttl <= 102) return undefined;
      return isUnlabelled ? { ...object, metadata: { ...object.metadata, labels: {} } } : object;
    }).filter((object) => object !== undefined);
    for (const object of all)
      if (
        object.metadata.labels['zen.kube-zen.io/source'] === undefined &&
        object.spec.ttlSecondsAfterCreation > 102 * 3600
      )
        kept.add(object.metadata.name);
    await forEachConcurrently(all, 16, async (object) => void (await store.create(object, signal)));
    const test = createTestContext(gc, { context: { store, now: () => now } });
    const started = performance.now();
    const [first, second] = await Promise.all([handled(gc, ping, test.context), handled(gc, ping, test.context)]);
    const seconds = (performance.now() - started) / 1000;
    const deletedBy = (summary: typeof first): number => summary.deleted.reduce((sum, { count }) => sum + count, 0);
    const deleted = deletedBy(first) + deletedBy(second);
    const left: string[] = [];
    for await (const { ref } of store.names({}, signal)) if (ref.name.startsWith('ages-')) left.push(ref.name);
    console.log(
      `two gcs at once deleted ${deleted} of ${all.length} in ${seconds.toFixed(1)} s, ${left.length} are left`,
    );
    expect(new Set(left)).toEqual(new Set(all.map(({ metadata }) => metadata.name).filter((name) => kept.has(name))));
    close();
  });

  it('makes no Observations of its own deletions in the audit log', { timeout: 240_000 }, async () => {
    const accounts = await cluster.serviceAccount('gc', writerRules);
    const auditor = await cluster.serviceAccount('audit', writerRules);
    const { store, close } = connectAs(cluster.server, folder);
    for (let index = 0; index < 50; index += 1) {
      const object = anObservationOf(aFinding(`old ${index}`, 'shop'), { source: 'fed', now: Date.now() - 10 * hour });
      await store.create(object, AbortSignal.timeout(30_000));
    }
    close();
    const collector = await startReadyFunction('gc', { server: cluster.server, folder: accounts.folder });
    const audit = await startReadyFunction('audit', { server: cluster.server, folder: auditor.folder });
    let offset = readFileSync(auditLog).length;
    const since = offset;
    expect(await postTo(collector.url, pingHeaders, '')).toBe(204);
    const rounds: number[] = [];
    for (let round = 0; round < 10 && rounds.at(-1) !== 0; round += 1) {
      const before = (await listed('zen.kube-zen.io/source=audit')).length;
      // The log lags behind. Once it has this last request, it has everything.
      const marker = `/api/v1/namespaces/marker-${round}`;
      await cluster.request('GET', marker);
      await until('the audit log is whole', () => readFileSync(auditLog, 'utf8').includes(marker));
      const log = readFileSync(auditLog);
      const lines = log
        .subarray(offset)
        .toString()
        .split('\n')
        .filter((line) => line.startsWith('{'));
      offset = log.length;
      const headers = eventHeaders('io.kube-zen.audit.v1');
      for (const line of lines) expect([204, 422]).toContain(await postTo(audit.url, headers, line));
      rounds.push((await listed('zen.kube-zen.io/source=audit')).length - before);
    }
    const own = readFileSync(auditLog).subarray(since).toString();
    expect(own).toContain('system:serviceaccount:zen-system:gc');
    console.log(`Observations that each round of the audit log added: ${rounds.join(', ')}`);
    expect(rounds.at(-1)).toBe(0);
    expect(rounds[0]).toBe(0);
    expect(await listed('zen.kube-zen.io/source=fed')).toEqual([]);
    await Promise.all([collector.stop(), audit.stop()]);
  });

  it('uses a token that was replaced', async () => {
    const account = await cluster.serviceAccount('rotated', writerRules);
    await withFunction('falco', async () => undefined);
    const program = await startReadyFunction('falco', { server: proxy.server, folder: account.folder });
    const headers = eventHeaders('falco.rule.output.v1');
    const alert = (rule: string): string => JSON.stringify({ rule, priority: 'Error', time: '2026-03-01T10:00:00Z' });
    expect(await postTo(program.url, headers, alert('before the rotation'))).toBe(204);
    const path = '/api/v1/namespaces/zen-system/serviceaccounts/rotated/token';
    const { body } = await cluster.request('POST', path, { spec: { expirationSeconds: 7200 } });
    writeFileSync(join(account.folder, 'token'), body.status.token);
    proxy.revoke(account.token);
    expect(await postTo(program.url, headers, alert('after the rotation'))).toBe(204);
    proxy.revoke(body.status.token);
    expect(await postTo(program.url, headers, alert('without a token'))).toBe(503);
    await program.stop();
    expect(program.log.join('\n')).toContain('the API server refuses our token');
    expect(program.log.join('\n')).not.toContain(account.token);
  });

  it('run in local mode with a kubeconfig, and kubectl shows the columns', async () => {
    await create(policyReport('local', 'shop', ['seen by kubectl']));
    const kubeconfig = cluster.kubeconfig();
    const program = await startProgram({ args: ['--port', '0', '--kubeconfig', kubeconfig] });
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({
      rule: 'local on a cluster',
      priority: 'Error',
      output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' },
    });
    expect(await postTo(`${program.url}/falco/webhook`, headers, body)).toBe(204);
    const answer = await fetch(`${program.url}/observations?namespace=shop&source=falco`);
    expect(JSON.stringify(await answer.json())).toContain('local on a cluster');
    const { stdout } = await runCommand('observations', [
      '--kubeconfig',
      kubeconfig,
      '-n',
      'shop',
      '--source',
      'falco',
    ]);
    expect(stdout).toMatch(/^NAMESPACE +NAME +SOURCE .*\nshop +falco-[0-9a-f]{32} +falco +HIGH +Pod +p /);
    const run = kubectl(kubeconfig);
    if (run) {
      const [header = '', ...lines] = run(['get', 'obs', '-n', 'shop', '-l', 'zen.kube-zen.io/source=falco'])
        .trim()
        .split('\n');
      expect(header.split(/\s+/)).toEqual(observationColumns);
      expect(lines.join('\n')).toMatch(/falco-[0-9a-f]{32}\s+falco\s+HIGH\s+Pod\s+p\s/);
      await until('the report is observed', async () =>
        (await listed('zen.kube-zen.io/source=kyverno')).some(({ spec }) => spec.rule.includes('seen by kubectl')),
      );
      expect(run(['get', 'obs', '-n', 'shop', '-l', 'zen.kube-zen.io/source=kyverno'])).toMatch(
        /Deployment\s+local\s+open\s/,
      );
    }
    expect(await program.stop()).toBe(0);
  });

  it('observe with a kubeconfig what an Ingester for objects names, and mark it as ready', async () => {
    await cluster.request('POST', '/api/v1/namespaces/shop/configmaps', {
      metadata: { name: 'scan', namespace: 'shop', labels: { scan: 'mine' } },
      data: { risk: 'High', text: 'a port is open' },
    });
    const ingesters = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/ingesters';
    await cluster.request('POST', ingesters, {
      apiVersion: 'zen.kube-zen.io/v1alpha1',
      kind: 'Ingester',
      metadata: { name: 'my-scans', namespace: 'zen-system' },
      spec: {
        source: 'my-scans',
        ingester: 'informer',
        informer: { gvr: { group: '', version: 'v1', resource: 'configmaps' }, labelSelector: 'scan=mine' },
        mappings: { severity: '.data.risk', category: 'security', eventType: 'open-port', message: '.data.text' },
      },
    });
    const program = await startProgram({ args: ['--port', '0', '--kubeconfig', cluster.kubeconfig()] });
    const [found] = await within('the finding of an Ingester', 5, async () => {
      const items = await listed('zen.kube-zen.io/source=my-scans');
      return items.length > 0 ? items : undefined;
    });
    expect(found).toMatchObject({
      metadata: { namespace: 'shop' },
      spec: { severity: 'HIGH', details: { message: 'a port is open' } },
    });
    const conditions = await within('the conditions of an Ingester', 5, async () => {
      const { body } = await cluster.request('GET', `${ingesters}/my-scans`);
      return body.status?.conditions?.length > 1 ? body.status.conditions : undefined;
    });
    expect(conditions).toEqual([
      expect.objectContaining({ type: 'Accepted', status: 'True' }),
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    ]);
    expect(await program.stop()).toBe(0);
  });
});
