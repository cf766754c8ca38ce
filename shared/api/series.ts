import * as z from 'zod';
import { oneLine } from '../finding/one-line.ts';

/** How often something happened, as `events.k8s.io` has it: `status.series` of an Observation. */
const seriesSchema = z.object({
  /** The first time included. */
  count: z.int().positive(),
  /** RFC 3339. */
  lastObservedTime: z.iso.datetime({ offset: true }),
  /** Short names of what the repeats were about. */
  seen: z.array(z.string()).exactOptional(),
});

export type Series = z.infer<typeof seriesSchema>;

/** The status of an Observation. Other controllers keep fields of their own in it. */
export const statusSchema = z.looseObject({
  series: seriesSchema.optional().catch(undefined),
});

/** Repeats that no series has yet. */
export interface Repeats {
  /** At least 1. */
  readonly count: number;
  /** RFC 3339. */
  readonly lastObservedTime: string;
  readonly seen: readonly string[];
}

const maxSeen = 20;
const maxSeenBytes = 1024;
const maxNameLength = 128;

/** A name as `seen` has it. */
export function seenName(text: string): string {
  return oneLine(text, maxNameLength);
}

/** The names that were there first stay. */
export function seenWith(seen: readonly string[], more: readonly string[]): string[] {
  const all = [...seen];
  for (const name of more) {
    if (all.length >= maxSeen) break;
    if (name === '' || all.includes(name)) continue;
    if (Buffer.byteLength(JSON.stringify([...all, name])) <= maxSeenBytes) all.push(name);
  }
  return all;
}

/** The later of two times. */
function laterOf(a: string, b: string): string {
  return Date.parse(a) > Date.parse(b) ? a : b;
}

/** Adds repeats to a series. What has no series yet happened once before. */
export function seriesWith(stored: Series | undefined, { count, lastObservedTime, seen }: Repeats): Series {
  const before = stored ?? { count: 1, lastObservedTime, seen: [] };
  const all = seenWith(before.seen ?? [], seen);
  return {
    count: Math.min(before.count + count, Number.MAX_SAFE_INTEGER),
    lastObservedTime: laterOf(before.lastObservedTime, lastObservedTime),
    ...(all.length > 0 && { seen: all }),
  };
}
