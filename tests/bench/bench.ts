import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import buildOnce from '../build-once.ts';
import { anObject, anObservation } from '../stores/store-contract.ts';
import { cpuOf, firstAnswer, freePort, load, median, type Post, schedulerCpuOf, start } from './measure.ts';

/** One row: what it costs us, what the floor costs, each as the median of runs that took turns. */
interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly floor: readonly number[];
  /** Whether more is better. */
  readonly isRate?: boolean;
}

const folder = mkdtempSync(join(tmpdir(), 'zen-watcher-bench-'));
const bundle = join(import.meta.dirname, '..', '..', 'dist', 'index.cjs');
const bare = join(import.meta.dirname, 'bare.cjs');
const bareEnvironment = { COMPILE_CACHE: join(folder, 'bare-cache') };

function alert(index: number, priority = 'Error'): Post {
  const data = {
    ...{ rule: `Terminal shell in container ${index}`, priority, source: 'syscall', hostname: 'node-1' },
    ...{
      time: '2026-03-01T10:00:00.123456789Z',
      output: 'A shell was spawned in a container with an attached terminal '.repeat(8),
    },
    tags: ['container', 'shell', 'mitre_execution', 'T1059'],
    output_fields: {
      ...{
        'container.id': '82a64fb56557',
        'container.image.repository': 'docker.io/library/nginx',
        'k8s.ns.name': 'shop',
      },
      ...{
        'k8s.pod.name': 'cart-7d9c5b6f4d-x2x9z',
        'proc.name': 'sh',
        'proc.cmdline': 'sh -c id',
        'user.name': 'root',
      },
      ...{
        'evt.time': 1772359200123456,
        'proc.tty': 34816,
        'proc.exepath': '/bin/busybox',
        'proc.pname': 'containerd-shim',
      },
    },
  };
  const event = { specversion: '1.0', id: `e-${index}`, source: '/bench', type: 'falco.rule.output.v1', data };
  return { path: '/', headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(event) };
}

async function coldStart(args: readonly string[], environment: Readonly<Record<string, string>>) {
  const port = await freePort();
  const from = performance.now();
  const running = start(args, environment, port);
  // An alert below the minimum priority: the whole pipeline up to the filter, and no API call.
  const wall = await firstAnswer(port, alert(0, 'Debug'), from);
  const cpu = schedulerCpuOf(running.pid);
  await running.stop();
  return { wall, cpu };
}

async function coldStarts(runs: number): Promise<Row[]> {
  const ours: { wall: number; cpu: number }[] = [];
  const floor: { wall: number; cpu: number }[] = [];
  await coldStart([bare], bareEnvironment);
  await coldStart([bundle, 'falco'], {});
  for (let run = 0; run < runs; run += 1) {
    floor.push(await coldStart([bare], bareEnvironment));
    ours.push(await coldStart([bundle, 'falco'], {}));
  }
  const row = (key: 'wall' | 'cpu'): Row => ({
    name: `cold start of one function, exec to first 204, ${key}`,
    unit: 'ms',
    ours: ours.map((one) => one[key]),
    floor: floor.map((one) => one[key]),
  });
  return [row('wall'), row('cpu')];
}

async function cpuPerEvent(runs: number, events: number): Promise<Row> {
  const ours: number[] = [];
  const floor: number[] = [];
  const measure = async (args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> => {
    const port = await freePort();
    const running = start(args, environment, port);
    await firstAnswer(port, alert(-1), performance.now());
    await load(port, 8, 2000, (index) => alert(1_000_000 + index));
    const before = cpuOf(running.pid);
    await load(port, 8, events, alert);
    const microseconds = ((cpuOf(running.pid) - before) * 1000) / events;
    await running.stop();
    return microseconds;
  };
  for (let run = 0; run < runs; run += 1) {
    floor.push(await measure([bare], bareEnvironment));
    ours.push(await measure([bundle, '--data', ':memory:'], {}));
  }
  return { name: 'CPU per Falco event, HTTP to answer, store in memory', unit: 'µs', ours, floor };
}

async function durable(runs: number, events: number): Promise<Row> {
  const ours: number[] = [];
  const floor: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const data = join(folder, `alone-${run}`);
    const store = createEmbeddedStore({ data, now: Date.now });
    const objects = Array.from({ length: events }, (_, index) => anObject(anObservation(`r${index}`, 'shop')));
    const iterator = objects.values();
    const signal = AbortSignal.timeout(600_000);
    const from = performance.now();
    const worker = async (): Promise<void> => {
      for (const object of iterator) await store.create(object, signal);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    floor.push(events / ((performance.now() - from) / 1000));
    store.close();
    const port = await freePort();
    const running = start([bundle, '--data', join(folder, `program-${run}`)], {}, port);
    await firstAnswer(port, alert(-1), performance.now());
    ours.push(events / (await load(port, 8, events, alert)));
    await running.stop();
  }
  return { name: 'durable events/s to the embedded store, 8 connections', unit: '1/s', ours, floor, isRate: true };
}

function shown({ name, unit, ours, floor }: Row): string {
  const spread = (values: readonly number[]): string =>
    `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}) ${unit}`;
  return `| ${name} | ${spread(ours)} | ${spread(floor)} | ${(median(ours) / median(floor)).toFixed(2)} |`;
}

buildOnce();
const rows = [...(await coldStarts(15)), await cpuPerEvent(3, 10_000), await durable(3, 5000)];
const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
console.log(`${machine}\nMedians (minimum-maximum) of runs that took turns.\n`);
console.log('| | ours | floor | ratio |\n|---|---|---|---|');
for (const row of rows) console.log(shown(row));
if (process.env.BENCH_JSON) writeFileSync(process.env.BENCH_JSON, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
rmSync(folder, { recursive: true, force: true });
