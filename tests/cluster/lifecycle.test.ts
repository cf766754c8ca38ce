import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Program, until, within } from '../host/program.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import { type FaultProxy, postTo, startProxy } from './proxy.ts';
import { crd, pingHeaders, policyReport, referenceTo, reportCrds, vulnerabilityReport } from './report-crds.ts';
import { writerRules } from './rules.ts';

interface Found {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly rule: string;
    readonly summary: string;
    readonly details: Readonly<Record<string, unknown>>;
  };
}

interface Report {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const json = { contentType: 'application/merge-patch+json' };

const vulnerability = (id: string, more: object = {}) => ({
  ...{ vulnerabilityID: id, resource: 'openssl', installedVersion: '3.0.11', severity: 'HIGH', title: 'a flaw' },
  ...more,
});

describe.skipIf(skipWithoutCluster())('what is stored says what is true now', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let proxy: FaultProxy;
  let folder: string;
  let trivy: Program;
  let kyverno: Program;
  let meanwhile: (call: string) => Promise<void> = async () => undefined;

  const pathOf = ({ apiVersion, kind, metadata: { namespace } }: Report): string =>
    `/apis/${apiVersion}/namespaces/${namespace}/${kind.toLowerCase()}s`;
  const create = async (report: Report): Promise<void> => {
    const { status, body } = await cluster.request('POST', pathOf(report), report);
    expect(status, JSON.stringify(body)).toBe(201);
  };
  const change = async (report: Report, changed: object): Promise<void> => {
    const { status, body } = await cluster.request('PATCH', `${pathOf(report)}/${report.metadata.name}`, changed, json);
    expect(status, JSON.stringify(body)).toBe(200);
  };
  const send = ({ url }: Program, report: Report): Promise<number> => {
    const { headers, body } = referenceTo(report);
    return postTo(url, headers, body);
  };
  const observationsIn = (namespace: string): string => `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations`;
  const stored = async (namespace: string): Promise<Found[]> =>
    (await cluster.request('GET', observationsIn(namespace))).body.items;
  const stateOf = ({ metadata }: Found): string => metadata.labels['zen.kube-zen.io/state'] ?? 'none';
  const states = async (namespace: string): Promise<Record<string, string>> =>
    Object.fromEntries((await stored(namespace)).map((one) => [one.spec.rule, stateOf(one)]));
  const replicaSet = async (namespace: string, name: string): Promise<void> => {
    const labels = { app: name };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'app' }] } };
    const spec = { replicas: 1, selector: { matchLabels: labels }, template };
    const path = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
    expect((await cluster.request('POST', path, { metadata: { name }, spec })).status).toBe(201);
  };
  const withVulnerabilities = (name: string, namespace: string, vulnerabilities: readonly object[]) => {
    const report = vulnerabilityReport(name, namespace, 0);
    return { ...report, report: { ...report.report, vulnerabilities } };
  };
  const writes = (): string[] => proxy.calls.filter((call) => !call.startsWith('GET '));

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['zen-system', 'fixed', 'rollout', 'news', 'unreadable', 'groups', 'race'])
      await cluster.namespace(name);
    ({ folder } = await cluster.serviceAccount('lifecycle', writerRules));
    proxy = await startProxy({
      ...{ target: cluster.server, certificates: cluster.certificates },
      fault: () => undefined,
      meanwhile: (call) => meanwhile(call),
    });
    const reports = '/apis/aquasecurity.github.io/v1alpha1/vulnerabilityreports';
    await until('reports are served', async () => (await cluster.request('GET', reports)).status === 200);
    [trivy, kyverno] = await Promise.all([
      startReadyFunction('trivy', { server: proxy.server, folder }),
      startReadyFunction('kyverno', { server: proxy.server, folder }),
    ]);
  }, 900_000);

  afterAll(async () => {
    await Promise.all([trivy.stop(), kyverno.stop()]);
    await proxy.stop();
    await cluster.stop();
  });

  it('shows within a second that a vulnerability has been fixed', async () => {
    const report = vulnerabilityReport('api-7d9c5b6f4d', 'fixed', 20);
    await create(report);
    expect(await send(trivy, report)).toBe(204);
    expect(Object.values(await states('fixed'))).toEqual(Array.from({ length: 20 }, () => 'open'));
    await change(report, { report: { vulnerabilities: report.report.vulnerabilities.slice(1) } });
    const answer = send(trivy, report);
    await within('a fix is shown', 1, async () => (await states('fixed'))['CVE-2099-0'] === 'missing' || undefined);
    expect(await answer).toBe(204);
    expect(Object.values(await states('fixed')).filter((state) => state === 'open')).toHaveLength(19);
  });

  it('keeps open what another running ReplicaSet of the Deployment still has', async () => {
    await replicaSet('rollout', 'web-7d9c5b6f4d');
    await replicaSet('rollout', 'web-56789bcdf4');
    const both = [vulnerability('CVE-2099-1'), vulnerability('CVE-2099-2')];
    const before = withVulnerabilities('web-7d9c5b6f4d', 'rollout', both);
    const after = withVulnerabilities('web-56789bcdf4', 'rollout', both.slice(0, 1));
    await create(before);
    expect(await send(trivy, before)).toBe(204);
    await create(after);
    expect(await send(trivy, after)).toBe(204);
    expect(await states('rollout')).toEqual({ 'CVE-2099-1': 'open', 'CVE-2099-2': 'open' });
    await change(before, { report: { vulnerabilities: both.slice(0, 1) } });
    expect(await send(trivy, before)).toBe(204);
    expect(await states('rollout')).toEqual({ 'CVE-2099-1': 'open', 'CVE-2099-2': 'missing' });
  });

  it('patches once when a fixed version appears, and says no longer what the report has no more', async () => {
    const report = withVulnerabilities('api-7d9c5b6f4d', 'news', [vulnerability('CVE-2099-1')]);
    const detailsAfter = async (row: object): Promise<unknown> => {
      await change(report, { report: { vulnerabilities: [row] } });
      proxy.calls.length = 0;
      expect(await send(trivy, report)).toBe(204);
      expect(writes()).toEqual([expect.stringMatching(/^PATCH /)]);
      return (await stored('news'))[0]?.spec.details;
    };
    await create(report);
    expect(await send(trivy, report)).toBe(204);
    const fixed = await detailsAfter(vulnerability('CVE-2099-1', { fixedVersion: '3.0.13' }));
    expect(fixed).toMatchObject({ versions: [{ fixedVersion: '3.0.13' }] });
    expect(await detailsAfter(vulnerability('CVE-2099-1', { title: undefined }))).not.toHaveProperty('title');
    expect(JSON.stringify(await stored('news'))).not.toContain('3.0.13');
    proxy.calls.length = 0;
    expect(await send(trivy, report)).toBe(204);
    expect(proxy.calls).toHaveLength(2);
  });

  it('says that a report cannot be read for as long as that is so', async () => {
    const report = withVulnerabilities('api-7d9c5b6f4d', 'unreadable', [vulnerability('CVE-2099-1')]);
    await create(report);
    expect(await send(trivy, report)).toBe(204);
    await change(report, { report: { vulnerabilities: 'none' } });
    expect(await send(trivy, report)).toBe(422);
    expect(await states('unreadable')).toEqual({ 'CVE-2099-1': 'open', 'unreadable-object': 'open' });
    await change(report, { report: { vulnerabilities: [vulnerability('CVE-2099-1')] } });
    expect(await send(trivy, report)).toBe(204);
    expect(await states('unreadable')).toEqual({ 'CVE-2099-1': 'open', 'unreadable-object': 'missing' });
  });

  it('asks once for kinds that are not served, and unites two API groups when they are', async () => {
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'web', controller: true };
    const base = policyReport('web', 'groups', ['a', 'b']);
    const old = { ...base, metadata: { ...base.metadata, ownerReferences: [owner] } };
    await create(old);
    expect(await send(kyverno, old)).toBe(204);
    const callsOf = async (rules: readonly string[]): Promise<string[]> => {
      await change(old, { results: policyReport('web', 'groups', rules).results });
      proxy.calls.length = 0;
      expect(await send(kyverno, old)).toBe(204);
      return proxy.calls.filter((call) => call.includes('reports'));
    };
    // The report, and the slot's reports before and after the write: the other groups and versions were asked before.
    const calls = await callsOf(['a', 'b', 'c']);
    console.log(`API calls for reports: ${calls.join(', ')}`);
    expect(calls.filter((call) => call.includes('openreports') || call.includes('reports.x-k8s.io'))).toEqual([]);
    expect(calls).toHaveLength(3);

    await cluster.apply(crd('openreports.io', 'v1alpha1', 'Report'));
    const path = '/apis/openreports.io/v1alpha1/namespaces/groups/reports';
    await until('the other group is served', async () => (await cluster.request('GET', path)).status === 200);
    const other = { ...old, apiVersion: 'openreports.io/v1alpha1', kind: 'Report' };
    const whole = { ...other, results: policyReport('web', 'groups', ['a', 'b', 'c']).results };
    await create(whole);
    expect(await postTo(kyverno.url, pingHeaders, '')).toBe(204);
    await callsOf(['a']);
    expect(await states('groups')).toEqual({ 'p/a': 'open', 'p/b': 'open', 'p/c': 'open' });
    await change(other, { results: policyReport('web', 'groups', ['a', 'b']).results });
    expect(await send(kyverno, other)).toBe(204);
    expect(await states('groups')).toEqual({ 'p/a': 'open', 'p/b': 'open', 'p/c': 'missing' });
  });

  it('writes facts again over what somebody else wrote in between', async () => {
    const report = withVulnerabilities('api-7d9c5b6f4d', 'race', [vulnerability('CVE-2099-1')]);
    await create(report);
    expect(await send(trivy, report)).toBe(204);
    let races = 0;
    meanwhile = async (call) => {
      if (!call.startsWith('PATCH ') || races === 2) return;
      races += 1;
      const path = call.slice('PATCH '.length);
      const labels = { 'example.com/seen': String(races) };
      expect((await cluster.request('PATCH', path, { metadata: { labels } }, json)).status).toBe(200);
    };
    await change(report, { report: { vulnerabilities: [vulnerability('CVE-2099-1', { fixedVersion: '3.0.13' })] } });
    proxy.calls.length = 0;
    expect(await send(trivy, report)).toBe(204);
    meanwhile = async () => undefined;
    expect(writes()).toHaveLength(3);
    const [found] = await stored('race');
    expect(found?.spec.details).toMatchObject({ versions: [{ fixedVersion: '3.0.13' }] });
    expect(found?.metadata.labels).toMatchObject({ 'example.com/seen': '2', 'zen.kube-zen.io/state': 'open' });
  });
});
