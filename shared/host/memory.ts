import { totalmem } from 'node:os';

const mebibyte = 1_048_576;

/** This container's memory limit in bytes; 128 MiB if it has none. */
export function memoryLimit(): number {
  // Without a limit, cgroups v1 report a number near 2^63. Without cgroups, Node reports 0.
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : 128 * mebibyte;
}
