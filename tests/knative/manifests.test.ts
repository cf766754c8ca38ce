import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { type Manifest, manifestsOf, rolesOf, sharedManifests } from '../../knative/manifests.ts';
import { loadFunctions } from '../../shared/host/load-functions.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { eventHeaders, startFunction } from '../cluster/functions.ts';
import { postTo } from '../cluster/proxy.ts';
import { pingHeaders, policyReport, referenceTo, reportCrds, vulnerabilityReport } from '../cluster/report-crds.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';

const definitions = await loadFunctions();
const manifests = [...sharedManifests(definitions), ...definitions.flatMap(manifestsOf)];
const base = join(import.meta.dirname, '..', '..', 'knative', 'base');

const plurals: Readonly<Record<string, string>> = {
  ApiServerSource: 'apiserversources',
  PingSource: 'pingsources',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
};

function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${root}${scope}/${plurals[kind] ?? `${kind.toLowerCase()}s`}/${metadata.name}`;
}

describe('the generated manifests', () => {
  it('are committed as they are generated', () => {
    const committed = readdirSync(base)
      .filter((file) => file !== 'kustomization.yaml')
      .flatMap((file) => parseAllDocuments(readFileSync(join(base, file), 'utf8')).map((document) => document.toJS()));
    const inOrder = (list: readonly Manifest[]) => list.map((one) => JSON.stringify(one)).sort();
    expect(inOrder(committed)).toEqual(inOrder(manifests.map((one) => JSON.parse(JSON.stringify(one)))));
    const { resources } = parse(readFileSync(join(base, 'kustomization.yaml'), 'utf8'));
    expect(resources).toEqual(['shared.yaml', ...definitions.map(({ name }) => `${name}.yaml`)]);
  });

  it('have nothing that the webhook of Knative Serving refuses', () => {
    const refused = [
      'affinity',
      'topologySpreadConstraints',
      'nodeSelector',
      'tolerations',
      'priorityClassName',
      'initContainers',
      'lifecycle',
      'terminationGracePeriodSeconds',
      'fieldRef',
      'hostPath',
      'periodSeconds',
    ];
    for (const { kind, spec } of manifests) {
      if (kind !== 'Service') continue;
      for (const field of refused) expect(JSON.stringify(spec)).not.toContain(`"${field}"`);
      expect(JSON.stringify(spec)).not.toMatch(/"name":"PORT"|"securityContext":\{[^}]*"fsGroup"/);
    }
  });

  it('grant no secret, no wildcard, and no write but on Observations', () => {
    const roles = manifests.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
    for (const { rules } of roles as unknown as {
      rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
    }[]) {
      for (const { apiGroups, resources, verbs } of rules) {
        expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
        expect(resources).not.toContain('secrets');
        const writes = verbs.filter((verb) => !['get', 'list', 'watch', 'record'].includes(verb));
        if (writes.length > 0) expect(resources).toEqual(['observations']);
      }
    }
  });
});

/** What each function does for its living: answered 204 only if it may do all that it needs. */
interface Job {
  readonly name: string;
  prepare(cluster: Cluster): Promise<unknown>;
  readonly requests: readonly { readonly headers: Record<string, string>; readonly body: string }[];
}

const event = (type: string, data: unknown, extensions: Record<string, string> = {}) => ({
  headers: { ...eventHeaders(type), ...extensions },
  body: JSON.stringify(data),
});

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
  objectRef: { resource: 'pods', namespace: 'shop', name: 'p' },
};

const jobs: readonly Job[] = [
  {
    name: 'falco',
    prepare: async () => undefined,
    requests: [event('falco.rule.output.v1', { rule: 'r', priority: 'Error', time: '2026-03-01T10:00:00Z' })],
  },
  { name: 'audit', prepare: async () => undefined, requests: [event('io.kube-zen.audit.v1', audited)] },
  {
    name: 'deadletter',
    prepare: async () => undefined,
    requests: [event('x.y', {}, { 'ce-knativeerrorcode': '400', 'ce-knativeerrordest': 'http://x/' })],
  },
  { name: 'gc', prepare: async () => undefined, requests: [ping] },
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
];

describe.skipIf(skipWithoutCluster())('the generated manifests on a real API server', { timeout: 120_000 }, () => {
  let cluster: Cluster;

  const apply = async (manifest: Manifest, strict = true) => {
    const path = `${pathOf(manifest)}?fieldManager=tests&force=true${strict ? '&fieldValidation=Strict' : ''}`;
    const answer = await cluster.request('PATCH', path, JSON.stringify(manifest), {
      contentType: 'application/apply-patch+yaml',
    });
    expect(answer.status, `${pathOf(manifest)}: ${answer.body.message}`).toBeLessThan(300);
  };

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply(reportCrds);
    for (const name of ['shop', 'checkov', 'kube-bench']) await cluster.namespace(name);
    for (const manifest of manifests) if (!manifest.apiVersion.includes('knative.dev')) await apply(manifest);
  }, 900_000);

  afterAll(() => cluster.stop());

  async function untilServed(path: string): Promise<void> {
    for (let tries = 0; (await cluster.request('GET', path)).status === 404; tries += 1) {
      if (tries > 200) throw new Error(`${path} is not served`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it.skipIf(corpusMissing)('apply with strict validation, by the schemas of Knative itself', async () => {
    const kinds = new Set(
      manifests.filter(({ apiVersion }) => apiVersion.includes('knative.dev')).map(({ kind }) => kind),
    );
    const crds = ['crds/knative-eventing', 'crds/knative-serving']
      .flatMap(corpusFiles)
      .flatMap(({ text }) => parseAllDocuments(text).map((document) => document.toJS()))
      .filter((crd) => crd?.kind === 'CustomResourceDefinition' && kinds.has(crd.spec.names.kind));
    expect(new Set(crds.map((crd) => crd.spec.names.kind))).toEqual(kinds);
    for (const crd of crds) {
      // The conversion webhook is not here; every version is taken as it is.
      await apply({ ...crd, spec: { ...crd.spec, conversion: { strategy: 'None' } }, status: undefined });
    }
    for (const manifest of manifests) {
      await untilServed(pathOf(manifest).replace(/\/[^/]+$/, ''));
      await apply(manifest);
    }
  });

  it('run pods that a namespace with the restricted policy admits', async () => {
    for (const { kind, metadata, spec } of manifests as unknown as {
      kind: string;
      metadata: { name: string };
      spec: { template: { spec: { serviceAccountName: string; containers: object[] } } };
    }[]) {
      if (kind !== 'Service') continue;
      const { serviceAccountName, containers } = spec.template.spec;
      // What Knative fills in where it is left out.
      const httpGet = { path: '/', port: 8080 };
      const filled = { name: 'user-container', readinessProbe: { httpGet }, livenessProbe: { httpGet } };
      const named = containers.map((container) => ({ ...container, ...filled }));
      const pod = { metadata: { name: metadata.name }, spec: { serviceAccountName, containers: named } };
      const { status, body } = await cluster.request('POST', '/api/v1/namespaces/zen-system/pods?dryRun=All', pod);
      expect(status, body.message).toBe(201);
    }
  });

  it('let nobody else write in our name', async () => {
    const tenant = await cluster.serviceAccount(
      'tenant',
      [
        {
          apiGroups: ['zen.kube-zen.io'],
          resources: ['observations', 'observations/status'],
          verbs: ['get', 'create', 'patch', 'update'],
        },
      ],
      'shop',
    );
    const path = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';
    const spec = { source: 'falco', category: 'security', severity: 'LOW', eventType: 'forged' };
    const observation = (metadata: object) => ({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata,
      spec,
    });
    const ours = `falco-${'0'.repeat(32)}`;
    const label = { 'zen.kube-zen.io/source': 'falco' };
    const as = (token: string | undefined) => ({
      ...(token !== undefined && { token }),
      contentType: 'application/merge-patch+json',
    });
    const create = async (metadata: object, token?: string): Promise<number> =>
      (await cluster.request('POST', path, observation(metadata), token === undefined ? {} : { token })).status;
    const patch = async (name: string, body: object, token?: string): Promise<number> =>
      (await cluster.request('PATCH', `${path}/${name}`, body, as(token))).status;
    // The policy acts some seconds after it was applied.
    for (let tries = 0; (await create({ name: `probe-${tries}`, labels: label }, tenant.token)) === 201; tries += 1) {
      if (tries > 400) throw new Error('the policy never acts');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await create({ name: ours }, tenant.token)).toBe(403);
    expect(await create({ name: 'labelled', labels: label }, tenant.token)).toBe(403);
    expect(await create({ name: 'by-hand' }, tenant.token)).toBe(201);
    expect(await patch('by-hand', { metadata: { labels: label } }, tenant.token)).toBe(403);
    expect(await patch('by-hand', { metadata: { labels: { mine: 'yes' } } }, tenant.token)).toBe(200);
    expect(await create({ name: ours, labels: label })).toBe(201);
    expect(await patch(ours, { metadata: { labels: { 'zen.kube-zen.io/state': 'resolved' } } }, tenant.token)).toBe(
      403,
    );
    expect(await patch(ours, { metadata: { labels: null } }, tenant.token)).toBe(403);
    expect(await patch(ours, { metadata: { annotations: { a: 'b' } } }, tenant.token)).toBe(403);
    expect(await patch(`${ours}/status`, { status: { processed: true } }, tenant.token)).toBe(200);
  });

  describe.each(jobs)('$name', ({ name, prepare, requests }) => {
    const definition = definitions.find((one) => one.name === name);
    const roles = (definition ? rolesOf(definition) : []).filter(({ kind }) => kind.endsWith('Role'));

    async function doesItsJob(): Promise<boolean> {
      const account = '/api/v1/namespaces/zen-system/serviceaccounts';
      const { body } = await cluster.request('POST', `${account}/${name}/token`, { spec: { expirationSeconds: 3600 } });
      const folder = cluster.mount(name, body.status.token);
      const program = await startFunction(name, {
        server: cluster.server,
        folder,
        environment: { LOG_LEVEL: 'FATAL', DEDUP_CACHE_SIZE: '0' },
      });
      const statuses: number[] = [];
      for (const { headers, body: content } of requests) statuses.push(await postTo(program.url, headers, content));
      await program.stop();
      return statuses.every((status) => status === 204);
    }

    it('does its whole job with its own token and its generated Role', async () => {
      await prepare(cluster);
      expect(await doesItsJob()).toBe(true);
    });

    it.each(
      roles.flatMap((role) =>
        (role.rules as { resources: string[]; apiGroups: string[] }[]).map((rule, index) => ({
          role,
          index,
          of: `${rule.resources.join(', ')} of ${rule.apiGroups.join() || 'core'}`,
        })),
      ),
    )('needs the rule about $of', async ({ role, index }) => {
      await apply({ ...role, rules: (role.rules as object[]).filter((_, other) => other !== index) });
      // RBAC acts a moment after it is changed.
      let works = true;
      for (let tries = 0; works && tries < 20; tries += 1) works = await doesItsJob();
      await apply(role);
      expect(works).toBe(false);
      for (let tries = 0; !works && tries < 20; tries += 1) works = await doesItsJob();
      expect(works).toBe(true);
    });
  });
});
