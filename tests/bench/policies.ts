import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { auditFlags } from '../cluster/audit-pipeline.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { temporaryFolder } from '../host/program.ts';
import { cpuOf, median, seconds } from './measure.ts';

const runs = 5;
const requestsPerRun = 2000;
const inFlight = 16;

const knative = join(import.meta.dirname, '..', '..', 'knative');

const account = (namespace: string, name: string) => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
});
const users = {
  node: { name: 'system:node:n1', groups: ['system:nodes'] },
  controller: account('kube-system', 'replicaset-controller'),
  operator: account('cert-manager', 'cert-manager'),
  deployer: account('argocd', 'argocd-application-controller'),
};

interface Request {
  readonly share: number;
  readonly by: keyof typeof users;
  readonly method: string;
  readonly path: (index: number) => string;
  readonly body?: (index: number) => unknown;
}

const shop = '/api/v1/namespaces/shop';
const slot = (index: number): string => `x${index % 20}`;
const lease = (index: number) => ({
  spec: { holderIdentity: 'me', renewTime: renewed(index), leaseDurationSeconds: 15 },
});
const renewed = (index: number): string => `2026-03-01T10:00:00.${String(index % 1_000_000).padStart(6, '0')}Z`;
const event = (index: number) => ({
  metadata: { generateName: 'e-' },
  involvedObject: { kind: 'Pod', namespace: 'shop', name: slot(index) },
  ...{ reason: 'Pulled', message: 'Container image is present', type: 'Normal' },
});
const pod = (index: number) => ({
  metadata: { generateName: `web-${index % 9}-`, ownerReferences: [owner], labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', image: 'web:1', env: [{ name: 'A', value: 'x'.repeat(200) }] }] },
});
const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: '0f0f0f0f-1111-4222-8333-444444444444' };

/** What a busy cluster asks of its API server, in a thousand requests, as far as plain requests can play it. */
const mix: readonly Request[] = [
  {
    share: 350,
    by: 'node',
    method: 'PATCH',
    path: (n) => `/apis/coordination.k8s.io/v1/namespaces/shop/leases/${slot(n)}`,
    body: lease,
  },
  {
    share: 200,
    by: 'operator',
    method: 'PATCH',
    path: (n) => `/apis/coordination.k8s.io/v1/namespaces/shop/leases/${slot(n)}`,
    body: lease,
  },
  { share: 120, by: 'node', method: 'GET', path: (n) => `${shop}/configmaps/${slot(n)}` },
  { share: 100, by: 'operator', method: 'GET', path: () => `${shop}/pods?limit=20` },
  {
    share: 60,
    by: 'node',
    method: 'PATCH',
    path: () => '/api/v1/nodes/n1/status',
    body: (n) => ({ metadata: { annotations: { beat: `${n}` } } }),
  },
  { share: 60, by: 'controller', method: 'GET', path: () => '/apis/apps/v1/namespaces/shop/deployments' },
  { share: 40, by: 'node', method: 'POST', path: () => `${shop}/events`, body: event },
  { share: 20, by: 'controller', method: 'POST', path: () => `${shop}/pods`, body: pod },
  {
    share: 20,
    by: 'deployer',
    method: 'PATCH',
    path: (n) => `${shop}/configmaps/${slot(n)}`,
    body: (n) => ({ data: { n: `${n}` } }),
  },
  { share: 15, by: 'operator', method: 'GET', path: () => `${shop}/secrets/db` },
  {
    share: 10,
    by: 'node',
    method: 'POST',
    path: () => `${shop}/serviceaccounts/default/token`,
    body: () => ({ spec: {} }),
  },
  {
    share: 5,
    by: 'deployer',
    method: 'PATCH',
    path: () => `${shop}/services/web`,
    body: (n) => ({ metadata: { annotations: { n: `${n}` } } }),
  },
];

/** The mix spread evenly, so that each run has the same. */
function requestsOf(): Request[] {
  return mix
    .flatMap((request) =>
      Array.from({ length: request.share }, (_, index) => ({ request, at: (index + 0.5) / request.share })),
    )
    .sort((a, b) => a.at - b.at)
    .map(({ request }) => request);
}

interface Subject {
  readonly name: string;
  readonly cluster: Cluster;
  readonly sink: { events: number; bytes: number };
  readonly rates: number[];
  readonly cpu: number[];
}

/** What the audit webhook leads to: it takes everything and counts it. */
async function startSink() {
  const sink = { events: 0, bytes: 0 };
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const list: { items: unknown[] } = JSON.parse(body.toString());
      sink.events += list.items.length;
      sink.bytes += body.length;
      outgoing.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    sink,
    url: `http://127.0.0.1:${port}`,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function prepare(cluster: Cluster): Promise<void> {
  await cluster.namespace('shop');
  const apiGroup = 'rbac.authorization.k8s.io';
  await cluster.request('POST', `/apis/${apiGroup}/v1/clusterrolebindings`, {
    metadata: { name: 'all' },
    roleRef: { apiGroup, kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: Object.values(users).map(({ name }) => ({ apiGroup, kind: 'User', name })),
  });
  await cluster.request('POST', `${shop}/serviceaccounts`, { metadata: { name: 'default' } });
  await cluster.request('POST', '/api/v1/nodes', { metadata: { name: 'n1' } });
  await cluster.request('POST', `${shop}/secrets`, { metadata: { name: 'db' }, stringData: { a: 'b' } });
  await cluster.request('POST', `${shop}/services`, { metadata: { name: 'web' }, spec: { ports: [{ port: 80 }] } });
  const leases = '/apis/coordination.k8s.io/v1/namespaces/shop/leases';
  for (let index = 0; index < 20; index += 1) {
    await cluster.request('POST', leases, { metadata: { name: slot(index) }, ...lease(index) });
    await cluster.request('POST', `${shop}/configmaps`, {
      metadata: { name: slot(index) },
      data: { a: 'x'.repeat(500) },
    });
  }
}

async function play({ cluster }: Subject, from: number): Promise<void> {
  const requests = requestsOf();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < requestsPerRun) {
      const index = from + next;
      const request = requests[next % requests.length];
      next += 1;
      if (!request) return;
      const { by, method, path, body } = request;
      const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const options = { token: cluster.tokenOf(users[by].name), contentType };
      const { status } = await cluster.request(method, path(index), body?.(index), options);
      // Two patches of one object may meet.
      if (status >= 400 && status !== 409) throw new Error(`${method} ${path(index)}: ${status}`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** Events and bytes that are sent, requests a second, and CPU of the API server, with each audit Policy and without one. */
export async function policies(): Promise<void> {
  const everything = join(temporaryFolder(), 'everything.yaml');
  writeFileSync(
    everything,
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n',
  );
  const files = {
    none: undefined,
    'audit-policy.yaml': join(knative, 'audit-policy.yaml'),
    'audit-policy-all.yaml': join(knative, 'audit-policy-all.yaml'),
    'Metadata for everything': everything,
  };
  const subjects: Subject[] = [];
  const stops: (() => void)[] = [];
  for (const [name, file] of Object.entries(files)) {
    const { sink, url, stop } = await startSink();
    stops.push(stop);
    const apiServerFlags = file === undefined ? [] : auditFlags(file, url);
    const cluster = await startCluster({ apiServerFlags, users: Object.values(users) });
    await prepare(cluster);
    subjects.push({ name, cluster, sink, rates: [], cpu: [] });
  }
  for (let run = -1; run < runs; run += 1) {
    for (const subject of subjects) {
      const { cluster, sink, rates, cpu } = subject;
      if (run === 0) Object.assign(sink, { events: 0, bytes: 0 });
      const before = cpuOf(cluster.apiServerPid());
      const took = await seconds(() => play(subject, (run + 1) * requestsPerRun));
      // The first warms up.
      if (run < 0) continue;
      rates.push(requestsPerRun / took);
      cpu.push((cpuOf(cluster.apiServerPid()) - before) / requestsPerRun);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(
    '\n| Policy | events per 1,000 requests | KB per 1,000 requests | requests/s | CPU of kube-apiserver per request, ms |',
  );
  console.log('|---|---|---|---|---|');
  for (const { name, sink, rates, cpu } of subjects) {
    const thousands = (runs * requestsPerRun) / 1000;
    const per = (value: number): string => (value / thousands).toFixed(0);
    const spread = (values: readonly number[], digits: number): string =>
      `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)})`;
    console.log(
      `| ${name} | ${per(sink.events)} | ${per(sink.bytes / 1000)} | ${spread(rates, 0)} | ${spread(cpu, 2)} |`,
    );
  }
  for (const { cluster } of subjects) await cluster.stop();
  for (const stop of stops) stop();
}
