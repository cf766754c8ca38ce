import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Manifest, manifestsOf } from '../../knative/generator/manifests.ts';
import { controlledKinds } from '../../shared/api/controllers.ts';
import { loadFunctions } from '../../shared/host/function-list.ts';
import { until } from '../host/program.ts';
import { applyManifest } from '../knative/apply.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { startReadyFunction } from './functions.ts';
import { postTo } from './proxy.ts';
import { pingHeaders, policyReport, reportCrds, vulnerabilityReport } from './report-crds.ts';

const rolloutCrd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: rollouts.argoproj.io }
spec:
  group: argoproj.io
  scope: Namespaced
  names: { kind: Rollout, plural: rollouts, singular: rollout, listKind: RolloutList }
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object } } } }
`;

interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

function paths({ apiVersion, kind }: Resource): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/shop/${kind.toLowerCase()}s`;
}

const podSpec = { containers: [{ name: 'main', image: 'example' }], restartPolicy: 'Never' };
const template = { metadata: { labels: { app: 'x' } }, spec: podSpec };
const alwaysTemplate = { ...template, spec: { ...podSpec, restartPolicy: 'Always' } };
const selected = { selector: { matchLabels: { app: 'x' } }, template: alwaysTemplate };
const specs: Readonly<Record<string, object>> = {
  Pod: podSpec,
  ReplicaSet: selected,
  Deployment: selected,
  DaemonSet: selected,
  StatefulSet: { ...selected, serviceName: 'x' },
  ReplicationController: { replicas: 0, selector: { app: 'x' }, template: alwaysTemplate },
  Job: { template },
  CronJob: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template } } },
  Rollout: {},
};

const apiVersions: Readonly<Record<string, string>> = {
  ...{ Pod: 'v1', Node: 'v1', ReplicationController: 'v1', Job: 'batch/v1', CronJob: 'batch/v1' },
  ...{ Rollout: 'argoproj.io/v1alpha1', DeploymentConfig: 'apps.openshift.io/v1' },
};

/** The resource that is called `<kind> <name>` here. */
function resource(text: string): Resource {
  const [kind = '', name = ''] = text.split(' ');
  return { apiVersion: apiVersions[kind] ?? 'apps/v1', kind, name };
}

/** What is in the cluster, each with its controller, as the controllers of a cluster would make them. */
const made: readonly [object: string, controller?: string][] = [
  ['Deployment web'],
  ['ReplicaSet web-7d9c5b6f4d', 'Deployment web'],
  ['Pod web-7d9c5b6f4d-x2x9z', 'ReplicaSet web-7d9c5b6f4d'],
  ['Rollout canary'],
  ['ReplicaSet canary-85b9d4c7f6', 'Rollout canary'],
  ['Pod canary-85b9d4c7f6-kq7bt', 'ReplicaSet canary-85b9d4c7f6'],
  ['ReplicaSet bare-7d9c5b6f4d'],
  ['Pod bare-7d9c5b6f4d-x2x9z', 'ReplicaSet bare-7d9c5b6f4d'],
  ['StatefulSet db'],
  ['Pod db-0', 'StatefulSet db'],
  ['DaemonSet agent'],
  ['Pod agent-x2x9z', 'DaemonSet agent'],
  ['CronJob backup'],
  ['Job backup-29400000', 'CronJob backup'],
  ['Pod backup-29400000-kq7bt', 'Job backup-29400000'],
  ['Job migrate'],
  ['Pod migrate-vw2lk', 'Job migrate'],
  ['ReplicationController cart-2', 'DeploymentConfig cart'],
  ['Pod cart-2-x2x9z', 'ReplicationController cart-2'],
  ['Pod static-node-1', 'Node node-1'],
  ['Pod debug'],
];

/** What is shown for what is reported. */
const shown: readonly [reported: string, shown: string][] = [
  ['Deployment web', 'Deployment web'],
  ['ReplicaSet web-7d9c5b6f4d', 'Deployment web'],
  ['Pod web-7d9c5b6f4d-x2x9z', 'Deployment web'],
  ['ReplicaSet canary-85b9d4c7f6', 'Rollout canary'],
  ['Pod canary-85b9d4c7f6-kq7bt', 'Rollout canary'],
  ['ReplicaSet bare-7d9c5b6f4d', 'ReplicaSet bare-7d9c5b6f4d'],
  ['Pod bare-7d9c5b6f4d-x2x9z', 'ReplicaSet bare-7d9c5b6f4d'],
  ['Pod db-0', 'StatefulSet db'],
  ['Pod agent-x2x9z', 'DaemonSet agent'],
  ['Job backup-29400000', 'CronJob backup'],
  ['Pod backup-29400000-kq7bt', 'CronJob backup'],
  ['Job migrate', 'Job migrate'],
  ['Pod migrate-vw2lk', 'Job migrate'],
  ['ReplicationController cart-2', 'DeploymentConfig cart'],
  ['Pod cart-2-x2x9z', 'DeploymentConfig cart'],
  ['Pod static-node-1', 'Pod static-node-1'],
  ['Pod debug', 'Pod debug'],
  // Nothing is known of it: whether a Deployment is behind it can't be told.
  ['Pod gone-7d9c5b6f4d-x2x9z', 'Pod gone-7d9c5b6f4d-x2x9z'],
];

function manifest(object: string, controller?: string) {
  const { apiVersion, kind, name } = resource(object);
  const owner = controller && { ...resource(controller), uid: crypto.randomUUID(), controller: true };
  const isMirror = owner && owner.kind === 'Node';
  const metadata = {
    name,
    namespace: 'shop',
    ...(owner && { ownerReferences: [owner] }),
    ...(isMirror && { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
  };
  return { apiVersion, kind, metadata, spec: { ...specs[kind], ...(isMirror && { nodeName: 'node-1' }) } };
}

const observations = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';

/** Each function that asks for controllers, and a report of its own with a finding about each of some resources. */
const reporters: readonly {
  readonly name: string;
  prepare(cluster: Cluster, about: readonly Resource[]): Promise<void>;
}[] = [
  {
    name: 'kyverno',
    async prepare(cluster, about) {
      const report = policyReport('all', 'shop', ['r']);
      const results = about.map((one, index) => ({
        ...report.results[0],
        rule: `r${index}`,
        resources: [{ ...one, namespace: 'shop' }],
      }));
      await create(cluster, '/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports', { ...report, results });
    },
  },
  {
    name: 'trivy',
    async prepare(cluster, about) {
      for (const [index, { kind, name }] of about.entries()) {
        const { report: content, ...report } = vulnerabilityReport(name, 'shop', 1);
        const vulnerabilities = content.vulnerabilities.map((one) => ({
          ...one,
          vulnerabilityID: `CVE-2099-${index}`,
        }));
        const labels = { ...report.metadata.labels, 'trivy-operator.resource.kind': kind };
        const metadata = { ...report.metadata, name: `${kind.toLowerCase()}-${name}`, labels };
        const path = '/apis/aquasecurity.github.io/v1alpha1/namespaces/shop/vulnerabilityreports';
        await create(cluster, path, { ...report, metadata, report: { ...content, vulnerabilities } });
      }
    },
  },
  {
    name: 'checkov',
    async prepare(cluster, about) {
      const checks = about.map(({ kind, name }, index) => ({
        check_id: `CKV_${index}`,
        resource: `${kind}.shop.${name}`,
      }));
      const results = { check_type: 'kubernetes', results: { failed_checks: checks } };
      await create(cluster, '/api/v1/namespaces/checkov/configmaps', {
        metadata: { name: 'results', labels: { app: 'checkov' } },
        data: { 'results.json': JSON.stringify(results) },
      });
    },
  },
  {
    name: 'ingest',
    async prepare(cluster, about) {
      const reads = { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] };
      // No controller aggregates ClusterRoles here.
      const role = '/apis/rbac.authorization.k8s.io/v1/clusterroles/zen-watcher-ingest-kinds';
      await cluster.request('PATCH', role, { rules: [reads] }, { contentType: 'application/merge-patch+json' });
      for (const { kind, name } of about) {
        await create(cluster, '/api/v1/namespaces/shop/configmaps', {
          metadata: { name: `${kind.toLowerCase()}-${name}`, labels: { app: 'own' } },
          data: { kind, name },
        });
      }
      await create(cluster, '/apis/zen.kube-zen.io/v1alpha1/namespaces/zen-system/observationmappings', {
        ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationMapping', metadata: { name: 'own' } },
        spec: {
          ...{
            sourceName: 'own',
            group: '',
            version: 'v1',
            kind: 'ConfigMap',
            labelSelector: { matchLabels: { app: 'own' } },
          },
          mappings: {
            ...{ severity: 'HIGH', category: 'security', eventType: 'own' },
            resource: { kind: '.data.kind', name: '.data.name', namespace: '.metadata.namespace' },
          },
          identity: ['.data.kind', '.data.name'],
        },
      });
    },
  },
];

async function create(cluster: Cluster, path: string, object: object): Promise<void> {
  const { status, body } = await cluster.request('POST', path, object);
  expect(status, JSON.stringify(body.message)).toBe(201);
}

const functions = await loadFunctions();

/** What a function's generated role is made of, and its own account. */
function accountOf(name: string): Manifest[] {
  const definition = functions.filter((one) => one.name === name);
  return definition.flatMap((one) => manifestsOf(one)).filter(({ apiVersion }) => !apiVersion.includes('knative.dev'));
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
}

function rulesIn(rules: unknown): Rule[] {
  return Array.isArray(rules) ? rules : [];
}

const asked = new Set(controlledKinds.map(({ plural }) => plural));

function isAboutControllers({ resources }: Rule): boolean {
  return resources.every((plural) => asked.has(plural));
}

describe.skipIf(skipWithoutCluster())('the resource that is shown, on a real API server', { timeout: 300_000 }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await applyCrds(cluster);
    await cluster.apply([reportCrds, rolloutCrd].join('---\n'));
    for (const name of ['zen-system', 'shop', 'checkov']) await cluster.namespace(name);
    await create(cluster, '/api/v1/namespaces/shop/serviceaccounts', { metadata: { name: 'default' } });
    await until(
      'Rollouts are served',
      async () => (await cluster.request('GET', paths(resource('Rollout x')))).status === 200,
    );
    for (const [object, controller] of made) {
      await create(cluster, paths(resource(object)), manifest(object, controller));
    }
    for (const { name, prepare } of reporters) {
      for (const one of accountOf(name)) await applyManifest(cluster, one);
      await prepare(
        cluster,
        shown.map(([reported]) => resource(reported)),
      );
    }
  }, 900_000);

  afterAll(() => cluster.stop());

  /** What a pass of a function, with its own token, shows for each of the above, as `kind name`. */
  async function shownBy(name: string): Promise<string[]> {
    await cluster.request('DELETE', observations);
    const path = `/api/v1/namespaces/zen-system/serviceaccounts/${name}/token`;
    const { body } = await cluster.request('POST', path, { spec: { expirationSeconds: 3600 } });
    const program = await startReadyFunction(name, {
      server: cluster.server,
      folder: cluster.mount(name, body.status.token),
      environment: { LOG_LEVEL: 'FATAL' },
    });
    expect(await postTo(program.url, pingHeaders, '')).toBe(204);
    await program.stop();
    const { items } = (await cluster.request('GET', observations)).body;
    return items
      .map(({ spec }: { spec: { resource: Resource } }) => `${spec.resource.kind} ${spec.resource.name}`)
      .sort();
  }

  describe.each(reporters)('by $name', ({ name }) => {
    const role = accountOf(name).find(
      ({ kind, rules }) => kind === 'ClusterRole' && rulesIn(rules).some(isAboutControllers),
    );
    const rules = rulesIn(role?.rules);

    it('is the controller, if it has one, and else what was reported', async () => {
      expect(await shownBy(name)).toEqual(expected(new Set()));
    });

    it.each(rules.filter(isAboutControllers).map((rule) => ({ rule, of: rule.resources.join(', ') })))(
      'is what was reported where that takes the right to get $of, and the function lacks it',
      async ({ rule }) => {
        if (!role) throw new Error('no role');
        await applyManifest(cluster, { ...role, rules: rules.filter((one) => one !== rule) });
        // A change to RBAC takes a moment to act.
        const without = expected(new Set(rule.resources));
        let result = await shownBy(name);
        for (let tries = 0; tries < 20 && !isDeepStrictEqual(result, without); tries += 1) result = await shownBy(name);
        await applyManifest(cluster, role);
        expect(result).toEqual(without);
        expect(without).not.toEqual(expected(new Set()));
      },
    );
  });

  it('exists, but for that of which nothing is known', async () => {
    for (const [, text] of shown) {
      const { name, ...kind } = resource(text);
      const { status } = await cluster.request('GET', `${paths({ name, ...kind })}/${name}`);
      // An OpenShift has DeploymentConfigs.
      expect(status, text).toBe(text.includes('gone') || kind.kind === 'DeploymentConfig' ? 404 : 200);
    }
  });
});

/** What is shown by a function that may not get these kinds. */
function expected(lacking: ReadonlySet<string>): string[] {
  const plurals = new Map(controlledKinds.map(({ kind, plural }) => [kind, plural]));
  const mayFollow = (object: string): boolean => {
    const plural = plurals.get(resource(object).kind);
    if (plural === undefined) return true;
    const controller = made.find(([one]) => one === object)?.[1];
    return !lacking.has(plural) && (controller === undefined || mayFollow(controller));
  };
  return shown.map(([reported, controller]) => (mayFollow(reported) ? controller : reported)).sort();
}
