import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import ingest from '../../functions/ingest.ts';
import sources from '../../functions/sources.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { functionInfoOf } from '../../shared/host/function-info.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { filterFault } from '../../shared/rules/filter.ts';
import { memoryOf, until } from '../host/program.ts';
import { createTestContext, handled, ping } from '../pipeline/test-context.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { connectAs } from './connect.ts';
import { eventHeaders, startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { knativeCrds, pingHeaders, policyReport, reportCrds } from './report-crds.ts';
import { writerRules } from './rules.ts';

const api = '/apis/zen.kube-zen.io/v1alpha1/namespaces';

/** A filter that would show whether it is read: it lets nothing pass. */
const nothing = { includeNamespaces: ['none'] };

const typed = (kind: string) => ({ apiVersion: 'zen.kube-zen.io/v1alpha1', kind });

function aMapping(name: string, kind: string) {
  const spec = { sourceName: name, group: '', version: 'v1', kind };
  const mappings = { severity: 'LOW', category: 'operational', eventType: 'seen' };
  return { ...typed('ObservationMapping'), metadata: { name }, spec: { ...spec, mappings } };
}

describe.skipIf(skipWithoutCluster())('what a tenant may write on a real API server', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let folder: string;

  const post = (namespace: string, plural: string, object: object) =>
    cluster.request('POST', `${api}/${namespace}/${plural}`, object);
  const filter = (name: string, spec: object, metadata: object = {}) => ({
    ...typed('ObservationFilter'),
    metadata: { name, ...metadata },
    spec: { targetSource: 'kyverno', ...spec },
  });
  async function removeAll(namespace: string, plural: string): Promise<void> {
    await cluster.request('DELETE', `${api}/${namespace}/${plural}`);
  }
  async function placesOf(source: string): Promise<string[]> {
    const { body } = await cluster.request(
      'GET',
      `/apis/zen.kube-zen.io/v1/observations?fieldSelector=spec.source=${source}`,
    );
    const items: { metadata: { namespace: string }; spec: { rule: string } }[] = body.items;
    return items.map(({ metadata, spec }) => `${metadata.namespace} ${spec.rule}`).sort();
  }

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    await cluster.apply(knativeCrds);
    for (const name of ['zen-system', 'shop', 'pay']) await cluster.namespace(name);
    const rule = { apiGroups: ['sources.knative.dev'], resources: ['*'], verbs: ['*'] };
    const reviews = { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] };
    const accounts = { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['get'] };
    ({ folder } = await cluster.serviceAccount('functions', [...writerRules, rule, reviews, accounts]));
    for (const namespace of ['shop', 'pay']) {
      const reports = `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${namespace}/policyreports`;
      await until('reports are served', async () => (await cluster.request('GET', reports)).status === 200);
      expect((await cluster.request('POST', reports, policyReport('r', namespace, ['x']))).status).toBe(201);
    }
  }, 900_000);

  afterAll(() => cluster.stop());

  const words = (count: number, length: number): string[] =>
    Array.from({ length: count }, (_, index) => `${index}`.padEnd(length, 'x'));

  it.each<[string, object, number]>([
    ['the Kelvin sign in a severity', { minSeverity: 'un\u212anown' }, 422],
    ['a long s, which is no letter of any', { minSeverity: 'u\u017fknown' }, 422],
    ['a dotless i in a severity', { includeSeverity: ['cr\u0131tical'] }, 422],
    ['any case of ASCII', { minSeverity: 'cRiTiCaL', includeSeverity: ['High', 'loW'] }, 201],
    ['253 characters that are two in UTF-16', { excludeRules: ['\u{1f600}'.repeat(253)] }, 201],
    ['63 of them in a kind', { includeKinds: ['\u{1f600}'.repeat(63)] }, 201],
    ['half of a pair', { excludeRules: ['\ud83d'] }, 201],
    ['control characters', { excludeRules: ['\u0000\u001b[2J'], excludeCategories: ['\u202e'] }, 201],
    ['a list of nothing', { excludeKinds: [] }, 201],
    ['null for what has a default', { enabled: null }, 201],
    ['null for a severity', { minSeverity: null }, 201],
    ['null for a list', { excludeKinds: null }, 201],
    ['a field of no version', { onlyOnTuesdays: true }, 201],
    ['as much as fits', { excludeRules: words(128, 253) }, 201],
    ['more than fits', { excludeRules: words(130, 253) }, 422],
    ['more than fits in several lists', { excludeRules: words(120, 253), excludeKinds: words(50, 63) }, 422],
  ])('a filter with %s is read, or refused', async (_what, spec, status) => {
    const answer = await post('shop', 'observationfilters', filter('odd', spec));
    const read = await cluster.request('GET', `${api}/shop/observationfilters/odd`);
    await removeAll('shop', 'observationfilters');
    expect(answer.status, answer.body.message).toBe(status);
    if (status === 201) expect(filterFault(read.body), JSON.stringify(read.body.spec).slice(0, 200)).toBeUndefined();
  });

  it.each<[string, object, number]>([
    ['a key of 254 characters', { details: { ['k'.repeat(254)]: 'x' } }, 422],
    ['253 characters that are two in UTF-16', { details: { ['\u{1f600}'.repeat(253)]: '\u{1f600}'.repeat(512) } }, 201],
  ])('a mapping with %s is read, or refused', async (_what, more, status) => {
    const mapping = aMapping('odd', 'ConfigMap');
    const mappings = { ...mapping.spec.mappings, ...more };
    const odd = { ...mapping, spec: { ...mapping.spec, mappings } };
    const answer = await post('shop', 'observationmappings', odd);
    expect(answer.status, answer.body.message).toBe(status);
    await removeAll('shop', 'observationmappings');
  });

  it('a filter that can not be read, which an older CRD took, holds its namespace alone', async () => {
    const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/observationfilters.zen.kube-zen.io';
    const file = readFileSync(join(import.meta.dirname, '..', '..', 'crds', 'observationfilters.yaml'), 'utf8');
    await cluster.apply(file.replaceAll(/pattern: \^\(\[cC\].*/g, 'pattern: (?i)^(critical|unknown)$'));
    const kelvin = filter('kelvin', { minSeverity: 'un\u212anown' });
    await until('the older CRD acts', async () => (await post('shop', 'observationfilters', kelvin)).status === 201);
    await cluster.apply(file);
    expect((await cluster.request('GET', crd)).status).toBe(200);
    const program = await startReadyFunction('kyverno', { server: cluster.server, folder });
    expect(await postTo(program.url, pingHeaders, '')).toBe(204);
    expect(await placesOf('kyverno')).toEqual(['pay p/x']);
    await removeAll('shop', 'observationfilters');
    await until('it is gone', async () => {
      expect(await postTo(program.url, pingHeaders, '')).toBe(204);
      return (await placesOf('kyverno')).length === 2;
    });
    await program.stop();
  });

  it('400 filters as large as they may be end no function, and hold the namespace alone', async () => {
    const large = { ...nothing, excludeRules: words(128, 253) };
    const annotations = { note: 'x'.repeat(250_000) };
    const all = [
      ...Array.from({ length: 400 }, (_, index) => filter(`large-${index}`, large)),
      ...Array.from({ length: 60 }, (_, index) => filter(`annotated-${index}`, nothing, { annotations })),
    ];
    await forEachConcurrently(all, 8, async (one) => {
      const { status, body } = await post('shop', 'observationfilters', one);
      expect(status, body.message).toBe(201);
    });
    const program = await startReadyFunction('kyverno', { server: cluster.server, folder });
    const mebibytes = (): number => Math.round(memoryOf(program.pid).anonymous);
    console.log(`with ${all.length} filters: ${mebibytes()} MiB`);
    await cluster.request(
      'POST',
      '/apis/wgpolicyk8s.io/v1alpha2/namespaces/pay/policyreports',
      policyReport('more', 'pay', ['y']),
    );
    expect(await postTo(program.url, pingHeaders, '')).toBe(204);
    expect(await placesOf('kyverno')).toEqual(['pay p/x', 'pay p/y', 'shop p/x']);
    const used = mebibytes();
    console.log(`after a pass: ${used} MiB`);
    expect(used).toBeLessThan(256);
    await program.stop();
    await removeAll('shop', 'observationfilters');
  });

  it.each([
    ['false', ['shop seen']],
    ['true', []],
  ])('a filter silences no event with TENANTS_FILTER_EVENTS=%s: %j', async (TENANTS_FILTER_EVENTS, places) => {
    await post('shop', 'observationfilters', filter('silent', { targetSource: 'falco', enabled: false }));
    const environment = { TENANTS_FILTER_EVENTS, DEDUP_CACHE_SIZE: '0' };
    const program = await startReadyFunction('falco', { server: cluster.server, folder, environment });
    const alert = {
      ...{ rule: 'seen', priority: 'Error', time: '2026-03-01T10:00:00Z' },
      output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'p' },
    };
    await cluster.request('DELETE', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations');
    expect(await postTo(program.url, eventHeaders('falco.rule.output.v1'), JSON.stringify(alert))).toBe(204);
    expect(await placesOf('falco')).toEqual(places);
    await program.stop();
    await removeAll('shop', 'observationfilters');
  });

  it('a mapping of what may not be read joins no ApiServerSource', async () => {
    const configMaps = { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] };
    const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] };
    const noWatch = { apiGroups: [''], resources: ['services'], verbs: ['get', 'list'] };
    await cluster.serviceAccount('ingest-source', [configMaps, pods, noWatch]);
    for (const [namespace, kind] of [
      ['zen-system', 'ConfigMap'],
      ['shop', 'Secret'],
      ['shop', 'ConfigMap'],
      ['shop', 'Pod'],
      ['shop', 'Service'],
      ['shop', 'Node'],
    ] as const) {
      const answer = await post(namespace, 'observationmappings', aMapping(`${namespace}-${kind.toLowerCase()}`, kind));
      expect(answer.status, answer.body.message).toBe(201);
    }
    const { objects, discovery, close } = connectAs(cluster.server, folder);
    const context = { objects, kinds: discovery, functions: [functionInfoOf(ingest, {}, [])] };
    await handled(sources, ping, createTestContext(sources, { context }).context);
    const made = '/apis/sources.knative.dev/v1/namespaces/zen-system/apiserversources';
    const kindsOf = ({ spec }: KubernetesObject & { spec: { resources: { kind: string }[] } }): string[] =>
      spec.resources.map(({ kind }) => kind);
    const { body } = await cluster.request('GET', made);
    expect(body.items.map((one: Parameters<typeof kindsOf>[0]) => [one.metadata.name, kindsOf(one)])).toEqual([
      ['ingest-core', ['ConfigMap']],
      ['ingest-core-tenants', ['Pod']],
    ]);
    close();
  });
});
