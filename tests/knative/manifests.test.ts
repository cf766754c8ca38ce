import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/manifests.ts';
import { type Cluster, hasKubectl, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { until } from '../host/program.ts';
import { applyManifest, pathOf } from './apply.ts';

const overlays = ['default', 'production', 'kafka', 'constrained', 'namespaced'] as const;
const folder = join(import.meta.dirname, '..', '..', 'knative', 'overlays');

/** What `kubectl apply -k` applies. */
function build(overlay: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', join(folder, overlay)], { encoding: 'utf8' });
  return parseAllDocuments(text).map((document) => document.toJS());
}

const built = new Map(hasKubectl() ? overlays.map((overlay) => [overlay, build(overlay)]) : []);
const all = [...built.values()].flat();

const examples = join(folder, '..', 'examples');

/** The component that is off by default. */
const eventPolicy: Manifest[] = parseAllDocuments(
  readFileSync(join(folder, '..', 'event-policy', 'event-policy.yaml'), 'utf8'),
).map((document) => document.toJS());

interface Rules extends Manifest {
  readonly rules: { readonly apiGroups: string[]; readonly resources: string[]; readonly verbs: string[] }[];
}

interface Service extends Manifest {
  readonly spec: { readonly template: { readonly spec: { serviceAccountName: string; containers: Container[] } } };
}

interface Container {
  readonly image: string;
  readonly env: { readonly name: string; readonly value: string }[];
}

function servicesOf(manifests: readonly Manifest[]): Service[] {
  return manifests.filter((one): one is Service => one.kind === 'Service' && one.apiVersion.includes('knative'));
}

describe.skipIf(built.size === 0)('the overlays', () => {
  it("have nothing that Knative Serving's webhook refuses", () => {
    const refused = [
      'affinity',
      'topologySpreadConstraints',
      'nodeSelector',
      'tolerations',
      'priorityClassName',
      'initContainers',
      'automountServiceAccountToken',
      'lifecycle',
      'terminationGracePeriodSeconds',
      'fieldRef',
      'hostPath',
      'periodSeconds',
    ];
    for (const { spec } of servicesOf(all)) {
      for (const field of refused) expect(JSON.stringify(spec)).not.toContain(`"${field}"`);
      expect(JSON.stringify(spec)).not.toMatch(/"name":"PORT"|8012/);
      expect(spec.template.spec).not.toHaveProperty('securityContext');
      expect(spec.template.spec).toMatchObject({ timeoutSeconds: expect.toSatisfy((value) => value <= 600) });
    }
  });

  it('grant no Secrets, no wildcards, and writes only to our own kinds and to ApiServerSources', () => {
    const roles = all.filter((one): one is Rules => one.kind === 'Role' || one.kind === 'ClusterRole');
    expect(roles.length).toBeGreaterThan(0);
    for (const { rules } of roles) {
      for (const { apiGroups, resources, verbs } of rules ?? []) {
        expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
        expect(resources).not.toContain('secrets');
        const writes = verbs.filter((verb) => !['get', 'list', 'watch', 'record'].includes(verb));
        if (writes.length === 0) continue;
        expect(apiGroups).toEqual([expect.stringMatching(/^(zen\.kube-zen\.io|sources\.knative\.dev)$/)]);
        if (apiGroups[0] === 'sources.knative.dev') expect(resources).toEqual(['apiserversources']);
      }
    }
  });

  it('name one image, with the version of the package', () => {
    const { version } = JSON.parse(
      execFileSync('node', ['-p', 'JSON.stringify(require("./package.json"))'], { encoding: 'utf8' }),
    );
    const images = servicesOf(all).flatMap(({ spec }) => spec.template.spec.containers.map(({ image }) => image));
    expect(new Set(images)).toEqual(new Set([`zen-watcher:${version}`]));
  });

  it('give a tenant Roles only, and everything in one namespace', () => {
    const manifests = built.get('namespaced') ?? [];
    for (const { kind, metadata } of manifests) {
      expect(['ClusterRole', 'ClusterRoleBinding', 'Namespace', 'ValidatingAdmissionPolicy']).not.toContain(kind);
      expect(metadata.namespace, kind).toBe('tenant-a');
    }
    expect(JSON.stringify(manifests)).not.toContain('zen-system');
    for (const { kind, spec } of manifests)
      if (kind === 'ApiServerSource') expect(spec).not.toHaveProperty('namespaceSelector');
    for (const { spec } of servicesOf(manifests)) {
      const { env = [] } = spec.template.spec.containers[0] ?? {};
      expect(env).toContainEqual({ name: 'WATCH_NAMESPACE', value: 'tenant-a' });
    }
  });

  it('use other names for a Broker of another class, and leave nothing with the old one', () => {
    const before = built.get('default') ?? [];
    const manifests = built.get('kafka') ?? [];
    const [broker] = manifests.filter(({ kind }) => kind === 'Broker');
    expect(broker).toMatchObject({
      metadata: { name: 'zen-watcher-kafka', annotations: { 'eventing.knative.dev/broker.class': 'Kafka' } },
    });
    const triggers = manifests.filter(({ kind }) => kind === 'Trigger');
    const names = before.filter(({ kind }) => kind === 'Trigger').map(({ metadata }) => `${metadata.name}-kafka`);
    expect(triggers.map(({ metadata }) => metadata.name)).toEqual(names);
    for (const { spec } of triggers) expect(spec).toMatchObject({ broker: 'zen-watcher-kafka' });
    const bindings = manifests.filter(({ kind }) => kind === 'SinkBinding');
    expect(bindings.map(({ spec }) => spec)).toMatchObject([
      { sink: { ref: { kind: 'Broker', name: 'zen-watcher-kafka' } } },
    ]);
    expect(manifests).toHaveLength(before.length);
  });

  it('give each function the least resources where every core counts', () => {
    const services = servicesOf(built.get('constrained') ?? []);
    expect(services).toHaveLength(servicesOf(built.get('default') ?? []).length);
    for (const { spec } of services) {
      expect(spec.template.spec.containers).toMatchObject([
        { resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '250m', memory: '128Mi' } } },
      ]);
    }
  });

  it('require a token if the webhooks can be reached from outside', () => {
    for (const [overlay, manifests] of built) {
      const webhook = servicesOf(manifests).find(({ metadata }) => metadata.name === 'webhook');
      const isLocal = JSON.stringify(webhook?.metadata).includes('"networking.knative.dev/visibility":"cluster-local"');
      const env = webhook?.spec.template.spec.containers[0]?.env ?? [];
      expect(isLocal).toBe(overlay !== 'production');
      expect(env.some(({ name }) => name === 'WEBHOOK_AUTH_TOKEN_FILE')).toBe(overlay === 'production');
    }
  });
});

describe.skipIf(skipWithoutCluster() || built.size === 0)('on a real API server', { timeout: 240_000 }, () => {
  let cluster: Cluster;

  const isKnative = ({ apiVersion }: Manifest): boolean => apiVersion.includes('knative.dev');

  async function applyAll(manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) {
      const list = pathOf(manifest).replace(/\/[^/]+$/, '');
      await until(`${list} is served`, async () => (await cluster.request('GET', list)).status !== 404);
      await applyManifest(cluster, manifest);
    }
  }

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.namespace('shop');
    await cluster.namespace('tenant-a');
    await applyAll((built.get('default') ?? []).filter((manifest) => !isKnative(manifest)));
  }, 900_000);

  afterAll(() => cluster.stop());

  it.skipIf(corpusMissing)(
    'every overlay applies with strict validation, by the schemas of Knative itself',
    async () => {
      const kinds = new Set([...all, ...eventPolicy].filter(isKnative).map(({ kind }) => kind));
      const crds = ['crds/knative-eventing', 'crds/knative-serving']
        .flatMap(corpusFiles)
        .flatMap(({ text }) => parseAllDocuments(text).map((document) => document.toJS()))
        .filter((crd) => crd?.kind === 'CustomResourceDefinition' && kinds.has(crd.spec.names.kind));
      expect(new Set(crds.map((crd) => crd.spec.names.kind))).toEqual(kinds);
      for (const crd of crds) {
        // There is no conversion webhook here, so every version is stored as it is.
        const spec = { ...crd.spec, conversion: { strategy: 'None' } };
        await applyManifest(cluster, { ...crd, spec, status: undefined });
      }
      for (const manifests of built.values()) await applyAll(manifests);
      await applyAll(eventPolicy);
    },
  );

  it.each(readdirSync(examples))('the example %s applies with strict validation', async (file) => {
    const objects: Manifest[] = parseAllDocuments(readFileSync(join(examples, file), 'utf8')).map((one) => one.toJS());
    expect(objects.length).toBeGreaterThan(0);
    await applyAll(objects);
  });

  it('a Pod from the template of each Service is admitted under the restricted policy', async () => {
    for (const { metadata, spec } of servicesOf(all)) {
      // Knative fills these in.
      const httpGet = { path: '/', port: 8080 };
      const filled = { name: 'user-container', readinessProbe: { httpGet }, livenessProbe: { httpGet } };
      const { containers, serviceAccountName, ...template } = spec.template.spec;
      const named = containers.map((container) => ({ ...container, ...filled }));
      const pod = {
        metadata: { name: metadata.name },
        spec: { serviceAccountName, containers: named, volumes: 'volumes' in template ? template.volumes : [] },
      };
      const { status, body } = await cluster.request('POST', '/api/v1/namespaces/zen-system/pods?dryRun=All', pod);
      expect(status, body.message).toBe(201);
    }
  });

  it('the admission policy lets nobody else write in our name', async () => {
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
    let probes = 0;
    await until('the policy acts', async () => {
      probes += 1;
      return (await create({ name: `probe-${probes}`, labels: label }, tenant.token)) !== 201;
    });
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
});
