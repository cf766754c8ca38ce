import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of the smallest pod. */
export const memoryMiB = 128;

/** A group of processes with a memory limit. */
export interface MemoryGroup {
  /** Whose number is written here belongs to it. */
  readonly processes: string;
  /** MiB, the page cache of the files that they read included. */
  peak(): number;
  remove(): void;
}

/** Cgroups as version 1 and 2 have them; one line says why there is none where none can be made. */
export function createMemoryGroup(name: string): MemoryGroup | undefined {
  const [limit, peak, parent] = existsSync('/sys/fs/cgroup/memory')
    ? ['memory.limit_in_bytes', 'memory.max_usage_in_bytes', '/sys/fs/cgroup/memory']
    : ['memory.max', 'memory.peak', '/sys/fs/cgroup'];
  const group = join(parent, `zen-watcher-test-${name}-${process.pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, limit), String(memoryMiB * 1024 * 1024));
    return {
      processes: join(group, 'cgroup.procs'),
      peak: () => Number(readFileSync(join(group, peak), 'utf8')) / 1_048_576,
      remove: () => rmdirSync(group),
    };
  } catch {
    console.log(`no memory limit can be set here: ${name} runs without one`);
    return undefined;
  }
}

const dockerfile = readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'Dockerfile'), 'utf8');

function entryPoint(): string[] {
  const entry = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile)?.[1];
  if (entry === undefined) throw new Error('the Dockerfile has no ENTRYPOINT');
  return JSON.parse(entry);
}

const dist = join(import.meta.dirname, '..', '..', 'dist');

/** How the image starts Node. */
export const image = {
  /** The arguments before the function's name, for a program that lies in `folder` in place of the image's. */
  arguments: (folder = dist): string[] =>
    entryPoint()
      .slice(1)
      .map((argument) => argument.replace('/app/', `${folder}/`)),
  environment: Object.fromEntries(
    [...dockerfile.matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
  ),
};
