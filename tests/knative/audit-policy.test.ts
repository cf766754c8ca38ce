import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import audit from '../../functions/audit.ts';
import { parseSettings } from '../../shared/function/settings.ts';
import { normalizeData } from '../../shared/pipeline/parse.ts';
import { type Cluster, skipWithoutCluster, startCluster } from '../cluster/cluster.ts';
import { temporaryFolder, until } from '../host/program.ts';

const policyFile = (name: string): string => join(import.meta.dirname, '..', '..', 'knative', name);

interface Deed {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly patch?: boolean;
  /** What the detections say; `undefined`: the API server must not even log it. */
  readonly eventType: string | undefined;
  /** By the ServiceAccount shop/web, and not by the administrator, whom the group system:masters makes a person. */
  readonly byAccount?: true;
}

const secretText = 'PLANTED-SECRET';
const shop = '/api/v1/namespaces/shop';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const admission = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const configMaps = '/api/v1/namespaces/kube-system/configmaps';
const env = [{ name: 'T', value: secretText }];
const pod = (name: string, securityContext = {}) => ({
  metadata: { name, annotations: { note: secretText } },
  spec: { containers: [{ name: 'c', image: 'busybox', env, securityContext }] },
});
const template = { metadata: { labels: { app: 'x' } }, spec: pod('x').spec };
const deployment = { metadata: { name: 'd' }, spec: { selector: { matchLabels: { app: 'x' } }, template } };
const job = { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'busybox' }] } } };
const cronJob = { metadata: { name: 'c' }, spec: { schedule: '* * * * *', jobTemplate: { spec: job } } };
const secret = { metadata: { name: 's' }, stringData: { password: secretText } };
const service = (name: string, spec: object) => ({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
const review = { spec: { namespace: 'shop' } };
const labels = (value: string) => ({ metadata: { labels: { 'pod-security.kubernetes.io/enforce': value } } });
const quota = { metadata: { name: 'q' }, spec: { hard: { pods: '100' } } };

const deeds: readonly Deed[] = [
  { method: 'POST', path: `${shop}/pods`, body: pod('p', { privileged: true }), eventType: 'privileged-pod-creation' },
  { method: 'POST', path: `${shop}/pods`, body: pod('q'), eventType: 'workload-by-hand' },
  {
    method: 'PATCH',
    path: `${shop}/pods/q/ephemeralcontainers`,
    body: { spec: { ephemeralContainers: [{ name: 'dbg', image: 'busybox' }] } },
    patch: true,
    eventType: 'ephemeral-container',
  },
  {
    method: 'POST',
    path: '/apis/apps/v1/namespaces/shop/deployments',
    body: deployment,
    eventType: 'workload-by-hand',
  },
  { method: 'POST', path: '/apis/batch/v1/namespaces/shop/cronjobs', body: cronJob, eventType: 'workload-by-hand' },
  { method: 'POST', path: '/api/v1/namespaces/kube-system/pods', body: pod('k'), eventType: 'kube-system-workload' },
  {
    method: 'POST',
    path: `${rbac}/namespaces/shop/roles`,
    body: { metadata: { name: 'r' }, rules: [] },
    eventType: 'rbac-change',
  },
  {
    method: 'POST',
    path: `${rbac}/clusterrolebindings`,
    body: {
      metadata: { name: 'b' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'ServiceAccount', name: 'web', namespace: 'shop' }],
    },
    eventType: 'rbac-change',
  },
  { method: 'DELETE', path: `${rbac}/namespaces/shop/roles/r`, eventType: 'rbac-change' },
  { method: 'POST', path: admission, body: { metadata: { name: 'm' } }, eventType: 'admission-change' },
  {
    method: 'PATCH',
    path: '/api/v1/namespaces/shop',
    body: labels('privileged'),
    patch: true,
    eventType: 'pod-security-change',
  },
  { method: 'POST', path: configMaps, body: { metadata: { name: 'aws-auth' } }, eventType: 'critical-config-change' },
  {
    method: 'PATCH',
    path: `${configMaps}/aws-auth`,
    body: { data: { a: secretText } },
    patch: true,
    eventType: 'critical-config-change',
  },
  {
    method: 'PATCH',
    path: `${shop}/serviceaccounts/default`,
    body: { metadata: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/r' } } },
    patch: true,
    eventType: 'cloud-identity-change',
  },
  { method: 'POST', path: `${shop}/secrets`, body: secret, eventType: 'secret-access' },
  {
    method: 'PATCH',
    path: `${shop}/secrets/s`,
    body: { stringData: { a: secretText } },
    patch: true,
    eventType: 'secret-access',
  },
  { method: 'GET', path: `${shop}/secrets`, eventType: 'secret-read' },
  { method: 'GET', path: '/api/v1/secrets', eventType: 'secret-read' },
  { method: 'GET', path: `${shop}/secrets?labelSelector=owner%3Dhelm`, eventType: 'helm-release-read' },
  { method: 'POST', path: `${shop}/serviceaccounts/default/token`, body: { spec: {} }, eventType: 'token-request' },
  { method: 'DELETE', path: `${shop}/secrets/s`, eventType: 'resource-deletion' },
  { method: 'DELETE', path: `${shop}/configmaps`, eventType: 'resource-deletion' },
  { method: 'POST', path: `${shop}/services`, body: service('n', { type: 'NodePort' }), eventType: 'exposed-service' },
  {
    method: 'POST',
    path: `${shop}/services`,
    body: service('e', { externalIPs: ['198.51.100.9'] }),
    eventType: 'exposed-service',
  },
  { method: 'POST', path: `${shop}/endpoints`, body: { metadata: { name: 'e' } }, eventType: 'endpoint-change' },
  { method: 'POST', path: '/api/v1/nodes', body: { metadata: { name: 'n1' } }, eventType: 'node-change' },
  {
    method: 'PATCH',
    path: '/api/v1/nodes/n1',
    body: { spec: { unschedulable: true } },
    patch: true,
    eventType: 'node-change',
  },
  { method: 'DELETE', path: '/api/v1/nodes/n1', eventType: 'node-change' },
  {
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    body: review,
    byAccount: true,
    eventType: 'permission-discovery',
  },
  { method: 'GET', path: `${shop}/secrets/none`, byAccount: true, eventType: 'access-probe' },
  { method: 'GET', path: `${shop}/pods`, eventType: undefined },
  {
    method: 'POST',
    path: `${shop}/events`,
    body: { metadata: { name: 'e' }, involvedObject: { namespace: 'shop' } },
    eventType: undefined,
  },
  { method: 'POST', path: `${shop}/resourcequotas`, body: quota, eventType: undefined },
  { method: 'DELETE', path: `${shop}/resourcequotas/q`, eventType: undefined },
  { method: 'PATCH', path: `${shop}/configmaps/x`, body: {}, patch: true, eventType: undefined },
];

const logged = z.looseObject({ requestURI: z.string(), user: z.looseObject({ username: z.string() }) });

function eventsIn(text: string): z.infer<typeof logged>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => logged.parse(JSON.parse(line)));
}

function typesOf(event: unknown): string[] {
  const settings = Object.assign({}, parseSettings({}, audit.settings, []));
  return normalizeData(audit.source, event, '2026-03-01T10:00:00Z', settings).findings.map(
    ({ eventType }) => eventType,
  );
}

describe.skipIf(skipWithoutCluster())('the audit Policy on a real API server', { timeout: 120_000 }, () => {
  const log = join(temporaryFolder(), 'audit.log');
  let cluster: Cluster;
  let token: string;

  beforeAll(async () => {
    cluster = await startCluster({
      apiServerFlags: [`--audit-log-path=${log}`, `--audit-policy-file=${policyFile('audit-policy.yaml')}`],
    });
    await cluster.namespace('shop');
    for (const namespace of ['shop', 'kube-system'])
      await cluster.request('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
        metadata: { name: 'default' },
      });
    ({ token } = await cluster.serviceAccount('web', [], 'shop'));
  }, 900_000);

  afterAll(() => cluster.stop());

  it('logs what the detections match, and no more', async () => {
    const since = readFileSync(log, 'utf8').length;
    for (const { method, path, body, patch, byAccount } of deeds) {
      await cluster.request(method, path, body, {
        ...(patch && { contentType: 'application/merge-patch+json' }),
        ...(byAccount && { token }),
      });
    }
    // Once the last deed is in the log, all of them are.
    await cluster.request('DELETE', `${shop}/secrets/last`);
    await until('the last deed is logged', () => readFileSync(log, 'utf8').includes('secrets/last'));
    const text = readFileSync(log, 'utf8').slice(since);
    const events = eventsIn(text).filter(({ user }) =>
      ['admin', 'system:serviceaccount:shop:web'].includes(user.username),
    );
    const found = (path: string): string[] => events.filter(({ requestURI }) => requestURI === path).flatMap(typesOf);
    for (const { path, eventType } of deeds)
      if (eventType !== undefined) expect(found(path), path).toContain(eventType);
    const loud = new Set(deeds.filter(({ eventType }) => eventType !== undefined).map(({ path }) => path));
    const silent = deeds.filter(({ eventType, path }) => eventType === undefined && !loud.has(path));
    for (const { path } of silent)
      expect(
        events.filter(({ requestURI }) => requestURI === path),
        path,
      ).toEqual([]);
    for (const line of text.split('\n')) if (line.includes('/secrets')) expect(line).not.toContain(secretText);
  });
});

describe.skipIf(skipWithoutCluster())(
  'the audit Policy for all rows on a real API server',
  { timeout: 120_000 },
  () => {
    const log = join(temporaryFolder(), 'audit.log');
    let cluster: Cluster;

    beforeAll(async () => {
      cluster = await startCluster({
        apiServerFlags: [`--audit-log-path=${log}`, `--audit-policy-file=${policyFile('audit-policy-all.yaml')}`],
      });
      await cluster.namespace('shop');
    }, 900_000);

    afterAll(() => cluster.stop());

    it('logs who was denied what, and what an administrator writes', async () => {
      const { token } = await cluster.serviceAccount('web', [], 'shop');
      await cluster.request('GET', `${shop}/pods`, undefined, { token });
      await cluster.request('POST', `${shop}/resourcequotas`, quota);
      await cluster.request('DELETE', `${shop}/secrets/last`);
      await until('the last deed is logged', () => readFileSync(log, 'utf8').includes('secrets/last'));
      const types = eventsIn(readFileSync(log, 'utf8')).flatMap((event) =>
        typesOf(event).map((type) => `${event.requestURI} ${type}`),
      );
      expect(types).toContain(`${shop}/pods access-probe`);
      expect(types).toContain(`${shop}/resourcequotas masters-access`);
    });
  },
);
