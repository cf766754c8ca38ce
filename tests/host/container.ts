import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of the smallest pod. */
export const memoryMiB = 128;

export interface Limits {
  readonly memoryMiB?: number;
  readonly cores?: number;
}

/** Processes with limits on what they take together. */
export interface ControlGroup {
  /** What a shell runs so that it, and what it becomes, belongs to the group. */
  readonly enter: string;
  /** MiB at the peak, the page cache of the files that they read included. */
  peak(): number;
  remove(): void;
}

const period = 100_000;

/** The files of a limit, by the group's folder: version 1 has a hierarchy for each resource, version 2 one for all. */
function filesOf(
  { memoryMiB: mebibytes, cores }: Limits,
  name: string,
): readonly (readonly [folder: string, file: string, value: string])[] {
  const isFirst = existsSync('/sys/fs/cgroup/memory');
  const folder = (resource: string): string => join('/sys/fs/cgroup', isFirst ? resource : '', name);
  const memory = String((mebibytes ?? 0) * 1_048_576);
  const quota = Math.round((cores ?? 0) * period);
  return [
    ...(mebibytes === undefined
      ? []
      : [[folder('memory'), isFirst ? 'memory.limit_in_bytes' : 'memory.max', memory] as const]),
    ...(cores === undefined
      ? []
      : [
          [
            folder('cpu'),
            isFirst ? 'cpu.cfs_quota_us' : 'cpu.max',
            isFirst ? String(quota) : `${quota} ${period}`,
          ] as const,
        ]),
  ];
}

/** A control group; where none can be made, one line says so. */
export function createControlGroup(purpose: string, limits: Limits): ControlGroup | undefined {
  const files = filesOf(limits, `zen-watcher-test-${purpose}-${process.pid}`);
  const folders = [...new Set(files.map(([folder]) => folder))];
  try {
    for (const folder of folders) mkdirSync(folder);
    for (const [folder, file, value] of files) writeFileSync(join(folder, file), value);
    return {
      enter: folders.map((folder) => `echo $$ > ${join(folder, 'cgroup.procs')}`).join('; '),
      peak() {
        const peaks = folders.flatMap((folder) =>
          ['memory.max_usage_in_bytes', 'memory.peak'].map((file) => join(folder, file)),
        );
        return Number(readFileSync(peaks.find((file) => existsSync(file)) ?? '', 'utf8')) / 1_048_576;
      },
      remove: () => folders.forEach((folder) => void rmdirSync(folder)),
    };
  } catch {
    console.log(`no limit can be set here: ${purpose} runs without one`);
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
