import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import audit from '../../functions/audit.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { applyCrds, type Cluster, startCluster } from '../cluster/cluster.ts';
import { connectAs } from '../cluster/connect.ts';
import { startReadyFunction } from '../cluster/functions.ts';
import { postTo, startProxy } from '../cluster/proxy.ts';
import {
  applyTriggers,
  pingHeaders,
  policyReport,
  referenceTo,
  reportCrds,
  vulnerabilityReport,
} from '../cluster/report-crds.ts';
import { writerRules } from '../cluster/rules.ts';
import { createControlGroup, memoryMiB } from '../host/container.ts';
import { memoryOf, type Program } from '../host/program.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { bare, bareEnvironment } from './local-rows.ts';
import { cpuOf, firstAnswer, freePort, load, type Row, seconds, start, takeTurns } from './measure.ts';
import { alert, alertBatch, auditBatch } from './messages.ts';

const hour = 3_600_000;
const longest = 1_200_000;
const metadataOnly = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const metadataList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** Resolves to the status and the text of the answer. */
export type Raw = (
  method: string,
  path: string,
  body?: unknown,
  accept?: string,
) => Promise<{ status: number; text: string }>;

/** A real API server with what the functions need, and ways to use it. */
export interface Bench {
  readonly cluster: Cluster;
  readonly folder: string;
  /** The floor: a keep-alive client that only makes the calls. */
  readonly raw: Raw;
  /** A function as in its container, with the memory limit of the smallest pod if that can be set. */
  startSmall(name: string): Promise<{ readonly program: Program; stop(): Promise<void> }>;
  start(name: string, environment?: Readonly<Record<string, string>>): Promise<Program>;
}

function rawClient(cluster: Cluster, token: string): Raw {
  const agent = new Agent({ keepAlive: true, maxSockets: 32, ca: readFileSync(cluster.caFile) });
  const [host = '', port = ''] = cluster.server.split(':');
  return (method, path, body, accept = 'application/json') =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, accept, 'content-type': 'application/json' };
      const call = request({ agent, host, port, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

export async function startBench(namespaces: readonly string[]): Promise<Bench> {
  const cluster = await startCluster();
  await applyCrds(cluster);
  await cluster.apply(reportCrds);
  for (const name of ['zen-system', 'shop', ...namespaces]) await cluster.namespace(name);
  const { folder, token } = await cluster.serviceAccount('bench', writerRules);
  const options = { server: cluster.server, folder };
  // With more than the default, so that nothing is kept out or deleted for it.
  const quiet = { LOG_LEVEL: 'WARN', MAX_OBSERVATIONS: '10000000' };
  let count = 0;
  return {
    cluster,
    folder,
    raw: rawClient(cluster, token),
    start: (name, environment) => startReadyFunction(name, { ...options, environment: { ...quiet, ...environment } }),
    async startSmall(name) {
      count += 1;
      const group = createControlGroup(`bench-${count}`, { memoryMiB });
      // If no limit can be set, Node gets the heap size that it would choose with one.
      const heap = group ? {} : { NODE_OPTIONS: '--max-old-space-size=64' };
      const environment = { ...quiet, ...heap };
      const program = await startReadyFunction(name, { ...options, environment, contained: group });
      return {
        program,
        async stop() {
          await program.stop();
          group?.remove();
        },
      };
    },
  };
}

export function pathIn(namespace: string): string {
  return `/apis/zen.kube-zen.io/v1/namespaces/${namespace}/observations`;
}

/** Sends a ping until it is answered 204. */
export async function ping(url: string): Promise<void> {
  for (let tries = 0; tries < 10; tries += 1) if ((await postTo(url, pingHeaders, '', longest)) === 204) return;
  throw new Error('a pass was not completed');
}

const fifty = Array.from({ length: 50 }, (_, index) => `bench-${String(index).padStart(2, '0')}`);

/** The groups that need a real API server. `duplicates` repeats what `creates` wrote. */
const groups = {
  idle,
  creates,
  duplicates,
  audit: auditBatches,
  report: largeReport,
  async hundredThousand(bench: Bench) {
    await createReports(bench.cluster, fifty, 0, 1000);
    await firstPass(bench);
    return overHundredThousand(bench);
  },
};

export const clusterGroups: ReadonlySet<string> = new Set(Object.keys(groups));

/** The rows of these groups. */
export async function clusterRows(names: ReadonlySet<string>): Promise<Row[]> {
  const bench = await startBench(['raw', 'due', 'due-raw', 'images', ...fifty]);
  const rows: Row[] = [];
  try {
    for (const [name, measure] of Object.entries(groups)) if (names.has(name)) rows.push(...(await measure(bench)));
  } finally {
    await bench.cluster.stop();
  }
  return rows;
}

async function idle({ cluster, folder }: Bench): Promise<Row[]> {
  const own = mkdtempSync(join(tmpdir(), 'zen-watcher-bench-'));
  const port = await freePort();
  const floor = start(bare, bareEnvironment(own), port);
  await firstAnswer(port, alert(0), performance.now());
  const proxy = await startProxy({
    target: cluster.server,
    certificates: cluster.certificates,
    fault: () => undefined,
  });
  const program = await startReadyFunction('falco', { server: proxy.server, folder });
  const before = proxy.calls.length;
  await new Promise((resolve) => setTimeout(resolve, 60_000));
  const rows: Row[] = [
    {
      name: 'idle: resident memory of one function',
      ...{ unit: 'MiB', against: 'node:http alone', goal: 1.6 },
      ...{ ours: [memoryOf(program.pid).now], floor: [memoryOf(floor.pid).now] },
    },
    {
      name: 'idle: API calls per minute, including the watch',
      ...{ unit: '', against: 'none', goal: 2, isDifference: true, ours: [proxy.calls.length - before], floor: [0] },
    },
  ];
  await Promise.all([program.stop(), floor.stop()]);
  await proxy.stop();
  rmSync(own, { recursive: true });
  return rows;
}

async function creates({ raw, start: startFunction }: Bench): Promise<Row[]> {
  const count = 2000;
  const program = await startFunction('falco');
  const port = Number(new URL(program.url).port);
  await load(port, 8, 500, (index) => alert(-1 - index));
  const floor = async (run: number): Promise<number> => {
    const objects = Array.from({ length: count }, (_, index) =>
      anObservationOf(aFinding(`raw ${run} ${index} ${'x'.repeat(700)}`, 'raw'), { source: 'raw' }),
    );
    const work = async (object: unknown): Promise<void> =>
      void (await raw('POST', pathIn('raw'), object, metadataOnly));
    return count / (await seconds(() => forEachConcurrently(objects, 8, work)));
  };
  const rates: { floor: number[]; batches: number[]; singles: number[] } = { floor: [], batches: [], singles: [] };
  for (let run = 0; run < 5; run += 1) {
    rates.floor.push(await floor(run));
    const from = 2 * run * count;
    // A batch's members are handled 8 at a time, so one connection has 8 creates in flight.
    rates.batches.push(count / (await load(port, 1, count / 500, (index) => alertBatch(from + index * 500, 500))));
    rates.singles.push(count / (await load(port, 8, count, (index) => alert(from + count + index))));
  }
  await program.stop();
  const row = { unit: '1/s', against: 'the calls alone, pooled', goal: 0.95, isRate: true, floor: rates.floor };
  return [
    { ...row, name: 'creates/s, 8 in flight, whole pipeline, 500 in a batch', ours: rates.batches },
    { ...row, name: 'the same, one in a request (the sender uses part of the machine)', ours: rates.singles },
  ];
}

/** Repeats alerts that `creates` wrote: what redelivery costs, and a sender that sends everything twice. */
async function duplicates({ raw, start: startFunction }: Bench): Promise<Row[]> {
  const count = 2000;
  const object = anObservationOf(aFinding('twice', 'raw'), { source: 'raw' });
  await raw('POST', pathIn('raw'), object);
  const objects = Array.from({ length: count }, () => object);
  const floor: number[] = [];
  const cold: number[] = [];
  const warm: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    const work = async (): Promise<void> => void (await raw('POST', pathIn('raw'), object, metadataOnly));
    floor.push(count / (await seconds(() => forEachConcurrently(objects, 8, work))));
    const program = await startFunction('falco');
    const port = Number(new URL(program.url).port);
    cold.push(count / (await load(port, 1, count / 500, (index) => alertBatch(index * 500, 500))));
    const batches = 100;
    warm.push((batches * 100) / (await load(port, 8, batches, (index) => alertBatch((index * 100) % count, 100))));
    await program.stop();
  }
  const row = { unit: '1/s', against: 'calls that end in 409', isRate: true, floor };
  return [
    { ...row, name: 'duplicates/s, cache cold, 500 in a batch', goal: 1, ours: cold },
    { ...row, name: 'duplicates/s, cache warm, 100 in a batch', goal: 20, ours: warm },
  ];
}

async function auditBatches({ cluster, start: startFunction }: Bench): Promise<Row[]> {
  await applyTriggers(cluster, [audit]);
  const sink = createServer((incoming, outgoing) => {
    incoming.resume().on('end', () => outgoing.writeHead(202).end());
  }).listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const address = sink.address();
  const brokerPort = typeof address === 'object' && address !== null ? address.port : 0;
  const program = await startFunction('webhook', { K_SINK: `http://127.0.0.1:${brokerPort}` });
  const port = Number(new URL(program.url).port);
  const [events, batches] = [400, 100];
  await load(port, 2, batches, auditBatch);
  const parse = async (): Promise<number> => {
    const bodies = Array.from({ length: batches }, (_, index) => Buffer.from(auditBatch(index).body));
    const before = process.cpuUsage();
    for (const body of bodies) JSON.parse(body.toString());
    const { user, system } = process.cpuUsage(before);
    return (user + system) / (batches * events);
  };
  const ours = async (run: number): Promise<number> => {
    const before = cpuOf(program.pid);
    await load(port, 2, batches, (index) => auditBatch((run + 1) * batches + index));
    return ((cpuOf(program.pid) - before) * 1000) / (batches * events);
  };
  const measured = await takeTurns(3, parse, ours);
  await program.stop();
  sink.closeAllConnections();
  sink.close();
  return [
    {
      name: 'audit batch of 400 events of which 5 match: CPU per event',
      ...{ unit: 'µs', against: 'JSON.parse of the batch', goal: 1.5, ...measured },
    },
  ];
}

async function largeReport(bench: Bench): Promise<Row[]> {
  const count = 5000;
  const peaks: number[] = [];
  const floor = async (run: number): Promise<number> => {
    const objects = Array.from({ length: count }, (_, index) =>
      anObservationOf(aFinding(`finding ${run} ${index} ${'x'.repeat(250)}`, 'raw'), { source: 'raw' }),
    );
    const work = async (object: unknown): Promise<void> =>
      void (await bench.raw('POST', pathIn('raw'), object, metadataOnly));
    return seconds(() => forEachConcurrently(objects, 8, work));
  };
  const ours = async (run: number): Promise<number> => {
    const report = vulnerabilityReport(`image${run}`, 'images', count);
    const { status } = await bench.cluster.request(
      'POST',
      `/apis/${report.apiVersion}/namespaces/images/vulnerabilityreports`,
      report,
    );
    if (status !== 201) throw new Error(`the report was answered ${status}`);
    const { program, stop } = await bench.startSmall('trivy');
    const { headers, body } = referenceTo(report);
    const took = await seconds(async () => {
      const answer = await postTo(program.url, headers, body, longest);
      if (answer !== 204) throw new Error(`the reference was answered ${answer}`);
    });
    peaks.push(memoryOf(program.pid).peak);
    await stop();
    return took;
  };
  const measured = await takeTurns(3, floor, ours);
  return [
    {
      name: 'Trivy report with 5,000 findings, until all are stored',
      ...{ unit: 's', against: 'the creates alone', goal: 1.1, ...measured },
    },
    {
      name: 'the same: peak resident memory',
      ...{ unit: 'MiB', against: 'none', goal: 100, isDifference: true, ours: peaks, floor: [0] },
    },
  ];
}

/** Policy reports on a Deployment each, with 100 findings, spread over the namespaces. */
export async function createReports(
  cluster: Cluster,
  namespaces: readonly string[],
  from: number,
  to: number,
): Promise<void> {
  const rules = Array.from({ length: 100 }, (_, index) => `rule-${index}`);
  const reports = Array.from({ length: to - from }, (_, index) => {
    const name = `r${from + index}`;
    const report = policyReport(name, namespaces[(from + index) % namespaces.length] ?? '', rules);
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name, uid: name }];
    return { ...report, metadata: { ...report.metadata, ownerReferences } };
  });
  await forEachConcurrently(reports, 8, async (report) => {
    const path = `/apis/${report.apiVersion}/namespaces/${report.metadata.namespace}/policyreports`;
    const { status } = await cluster.request('POST', path, report);
    if (status !== 201) throw new Error(`a report was answered ${status}`);
  });
}

/** Stores what the reports contain and is not stored yet. */
export async function firstPass(bench: Bench): Promise<void> {
  const writer = await bench.start('kyverno');
  const took = await seconds(() => ping(writer.url));
  console.log(`the first pass took ${took.toFixed(0)} s`);
  await writer.stop();
}

/** The rows over the 1,000 reports in 50 namespaces that were written before. */
export async function overHundredThousand(bench: Bench): Promise<Row[]> {
  return [...(await passes(bench)), ...(await collections(bench))];
}

async function passes(bench: Bench): Promise<Row[]> {
  const grown: number[] = [];
  const before: number[] = [];
  const measured = await takeTurns(
    3,
    () => seconds(() => listAll(bench.raw, 'labelSelector=zen.kube-zen.io/source%3Dkyverno')),
    async () => {
      const { program, stop } = await bench.startSmall('kyverno');
      before.push(memoryOf(program.pid).now);
      const took = await seconds(() => ping(program.url));
      grown.push(memoryOf(program.pid).peak);
      await stop();
      return took;
    },
  );
  return [
    {
      name: 'completeness pass over 100,000 in 50 namespaces',
      ...{ unit: 's', against: 'metadata-only lists of the same', goal: 1.3, ...measured },
    },
    {
      name: 'the same: peak resident memory',
      ...{ unit: 'MiB', against: 'before the pass', goal: 40, isDifference: true, ours: grown, floor: before },
    },
  ];
}

async function listAll(raw: Raw, query: string): Promise<void> {
  let token = '';
  do {
    const path = `/apis/zen.kube-zen.io/v1/observations?limit=1000&${query}${token}`;
    const { text } = await raw('GET', path, undefined, metadataList);
    const list: { metadata: { continue?: string } } = JSON.parse(text);
    token = list.metadata.continue ? `&continue=${list.metadata.continue}` : '';
  } while (token !== '');
}

async function collections(bench: Bench): Promise<Row[]> {
  const count = 10_000;
  const { store, close } = connectAs(bench.cluster.server, bench.folder);
  const signal = AbortSignal.timeout(longest);
  const create = async (namespace: string, run: number, now: number): Promise<string[]> => {
    const objects = Array.from({ length: count }, (_, index) =>
      anObservationOf(aFinding(`due ${run} ${index}`, namespace), { source: 'due', now }),
    );
    await forEachConcurrently(objects, 16, async (object) => void (await store.create(object, signal)));
    return objects.map(({ metadata }) => metadata.name);
  };
  const before: number[] = [];
  const grown: number[] = [];
  const floor = async (run: number): Promise<number> => {
    const names = await create('due-raw', run, Date.now());
    const work = async (name: string): Promise<void> =>
      void (await bench.raw('DELETE', `${pathIn('due-raw')}/${name}`));
    return count / (await seconds(() => forEachConcurrently(names, 16, work)));
  };
  const ours = async (run: number): Promise<number> => {
    await create('due', run, Date.now() - 10 * hour);
    const { program, stop } = await bench.startSmall('gc');
    before.push(memoryOf(program.pid).now);
    const took = await seconds(() => ping(program.url));
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    if (!metrics.includes(`zen_watcher_observations_deleted_total{source="due",reason="ttl"} ${count}\n`)) {
      throw new Error('gc did not delete what was due');
    }
    grown.push(memoryOf(program.pid).peak);
    await stop();
    return count / took;
  };
  const measured = await takeTurns(2, floor, ours);
  close();
  return [
    {
      name: 'gc of 10,000 due among 100,000, deletes/s, including the count of all',
      ...{ unit: '1/s', against: 'the deletes alone, 16 in flight', goal: 0.9, isRate: true, ...measured },
    },
    {
      name: 'the same: peak resident memory',
      ...{ unit: 'MiB', against: 'before the collection', goal: 40, isDifference: true, ours: grown, floor: before },
    },
  ];
}
