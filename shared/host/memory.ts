import { existsSync, readFileSync } from 'node:fs';

const mebibyte = 1_048_576;

/** cgroup v2, then v1. */
const limitFiles = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'];

/** This container's memory limit in bytes; 128 MiB where there is none. */
export function memoryLimit(): number {
  for (const file of limitFiles) {
    if (!existsSync(file)) continue;
    const limit = Number(readFileSync(file, 'utf8').trim());
    // Version 1 says "no limit" by a number near 2^63, version 2 by the word max.
    if (Number.isSafeInteger(limit) && limit > 0) return limit;
  }
  return 128 * mebibyte;
}
