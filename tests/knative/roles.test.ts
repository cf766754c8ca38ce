import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifestsOf, rolesOf, sharedManifests } from '../../knative/generator/manifests.ts';
import { controlledKinds } from '../../shared/api/controllers.ts';
import type { FunctionDefinition } from '../../shared/function/definitions.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { eventHeaders, startFunction, startReadyFunction } from '../cluster/functions.ts';
import { postTo } from '../cluster/proxy.ts';
import {
  applyTriggers,
  broker,
  knativeCrds,
  pingHeaders,
  policyReport,
  referenceTo,
  reportCrds,
  vulnerabilityReport,
} from '../cluster/report-crds.ts';
import { differences, expectNone } from '../facts/faults.ts';
import { within } from '../host/program.ts';
import { applyManifest } from './apply.ts';

const definitions = await loadFunctions();

/** What each function is for: it answers 204 only if it has all the rights it needs. */
interface Job {
  readonly environment?: () => Readonly<Record<string, string>>;
  readonly name: string;
  /** Whether what no answer waits for was done, too, once the process has ended. */
  isDone?(cluster: Cluster): Promise<boolean>;
  prepare(cluster: Cluster): Promise<unknown>;
  readonly requests: readonly {
    /** What has to be set up before each attempt. */
    before?(cluster: Cluster): Promise<unknown>;
    readonly path?: string;
    readonly headers: Record<string, string>;
    readonly body: string;
  }[];
}

const event = (type: string, data: unknown, extensions: Record<string, string> = {}) => ({
  headers: { ...eventHeaders(type), ...extensions },
  body: JSON.stringify(data),
});

/** Two equal events with ids of their own. */
const twice = (type: string, data: unknown, source = '/tests') =>
  ['1', '2'].map((id) => event(type, data, { 'ce-id': id, 'ce-source': source }));

/** Whether repeats were counted; the Observations are deleted, so that the next attempt has to count anew. */
async function hasCounted(cluster: Cluster): Promise<boolean> {
  const all = '/apis/zen.kube-zen.io/v1/observations';
  const { body } = await cluster.request('GET', all);
  const series = body.items.map(({ status }: { status?: { series?: unknown } }) => status?.series);
  for (const { metadata } of body.items) {
    await cluster.request(
      'DELETE',
      `${all.replace('/observations', '')}/namespaces/${metadata.namespace}/observations/${metadata.name}`,
    );
  }
  return series.some((one: unknown) => one !== undefined);
}

const ping = { headers: pingHeaders, body: '' };

const configMap = (app: string, results: unknown) => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', data: { 'results.json': JSON.stringify(results) } },
  metadata: { name: 'results', namespace: app, labels: { app } },
});
const checkovResults = configMap('checkov', {
  check_type: 'kubernetes',
  results: { failed_checks: [{ check_id: 'CKV_1', resource: 'Pod.shop.a' }] },
});
const benchResults = configMap('kube-bench', [
  { version: 'cis', node_type: 'node', tests: [{ results: [{ test_number: '1', status: 'FAIL' }] }] },
]);
const policies = policyReport('web', 'shop', ['a']);
const vulnerabilities = vulnerabilityReport('web', 'shop', 2);
const audited = {
  ...{
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    auditID: 'j',
    stage: 'ResponseComplete',
    verb: 'delete',
    user: { username: 'eve' },
  },
  objectRef: { resource: 'roles', apiGroup: 'rbac.authorization.k8s.io', namespace: 'shop', name: 'p' },
};

const filterConfigMapPath = '/api/v1/namespaces/zen-system/configmaps/zen-watcher-filter';
const ownFilters = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationfilters';
const configMapOf = (minSeverity: string) => ({
  metadata: { name: 'zen-watcher-filter', namespace: 'zen-system' },
  data: { 'filter.json': JSON.stringify({ sources: { falco: { minSeverity } } }) },
});

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const mergePatch = { contentType: 'application/merge-patch+json' };
const mappingPath = '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system';
const mappingOf = (name: string) => ({
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationMapping', metadata: { name } },
  spec: {
    ...{ sourceName: 'own', group: 'wgpolicyk8s.io', version: 'v1alpha2', kind: 'PolicyReport' },
    mappings: { severity: 'HIGH', category: 'security', eventType: 'own' },
  },
});
const exceptionOf = (name: string) => ({
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationException', metadata: { name } },
  spec: { match: { sources: ['old'] }, reason: 'because' },
});
const hooks = {
  ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester', metadata: { name: 'hooks' } },
  spec: {
    ...{ source: 'hooks', ingester: 'webhook', webhook: { path: 'hooks' } },
    mappings: { severity: 'HIGH', category: 'security', eventType: 'own' },
  },
};

const brokers = '/apis/eventing.knative.dev/v1/namespaces/zen-system/brokers';
const brokerServer = createServer((request, response) => {
  request.resume();
  request.on('end', () => response.writeHead(202).end());
});

function brokerUrl(): string {
  const { port } = brokerServer.address() as AddressInfo;
  return `http://127.0.0.1:${port}/zen-system/zen-watcher`;
}

/** An Observation that is to be told, and the announcement of it. */
const told = {
  apiVersion: 'zen.kube-zen.io/v1',
  kind: 'Observation',
  metadata: { name: 'told', namespace: 'shop', labels: { 'zen.kube-zen.io/outbox': 'due' } },
  spec: {
    ...{ source: 'kyverno', category: 'security', severity: 'HIGH', eventType: 'violation', rule: 'r' },
    ...{ details: {}, detectedAt: '2026-03-01T10:00:00Z', ttlSecondsAfterCreation: 3600 },
  },
};
const asStored = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-03-01T10:00:00Z' };
const announced = event('io.kube-zen.observation.opened.v1', { ...told, metadata: { ...told.metadata, ...asStored } });

const prepareBroker = (cluster: Cluster) => cluster.request('POST', brokers, broker({ url: brokerUrl() }));

const jobs: readonly Job[] = [
  {
    name: 'falco',
    prepare: async () => undefined,
    requests: twice('falco.rule.output.v1', { rule: 'r', priority: 'Error', time: '2026-03-01T10:00:00Z' }),
    isDone: hasCounted,
  },
  {
    name: 'audit',
    prepare: async () => undefined,
    requests: twice('io.kube-zen.audit.v1', audited),
    isDone: hasCounted,
  },
  {
    name: 'deadletter',
    prepare: async () => undefined,
    requests: [event('x.y', {}, { 'ce-knativeerrorcode': '400', 'ce-knativeerrordest': 'http://x/' })],
  },
  {
    name: 'gc',
    // So that the limit is exceeded, and what there is has to be judged by its spec.
    environment: () => ({ MAX_OBSERVATIONS: '1' }),
    prepare: async () => undefined,
    requests: [
      {
        ...ping,
        before: async (cluster) => {
          const spec = { source: 'old', category: 'security', severity: 'HIGH', eventType: 'old' };
          for (const name of ['old', 'older']) {
            const metadata = { name, labels: { 'zen.kube-zen.io/expires': 'never' } };
            const object = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata, spec };
            await cluster.request('POST', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations', object);
          }
        },
      },
    ],
  },
  {
    name: 'webhook',
    async prepare(cluster) {
      await applyTriggers(cluster, definitions);
      await cluster.request('POST', brokers, broker({ url: brokerUrl() }));
    },
    requests: [
      {
        path: '/falco/webhook',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ rule: 'r', priority: 'Error' }),
      },
    ],
  },
  // By other people's rights, and none of its own: tests/page/rights.test.ts.
  { name: 'page', prepare: async () => undefined, requests: [] },
  {
    name: 'sources',
    // What is mapped is asked about.
    prepare: (cluster) => cluster.request('POST', `${mappingPath}/observationmappings`, mappingOf('own')),
    requests: [ping],
  },
  {
    name: 'filters',
    prepare: (cluster) => cluster.request('POST', '/api/v1/namespaces/zen-system/configmaps', configMapOf('LOW')),
    requests: [
      {
        ...ping,
        async before(cluster) {
          await cluster.request('PUT', filterConfigMapPath, configMapOf('LOW'));
          await cluster.request('DELETE', `${ownFilters}/zen-watcher-filter-falco`);
        },
      },
      { ...ping, before: (cluster) => cluster.request('PUT', filterConfigMapPath, configMapOf('lwo')) },
    ],
  },
  {
    name: 'exceptions',
    async prepare(cluster) {
      const spec = { source: 'old', category: 'security', severity: 'HIGH', eventType: 'old' };
      const object = { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata: { name: 'to-accept' }, spec };
      await cluster.request('POST', '/apis/zen.kube-zen.io/v1/namespaces/shop/observations', object);
    },
    requests: [
      {
        ...ping,
        // A new exception, so that there is something to mark, and a status to write, each time.
        async before(cluster) {
          await cluster.request('DELETE', `${mappingPath}/observationexceptions/old`);
          const accepted = { metadata: { labels: { 'zen.kube-zen.io/accepted': null } } };
          const path = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations/to-accept';
          await cluster.request('PATCH', path, accepted, mergePatch);
          await cluster.request('POST', `${mappingPath}/observationexceptions`, exceptionOf('old'));
        },
      },
    ],
  },
  {
    name: 'ingest',
    async prepare(cluster) {
      await cluster.request('POST', '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports', policies);
      const reads = { apiGroups: ['wgpolicyk8s.io'], resources: ['policyreports'], verbs: ['get', 'list', 'watch'] };
      // No controller aggregates ClusterRoles here.
      const name = 'zen-watcher-ingest-kinds';
      await cluster.request('PATCH', `${rbac}/clusterroles/${name}`, { rules: [reads] }, mergePatch);
      await cluster.request('POST', `${mappingPath}/observationmappings`, mappingOf('own'));
      await cluster.request('POST', `${mappingPath}/ingesters`, hooks);
    },
    requests: [
      {
        ...ping,
        // A new mapping, so that its conditions are written each time.
        async before(cluster) {
          await cluster.request('DELETE', `${mappingPath}/observationmappings/own`);
          await cluster.request('POST', `${mappingPath}/observationmappings`, mappingOf('own'));
        },
      },
      referenceTo(policies),
      ...twice('io.kube-zen.ingest.v1', { text: 'a' }, '/ingest/hooks'),
    ],
    isDone: hasCounted,
  },
  {
    name: 'kyverno',
    prepare: (cluster) =>
      cluster.request('POST', '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports', policies),
    requests: [referenceTo(policies), ping],
  },
  {
    name: 'trivy',
    prepare: (cluster) =>
      cluster.request(
        'POST',
        '/apis/aquasecurity.github.io/v1alpha1/namespaces/shop/vulnerabilityreports',
        vulnerabilities,
      ),
    requests: [referenceTo(vulnerabilities), ping],
  },
  {
    name: 'checkov',
    prepare: (cluster) => cluster.request('POST', '/api/v1/namespaces/checkov/configmaps', checkovResults),
    requests: [referenceTo(checkovResults), ping],
  },
  {
    name: 'kube-bench',
    prepare: (cluster) => cluster.request('POST', '/api/v1/namespaces/kube-bench/configmaps', benchResults),
    requests: [referenceTo(benchResults), ping],
  },
  {
    name: 'announce',
    prepare: prepareBroker,
    requests: [
      {
        ...ping,
        async before(cluster) {
          const path = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';
          await cluster.request('DELETE', `${path}/told`);
          await cluster.request('POST', path, told);
        },
      },
    ],
  },
  {
    name: 'alertmanager',
    environment: () => ({ ALERTMANAGER_URL: brokerUrl() }),
    prepare: async () => undefined,
    requests: [announced, ping],
  },
  {
    name: 'falcosidekick',
    environment: () => ({ FALCOSIDEKICK_URL: brokerUrl() }),
    prepare: async () => undefined,
    requests: [announced],
  },
  {
    name: 'sender',
    environment: () => ({ SINK_URL: brokerUrl() }),
    prepare: async () => undefined,
    requests: [announced],
  },
];

/** What no function may do, whatever it is for. */
interface Deed {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** The functions that may do it. */
  readonly but?: readonly string[];
}

/** What a function does with these it does as far as it can. */
function bestEffort(name: string): ReadonlySet<string> {
  return new Set([
    ...controlledKinds.map(({ plural }) => plural),
    ...(['gc', 'announce'].includes(name) ? [] : ['leases']),
    ...(name === 'filters' ? [] : ['observationfilters/status']),
  ]);
}

const core = '/api/v1/namespaces/zen-system';
const own = '/apis/zen.kube-zen.io/v1/namespaces/zen-system/observations';
const deeds: readonly Deed[] = [
  { what: 'read other Brokers', method: 'GET', path: `${brokers}?fieldSelector=metadata.name%3Dother` },
  { what: 'read all Brokers', method: 'GET', path: brokers },
  { what: 'read Secrets', method: 'GET', path: `${core}/secrets` },
  { what: 'read Secrets anywhere', method: 'GET', path: '/api/v1/secrets' },
  {
    what: 'read Pods',
    ...{ method: 'GET', path: '/api/v1/namespaces/shop/pods/x', but: ['checkov', 'ingest', 'kyverno', 'trivy'] },
  },
  { what: 'list Pods', method: 'GET', path: '/api/v1/namespaces/shop/pods' },
  { what: 'read what Pods print', method: 'GET', path: '/api/v1/namespaces/shop/pods/x/log' },
  { what: 'read ConfigMaps anywhere', method: 'GET', path: '/api/v1/configmaps' },
  { what: 'write ConfigMaps', method: 'POST', path: `${core}/configmaps`, body: { metadata: { name: 'x' } } },
  { what: 'make Pods', method: 'POST', path: `${core}/pods`, body: { metadata: { name: 'x' } } },
  { what: 'give rights', method: 'POST', path: `${rbac}/clusterrolebindings`, body: { metadata: { name: 'x' } } },
  { what: 'make tokens', method: 'POST', path: `${core}/serviceaccounts/gc/token`, body: { spec: {} } },
  { what: 'delete namespaces', method: 'DELETE', path: '/api/v1/namespaces/shop' },
  {
    what: 'delete Observations',
    ...{ method: 'DELETE', path: `${own}/x`, but: ['gc', 'trivy', 'kyverno', 'checkov', 'kube-bench', 'ingest'] },
  },
  {
    what: 'make Observations',
    ...{ method: 'POST', path: own, body: { metadata: { name: 'x' } }, but: ['filters', 'ingest', 'deadletter', 'gc'] },
  },
  {
    what: 'write their status',
    ...{ method: 'PATCH', path: `${own}/x/status`, body: { status: { processed: true } } },
    but: ['audit', 'falco', 'ingest'],
  },
  {
    what: 'write Leases',
    ...{
      method: 'POST',
      path: '/apis/coordination.k8s.io/v1/namespaces/zen-system/leases',
      body: { metadata: { name: 'x' } },
    },
    but: ['announce', 'audit', 'checkov', 'falco', 'ingest', 'kube-bench', 'kyverno', 'trivy'],
  },
  {
    what: 'write Leases elsewhere',
    ...{
      method: 'POST',
      path: '/apis/coordination.k8s.io/v1/namespaces/shop/leases',
      body: { metadata: { name: 'x' } },
    },
  },
  {
    what: 'write ApiServerSources',
    ...{ method: 'DELETE', path: '/apis/sources.knative.dev/v1/namespaces/zen-system/apiserversources/x' },
    but: ['sources'],
  },
  {
    what: 'write filters',
    ...{ method: 'DELETE', path: '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationfilters/x' },
    but: ['filters'],
  },
  {
    what: 'write the status of filters',
    ...{
      method: 'PATCH',
      path: '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationfilters/x/status',
      body: { status: {} },
    },
    but: ['audit', 'checkov', 'falco', 'filters', 'ingest', 'kube-bench', 'kyverno', 'trivy'],
  },
  {
    what: 'change CRDs',
    ...{
      method: 'DELETE',
      path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/observations.zen.kube-zen.io',
    },
  },
];

async function tokenOf(cluster: Cluster, name: string, namespace = 'zen-system'): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { body } = await cluster.request('POST', path, { spec: { expirationSeconds: 3600 } });
  return body.status.token;
}

describe.skipIf(skipWithoutCluster())('the generated roles on a real API server', { timeout: 120_000 }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    await new Promise<void>((resolve) => brokerServer.listen(0, '127.0.0.1', resolve));
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    await cluster.apply(knativeCrds);
    for (const name of ['zen-system', 'shop', 'checkov', 'kube-bench']) await cluster.namespace(name);
    const manifests = [...sharedManifests(definitions), ...definitions.flatMap((one) => manifestsOf(one))];
    for (const manifest of manifests) {
      if (!manifest.apiVersion.includes('knative.dev')) await applyManifest(cluster, manifest);
    }
  }, 900_000);

  afterAll(async () => {
    brokerServer.close();
    await cluster.stop();
  });

  describe.each(jobs)('$name', ({ name, prepare, requests, isDone, environment }) => {
    const definition = definitions.find((one) => one.name === name);
    const roles = (definition ? rolesOf(definition) : []).filter(({ kind }) => kind.endsWith('Role'));

    /** Knative sends nothing before it is; what a function watches it can read, or it says that it may not. */
    function isReady(url: string): Promise<boolean> {
      return within(`${name} is ready, or says why not`, 5, async () => {
        const response = await fetch(`${url}/ready`);
        if (response.status === 200) return true;
        return (await response.text()).includes('check the Role') ? false : undefined;
      });
    }

    async function doesItsJob(): Promise<boolean> {
      const folder = cluster.mount(name, await tokenOf(cluster, name));
      const program = await startFunction(name, {
        server: cluster.server,
        folder,
        environment: { LOG_LEVEL: 'FATAL', DEDUP_CACHE_SIZE: '0', ...environment?.() },
      });
      const statuses: number[] = [];
      for (const { path = '/', headers, body: content, before } of (await isReady(program.url)) ? requests : []) {
        await before?.(cluster);
        statuses.push(await postTo(`${program.url}${path}`, headers, content));
      }
      await program.stop();
      const isEverythingDone = (await isDone?.(cluster)) ?? true;
      return isEverythingDone && statuses.length === requests.length && statuses.every((status) => status === 204);
    }

    it('does its whole job with its own token and its generated Role', async () => {
      await prepare(cluster);
      expect(await doesItsJob()).toBe(true);
    });

    it.each(
      roles.flatMap((role) =>
        (role.rules as { resources: string[]; apiGroups: string[] }[])
          .map((rule, index) => ({
            ...{ role, index, resources: rule.resources },
            of: `${rule.resources.join(', ')} of ${rule.apiGroups.join() || 'core'}`,
          }))
          // The job is done without. What they are for is in tests/cluster/{controllers,filters,silence}.test.ts.
          .filter(({ resources }) => !resources.every((plural) => bestEffort(name).has(plural))),
      ),
    )('needs the rule about $of', async ({ role, index }) => {
      await applyManifest(cluster, { ...role, rules: (role.rules as object[]).filter((_, other) => other !== index) });
      // A change to RBAC takes a moment to act.
      let works = true;
      for (let tries = 0; works && tries < 20; tries += 1) works = await doesItsJob();
      await applyManifest(cluster, role);
      expect(works).toBe(false);
      for (let tries = 0; !works && tries < 20; tries += 1) works = await doesItsJob();
      expect(works).toBe(true);
    });
  });

  describe.each(definitions.map((definition) => ({ name: definition.name, definition })))(
    '$name',
    ({ name, definition }) => {
      it.each(deeds.filter(({ but }) => !isAllowed(definition, but)))(
        'may not $what',
        async ({ method, path, body }) => {
          const answer = await cluster.request(method, `${path}${method === 'GET' ? '' : '?dryRun=All'}`, body, {
            token: await tokenOf(cluster, name),
            ...(method === 'PATCH' && { contentType: 'application/merge-patch+json' }),
          });
          expect(answer.status, answer.body.message).toBe(403);
        },
      );
    },
  );
});

describe.skipIf(skipWithoutCluster())("a tenant's own zen-watcher on a real API server", { timeout: 120_000 }, () => {
  const namespace = 'tenant-a';
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    await cluster.apply(knativeCrds);
    for (const name of [namespace, 'shop']) await cluster.namespace(name);
    const manifests = definitions.flatMap((one) => manifestsOf(one, 'namespace'));
    for (const manifest of manifests.filter(({ apiVersion }) => !apiVersion.includes('knative.dev'))) {
      await applyManifest(cluster, JSON.parse(JSON.stringify(manifest).replaceAll('zen-system', namespace)));
    }
  }, 900_000);

  afterAll(() => cluster.stop());

  const observations = '/apis/zen.kube-zen.io/v1';
  it.each(definitions.map(({ name }) => name))('%s has no right outside its namespace', async (name) => {
    const token = await tokenOf(cluster, name, namespace);
    for (const path of [
      `${observations}/observations`,
      `${observations}/namespaces/shop/observations`,
      '/apis/wgpolicyk8s.io/v1alpha2/policyreports',
      '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      '/api/v1/namespaces/shop/configmaps',
      '/api/v1/namespaces/shop/pods/x',
      '/api/v1/namespaces',
      `/api/v1/namespaces/${namespace}/secrets`,
    ]) {
      expect((await cluster.request('GET', path, undefined, { token })).status, path).toBe(403);
    }
  });

  it.each(['falco', 'kyverno', 'trivy', 'checkov', 'sources', 'gc'])(
    '%s does its job in its namespace, and leaves the others',
    async (name) => {
      const elsewhere = policyReport('elsewhere', 'shop', ['a']);
      const here = policyReport('here', namespace, ['a']);
      const reports = '/apis/wgpolicyk8s.io/v1alpha2/namespaces';
      await cluster.request('POST', `${reports}/shop/policyreports`, elsewhere);
      await cluster.request('POST', `${reports}/${namespace}/policyreports`, here);
      const program = await startReadyFunction(name, {
        server: cluster.server,
        folder: cluster.mount(name, await tokenOf(cluster, name, namespace)),
        environment: { LOG_LEVEL: 'FATAL', WATCH_NAMESPACE: namespace },
      });
      const alert = { rule: 'r', priority: 'Error', time: '2026-03-01T10:00:00Z' };
      const requests =
        name === 'falco'
          ? ['shop', namespace].map((place) =>
              event('falco.rule.output.v1', { ...alert, output_fields: { 'k8s.ns.name': place, 'k8s.pod.name': 'p' } }),
            )
          : [ping];
      for (const { headers, body } of requests) expect(await postTo(program.url, headers, body)).toBe(204);
      await program.stop();
      const { body } = await cluster.request('GET', `${observations}/observations`);
      const places = body.items.map(({ metadata }: { metadata: { namespace: string } }) => metadata.namespace);
      expect(new Set(places).size).toBeLessThanOrEqual(1);
      expect(places.every((place: string) => place === namespace)).toBe(true);
      if (name === 'falco' || name === 'kyverno') expect(JSON.stringify(body.items)).toContain(`"source":"${name}"`);
    },
  );
});

function isAllowed(definition: FunctionDefinition, but: readonly string[] = []): boolean {
  const makes = but.includes('deadletter') && 'source' in definition;
  return makes || but.includes(definition.name);
}

describe('the jobs', () => {
  it('are those of every function', () => {
    expectNone(
      differences(
        definitions.map(({ name }) => name),
        jobs.map(({ name }) => name),
        {
          onlyHere: (name) => `jobs in tests/knative/roles.test.ts lack ${name}`,
          onlyThere: (name) => `jobs in tests/knative/roles.test.ts have ${name}, which is no function`,
        },
      ),
    );
  });
});
