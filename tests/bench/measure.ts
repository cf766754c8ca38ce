import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import type { ControlGroup } from '../host/container.ts';

/** One row: what ours and the floor cost, measured by runs that took turns. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly floor: readonly number[];
  /** What the floor is. */
  readonly against: string;
  /** The ratio to the floor to reach; with `isDifference`, how much more than the floor it may be. */
  readonly goal: number;
  /** Whether more is better. */
  readonly isRate?: boolean;
  readonly isDifference?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Measures both in turn, so that a machine that slows down slows both. */
export async function takeTurns(
  runs: number,
  floor: (run: number) => Promise<number>,
  ours: (run: number) => Promise<number>,
): Promise<{ readonly floor: number[]; readonly ours: number[] }> {
  const measured: { floor: number[]; ours: number[] } = { floor: [], ours: [] };
  for (let run = 0; run < runs; run += 1) {
    measured.floor.push(await floor(run));
    measured.ours.push(await ours(run));
  }
  return measured;
}

/** CPU time of a process so far, with all its threads, in milliseconds, as counted by the scheduler. */
export function cpuOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return (performance.now() - from) / 1000;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export interface Running {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts a Node program, in a control group if there is one. Its log is discarded. */
export function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  port: number,
  group?: ControlGroup,
): Running {
  const [file = '', ...rest] = [
    ...(group ? ['sh', '-c', `${group.enter}; exec "$@"`, 'sh'] : []),
    ...[process.execPath, ...args],
  ];
  const child: ChildProcess = spawn(file, rest, {
    env: { PATH: process.env.PATH, PORT: String(port), ...environment },
    stdio: 'ignore',
  });
  if (child.pid === undefined) throw new Error('not started');
  return {
    pid: child.pid,
    port,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export interface Post {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function post(port: number, agent: Agent, { path, headers, body }: Post): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        agent,
        port,
        host: '127.0.0.1',
        method: 'POST',
        path,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** Posts until the answer is 204; resolves to the milliseconds since `from`. */
export async function firstAnswer(port: number, message: Post, from: number): Promise<number> {
  const agent = new Agent({ keepAlive: false });
  for (;;) {
    const status = await post(port, agent, message).catch(() => 0);
    if (status === 204) return performance.now() - from;
    if (performance.now() - from > 20_000) throw new Error(`answered ${status}, not 204`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Posts `count` messages over `connections`; resolves to the seconds it took. Throws unless all are answered 204. */
export async function load(
  port: number,
  connections: number,
  count: number,
  message: (index: number) => Post,
): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      const status = await post(port, agent, message(index));
      if (status !== 204) throw new Error(`answered ${status}`);
    }
  };
  const took = await seconds(() => Promise.all(Array.from({ length: connections }, worker)));
  agent.destroy();
  return took;
}
