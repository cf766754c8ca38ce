import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import buildOnce from '../build-once.ts';
import { clusterUnavailable } from '../cluster/binaries.ts';
import { anObject, anObservation } from '../stores/store-contract.ts';
import { alert } from './alert.ts';
import { clusterRows } from './cluster-bench.ts';
import { cpuOf, firstAnswer, freePort, load, median, type Row, schedulerCpuOf, start } from './measure.ts';

const folder = mkdtempSync(join(tmpdir(), 'zen-watcher-bench-'));
const bundle = join(import.meta.dirname, '..', '..', 'dist', 'index.cjs');
const bare = join(import.meta.dirname, 'bare.cjs');
const bareEnvironment = { COMPILE_CACHE: join(folder, 'bare-cache') };

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

const shortly = (value: number): string => value.toFixed(value < 20 ? 1 : 0);

function shown({ name, unit, ours, floor }: Row): string {
  const spread = (values: readonly number[]): string =>
    `${shortly(median(values))} (${shortly(Math.min(...values))}-${shortly(Math.max(...values))}) ${unit}`;
  return `| ${name} | ${spread(ours)} | ${spread(floor)} | ${(median(ours) / median(floor)).toFixed(2)} |`;
}

/** `npm run bench -- local` leaves out what needs an API server, `-- cluster` has that alone. */
const part = process.argv[2];
buildOnce();
const rows: Row[] = [];
if (part !== 'cluster') rows.push(...(await coldStarts(15)), await cpuPerEvent(3, 10_000), await durable(3, 5000));
if (part !== 'local') {
  const reason = clusterUnavailable();
  if (reason === undefined) rows.push(...(await clusterRows()));
  else console.log(reason);
}
const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
console.log(`${machine}\nMedians (minimum-maximum) of runs that took turns.\n`);
console.log('| | ours | floor | ratio |\n|---|---|---|---|');
for (const row of rows) console.log(shown(row));
if (process.env.BENCH_JSON) writeFileSync(process.env.BENCH_JSON, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
rmSync(folder, { recursive: true, force: true });
