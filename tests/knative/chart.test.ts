import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import type { Manifest } from '../../knative/generator/manifests.ts';
import { release } from '../../knative/generator/repository.ts';
import { functionNames, loadFunctions } from '../../shared/host/function-list.ts';
import { hasKubectl } from '../cluster/cluster.ts';
import { chart, helm, prepareHelm, rendered, skipWithoutHelm } from '../cluster/helm.ts';
import { temporaryFolder } from '../host/program.ts';

const overlays = join(chart, '..', 'overlays');
const keep = 'helm.sh/resource-policy';

const optional: ReadonlySet<string> = new Set(
  (await loadFunctions()).filter(({ isOptional }) => isOptional).map(({ name }) => name),
);

/** What overlays can be had by which values. */
const patterns: readonly (readonly [string, readonly string[]])[] = [
  ['default', ['--set', 'createNamespace=true']],
  ['constrained', ['--set', 'createNamespace=true', '-f', join(chart, 'values-constrained.yaml')]],
  ['kafka', ['--set', 'createNamespace=true', '-f', join(chart, 'values-kafka.yaml')]],
  ['namespaced', ['--set', 'namespaceOverride=tenant-a', '-f', join(chart, 'values-namespaced.yaml')]],
  ['standalone', ['--set', 'createNamespace=true,standalone.enabled=true,webhook.tokenSecret=zen-watcher-webhook']],
  [
    'production',
    [
      '--set',
      'createNamespace=true,webhook.tokenSecret=zen-watcher-webhook',
      '-f',
      join(chart, 'values-production.yaml'),
    ],
  ],
];

function idOf({ kind, metadata: { namespace = '', name } }: Manifest): string {
  return `${kind} ${namespace}/${name}`;
}

interface Right {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** What rules allow, however they put it: where functions can be left out, each has its own. */
function rightsIn(rules: readonly Right[]): string[] {
  const rights = rules.flatMap(({ apiGroups, resources, resourceNames = [''], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.flatMap((name) => verbs.map((verb) => `${verb} ${group}/${resource} ${name}`)),
      ),
    ),
  );
  return [...new Set(rights)].sort();
}

/** Without the order of what Kubernetes tells apart by name, and without the note to helm not to delete it. */
function comparable(manifest: Manifest): unknown {
  return JSON.parse(JSON.stringify(manifest), (key, value) => {
    if (['env', 'volumes', 'volumeMounts'].includes(key) && Array.isArray(value))
      return value.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    if (key === 'rules' && Array.isArray(value) && value[0]?.verbs) return rightsIn(value);
    // A component has no values, so its rules are of all functions.
    if (key === 'rules' && Array.isArray(value) && value[0]?.alert)
      return value.filter(({ labels }) => !optional.has(labels.source));
    if (key !== 'annotations' || value[keep] === undefined) return value;
    const { [keep]: _kept, ...others } = value;
    return Object.keys(others).length > 0 ? others : undefined;
  });
}

function byId(manifests: readonly Manifest[]): ReadonlyMap<string, unknown> {
  expect(new Set(manifests.map(idOf)).size).toBe(manifests.length);
  return new Map(manifests.map((manifest) => [idOf(manifest), comparable(manifest)]));
}

function expectSame(actual: readonly Manifest[], expected: readonly Manifest[]): void {
  const ours = byId(actual);
  const theirs = byId(expected);
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  for (const [id, manifest] of theirs) expect(ours.get(id), id).toEqual(manifest);
}

/** What kustomize makes of a folder. */
function kustomized(folder: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8', maxBuffer: 67_108_864 });
  return parseAllDocuments(text).map((document) => document.toJS());
}

/** What a committed file holds. */
function committed(...path: string[]): Manifest[] {
  return parseAllDocuments(readFileSync(join(chart, '..', ...path), 'utf8')).map((document) => document.toJS());
}

/** Every text in an object. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

interface Service extends Manifest {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly annotations: Readonly<Record<string, string>>; readonly labels: object };
      readonly spec: { readonly containers: readonly [{ readonly env: readonly Variable[]; readonly image: string }] };
    };
  };
}

interface Variable {
  readonly name: string;
  readonly value?: string;
}

function isService(manifest: Manifest): manifest is Service {
  return manifest.kind === 'Service';
}

function servicesIn(manifests: readonly Manifest[]): Service[] {
  return manifests.filter(isService);
}

/** The Service of a function. */
async function serviceOf(name: string, flags: readonly string[]): Promise<Service> {
  const service = servicesIn(await rendered(...flags)).find(({ metadata }) => metadata.name === name);
  if (!service) throw new Error(`there is no Service ${name}`);
  return service;
}

/** Its environment; the last of a name would win. */
async function environmentOf(name: string, flags: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const { env } = (await serviceOf(name, flags)).spec.template.spec.containers[0];
  expect(new Set(env.map((variable) => variable.name)).size).toBe(env.length);
  return Object.fromEntries(env.map((variable) => [variable.name, variable.value]));
}

const everything = [
  ...['-f', join(chart, 'values-production.yaml'), '--set', 'webhook.tokenSecret=token,createNamespace=true'],
  ...['--set', 'monitoring.enabled=true,eventPolicy.enabled=true'],
];

const isSkipped = skipWithoutHelm() || !hasKubectl();

describe.skipIf(isSkipped)('the chart', () => {
  beforeAll(prepareHelm, 1_800_000);

  it.each(patterns)('makes the objects of the overlay %s', async (overlay, flags) => {
    expectSame(await rendered(...flags), kustomized(join(overlays, overlay)));
  });

  it.each(patterns.filter(([overlay]) => overlay !== 'namespaced'))(
    'in another namespace makes the objects of %s with the component namespace',
    async (overlay, flags) => {
      const folder = temporaryFolder();
      const from = (...path: string[]): string => relative(folder, join(chart, '..', ...path));
      const local = { disableNameSuffixHash: true, annotations: { 'config.kubernetes.io/local-config': 'true' } };
      const kustomization = {
        ...{ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' },
        resources: [from('overlays', overlay)],
        components: [
          from('components', 'monitoring'),
          // Without Knative there is no Broker to guard.
          ...(overlay === 'standalone' ? [] : [from('event-policy')]),
          from('components', 'namespace'),
        ],
        configMapGenerator: [{ name: 'zen-watcher-namespace', literals: ['namespace=elsewhere'], options: local }],
      };
      writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
      const more = 'namespaceOverride=elsewhere,monitoring.enabled=true,eventPolicy.enabled=true';
      expectSame(await rendered(...flags, '--set', more), kustomized(folder));
    },
  );

  it.each(patterns)('passes helm lint as %s', async (_overlay, flags) => {
    expect(await helm('lint', '--strict', chart, ...flags)).toContain('1 chart(s) linted, 0 chart(s) failed');
  });

  it('makes no object of Knative as standalone, whatever else is on', async () => {
    const flags = [
      '--set',
      'standalone.enabled=true,webhook.tokenSecret=s,eventPolicy.enabled=true,monitoring.enabled=true',
    ];
    const made = await rendered(...flags, '--set', 'broker.class=Kafka,replicas=3,podDisruptionBudget.minAvailable=1');
    expect(made.filter(({ apiVersion }) => apiVersion.includes('knative.dev')).map(idOf)).toEqual([]);
    const deployments = made.filter(({ kind }) => kind === 'Deployment');
    expect(deployments.map(idOf)).toEqual(['Deployment zen-system/zen-watcher']);
  });

  it('as standalone hosts no function that is off, and gives no right for it', async () => {
    const flags = [
      '--set',
      'standalone.enabled=true,webhook.tokenSecret=s,standalone.replicas=3,eventNamespace=system',
    ];
    const off = [
      '--set',
      'functions.trivy.enabled=false,functions.checkov.enabled=false,env[0].name=LOG_LEVEL,env[0].value=DEBUG',
    ];
    const made = await rendered(...flags, ...off);
    const texts = textsIn(made);
    expect(texts).toContain('--without=checkov,trivy');
    expect(texts.filter((text) => ['aquasecurity.github.io', 'checkov'].includes(text))).toEqual([]);
    const [deployment] = made.filter(({ kind }) => kind === 'Deployment');
    expect(deployment?.spec).toMatchObject({ replicas: 3 });
    for (const one of ['EVENT_NAMESPACE', 'system', 'LOG_LEVEL', 'DEBUG']) expect(textsIn(deployment)).toContain(one);
  });

  it('as standalone lets sinks that are on, and no others, out to their receivers, with their settings', async () => {
    const flags = ['--set', 'standalone.enabled=true,webhook.tokenSecret=s,functions.announce.enabled=true'];
    const env = (name: string, variable: string, value: string): string[] => [
      '--set',
      `functions.${name}.env[0].name=${variable},functions.${name}.env[0].value=${value}`,
    ];
    const made = await rendered(
      ...[...flags, '--set', 'functions.alertmanager.enabled=true'],
      ...env('alertmanager', 'ALERTMANAGER_URL', 'http://alertmanager:9093'),
      ...env('sender', 'SINK_URL', 'http://nobody'),
    );
    const texts = textsIn(made.filter(({ kind }) => kind === 'Deployment'));
    for (const one of ['ANNOUNCE', 'ALERTMANAGER_URL', 'http://alertmanager:9093']) expect(texts).toContain(one);
    for (const one of ['SINK_URL', 'http://nobody']) expect(texts).not.toContain(one);
    const tokens = await rendered(
      ...[...flags, '--set', 'functions.falcosidekick.enabled=true,functions.sender.enabled=true'],
      ...env('falcosidekick', 'SINK_TOKEN_FILE', '/etc/zen-watcher/secret/falcosidekick/token'),
      ...env('sender', 'SINK_TOKEN_FILE', '/etc/zen-watcher/secret/sender/token'),
    );
    const variables = textsIn(tokens.filter(({ kind }) => kind === 'Deployment')).filter((one) =>
      /TOKEN_FILE/.test(one),
    );
    expect(variables.sort()).toEqual([
      ...['FALCOSIDEKICK_SINK_TOKEN_FILE', 'SENDER_SINK_TOKEN_FILE', 'WEBHOOK_AUTH_TOKEN_FILE'],
    ]);
    const policyOf = (sink: string) => made.filter(({ metadata: { name } }) => name === `zen-watcher-${sink}`);
    expectSame(policyOf('alertmanager'), committed('components', 'alertmanager-standalone', 'alertmanager.yaml'));
    expect(policyOf('sender')).toEqual([]);
    const without = await rendered(...flags, '--set', 'functions.sender.enabled=true,networkPolicy.enabled=false');
    expect(without.filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([]);
  });

  it('as standalone has the page, if it is on, in a Deployment of its own without any right', async () => {
    const flags = ['--set', 'standalone.enabled=true,webhook.tokenSecret=s'];
    const isPage = ({ metadata: { name } }: Manifest): boolean => name === 'zen-watcher-page';
    expect((await rendered(...flags)).filter(isPage)).toEqual([]);
    const made = await rendered(...flags, '--set', 'functions.page.enabled=true');
    const untagged = JSON.stringify(made.filter(isPage)).replace(/("image":"zen-watcher):[^"]*/, '$1');
    expectSame(JSON.parse(untagged), committed('components', 'page-standalone', 'page.yaml'));
    const bindings = made.filter(({ kind }) => kind.endsWith('RoleBinding'));
    expect(bindings.filter((one) => textsIn(one).includes('zen-watcher-page')).map(idOf)).toEqual([]);
    const tenants = await rendered(...flags, '--set', 'functions.page.enabled=true,rbac.clusterRole=false');
    const [deployment] = tenants.filter((one) => isPage(one) && one.kind === 'Deployment');
    expect(textsIn(deployment)).toContain('WATCH_NAMESPACE');
  });

  it('has the component monitoring, with the labels by which an operator selects', async () => {
    const isOf = ({ kind }: Manifest): boolean => ['PodMonitor', 'PrometheusRule', 'ConfigMap'].includes(kind);
    const expected = ['prometheus-operator.yaml', 'dashboards.yaml'].flatMap((file) =>
      committed('components', 'monitoring', file),
    );
    expect((await rendered()).filter(isOf)).toEqual([]);
    expectSame((await rendered('--set', 'monitoring.enabled=true')).filter(isOf), expected);
    const flags = ['--set', 'monitoring.enabled=true,monitoring.interval=1m,monitoring.labels.release=stack'];
    const labelled = (await rendered(...flags)).filter(({ apiVersion }) => apiVersion === 'monitoring.coreos.com/v1');
    expect(labelled.map(({ metadata: { labels } }) => labels)).toEqual([
      { 'app.kubernetes.io/part-of': 'zen-watcher', release: 'stack' },
      { 'app.kubernetes.io/part-of': 'zen-watcher', release: 'stack' },
    ]);
    expect(textsIn(labelled)).toContain('1m');
  });

  it.each(['announce', 'alertmanager'])(
    'has the alert for a pass of %s that is overdue when that is on',
    async (name) => {
      const overdue = async (...flags: string[]) => {
        const made = await rendered('--set', 'monitoring.enabled=true', ...flags);
        return textsIn(made.filter(({ kind }) => kind === 'PrometheusRule')).includes(name);
      };
      expect(await overdue()).toBe(false);
      expect(await overdue('--set', `functions.${name}.enabled=true`)).toBe(true);
    },
  );

  it('has the component event-policy', async () => {
    const isOf = ({ kind }: Manifest): boolean => kind === 'EventPolicy';
    expect((await rendered()).filter(isOf)).toEqual([]);
    const made = (await rendered('--set', 'eventPolicy.enabled=true')).filter(isOf);
    expectSame(made, committed('event-policy', 'event-policy.yaml'));
  });

  it('makes no object of our own kinds, which nobody knows at the first installation', async () => {
    const made = await rendered(...everything, '--set', 'filters.trivy.minSeverity=HIGH');
    expect(made.filter(({ apiVersion }) => apiVersion.startsWith('zen.kube-zen.io'))).toEqual([]);
  });

  it.each(functionNames())('leaves nothing of %s when that is off', async (name) => {
    const made = await rendered(...everything, '--set', `crd.install=false,functions.${name}.enabled=false`);
    const names = [name, `${name}-source`, `zen-watcher-${name}`, `zen-watcher-${name}-source`];
    const naming = made.filter((manifest) => textsIn(manifest).some((text) => names.includes(text)));
    expect(naming.map(idOf)).toEqual([]);
    expect(made.length).toBeGreaterThan(50);
  });

  it('has no Broker when nobody uses one', async () => {
    const off = ['webhook', 'falco', 'audit', 'ingest'].map((name) => `functions.${name}.enabled=false`).join(',');
    const made = await rendered('--set', off);
    expect(made.filter(({ kind }) => ['Broker', 'Trigger'].includes(kind))).toEqual([]);
    expect(made.filter(isService).length).toBeGreaterThan(5);
  });

  it.each(['networkPolicy.enabled', 'crd.install'])('leaves nothing when %s is false', async (value) => {
    const kind = value === 'crd.install' ? 'CustomResourceDefinition' : 'NetworkPolicy';
    const withIt = await rendered();
    const without = await rendered('--set', `${value}=false`);
    expectSame(
      without,
      withIt.filter((manifest) => manifest.kind !== kind),
    );
    expect(without.length).toBeLessThan(withIt.length);
  });

  it('keeps the CRDs, and every namespace that it makes, when the release goes', async () => {
    const kept = (await rendered(...everything)).filter(
      ({ metadata }) => keep in Object.assign({}, metadata.annotations),
    );
    const crds = readdirSync(join(chart, '..', '..', 'crds'))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.replace('.yaml', '.zen.kube-zen.io'));
    expect(kept.map(idOf).sort()).toEqual([
      ...crds.map((name) => `CustomResourceDefinition /${name}`),
      ...['Namespace /checkov', 'Namespace /kube-bench', 'Namespace /zen-system'],
    ]);
    // How to delete them, it says.
    const [, said = ''] = /kubectl delete crd (.*)/.exec(readFileSync(join(chart, 'README.md'), 'utf8')) ?? [];
    expect(said.split(' ').sort()).toEqual(crds.sort());
  });

  it.each(['-f values.yaml', '-f values-namespaced.yaml'])('works in another namespace, with %s', async (values) => {
    const [flag = '', file = ''] = values.split(' ');
    const made = await rendered(flag, join(chart, file), '--set', 'namespaceOverride=elsewhere');
    expect(textsIn(made).filter((text) => text.includes('zen-system'))).toEqual([]);
    expect(textsIn(made)).toContain('eventing.knative.dev/broker/elsewhere/zen-watcher');
  });

  it('gives each value that is missing its default', async () => {
    const values: Readonly<Record<string, unknown>> = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    const inner = Object.entries(values).flatMap(([name, value]) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.keys(value).map((key) => `${name}.${key}`)
        : [],
    );
    const expected = await rendered();
    for (const names of [Object.keys(values), inner]) {
      expect(names.length).toBeGreaterThan(10);
      expectSame(await rendered('--set', names.map((name) => `${name}=null`).join(',')), expected);
    }
  });

  it.each([
    ['', `zen-watcher:${release.version}`],
    ['image.repository=ghcr.io/us/zw', `ghcr.io/us/zw:${release.version}`],
    ['image.tag=1.0.20', 'zen-watcher:1.0.20'],
    [`image.digest=sha256:${'0'.repeat(64)}`, `zen-watcher:${release.version}@sha256:${'0'.repeat(64)}`],
  ])('runs with %s the image %s', async (value, image) => {
    const images = servicesIn(await rendered('--set-string', value)).map(
      ({ spec }) => spec.template.spec.containers[0].image,
    );
    expect(new Set(images)).toEqual(new Set([image]));
  });

  it.each([
    ['falco', 'replicas=2', '2', '5'],
    ['falco', 'replicas=7', '7', '7'],
    ['trivy', 'replicas=2', '0', '5'],
    ['trivy', 'functions.trivy.replicas=1', '1', '5'],
    ['gc', 'functions.gc.replicas=2', '2', '2'],
    ['webhook', 'replicas=2,functions.webhook.replicas=0', '0', '3'],
    ['webhook', 'maxReplicas=9', '0', '9'],
    ['webhook', 'maxReplicas=9,functions.webhook.maxReplicas=1', '0', '1'],
  ])('scales %s with %s from %s to %s', async (name, values, min, max) => {
    const { annotations } = (await serviceOf(name, ['--set', values])).spec.template.metadata;
    expect(annotations).toMatchObject({
      'autoscaling.knative.dev/min-scale': min,
      'autoscaling.knative.dev/max-scale': max,
    });
  });

  const variable = (place: string, name: string, value: string): string =>
    `${place}[0].name=${name},${place}[0].value=${value}`;
  it.each([
    ['all', 'trivy', variable('env', 'LOG_LEVEL', 'DEBUG'), { LOG_LEVEL: 'DEBUG' }],
    ['one', 'falco', variable('functions.falco.env', 'DEDUP_CACHE_SIZE', '10000'), { DEDUP_CACHE_SIZE: '10000' }],
    ['no other', 'audit', variable('functions.falco.env', 'LOG_LEVEL', 'DEBUG'), { LOG_LEVEL: undefined }],
    [
      'one before all',
      'falco',
      `${variable('env', 'LOG_LEVEL', 'DEBUG')},${variable('functions.falco.env', 'LOG_LEVEL', 'WARN')}`,
      { LOG_LEVEL: 'WARN' },
    ],
    [
      'what is generated',
      'webhook',
      variable('env', 'WEBHOOK_TRUSTED_PROXIES', '::1'),
      { WEBHOOK_TRUSTED_PROXIES: '::1' },
    ],
    [
      'what the gateway must know, too',
      'webhook',
      variable('functions.falco.env', 'FALCO_MINIMUM_PRIORITY', 'Error'),
      { FALCO_MINIMUM_PRIORITY: 'Error' },
    ],
    ['a TTL', 'trivy', 'ttl=7d', { OBSERVATION_TTL_SECONDS: '604800' }],
    ['the TTL of one', 'falco', 'ttl=7d,functions.falco.ttl=12h', { OBSERVATION_TTL_SECONDS: '43200' }],
    ['no TTL', 'falco', '', { OBSERVATION_TTL_SECONDS: undefined }],
    ['where events are kept', 'audit', 'eventNamespace=system', { EVENT_NAMESPACE: 'system' }],
    ['what trivy does not have', 'trivy', 'eventNamespace=system', { EVENT_NAMESPACE: undefined }],
    ['a rate', 'webhook', 'webhook.rateLimit=6000000', { WEBHOOK_RATE_LIMIT: '6000000' }],
    [
      'addresses',
      'webhook',
      'webhook.allowedIPs={10.0.0.1,fd00::/8},webhook.trustedProxies={10.1.0.0/16}',
      {
        WEBHOOK_ALLOWED_IPS: '10.0.0.1,fd00::/8',
        WEBHOOK_TRUSTED_PROXIES: '127.0.0.1/32,::1/128,10.1.0.0/16',
      },
    ],
    ['a token', 'webhook', 'webhook.tokenSecret=t', { WEBHOOK_AUTH_TOKEN_FILE: '/etc/zen-watcher/token' }],
  ])('sets %s', async (_what, name, values, expected) => {
    const flag = values.startsWith('webhook.') ? '--set' : '--set-string';
    const environment = await environmentOf(name, [flag, values]);
    for (const [variableName, value] of Object.entries(expected)) expect(environment[variableName]).toBe(value);
  });

  it.each([
    ['resources.limits.memory=1Gi', { cpu: '500m', memory: '1Gi' }],
    ['functions.trivy.resources.limits.memory=2Gi', { memory: '2Gi' }],
  ])('gives trivy with %s what it may use', async (value, limits) => {
    const { spec } = (await serviceOf('trivy', ['--set', value])).spec.template;
    expect(spec.containers[0]).toMatchObject({ resources: { limits } });
  });

  it('gives all Pods the labels, annotations, priority and Secrets for their image', async () => {
    const flags = 'podLabels.team=a,podAnnotations.note=b,priorityClassName=high,image.pullSecrets[0].name=s';
    for (const { spec } of servicesIn(await rendered('--set', flags))) {
      expect(spec.template).toMatchObject({
        metadata: { labels: { team: 'a' }, annotations: { note: 'b' } },
        spec: { priorityClassName: 'high', imagePullSecrets: [{ name: 's' }] },
      });
    }
  });

  it('makes the ConfigMap of filters, which `filters` reads', async () => {
    const values = 'filters.trivy.minSeverity=HIGH,filters.kube-bench.enabled=false';
    const found = (await rendered('--set', values)).find(({ kind }) => kind === 'ConfigMap');
    expect(found?.metadata).toMatchObject({ name: 'zen-watcher-filter', namespace: 'zen-system' });
    const [text = ''] = textsIn(found?.data);
    expect(JSON.parse(text)).toEqual({
      sources: { trivy: { minSeverity: 'HIGH' }, 'kube-bench': { enabled: false } },
    });
  });

  it.each([
    ['image.tga=1', "at '/image': additional properties 'tga' not allowed"],
    ['image.tag=20', "at '/image/tag': got number, want string"],
    ['image.tag=a:b', "at '/image/tag': 'a:b' does not match pattern"],
    ['image.digest=latest', "at '/image/digest': 'latest' does not match pattern"],
    ['image.repository=Upper', "at '/image/repository': 'Upper' does not match pattern"],
    ['image.pullPolicy=Sometimes', "at '/image/pullPolicy': value must be one of"],
    ['image.pullSecrets={s}', "at '/image/pullSecrets/0': got string, want object"],
    ['replicas=two', "at '/replicas': got string, want integer"],
    ['replicas=-1', "at '/replicas': minimum: got -1, want 0"],
    ['replicaCount=2', "at '': additional properties 'replicaCount' not allowed"],
    ['resources.limits.memory=lots', "at '/resources/limits/memory': 'lots' does not match pattern"],
    ['resources.limits.disk=1Gi', "at '/resources/limits': additional properties 'disk' not allowed"],
    ['namespaceOverride=Tenant_A', "at '/namespaceOverride': 'Tenant_A' does not match pattern"],
    ['rbac.create=false', "at '/rbac': additional properties 'create' not allowed"],
    ['rbac.clusterRole=no', "at '/rbac/clusterRole': got string, want boolean"],
    ['crd.keep=true', "at '/crd': additional properties 'keep' not allowed"],
    ['serviceAccount.create=true', "at '': additional properties 'serviceAccount' not allowed"],
    ['env.LOG_LEVEL=DEBUG', "at '/env': got object, want array"],
    ['env[0].name=log-level', "at '/env/0/name': 'log-level' does not match pattern"],
    ['env[0].name=A,env[0].value=5', "at '/env/0/value': got number, want string"],
    ['env[0].name=SYSTEM_NAMESPACE', 'env: not SYSTEM_NAMESPACE: set namespaceOverride instead'],
    ['functions.falco.env[0].name=BROKER_NAME', 'functions.falco.env: not BROKER_NAME: set broker.class instead'],
    ['ttl=7days', "at '/ttl': '7days' does not match pattern"],
    ['eventNamespace=default', "at '/eventNamespace': value must be one of 'affected', 'system'"],
    ['filters.trivy.minSeverty=HIGH', "at '/filters/trivy': additional properties 'minSeverty' not allowed"],
    ['filters.trivy.minSeverity=WORST', "at '/filters/trivy/minSeverity': 'WORST' does not match pattern"],
    [
      'filters.trivy.minSeverity=HIGH,functions.filters.enabled=false',
      'filters: nothing reads them while functions.filters.enabled is false',
    ],
    ['webhook.external=true', 'webhook.tokenSecret: webhook.external lets anybody post, so it needs a token'],
    ['standalone.enabled=true', 'webhook.tokenSecret: standalone takes nothing from outside without a token'],
    [
      'standalone.enabled=true,webhook.tokenSecret=t,webhook.external=true',
      "webhook.external: it is Knative's gateway",
    ],
    ['standalone.enabled=true,webhook.tokenSecret=t,functions.falco.ttl=1d', 'functions.falco.ttl: with standalone'],
    [
      'standalone.enabled=true,webhook.tokenSecret=t,functions.sender.enabled=true',
      'functions.sender.enabled: nothing is told to it unless functions.announce.enabled is true',
    ],
    [
      'standalone.enabled=true,webhook.tokenSecret=t,functions.falco.env[0].name=A,functions.falco.env[0].value=b,functions.trivy.env[0].name=A,functions.trivy.env[0].value=c',
      'functions.trivy.env: A is something else in functions.falco.env',
    ],
    ['standalone.replicas=0', "at '/standalone/replicas': minimum: got 0, want 1"],
    ['webhook.allowedIPs={host}', "at '/webhook/allowedIPs/0': 'host' does not match pattern"],
    ['webhook.allowedIPs={10.0.0.1}', 'webhook.trustedProxies: without the addresses of the gateway'],
    ['functions.flaco.enabled=false', "at '/functions': additional properties 'flaco' not allowed"],
    ['functions.falco.enabled=off', "at '/functions/falco/enabled': got string, want boolean"],
    ['functions.falco.window=10', "at '/functions/falco/window': got number, want string"],
    ['functions.falco.maxReplicas=3,replicas=9', 'functions.falco: 9 replicas are more than its maxReplicas, 3'],
    ['broker.class=My Class', "at '/broker/class': 'My Class' does not match pattern"],
    ['broker.config.name=c', "broker.config.name: the config of a Broker can't be changed, so it needs a broker.class"],
    ['podDisruptionBudget.minAvailable=1', 'podDisruptionBudget.minAvailable: 1 of 0 replicas of webhook would keep'],
    ['podDisruptionBudget.enabled=true', "at '/podDisruptionBudget': additional properties 'enabled' not allowed"],
    ['rbac.clusterRole=false,apiPriority.enabled=true', "apiPriority.enabled: a FlowSchema is the cluster's"],
    ['rbac.clusterRole=false,createNamespace=true', "createNamespace: a namespace is the cluster's"],
    ['monitoring.labels.release=1', "at '/monitoring/labels/release': got number, want string"],
  ])('refuses %s', async (values, message) => {
    await expect(rendered('--set', values)).rejects.toThrow(message);
  });
});
