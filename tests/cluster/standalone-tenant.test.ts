import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type Program, until } from '../host/program.ts';
import { applyManifest } from '../knative/apply.ts';
import { applyCrds, type Cluster, skipWithoutCluster, startCluster } from './cluster.ts';
import { prepareHelm, rendered, skipWithoutHelm } from './helm.ts';
import { postTo } from './proxy.ts';
import { policyReport, reportCrds } from './report-crds.ts';
import { namesIn, signedIn, signIn, startReadyStandalone } from './standalone.ts';

const tenant = 'tenant-a';
const flags = [
  ...['standalone.enabled=true', 'webhook.tokenSecret=zen-watcher-webhook'],
  ...['rbac.clusterRole=false', `namespaceOverride=${tenant}`],
];
const deploymentSchema = z.object({
  template: z.object({
    spec: z.object({
      containers: z.tuple([z.object({ env: z.array(z.object({ name: z.string(), value: z.string() })) })]),
    }),
  }),
});

const ours = `/apis/zen.kube-zen.io/v1alpha1/namespaces/${tenant}`;
const reports = (namespace: string): string => `/apis/wgpolicyk8s.io/v1alpha2/namespaces/${namespace}/policyreports`;

describe.skipIf(skipWithoutHelm() || skipWithoutCluster())(
  "standalone mode of a tenant's own, as the chart makes it, on a real API server",
  { timeout: 300_000 },
  () => {
    let cluster: Cluster;
    let program: Program;
    let kinds: readonly string[];

    const create = async (path: string, object: object): Promise<void> => {
      const { status, body } = await cluster.request('POST', path, object);
      expect(status, JSON.stringify(body)).toBe(201);
    };
    const countOf = async (source: string): Promise<number> =>
      (await namesIn(cluster, `zen.kube-zen.io/source=${source}`)).length;
    const post = (path: string, body: object): Promise<number> =>
      postTo(`${program.url}${path}`, signedIn, JSON.stringify(body));

    beforeAll(async () => {
      prepareHelm();
      cluster = await startCluster();
      // An administrator has done this once.
      await applyCrds(cluster);
      await cluster.apply(reportCrds);
      for (const name of [tenant, 'shop']) await cluster.namespace(name);
      const manifests = await rendered('--set', flags.join());
      kinds = manifests.map(({ kind }) => kind);
      for (const manifest of manifests) await applyManifest(cluster, manifest);
      const deployment = deploymentSchema.parse(manifests.find(({ kind }) => kind === 'Deployment')?.spec);
      const { env } = deployment.template.spec.containers[0];
      const isFile = ({ name }: { readonly name: string }): boolean => name.endsWith('_FILE');
      const environment = Object.fromEntries(
        env.filter((variable) => !isFile(variable)).map(({ name, value }) => [name, value]),
      );
      const folder = await signIn(cluster, tenant);
      await create(reports(tenant), policyReport('before', tenant, ['a']));
      program = await startReadyStandalone({ server: cluster.server, folder, environment });
    }, 900_000);

    afterAll(async () => {
      await program.stop();
      await cluster.stop();
    });

    it('needs nothing of the cluster', () => {
      expect(kinds).toContain('Deployment');
      expect(kinds.filter((kind) => /^(Cluster|Namespace|Custom|Validating)/.test(kind))).toEqual([]);
    });

    it('sees the reports of its namespace, those that were there and those that come, and no others', async () => {
      await until('what was there', async () => (await countOf('kyverno')) === 1);
      await create(reports('shop'), policyReport('elsewhere', 'shop', ['x']));
      await create(reports(tenant), policyReport('later', tenant, ['b', 'c']));
      await until('what came', async () => (await countOf('kyverno')) === 3);
      const names = await namesIn(cluster);
      expect(names.filter((name) => !name.startsWith(`${tenant}/`))).toEqual([]);
    });

    it('stores what is posted, also by an Ingester of its own', async () => {
      const output_fields = { 'k8s.ns.name': tenant, 'k8s.pod.name': 'web' };
      expect(await post('/falco/webhook', { rule: 'r', priority: 'Error', output_fields })).toBe(204);
      expect(await countOf('falco')).toBe(1);
      const mappings = { severity: 'HIGH', category: 'operational', eventType: 'own', rule: '.rule' };
      await create(`${ours}/ingesters`, {
        ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'Ingester' },
        metadata: { name: 'posted', namespace: tenant },
        spec: {
          ...{ source: 'posted', ingester: 'webhook', webhook: { path: 'posted' } },
          ...{ mappings, identity: ['.rule'] },
        },
      });
      await until('the path is served', async () => (await post('/ingest/posted', { rule: 'a' })) === 204);
      expect(await countOf('posted')).toBe(1);
    });

    it('asks for nothing that it may not have', () => {
      expect(program.log.filter((line) => /check the Role|"level":"(ERROR|FATAL)"/.test(line))).toEqual([]);
    });
  },
);
