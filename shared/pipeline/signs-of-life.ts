import { leaseOf, leaseRef, leases, signIn } from '../api/lease.ts';
import type { SignsOfLife } from '../function/context.ts';
import type { Objects } from '../function/stores.ts';

/** How often a process says so at most. */
const longestInterval = 300_000;

const writeMilliseconds = 10_000;

export interface SignsOfLifeOptions {
  readonly source: string;
  /** How long it may be silent; `undefined` if that is not told. */
  readonly minutes: number | undefined;
  /** Where Leases are kept; `undefined` where there is no API server. */
  readonly objects: Pick<Objects, 'get' | 'apply'> | undefined;
  readonly systemNamespace: string;
  readonly elapsed: () => number;
  /** Milliseconds since 1970, by the earlier of the clocks: silence is due by it. */
  readonly now: () => number;
}

/**
 * Keeps a Lease for a source, since neither its Observations nor what its process counts tell that it is alive: what is
 * known already, and what nobody wants, writes nothing, and the process sleeps.
 */
export function createSignsOfLife(options: SignsOfLifeOptions): SignsOfLife {
  const { source, minutes, objects, systemNamespace, elapsed, now } = options;
  const interval = Math.min(longestInterval, ((minutes ?? Number.POSITIVE_INFINITY) * 60_000) / 3);
  const said = new Map<string, number>();

  function isDue(key: string): boolean {
    const last = said.get(key);
    if (!objects || (last !== undefined && elapsed() - last < interval)) return false;
    said.set(key, elapsed());
    return true;
  }

  async function write(at: number, signal: AbortSignal): Promise<void> {
    if (objects && minutes !== undefined)
      await objects.apply(leases, leaseOf(systemNamespace, { source, at, minutes }), signal);
  }

  return {
    isDue,

    note() {
      if (minutes === undefined || !isDue(source)) return;
      // The next event tries again.
      write(now(), AbortSignal.timeout(writeMilliseconds)).catch(() => said.delete(source));
    },

    async noteReport(at, signal) {
      if (!objects || minutes === undefined || at <= 0) return;
      const known = signIn(await objects.get(leases, leaseRef(systemNamespace, source), signal));
      if (known === undefined || known.at < at || known.minutes !== minutes)
        await write(Math.max(at, known?.at ?? 0), signal);
    },
  };
}
