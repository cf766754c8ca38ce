import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

const mebibyte = 1_048_576;

/** This container's memory limit in bytes; 128 MiB if it has none. */
export function memoryLimit(): number {
  // Without a limit, cgroups v1 report a number near 2^63. Without cgroups, Node reports 0.
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : 128 * mebibyte;
}

/** By how much a pass may let the heap grow before its garbage is collected, in bytes. */
const growth = 9 * mebibyte;

/** How often that is looked at, in milliseconds: a pass makes some 60 MiB of garbage a second. */
const lookMilliseconds = 25;

/**
 * Does long work while garbage is collected early: what a pass leaves behind is garbage at once, but by itself V8 lets the
 * heap grow by 16 MiB and more, however small it is, before it looks. Does the work alone unless Node exposes its collector.
 */
export async function collectingEarly<Result>(
  work: () => Promise<Result>,
  collect: (() => void) | undefined = globalThis.gc,
): Promise<Result> {
  if (!collect) return work();
  const used = (): number => getHeapStatistics().used_heap_size;
  let least = used();
  const timer = setInterval(() => {
    const now = used();
    least = Math.min(least, now);
    if (now - least < growth) return;
    collect();
    least = used();
  }, lookMilliseconds);
  timer.unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
