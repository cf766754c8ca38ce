import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../host/program.ts';
import { type AuditPipeline, startAuditPipeline } from './audit-pipeline.ts';
import { findControllers } from './binaries.ts';
import { controlPlaneUsers, skipWithoutControlPlane, startControlPlane } from './control-plane.ts';
import { nodeUser, startNode } from './fake-node.ts';

/** For how long rounds are repeated; at least one is played to its end. */
const minutes = Number(process.env.MINUTES ?? 0);
const policyFile = join(import.meta.dirname, '..', '..', 'knative', 'audit-policy-all.yaml');

const container = { name: 'web', image: 'registry.example.com/web:1' };
const selector = { matchLabels: { app: 'web' } };
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } };
const job = { template: { spec: { restartPolicy: 'Never', containers: [container] } }, ttlSecondsAfterFinished: 1 };

/** What a deployer brings into a namespace. */
const objects: readonly (readonly [path: string, name: string, spec: object])[] = [
  ['apis/apps/v1 deployments', 'web', { replicas: 3, selector, template }],
  ['apis/apps/v1 statefulsets', 'db', { replicas: 2, serviceName: 'web', selector, template }],
  ['apis/apps/v1 daemonsets', 'agent', { selector, template }],
  ['apis/batch/v1 cronjobs', 'tick', { schedule: '* * * * *', jobTemplate: { spec: job } }],
  ['apis/batch/v1 jobs', 'once', job],
  ['api/v1 services', 'web', { selector: { app: 'web' }, ports: [{ port: 80 }] }],
  ['api/v1 resourcequotas', 'quota', { hard: { pods: '100' } }],
  [
    'api/v1 persistentvolumeclaims',
    'data',
    { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  ],
  ['apis/policy/v1 poddisruptionbudgets', 'web', { minAvailable: 1, selector }],
  [
    'apis/autoscaling/v2 horizontalpodautoscalers',
    'web',
    { minReplicas: 1, maxReplicas: 5, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
  ],
];

let pipeline: AuditPipeline;
let deployer = '';

async function deploy(method: string, path: string, body?: unknown): Promise<void> {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const { status, body: answer } = await pipeline.cluster.request(method, path, body, { token: deployer, contentType });
  expect(status, `${path} ${JSON.stringify(answer)}`).toBeLessThan(300);
}

/** Waits long: the CronJob's minute may just have begun. */
async function becomes(what: string, path: string, isSo: (body: never, status: number) => boolean): Promise<void> {
  const deadline = Date.now() + 400_000;
  for (;;) {
    const { body, status } = await pipeline.cluster.request('GET', path);
    if (isSo(body as never, status)) return;
    if (Date.now() > deadline) throw new Error(`never: ${what}: ${JSON.stringify(body).slice(0, 2000)}`);
    await pause(250);
  }
}

interface Workload {
  readonly status?: { readonly readyReplicas?: number; readonly updatedReplicas?: number; readonly replicas?: number };
}

interface Jobs {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: { readonly succeeded?: number };
  }[];
}

/** A namespace from its beginning to its end: rollouts, a scaling, a CronJob's Job, and everything deleted. */
async function round(namespace: string): Promise<void> {
  await deploy('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  const pathOf = (path: string): string => `/${path.replace(' ', `/namespaces/${namespace}/`)}`;
  // kube-controller-manager makes it, without which there are no Pods.
  await becomes(
    'an account',
    `/api/v1/namespaces/${namespace}/serviceaccounts/default`,
    (_body, status) => status === 200,
  );
  for (const [path, name, spec] of objects) await deploy('POST', pathOf(path), { metadata: { name }, spec });
  const web = pathOf('apis/apps/v1 deployments/web');
  const isReady = (count: number) => (body: Workload) =>
    body.status?.readyReplicas === count && body.status.updatedReplicas === count && body.status.replicas === count;
  await becomes('a Deployment is ready', web, isReady(3));
  for (const tag of ['2', '3']) {
    const containers = [{ ...container, image: `registry.example.com/web:${tag}` }];
    await deploy('PATCH', web, { spec: { template: { spec: { containers } } } });
    await becomes('a rollout is done', web, isReady(3));
  }
  await deploy('PATCH', `${web}/scale`, { spec: { replicas: 1 } });
  await becomes('a Deployment is scaled', web, isReady(1));
  await becomes('a StatefulSet is ready', pathOf('apis/apps/v1 statefulsets/db'), isReady(2));
  const jobs = pathOf('apis/batch/v1 jobs');
  const seen = new Set<string>();
  await becomes('a Job of the CronJob is done', jobs, ({ items }: Jobs) => {
    for (const { metadata, status } of items) if (status.succeeded) seen.add(metadata.name);
    return [...seen].some((name) => name.startsWith('tick-'));
  });
  await deploy('DELETE', `/api/v1/namespaces/${namespace}`);
  await becomes('the namespace is gone', `/api/v1/namespaces/${namespace}`, (_body, status) => status === 404);
}

function eventsIn(bodies: readonly string[]): { readonly user?: { readonly username?: string } }[] {
  return bodies.flatMap((body) => JSON.parse(body).items);
}

describe.skipIf(skipWithoutControlPlane())(
  'what a quiet cluster does by itself',
  { timeout: 600_000 + minutes * 60_000 },
  () => {
    beforeAll(async () => {
      // Builds them, if need be, before anything runs beside that.
      findControllers();
      const users = [...controlPlaneUsers.map((name) => ({ name })), nodeUser];
      pipeline = await startAuditPipeline({ policyFile, users });
      const { cluster } = pipeline;
      await cluster.namespace('argocd');
      const rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
      ({ token: deployer } = await cluster.serviceAccount('argocd-application-controller', rules, 'argocd'));
      const apiGroup = 'rbac.authorization.k8s.io';
      await cluster.request('POST', `/apis/${apiGroup}/v1/clusterrolebindings`, {
        metadata: { name: 'nodes' },
        roleRef: { apiGroup, kind: 'ClusterRole', name: 'system:node' },
        subjects: [{ apiGroup, kind: 'Group', name: 'system:nodes' }],
      });
    }, 900_000);

    afterAll(() => pipeline.stop());

    it('is no finding: the real kube-controller-manager and kube-scheduler, rollouts, CronJobs, a deleted namespace', async () => {
      const [posted, published] = [pipeline.posted.length, pipeline.published.length];
      const started = Date.now();
      const node = await startNode(pipeline.cluster);
      const controlPlane = startControlPlane(pipeline.cluster);
      let rounds = 0;
      try {
        do {
          rounds += 1;
          await round(`round-${rounds}`);
        } while (Date.now() - started < minutes * 60_000);
        expect(controlPlane.isRunning(), controlPlane.log()).toBe(true);
      } finally {
        await controlPlane.stop();
        await node.stop();
      }
      // Once what the administrator does last is told, so is everything before it.
      await pipeline.cluster.request('POST', '/api/v1/namespaces/shop/secrets', { metadata: { name: 'last' } });
      await until('the last deed is told', async () =>
        (await pipeline.findings()).some(({ spec }) => spec.summary.endsWith('created Secret shop/last')),
      );
      const events = eventsIn(pipeline.posted.slice(posted));
      const bytes = pipeline.posted.slice(posted).reduce((sum, body) => sum + body.length, 0);
      const users = new Set(events.map(({ user }) => user?.username));
      const seconds = (Date.now() - started) / 1000;
      console.log(
        `${rounds} rounds in ${seconds.toFixed(0)} s: ${events.length} audit events of ${users.size} users, ${(bytes / 1e6).toFixed(1)} MB, ${pipeline.published.length - published} published`,
      );
      expect(users.size).toBeGreaterThan(20);
      // The administrator has prepared the cluster, and only looks at it since.
      const found = (await pipeline.findings()).filter(({ spec }) => spec.actor?.username !== 'admin');
      expect(found.map(({ spec }) => `${spec.severity} ${spec.eventType} ${spec.summary}`)).toEqual([]);
    });
  },
);
