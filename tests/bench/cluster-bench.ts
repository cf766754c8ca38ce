import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { applyCrds, type Cluster, startCluster } from '../cluster/cluster.ts';
import { connectAs } from '../cluster/connect.ts';
import { startFunction } from '../cluster/functions.ts';
import { postTo } from '../cluster/proxy.ts';
import { pingHeaders, policyReport, reportCrds } from '../cluster/report-crds.ts';
import { writerRules } from '../cluster/rules.ts';
import { memoryOf } from '../host/program.ts';
import { anObject, anObservation } from '../stores/store-contract.ts';
import { alert } from './alert.ts';
import { load, type Row } from './measure.ts';

const namespaces = Array.from({ length: 50 }, (_, index) => `bench-${String(index).padStart(2, '0')}`);
const hour = 3_600_000;

/** What fits in a container of 128 MiB: without it V8 collects when it likes, and the figure says nothing. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=2' };

/** The floor: a keep-alive client that does nothing but the calls. */
function rawClient(cluster: Cluster, token: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32, ca: readFileSync(cluster.caFile) });
  const [host = '', port = ''] = cluster.server.split(':');
  return (method: string, path: string, body?: unknown, accept = 'application/json'): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, accept, 'content-type': 'application/json' };
      const call = request({ agent, host, port, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return (performance.now() - from) / 1000;
}

const pathIn = (namespace: string): string => `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations`;

/** The rows that need a real API server. */
export async function clusterRows(): Promise<Row[]> {
  const cluster = await startCluster();
  await applyCrds(cluster);
  await cluster.apply(reportCrds);
  for (const name of ['zen-system', 'shop', 'raw', 'due', 'due-raw', ...namespaces]) await cluster.namespace(name);
  const { folder, token } = await cluster.serviceAccount('bench', writerRules);
  const raw = rawClient(cluster, token);
  const start = (name: string, environment = {}) =>
    startFunction(name, { server: cluster.server, folder, environment: { LOG_LEVEL: 'WARN', ...environment } });
  const rows = [
    await creates(raw, start),
    ...(await passes(cluster, raw, start)),
    await collections(cluster, folder, raw, start),
  ];
  await cluster.stop();
  return rows;
}

type Raw = ReturnType<typeof rawClient>;
type Start = (name: string, environment?: Record<string, string>) => ReturnType<typeof startFunction>;

async function creates(raw: Raw, start: Start): Promise<Row> {
  const ours: number[] = [];
  const floor: number[] = [];
  const count = 2000;
  const program = await start('falco');
  const port = Number(new URL(program.url).port);
  await load(port, 8, 300, (index) => alert(-1 - index));
  for (let run = 0; run < 3; run += 1) {
    const objects = Array.from({ length: count }, (_, index) =>
      anObject(anObservation(`raw ${run} ${index} ${'x'.repeat(500)}`, 'raw'), { source: 'raw' }),
    );
    const accept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
    floor.push(
      count /
        (await seconds(() =>
          forEachConcurrently(objects, 8, async (object) => void (await raw('POST', pathIn('raw'), object, accept))),
        )),
    );
    ours.push(count / (await load(port, 8, count, (index) => alert(run * count + index))));
  }
  await program.stop();
  return {
    name: 'creates/s on the real API server, 8 in flight, whole pipeline',
    unit: '1/s',
    ours,
    floor,
    isRate: true,
  };
}

async function passes(cluster: Cluster, raw: Raw, start: Start): Promise<Row[]> {
  const rules = Array.from({ length: 100 }, (_, index) => `rule-${index}`);
  const reports = namespaces.flatMap((namespace) =>
    Array.from({ length: 20 }, (_, index) => policyReport(`r${index}`, namespace, rules)),
  );
  await forEachConcurrently(reports, 8, async (report) => {
    await cluster.request(
      'POST',
      `/apis/${report.apiVersion}/namespaces/${report.metadata.namespace}/policyreports`,
      report,
    );
  });
  const writer = await start('kyverno');
  const first = await seconds(async () => {
    while ((await postTo(writer.url, pingHeaders, '', 1_200_000)) !== 204);
  });
  console.log(
    `the first pass wrote 100,000 findings in ${first.toFixed(0)} s, at most ${memoryOf(writer.pid).peak.toFixed(0)} MiB resident`,
  );
  await writer.stop();
  const ours: number[] = [];
  const floor: number[] = [];
  const grown: number[] = [];
  const idle: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    floor.push(await seconds(() => listAll(raw)));
    const program = await start('kyverno', smallHeap);
    await fetch(`${program.url}/ready`);
    idle.push(memoryOf(program.pid).now);
    ours.push(await seconds(() => postTo(program.url, pingHeaders, '', 1_200_000)));
    grown.push(memoryOf(program.pid).peak);
    await program.stop();
  }
  return [
    { name: 'completeness pass over 100,000 in 50 namespaces', unit: 's', ours, floor },
    {
      name: 'the same, resident memory at its peak, against idle (64 MiB of old space)',
      unit: 'MiB',
      ours: grown,
      floor: idle,
    },
  ];
}

async function listAll(raw: Raw): Promise<void> {
  const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
  let token = '';
  do {
    const text = await raw(
      'GET',
      `/apis/zen.kube-zen.io/v1/observations?limit=2000&labelSelector=zen.kube-zen.io/source%3Dkyverno${token}`,
      undefined,
      accept,
    );
    const list: { metadata: { continue?: string } } = JSON.parse(text);
    token = list.metadata.continue ? `&continue=${list.metadata.continue}` : '';
  } while (token !== '');
}

async function collections(cluster: Cluster, folder: string, raw: Raw, start: Start): Promise<Row> {
  const { store, close } = connectAs(cluster.server, folder);
  const signal = AbortSignal.timeout(1_200_000);
  const past = Date.now() - 10 * hour;
  const create = async (namespace: string, now: number): Promise<string[]> => {
    const objects = Array.from({ length: 10_000 }, (_, index) =>
      anObject(anObservation(`due ${index}`, namespace), { source: 'due', now }),
    );
    await forEachConcurrently(objects, 16, async (object) => void (await store.create(object, signal)));
    return objects.map(({ metadata }) => metadata.name);
  };
  const names = await create('due-raw', Date.now());
  const floor =
    10_000 /
    (await seconds(() =>
      forEachConcurrently(names, 16, async (name) => void (await raw('DELETE', `${pathIn('due-raw')}/${name}`))),
    ));
  await create('due', past);
  const program = await start('gc', smallHeap);
  const ours = 10_000 / (await seconds(() => postTo(program.url, pingHeaders, '', 1_200_000)));
  const metrics = await (await fetch(`${program.url}/metrics`)).text();
  if (!metrics.includes('zen_watcher_observations_deleted_total{source="due",reason="ttl"} 10000'))
    throw new Error('gc did not delete what was due');
  console.log(`gc: at most ${memoryOf(program.pid).peak.toFixed(0)} MiB resident`);
  await program.stop();
  close();
  return {
    name: 'gc of 10,000 due among 100,000, counting what lives included',
    unit: '1/s',
    ours: [ours],
    floor: [floor],
    isRate: true,
  };
}
