import { setTimeout as pause } from 'node:timers/promises';
import falco from '../../functions/falco.ts';
import { forEachConcurrently } from '../../shared/pipeline/concurrency.ts';
import { startReadyFunction } from '../cluster/functions.ts';
import { postTo, startProxy } from '../cluster/proxy.ts';
import { applyTriggers } from '../cluster/report-crds.ts';
import { startBroker } from '../cluster/senders.ts';
import { memoryOf, type Program } from '../host/program.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { type Bench, startBench } from './cluster-rows.ts';
import { cpuOf } from './measure.ts';
import { alert } from './messages.ts';

/** What a rate of Falco alerts costs, all of them new, on their whole way from the webhook to the API server. */
export interface Load {
  readonly eventsPerMinute: number;
  readonly milliCores: { readonly webhook: number; readonly falco: number };
  readonly mebibytes: { readonly webhook: number; readonly falco: number };
  readonly callsPerEvent: number;
}

const rates = [100, 500, 2000, 6000];
const secondsEach = 20;

/** Posts at an even pace, however long the answers take. */
async function atRate(url: string, perMinute: number, body: (index: number) => string): Promise<void> {
  const count = Math.ceil((perMinute / 60) * secondsEach);
  const sent: Promise<number>[] = [];
  for (let index = 0; index < count; index += 1) {
    sent.push(postTo(url, { 'content-type': 'application/json' }, body(index)));
    await pause(60_000 / perMinute);
  }
  const statuses = new Set(await Promise.all(sent));
  if (statuses.size !== 1 || !statuses.has(204)) throw new Error(`answered ${[...statuses].join(', ')}`);
}

/** Measures what a rate of events costs, and how much an Observation takes in etcd. */
export async function capacity(): Promise<{ readonly loads: Load[]; readonly etcdBytes: number }> {
  const bench = await startBench(['raw']);
  try {
    const loads = await measureLoads(bench);
    console.log('\n| events a minute | webhook | falco | API calls an event |\n|---|---|---|---|');
    for (const { eventsPerMinute, milliCores, mebibytes, callsPerEvent } of loads) {
      const shown = (name: 'webhook' | 'falco'): string =>
        `${milliCores[name].toFixed(0)}m, ${mebibytes[name].toFixed(0)} MiB`;
      console.log(`| ${eventsPerMinute} | ${shown('webhook')} | ${shown('falco')} | ${callsPerEvent.toFixed(2)} |`);
    }
    const etcdBytes = await bytesInEtcd(bench);
    console.log(`\nan Observation takes ${etcdBytes.toFixed(0)} bytes in etcd`);
    return { loads, etcdBytes };
  } finally {
    await bench.cluster.stop();
  }
}

async function measureLoads({ cluster, folder }: Bench): Promise<Load[]> {
  await applyTriggers(cluster, [falco]);
  const proxy = await startProxy({
    target: cluster.server,
    certificates: cluster.certificates,
    fault: () => undefined,
  });
  const quiet = { LOG_LEVEL: 'WARN' };
  const source = await startReadyFunction('falco', { server: proxy.server, folder, environment: quiet });
  const broker = await startBroker({
    subscribers: new Map([['falco.rule.output.v1', source.url]]),
    deadLetterSink: source.url,
  });
  const environment = { ...quiet, K_SINK: broker.url };
  const webhook = await startReadyFunction('webhook', { server: cluster.server, folder, environment });
  const loads: Load[] = [];
  const spent = (program: Program, before: number): number => (cpuOf(program.pid) - before) / secondsEach;
  for (const eventsPerMinute of rates) {
    const before = { webhook: cpuOf(webhook.pid), falco: cpuOf(source.pid), calls: proxy.calls.length };
    const data = (index: number): string =>
      JSON.stringify({ ...JSON.parse(alert(index).body).data, rule: `at ${eventsPerMinute}: ${index}` });
    await atRate(`${webhook.url}/falco/webhook`, eventsPerMinute, data);
    const events = Math.ceil((eventsPerMinute / 60) * secondsEach);
    loads.push({
      eventsPerMinute,
      milliCores: { webhook: spent(webhook, before.webhook), falco: spent(source, before.falco) },
      mebibytes: { webhook: memoryOf(webhook.pid).now, falco: memoryOf(source.pid).now },
      callsPerEvent: (proxy.calls.length - before.calls) / events,
    });
  }
  await Promise.all([webhook.stop(), source.stop()]);
  broker.stop();
  await proxy.stop();
  return loads;
}

/** Measured by the storage size that the API server reports. */
async function bytesInEtcd({ cluster, raw }: Bench): Promise<number> {
  const count = 10_000;
  const size = async (): Promise<number> => {
    const { body } = await cluster.request('GET', '/metrics');
    return Number(/^apiserver_storage_size_bytes\{[^}]*\} (\S+)$/m.exec(String(body))?.[1]);
  };
  const before = await size();
  const objects = Array.from({ length: count }, (_, index) =>
    anObservationOf(aFinding(`etcd ${index} ${'x'.repeat(500)}`, 'raw'), { source: 'raw' }),
  );
  const path = '/apis/zen.kube-zen.io/v1/namespaces/raw/observations';
  await forEachConcurrently(objects, 16, async (object) => void (await raw('POST', path, object)));
  return ((await size()) - before) / count;
}
