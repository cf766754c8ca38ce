import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { type Cluster, hasKubectl, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { corpusFiles, corpusMissing } from '../corpus/corpus.ts';
import { until } from '../host/program.ts';
import { applyManifest, pathOf } from './apply.ts';

const overlays = ['default', 'production', 'kafka', 'constrained', 'namespaced', 'standalone'] as const;
const folder = join(import.meta.dirname, '..', '..', 'knative', 'overlays');

/** What `kubectl apply -k` applies. */
function build(overlay: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', join(folder, overlay)], { encoding: 'utf8' });
  return parseAllDocuments(text).map((document) => document.toJS());
}

const built = new Map(hasKubectl() ? overlays.map((overlay) => [overlay, build(overlay)]) : []);
const all = [...built.values()].flat();

const examples = join(folder, '..', 'examples');

function objectsOf(file: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(examples, file), 'utf8')).map((one) => one.toJS());
}

/** Those that `kubectl apply -f` takes: tests/knative/combinations.test.ts builds the folder beside them, an overlay. */
const exampleFiles = readdirSync(examples).filter((file) => file.endsWith('.yaml'));
const exampleObjects = exampleFiles.flatMap(objectsOf);

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

  it('grant no Secrets, no wildcards, and writes only to our own kinds, to ApiServerSources and to Leases', () => {
    const asking = ['subjectaccessreviews'];
    const roles = all.filter((one): one is Rules => one.kind === 'Role' || one.kind === 'ClusterRole');
    expect(roles.length).toBeGreaterThan(0);
    for (const { rules } of roles) {
      for (const { apiGroups, resources, verbs } of rules ?? []) {
        expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
        expect(resources).not.toContain('secrets');
        const writes = verbs.filter((verb) => !['get', 'list', 'watch', 'record'].includes(verb));
        // What is asked by a create is stored nowhere.
        if (writes.length === 0 || resources.every((plural) => asking.includes(plural))) continue;
        expect(apiGroups).toEqual([
          expect.stringMatching(/^(zen\.kube-zen\.io|sources\.knative\.dev|coordination\.k8s\.io)$/),
        ]);
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
    const webhook = servicesOf(manifests).find(({ metadata }) => metadata.name === 'webhook');
    expect(webhook?.spec.template.spec.containers[0]?.env).toContainEqual({
      name: 'BROKER_NAME',
      value: 'zen-watcher-kafka',
    });
    const [role] = manifests.filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'webhook');
    expect(role?.rules).toContainEqual({
      ...{ apiGroups: ['eventing.knative.dev'], resources: ['brokers'] },
      ...{ resourceNames: ['zen-watcher-kafka'], verbs: ['list', 'watch'] },
    });
    expect(manifests).toHaveLength(before.length);
  });

  it("give webhook a token for its Broker, by the Broker's own namespace and name", () => {
    const audiences = [...built].map(([overlay, manifests]) => [
      overlay,
      /"audience":"([^"]*)"/.exec(JSON.stringify(manifests))?.[1],
    ]);
    expect(Object.fromEntries(audiences)).toEqual({
      default: 'eventing.knative.dev/broker/zen-system/zen-watcher',
      production: 'eventing.knative.dev/broker/zen-system/zen-watcher',
      constrained: 'eventing.knative.dev/broker/zen-system/zen-watcher',
      kafka: 'eventing.knative.dev/broker/zen-system/zen-watcher-kafka',
      namespaced: 'eventing.knative.dev/broker/tenant-a/zen-watcher',
    });
  });

  it('set nothing that Knative sets or takes away: no K_SINK, and no SinkBinding', () => {
    expect(all.map(({ kind }) => kind)).not.toContain('SinkBinding');
    expect(JSON.stringify(all)).not.toContain('"K_');
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

  it('as standalone require a token always, in Pods that Pod Security calls restricted, without an object of Knative', () => {
    const manifests = built.get('standalone') ?? [];
    const sinks = ['alertmanager', 'falcosidekick', 'sender'];
    expect(manifests.filter(({ apiVersion }) => apiVersion.includes('knative'))).toEqual([]);
    const [deployment] = manifests.filter(({ kind }) => kind === 'Deployment');
    expect(deployment?.spec).toMatchObject({
      replicas: 2,
      strategy: { rollingUpdate: { maxUnavailable: 0 } },
      template: {
        spec: {
          containers: [
            {
              args: ['standalone'],
              env: expect.arrayContaining([
                { name: 'WEBHOOK_AUTH_TOKEN_FILE', value: '/etc/zen-watcher/webhook/token' },
              ]),
              volumeMounts: ['webhook', 'tls', ...sinks.map((name) => `secret/${name}`)].map((name) => ({
                ...{ mountPath: `/etc/zen-watcher/${name}`, readOnly: true },
                name: expect.any(String),
              })),
              lifecycle: { preStop: { sleep: { seconds: 5 } } },
              readinessProbe: { httpGet: { path: '/ready' } },
              livenessProbe: { httpGet: { path: '/health' } },
              securityContext: { readOnlyRootFilesystem: true, runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
            },
          ],
          // What preStop, the drain and what is written afterwards may take together.
          terminationGracePeriodSeconds: 55,
          volumes: [
            { name: 'token', secret: { secretName: 'zen-watcher-webhook' } },
            { name: 'certificate', secret: { secretName: 'zen-watcher-tls', optional: true } },
            // Each its own, so that the same key may be in all of them.
            ...sinks.map((name) => ({ name, secret: { secretName: `zen-watcher-${name}`, optional: true } })),
          ],
        },
      },
    });
    const kinds = new Set(manifests.map(({ kind }) => kind));
    for (const kind of ['Service', 'NetworkPolicy', 'PodDisruptionBudget', 'ClusterRole'])
      expect(kinds).toContain(kind);
  });

  it('require a token if the webhooks can be reached from outside', () => {
    for (const [overlay, manifests] of built) {
      if (overlay === 'standalone') continue;
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
      const kinds = new Set([...all, ...eventPolicy, ...exampleObjects].filter(isKnative).map(({ kind }) => kind));
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

  it.each(exampleFiles.filter((file) => !(corpusMissing && objectsOf(file).some(isKnative))))(
    'the example %s applies with strict validation',
    async (file) => {
      const objects = objectsOf(file);
      await applyAll(objects);
    },
  );

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

  describe('the admission policy', () => {
    const path = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';
    const spec = { source: 'falco', category: 'security', severity: 'LOW', eventType: 'forged' };
    const ours = `falco-${'0'.repeat(32)}`;
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: '00000000-0000-0000-0000-000000000000' };
    let token = '';
    let star = '';

    const observationWith = (metadata: object): object => {
      return { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', metadata, spec };
    };
    const create = async (metadata: object, as?: string): Promise<number> => {
      const options = as === undefined ? {} : { token: as };
      return (await cluster.request('POST', path, observationWith(metadata), options)).status;
    };
    const patch = async (name: string, body: object, as?: string): Promise<number> => {
      const contentType = 'application/merge-patch+json';
      const options = { contentType, ...(as !== undefined && { token: as }) };
      return (await cluster.request('PATCH', `${path}/${name}`, body, options)).status;
    };

    beforeAll(async () => {
      const resources = ['observations', 'observations/status'];
      const verbs = ['get', 'create', 'patch', 'update', 'delete'];
      const rule = { apiGroups: ['zen.kube-zen.io'], resources };
      ({ token } = await cluster.serviceAccount('tenant', [{ ...rule, verbs }], 'shop'));
      ({ token: star } = await cluster.serviceAccount('star', [{ ...rule, verbs: ['*'] }], 'shop'));
      // The policy acts some seconds after it was applied.
      let probes = 0;
      await until('the policy acts', async () => {
        probes += 1;
        return (
          (await create({ name: `probe-${probes}`, labels: { 'zen.kube-zen.io/source': 'falco' } }, token)) !== 201
        );
      });
      expect(await create({ name: ours, labels: { 'zen.kube-zen.io/source': 'falco' }, annotations: { a: 'a' } })).toBe(
        201,
      );
      expect(await create({ name: 'state-alone', labels: { 'zen.kube-zen.io/state': 'open' } })).toBe(201);
      expect(await create({ name: 'by-hand' }, token)).toBe(201);
    });

    it.each<[string, object]>([
      ['a name of ours', { name: `falco-${'1'.repeat(32)}` }],
      ['a source', { name: 'x', labels: { 'zen.kube-zen.io/source': 'falco' } }],
      ['a state, and no source', { name: 'x', labels: { 'zen.kube-zen.io/state': 'open' } }],
      ['a report, and no source', { name: 'x', labels: { 'zen.kube-zen.io/report': 'shared' } }],
      ['a label of ours that there is none of', { name: 'x', labels: { 'zen.kube-zen.io/new': 'x' } }],
    ])('lets nobody create one with %s', async (_what, metadata) => {
      expect(await create(metadata, token)).toBe(403);
    });

    it('lets nobody create one with a name of ours, generated', async () => {
      const object = observationWith({ generateName: `falco-${'1'.repeat(27)}` });
      let wasRefused = false;
      // The five characters that are appended are all hexadecimal about once in 90 times.
      for (let at = 0; at < 2500 && !wasRefused; at += 1) {
        const { status, body } = await cluster.request('POST', `${path}?dryRun=All`, object, { token });
        const name = status === 201 ? body.metadata.name : body.details.name;
        wasRefused = /^falco-[0-9a-f]{32}$/.test(name);
        expect(status, name).toBe(wasRefused ? 403 : 201);
      }
      expect(wasRefused).toBe(true);
    });

    const metadata = (changed: object): object => ({ metadata: changed });
    it.each<[string, string, object]>([
      ['label of ours', ours, metadata({ labels: { 'zen.kube-zen.io/state': 'resolved' } })],
      ['label of its own', ours, metadata({ labels: { mine: 'yes' } })],
      ['removal of labels', ours, metadata({ labels: null })],
      ['annotation', ours, metadata({ annotations: { a: 'b' } })],
      ['removal of annotations', ours, metadata({ annotations: null })],
      ['owner', ours, metadata({ ownerReferences: [owner] })],
      ['finalizer', ours, metadata({ finalizers: ['example.com/mine'] })],
      ['severity', ours, { spec: { severity: 'UNKNOWN' } }],
      ['summary', ours, { spec: { summary: 'all is well' } }],
      ['details', ours, { spec: { details: { all: 'is well' } } }],
      ['owner where there is a state, and no source', 'state-alone', metadata({ ownerReferences: [owner] })],
      ['summary where there is a state, and no source', 'state-alone', { spec: { summary: 'all is well' } }],
      ['label of ours where there is none', 'by-hand', metadata({ labels: { 'zen.kube-zen.io/expires': '1' } })],
    ])('lets nobody change a %s', async (_what, name, body) => {
      expect(await patch(name, body, token)).toBe(403);
    });

    it('leaves to RBAC the status, what is not ours, and deletions', async () => {
      expect(await patch(`${ours}/status`, { status: { processed: true } }, token)).toBe(200);
      const forged = { metadata: { labels: { 'zen.kube-zen.io/state': 'resolved' } }, status: { processed: false } };
      expect(await patch(`${ours}/status`, forged, token)).toBe(200);
      const { body } = await cluster.request('GET', `${path}/${ours}`);
      expect(body.metadata.labels).toEqual({ 'zen.kube-zen.io/source': 'falco' });
      const own = { labels: { mine: 'yes' }, ownerReferences: [owner], finalizers: ['example.com/mine'] };
      expect(await patch('by-hand', metadata(own), token)).toBe(200);
      expect(await patch('by-hand', metadata({ finalizers: null }), token)).toBe(200);
    });

    it('lets an owner and a finalizer be taken off, so that nothing gets stuck', async () => {
      expect(await patch(ours, metadata({ ownerReferences: [owner], finalizers: ['example.com/ours'] }))).toBe(200);
      expect(await patch(ours, metadata({ finalizers: ['example.com/ours', 'example.com/mine'] }), token)).toBe(403);
      expect(await patch(ours, metadata({ finalizers: null }), token)).toBe(200);
      expect(await patch(ours, metadata({ ownerReferences: null }), token)).toBe(200);
      await cluster.request('DELETE', `${path}/${ours}?propagationPolicy=Foreground`, undefined, { token });
      expect(await patch(ours, metadata({ finalizers: null }), token)).toBe(200);
      expect((await cluster.request('GET', `${path}/${ours}`)).status).toBe(404);
    });

    it('lets whoever has * on observations do all of that', async () => {
      expect(await create({ name: `falco-${'2'.repeat(32)}` }, star)).toBe(201);
      expect(await patch('state-alone', { spec: { summary: 'all is well' } }, star)).toBe(200);
    });
  });
});
