import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';

/** One row: what it costs us, what the floor costs, as runs that took turns measured it. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly floor: readonly number[];
  /** Whether more is better. */
  readonly isRate?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU time of a process so far, user and system, in milliseconds. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000;
}

/** The same by the scheduler's own count, which is finer than a tick; only the main thread's. */
export function schedulerCpuOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
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

/** Starts a Node program; its log goes nowhere. */
export function start(args: readonly string[], environment: Readonly<Record<string, string>>, port: number): Running {
  const child: ChildProcess = spawn(process.execPath, args, {
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

/** Posts again and again until the answer is 204; resolves to the milliseconds since `from`. */
export async function firstAnswer(port: number, message: Post, from: number): Promise<number> {
  const agent = new Agent({ keepAlive: false });
  for (;;) {
    const status = await post(port, agent, message).catch(() => 0);
    if (status === 204) return performance.now() - from;
    if (performance.now() - from > 20_000) throw new Error(`no 204, but ${status}`);
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
  const started = performance.now();
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      const status = await post(port, agent, message(index));
      if (status !== 204) throw new Error(`answered ${status}`);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  agent.destroy();
  return (performance.now() - started) / 1000;
}
