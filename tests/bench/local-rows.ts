import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { type ControlGroup, createControlGroup, image } from '../host/container.ts';
import { sources } from '../host/program.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { exceptionRows } from './exception-rows.ts';
import { filterRows } from './filter-rows.ts';
import { cpuOf, firstAnswer, freePort, load, type Row, seconds, start, takeTurns } from './measure.ts';
import { alert } from './messages.ts';
import { pageRows } from './page-rows.ts';
import { microsecondsPerEvent } from './per-event.ts';

const root = join(import.meta.dirname, '..', '..');
export const bare = [join(import.meta.dirname, 'bare.cjs')];

/** The groups that need no API server. */
const groups = {
  start: coldStarts,
  event: cpuPerEvent,
  filters: filterRows,
  exceptions: exceptionRows,
  embedded: durable,
  layer,
  page: pageRows,
};

export const localGroups: ReadonlySet<string> = new Set(Object.keys(groups));

/** The rows of these groups. */
export async function localRows(names: ReadonlySet<string>): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'zen-watcher-bench-'));
  const rows: Row[] = [];
  try {
    for (const [name, measure] of Object.entries(groups)) if (names.has(name)) rows.push(...(await measure(folder)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}

export function bareEnvironment(folder: string): Record<string, string> {
  return { COMPILE_CACHE: join(folder, 'bare-cache') };
}

/** The environment of a pod whose API server refuses connections, so that a start doesn't depend on it. */
function podEnvironment(folder: string): Record<string, string> {
  writeFileSync(join(folder, 'token'), 'a token');
  writeFileSync(join(folder, 'ca.crt'), rootCertificates[0] ?? '');
  const server = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' };
  return { ...image.environment, ...server, SERVICE_ACCOUNT_DIR: folder };
}

async function coldStarts(folder: string): Promise<Row[]> {
  const ours: { wall: number; cpu: number }[] = [];
  const floor: { wall: number; cpu: number }[] = [];
  const startOnce = async (
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    group?: ControlGroup,
  ) => {
    const port = await freePort();
    const from = performance.now();
    const running = start(args, environment, port, group);
    // An alert below the minimum priority, so no API call is made.
    const wall = await firstAnswer(port, alert(0, 'Debug'), from);
    const cpu = cpuOf(running.pid);
    await running.stop();
    return { wall, cpu };
  };
  const pod = podEnvironment(folder);
  for (let run = 0; run < 16; run += 1) {
    const turn = {
      floor: await startOnce(bare, bareEnvironment(folder)),
      ours: await startOnce([...image.arguments(), 'falco'], pod),
    };
    // The first run fills the floor's compile cache, and the file system's cache.
    if (run === 0) continue;
    floor.push(turn.floor);
    ours.push(turn.ours);
  }
  const quarter = createControlGroup('start', { cores: 0.25 });
  const constrained =
    quarter &&
    (await takeTurns(
      5,
      async () => (await startOnce(bare, bareEnvironment(folder), quarter)).wall,
      async () => (await startOnce([...image.arguments(), 'falco'], pod, quarter)).wall,
    ));
  quarter?.remove();
  const row = (key: 'wall' | 'cpu'): Row => ({
    name: `cold start of one function, exec to first 204, ${key}`,
    ...{ unit: 'ms', against: 'node:http alone, with a compile cache', goal: 2 },
    ...{ ours: ours.map((one) => one[key]), floor: floor.map((one) => one[key]) },
  });
  return [
    row('wall'),
    row('cpu'),
    ...(constrained
      ? [
          {
            name: 'cold start at a quarter of a core, wall',
            ...{ unit: 'ms', against: 'the same at a quarter of a core', goal: 2, ...constrained },
          },
        ]
      : []),
  ];
}

async function cpuPerEvent(folder: string): Promise<Row[]> {
  const events = 10_000;
  const measured = await takeTurns(
    3,
    () => microsecondsPerEvent(bare, bareEnvironment(folder), events),
    () => microsecondsPerEvent([sources, '--data', ':memory:'], {}, events),
  );
  return [
    {
      name: 'CPU per Falco event, HTTP to answer, store in memory',
      ...{ unit: 'µs', against: 'node:http that reads the body', goal: 2.5, ...measured },
    },
  ];
}

async function durable(folder: string): Promise<Row[]> {
  const events = 5000;
  const alone = async (run: number): Promise<number> => {
    const store = createEmbeddedStore({ data: join(folder, `alone-${run}`), now: Date.now });
    const objects = Array.from({ length: events }, (_, index) =>
      anObservationOf(aFinding(`r${index}`, 'shop')),
    ).values();
    const signal = AbortSignal.timeout(600_000);
    const worker = async (): Promise<void> => {
      for (const object of objects) await store.create(object, signal);
    };
    const took = await seconds(() => Promise.all(Array.from({ length: 8 }, worker)));
    store.close();
    return events / took;
  };
  const program = async (run: number): Promise<number> => {
    const port = await freePort();
    const running = start([sources, '--data', join(folder, `program-${run}`)], {}, port);
    await firstAnswer(port, alert(-1), performance.now());
    await load(port, 8, 500, (index) => alert(1_000_000 + index));
    const rate = events / (await load(port, 8, events, alert));
    await running.stop();
    return rate;
  };
  const measured = await takeTurns(3, alone, program);
  return [
    {
      name: 'embedded store, durable creates/s, 8 connections',
      ...{ unit: '1/s', against: 'the store alone', goal: 0.5, isRate: true, ...measured },
    },
  ];
}

/** What a registry stores and a node pulls in addition to Node itself. */
async function layer(): Promise<Row[]> {
  const files = ['zen-watcher.blob', 'zen-watcher.cjs'].map((file) => readFileSync(join(root, 'dist', file)));
  const bytes = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
  return [
    {
      name: "the image's own layer, compressed",
      ...{ unit: 'MB', against: 'none', goal: 5, isDifference: true, ours: [bytes / 1e6], floor: [0] },
    },
  ];
}
