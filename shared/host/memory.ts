import { totalmem } from 'node:os';

const mebibyte = 1_048_576;

/** This container's memory limit in bytes; 128 MiB where there is none. */
export function memoryLimit(): number {
  // Where there is none, cgroups version 1 say a number near 2^63, and Node says 0 where there are no cgroups.
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : 128 * mebibyte;
}
