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

  const kept = objects && minutes !== undefined ? { objects, minutes } : undefined;

  return {
    isDue,

    note() {
      if (!kept || !isDue(source)) return;
      const lease = leaseOf(systemNamespace, { source, at: now(), minutes: kept.minutes });
      // The next event tries again.
      kept.objects.apply(leases, lease, AbortSignal.timeout(writeMilliseconds)).catch(() => said.delete(source));
    },

    async noteReport(at, signal) {
      if (!kept || at <= 0) return;
      const known = signIn(await kept.objects.get(leases, leaseRef(systemNamespace, source), signal));
      const latest = Math.max(at, known?.at ?? 0);
      if (known?.at === latest && known.minutes === kept.minutes) return;
      const lease = leaseOf(systemNamespace, { source, at: latest, minutes: kept.minutes });
      await kept.objects.apply(leases, lease, signal);
    },
  };
}
