import { execFile } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { startProgram, temporaryFolder, until } from '../host/program.ts';
import { findControllers, findKnative } from './binaries.ts';
import { type Cluster, hasKubectl, startCluster } from './cluster.ts';
import { controlPlaneUsers, skipWithoutControlPlane, startControlPlane } from './control-plane.ts';
import { chart, helm, prepareHelm, skipWithoutHelm } from './helm.ts';
import { skipWithoutKnative, startKnative } from './knative.ts';
import { oldCrd } from './version-0.1.0.ts';

const overlays = join(chart, '..', 'overlays');
const production = ['-f', join(chart, 'values-production.yaml'), '--set', 'webhook.tokenSecret=zen-watcher-webhook'];
const observations = '/apis/zen.kube-zen.io/v1/namespaces/shop/observations';
const finding = {
  apiVersion: 'zen.kube-zen.io/v1',
  kind: 'Observation',
  metadata: { name: 'kept', namespace: 'shop' },
  spec: {
    ...{ source: 'falco', category: 'security', severity: 'HIGH', eventType: 'runtime-security' },
    ...{ resource: { kind: 'Pod', name: 'p', namespace: 'shop' }, detectedAt: '2026-03-01T10:00:00Z' },
  },
};

/**
 * The chart as one before this could have been: some values, and the template of one, are not there yet, a label is another,
 * and the CRD of Observations is that of version 0.1.0.
 */
function chartBefore(): string {
  const folder = join(temporaryFolder(), 'chart');
  cpSync(chart, folder, { recursive: true });
  const edit = (file: string, change: (text: string) => string): void =>
    writeFileSync(join(folder, file), change(readFileSync(join(folder, file), 'utf8')));
  const without = (text: string): string => {
    const { monitoring: _monitoring, ttl: _ttl, webhook, ...values } = parse(text);
    const { rateLimit: _rateLimit, ...others } = webhook;
    return stringify({ ...values, webhook: others });
  };
  edit('Chart.yaml', (text) => text.replace(/^version: .*$/m, 'version: 0.0.9'));
  edit('values.yaml', without);
  rmSync(join(folder, 'values.schema.json'));
  rmSync(join(folder, 'templates', 'shared', 'monitoring.yaml'));
  writeFileSync(
    join(folder, 'templates', 'crds', 'observations.yaml'),
    oldCrd.replace(/^metadata:\n/m, 'metadata:\n  annotations: { helm.sh/resource-policy: keep }\n'),
  );
  return folder;
}

const isSkipped = skipWithoutHelm() || skipWithoutControlPlane() || skipWithoutKnative() || !hasKubectl();

/** What helm, kubectl, the API server and Knative's webhooks make of what an operator types. */
describe.skipIf(isSkipped)('a release', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let kubeconfig = '';
  let knative: Awaited<ReturnType<typeof startKnative>>;
  let controlPlane: ReturnType<typeof startControlPlane>;

  /** Throws with what kubectl says if it fails. */
  async function kubectl(args: readonly string[], input = ''): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const flags = ['--kubeconfig', kubeconfig, ...args];
    const child = execFile('kubectl', flags, { maxBuffer: 67_108_864 }, (error, stdout, stderr) =>
      error && stderr !== '' ? reject(new Error(stderr)) : resolve(stdout),
    );
    child.stdin?.end(input);
    return promise;
  }

  const run = (...args: string[]): Promise<string> =>
    helm(...args, '--namespace', 'zen-system', '--kubeconfig', kubeconfig);

  const kustomize = (overlay: string, ...flags: string[]): Promise<string> =>
    kubectl(['apply', '--server-side', '-k', join(overlays, overlay), ...flags]);

  /** All of ours, by kind and name, with the version that each change makes anew. */
  async function ours(field = '.metadata.resourceVersion'): Promise<ReadonlyMap<string, string>> {
    const kinds = (await kubectl(['api-resources', '--verbs=list', '-o', 'name'])).trim().split('\n');
    const columns = `-o=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {${field}}{"\\n"}{end}`;
    const selected = ['-A', '-l', 'app.kubernetes.io/part-of=zen-watcher', columns, '--ignore-not-found'];
    const lines = (await kubectl(['get', kinds.join(','), ...selected])).trim().split('\n');
    return new Map(
      lines
        .filter((line) => line !== '')
        .map((line): [string, string] => {
          const [kind, name, version = ''] = line.split(' ');
          return [`${kind} ${name}`, version];
        }),
    );
  }

  async function crdVersions(): Promise<string[]> {
    const names = readdirSync(join(chart, 'templates', 'crds')).map((file) => file.replace('.yaml', ''));
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    return Promise.all(
      names.map(async (name) => {
        const { status, body } = await cluster.request('GET', `${path}/${name}.zen.kube-zen.io`);
        expect(status, name).toBe(200);
        return `${name} ${body.metadata.uid} ${body.metadata.generation}`;
      }),
    );
  }

  /** Whether an Observation may have a rule, which version 0.1.0 has not. */
  async function knowsRules(): Promise<boolean> {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/observations.zen.kube-zen.io';
    const { body } = await cluster.request('GET', path);
    return 'rule' in body.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties;
  }

  /** The versions of all of ours. That of the policy is left to its generation: the control plane writes into its status. */
  async function versions(): Promise<(readonly [string, string])[]> {
    const generations = await ours('.metadata.generation');
    return [...[...(await ours())].filter(([name]) => !name.startsWith('ValidatingAdmissionPolicy ')), ...generations];
  }

  async function expectFindingKept(): Promise<void> {
    await until(
      'the Observation can be read',
      async () => (await cluster.request('GET', `${observations}/kept`)).status === 200,
    );
    const { body } = await cluster.request('GET', `${observations}/kept`);
    expect(body.metadata.uid).toBe(uid);
    expect(body.spec).toMatchObject(finding.spec);
  }
  let uid = '';

  beforeAll(async () => {
    // Builds them, if need be, before anything runs beside that.
    prepareHelm();
    findControllers();
    findKnative();
    cluster = await startCluster({ users: controlPlaneUsers.map((name) => ({ name })) });
    kubeconfig = cluster.kubeconfig();
    controlPlane = startControlPlane(cluster);
    knative = await startKnative(cluster);
    await cluster.namespace('shop');
    await cluster.namespace('tenant-a');
  }, 1_800_000);

  afterAll(async () => {
    await knative.stop();
    await controlPlane.stop();
    await cluster.stop();
  });

  it('is installed, and its notes say what to do next', async () => {
    // Somebody's Checkov has its namespace already.
    await cluster.namespace('checkov');
    const notes = await run('install', 'zen-watcher', chartBefore(), '--create-namespace');
    expect(notes).toContain('kubectl wait ksvc --all -n zen-system --for=condition=Ready');
    expect(notes).toContain('helm test zen-watcher -n zen-system');
    expect(await knowsRules()).toBe(false);
    await until('Observations are served', async () => (await cluster.request('GET', observations)).status === 200);
    const { status, body } = await cluster.request('POST', observations, finding);
    expect(status, body.message).toBe(201);
    uid = body.metadata.uid;
  });

  it('is upgraded with --reuse-values from a chart that knows fewer values, and the CRDs with it', async () => {
    await run('upgrade', 'zen-watcher', chart, '--reuse-values', '--set-string', 'image.tag=1.0.20');
    expect(await knowsRules()).toBe(true);
    const images = await kubectl(['get', 'ksvc', '-n', 'zen-system', '-o', 'jsonpath={..image}']);
    expect(new Set(images.split(' '))).toEqual(new Set(['zen-watcher:1.0.20']));
    await expectFindingKept();
  });

  it('a second upgrade with nothing changed changes nothing', async () => {
    const before = [...(await versions()), ...(await crdVersions())];
    await run('upgrade', 'zen-watcher', chart, '--reuse-values');
    expect([...(await versions()), ...(await crdVersions())]).toEqual(before);
  });

  it('is rolled back, and the CRDs with it, without losing an object', async () => {
    await run('rollback', 'zen-watcher', '1');
    expect(await knowsRules()).toBe(false);
    await expectFindingKept();
    await run('rollback', 'zen-watcher');
    expect(await knowsRules()).toBe(true);
    await expectFindingKept();
  });

  it('is tried by what the Pod of `helm test` runs, with the rights that it has', async () => {
    const test = 'templates/tests/test-alert.yaml';
    const text = await helm('template', 'zen-watcher', chart, '-n', 'zen-system', '--show-only', test, ...production);
    const objects = parseAllDocuments(text).map((document) => document.toJS());
    const others = objects.filter(({ kind }) => kind !== 'Pod').map((object) => stringify(object));
    await kubectl(['apply', '--server-side', '-f', '-'], others.join('---\n'));
    // No kubelet would run the Pod, so what it runs is started here. Whether it is admitted, the API server says.
    await kubectl(['apply', '--server-side', '--validate=strict', '--dry-run=server', '-f', '-'], text);
    const account = '/api/v1/namespaces/zen-system/serviceaccounts/zen-watcher-test/token';
    const { body } = await cluster.request('POST', account, { spec: { expirationSeconds: 3600 } });
    const tokenFile = join(temporaryFolder(), 'token');
    const program = await startProgram({
      args: ['--port', '0', '--kubeconfig', kubeconfig],
      environment: { WEBHOOK_AUTH_TOKEN: 'the-token' },
    });
    const { args } = objects.find(({ kind }) => kind === 'Pod').spec.containers[0];
    const runPod = async (): Promise<{ readonly code: number; readonly output: string }> => {
      const { promise, resolve } = Promise.withResolvers<{ readonly code: number; readonly output: string }>();
      const env = {
        ...{ WEBHOOK_URL: program.url, TOKEN_FILE: tokenFile, API_SERVER: `https://${cluster.server}` },
        ...{ ACCOUNT_FOLDER: cluster.mount('test', body.status.token), NODE_EXTRA_CA_CERTS: cluster.caFile },
        NAMESPACE: 'zen-system',
      };
      const child = execFile(
        process.execPath,
        ['--input-type=module', '--eval', ...args],
        { env },
        (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
      );
      return promise;
    };
    expect(await runPod()).toMatchObject({ code: 1, output: expect.stringContaining('the webhook answered 401') });
    writeFileSync(tokenFile, 'the-token\nthe-next-token\n');
    const found = expect.stringMatching(/its Observation is zen-system\/falco-[0-9a-f]{32}: A test alert/);
    expect(await runPod()).toMatchObject({ code: 0, output: found });
    await program.stop();
    await kubectl(['delete', '-f', '-'], others.join('---\n'));
  });

  it('becomes production, and what it had besides goes again', async () => {
    const before = new Set((await ours()).keys());
    await run('upgrade', 'zen-watcher', chart, '--reset-values', ...production);
    const more = [...(await ours()).keys()].filter((name) => !before.has(name));
    expect(more.filter((name) => !/^(Revision|Configuration|Route) /.test(name)).sort()).toEqual([
      ...['FlowSchema /zen-watcher', 'PodDisruptionBudget zen-system/audit', 'PodDisruptionBudget zen-system/falco'],
      ...['PodDisruptionBudget zen-system/webhook', 'PriorityLevelConfiguration /zen-watcher'],
    ]);
    await run('upgrade', 'zen-watcher', chart, '--reset-values');
    expect(new Set((await ours()).keys())).toEqual(before);
  });

  it('becomes standalone, and goes back, and nothing that is stored changes', async () => {
    const lasting = (): Promise<Set<string>> =>
      ours().then((all) => {
        // What controllers make of them comes and goes in its own time.
        const made = /^(Revision|Configuration|Route|ReplicaSet|Pod|Endpoints|EndpointSlice|PodMetrics) /;
        return new Set([...all.keys()].filter((name) => !made.test(name)));
      });
    const before = await lasting();
    const stored = await crdVersions();
    const to = 'standalone.enabled=true,webhook.tokenSecret=zen-watcher-webhook';
    const notes = await run('upgrade', 'zen-watcher', chart, '--reset-values', '--set', to);
    expect(notes).not.toMatch(/ksvc|knative/i);
    expect(await kubectl(['get', 'ksvc,triggers,brokers,pingsources,apiserversources', '-A', '-o', 'name'])).toBe('');
    const meanwhile = await lasting();
    for (const kind of ['Deployment', 'Service', 'PodDisruptionBudget', 'ServiceAccount'])
      expect(meanwhile).toContain(`${kind} zen-system/zen-watcher`);
    await expectFindingKept();
    await run('upgrade', 'zen-watcher', chart, '--reset-values');
    await until('all is as before', async () => (await lasting()).symmetricDifference(before).size === 0);
    await expectFindingKept();
    expect(await crdVersions()).toEqual(stored);
  });

  it('fits well into the Secret that helm keeps it in', async () => {
    const list = '/api/v1/namespaces/zen-system/secrets?labelSelector=owner%3Dhelm';
    const { body } = await cluster.request('GET', list);
    const sizes = body.items.map(({ data }: { data: { release: string } }) => Buffer.byteLength(data.release));
    expect(sizes.length).toBeGreaterThan(0);
    console.log(`the largest release has ${Math.round(Math.max(...sizes) / 1024)} KiB of the 1,024 of a Secret`);
    expect(Math.max(...sizes)).toBeLessThan(1_048_576);
  });

  it('loses what is switched off, whole', async () => {
    await run('upgrade', 'zen-watcher', chart, '--reuse-values', '--set', 'functions.trivy.enabled=false');
    expect([...(await ours()).keys()].filter((name) => name.includes('trivy'))).toEqual([]);
    await run('upgrade', 'zen-watcher', chart, '--reuse-values', '--set', 'functions.trivy.enabled=true');
    expect([...(await ours()).keys()].filter((name) => name.includes('trivy')).length).toBeGreaterThan(5);
  });

  it('is uninstalled, but for CRDs, Observations and the namespaces of tools', async () => {
    const before = await crdVersions();
    await run('uninstall', 'zen-watcher');
    const left = async (): Promise<string[]> => [...(await ours()).keys()];
    await until('all else is gone', async () => (await left()).every((name) => /^(Namespace|Lease) /.test(name)));
    // Written by the function that was tried above, as README.md says.
    await kubectl(['delete', 'lease', '-n', 'zen-system', '-l', 'zen.kube-zen.io/sign-of-life']);
    expect(await left()).toEqual(['Namespace /kube-bench']);
    expect(await crdVersions()).toEqual(before);
    await expectFindingKept();
    expect((await cluster.request('GET', '/api/v1/namespaces/checkov')).status).toBe(200);
  });

  it('comes after what kustomize has applied, and goes back to it', async () => {
    await kustomize('default', '--force-conflicts');
    const before = await ours('.metadata.uid');
    await run('install', 'zen-watcher', chart, '--take-ownership', '--force-conflicts');
    await expectFindingKept();
    expect(await ours('.metadata.uid')).toEqual(before);
    // So helm forgets the release, and deletes nothing.
    await kubectl(['delete', 'secret', '-n', 'zen-system', '-l', 'owner=helm,name=zen-watcher']);
    await kustomize('default', '--force-conflicts');
    await kustomize('default');
    expect(await kubectl(['diff', '--server-side', '-k', join(overlays, 'default')])).toBe('');
    expect(await ours('.metadata.uid')).toEqual(before);
    await expectFindingKept();
    await kubectl(['delete', '-k', join(overlays, 'default'), '--ignore-not-found', '--timeout=120s']);
  });

  const templateOf = (...flags: string[]): Promise<string> =>
    helm('template', 'zen-watcher', chart, '-n', 'zen-system', '--skip-tests', ...flags);

  it('helm template | kubectl apply needs no release, and a second time changes nothing', async () => {
    const text = await templateOf('--set', 'createNamespace=true');
    const apply = ['apply', '--server-side', '-f', '-'];
    await kubectl(apply, text);
    const before = await versions();
    await kubectl(apply, text);
    expect(await versions()).toEqual(before);
  });

  it('a namespace of a tenant needs no more than Roles', async () => {
    const flags = ['--set', 'namespaceOverride=tenant-a', '-f', join(chart, 'values-namespaced.yaml')];
    const applied = await kubectl(
      ['apply', '--server-side', '--validate=strict', '-f', '-'],
      await templateOf(...flags),
    );
    expect(applied).toContain('service.serving.knative.dev/webhook serverside-applied');
    expect(applied).not.toMatch(/clusterrole|customresourcedefinition|namespace/);
  });

  // What is applied above has the ServiceAccounts that Knative's webhook asks for.
  it.each([
    ['production', production],
    ['constrained', ['-f', join(chart, 'values-constrained.yaml')]],
    ['kafka', ['-f', join(chart, 'values-kafka.yaml')]],
    [
      'more values',
      ['--set', 'podAnnotations.a=b,podLabels.c=d,ttl=3d,image.pullPolicy=Always,filters.trivy.minSeverity=HIGH'],
    ],
  ])('what is made with %s passes strict validation and every webhook', async (_name, flags) => {
    const dryRun = ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', '-'];
    expect(await kubectl(dryRun, await templateOf(...flags))).toContain('serverside-applied (server dry run)');
  });
});
