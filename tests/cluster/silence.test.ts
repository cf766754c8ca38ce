import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifestsOf, sharedManifests } from '../../knative/generator/manifests.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { until } from '../host/program.ts';
import { applyManifest } from '../knative/apply.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { knativeCrds, pingHeaders, policyReport, referenceTo, reportCrds } from './report-crds.ts';

const leases = '/apis/coordination.k8s.io/v1/namespaces/zen-system/leases';
const observations = '/apis/zen.kube-zen.io/v1/namespaces/zen-system/observations';
const reports = '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports';
const hour = 3_600_000;

const alert = JSON.stringify({ rule: 'r', priority: 'Error', time: '2026-03-01T10:00:00Z' });

describe.skipIf(skipWithoutCluster())('a source that fell silent', { timeout: 120_000 }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    await cluster.apply(knativeCrds);
    for (const name of ['zen-system', 'shop', 'checkov', 'kube-bench']) await cluster.namespace(name);
    const definitions = await loadFunctions();
    const manifests = [...sharedManifests(definitions), ...definitions.flatMap((one) => manifestsOf(one))];
    for (const manifest of manifests) {
      if (!manifest.apiVersion.includes('knative.dev')) await applyManifest(cluster, manifest);
    }
  }, 900_000);

  afterAll(async () => void (await cluster.stop()));

  /** What a fresh process with its generated role shows after an event, and once something more has happened. */
  async function run(
    name: string,
    headers: Record<string, string>,
    body: string,
    hasHappened = async (): Promise<unknown> => undefined,
  ): Promise<string> {
    const path = `/api/v1/namespaces/zen-system/serviceaccounts/${name}/token`;
    const { body: answer } = await cluster.request('POST', path, { spec: { expirationSeconds: 3600 } });
    const folder = cluster.mount(name, answer.status.token);
    const program = await startReadyFunction(name, { server: cluster.server, folder });
    expect(await postTo(program.url, headers, body)).toBe(204);
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    await hasHappened();
    await program.stop();
    return metrics;
  }

  const collect = (): Promise<string> => run('gc', pingHeaders, '');
  const silent = (metrics: string) =>
    new Map([...metrics.matchAll(/^zen_watcher_source_silent\{source="(.*)"\} (\d)$/gm)].map(([, of, is]) => [of, is]));

  async function renewedAt(source: string): Promise<number> {
    const { body } = await cluster.request('GET', `${leases}/zen-watcher-${source}`);
    return Date.parse(body.spec?.renewTime ?? '');
  }

  /** The time passes that the Lease says: nobody has to wait for it. */
  async function age(source: string, hours: number): Promise<void> {
    const renewTime = new Date((await renewedAt(source)) - hours * hour).toISOString().replace('Z', '000Z');
    const options = { contentType: 'application/merge-patch+json' };
    const { status } = await cluster.request(
      'PATCH',
      `${leases}/zen-watcher-${source}`,
      { spec: { renewTime } },
      options,
    );
    expect(status).toBe(200);
  }

  async function said(): Promise<readonly string[]> {
    const { body } = await cluster.request('GET', observations);
    const items: { spec: { eventType: string; details: { source: string } }; metadata: { labels: object } }[] =
      body.items;
    return items
      .filter(({ spec }) => spec.eventType === 'source-silent')
      .map(({ spec, metadata }) => `${spec.details.source} ${Reflect.get(metadata.labels, 'zen.kube-zen.io/state')}`)
      .sort();
  }

  it('is told by gc, and taken back when it speaks again', async () => {
    const speak = (what: string, isSigned: () => Promise<boolean>) =>
      run('falco', eventHeaders('falco.rule.output.v1'), alert, () => until(what, isSigned));
    expect(silent(await collect())).toEqual(new Map());
    await speak('falco has left a sign', async () => Number.isFinite(await renewedAt('falco')));
    expect(silent(await collect())).toEqual(new Map([['falco', '0']]));
    await age('falco', 25);
    expect(silent(await collect())).toEqual(new Map([['falco', '0']]));
    await age('falco', 2);
    expect(silent(await collect())).toEqual(new Map([['falco', '1']]));
    expect(await said()).toEqual(['falco open']);
    // A repeat, of which nothing is written but that it came.
    await speak('falco has left a new sign', async () => Date.now() - (await renewedAt('falco')) < hour);
    expect(silent(await collect())).toEqual(new Map([['falco', '0']]));
    expect(await said()).toEqual(['falco resolved']);
  });

  it('is told of audit after a quarter of an hour, and of a scanner by its reports', async () => {
    await run('audit', { ...eventHeaders('io.kube-zen.audit.v1'), 'ce-signoflife': 'true' }, '{}', () =>
      until('audit has left a sign', async () => Number.isFinite(await renewedAt('audit'))),
    );
    await run('kyverno', pingHeaders, '');
    expect(await renewedAt('kyverno')).toBeNaN();
    const report = policyReport('web', 'shop', ['a']);
    await cluster.request('POST', reports, report);
    await run('kyverno', pingHeaders, '');
    expect(Date.now() - (await renewedAt('kyverno'))).toBeLessThan(hour);
    await age('audit', 1);
    await age('kyverno', 48);
    const metrics = silent(await collect());
    expect([metrics.get('audit'), metrics.get('kyverno')]).toEqual(['1', '1']);
    expect(await said()).toEqual(['audit open', 'falco resolved', 'kyverno open']);
    const { headers, body } = referenceTo(report);
    await run('kyverno', headers, body, () =>
      until('kyverno has left a sign', async () => Date.now() - (await renewedAt('kyverno')) < hour),
    );
    await collect();
    expect(await said()).toEqual(['audit open', 'falco resolved', 'kyverno resolved']);
  });
});
