import { type Severity, severities } from '../finding/severity.ts';
import type { LimitReached, ObservationLimit } from '../function/context.ts';
import type { Store } from '../function/stores.ts';

/** How long a count is kept; what this process writes meanwhile is added. */
const keptMilliseconds = 60_000;

/** Namespaces whose findings went elsewhere, which are counted there, too. There are few. */
const mostDiverted = 1000;

/** Of sources for which it was told that something is kept out. */
const mostTold = 1000;

export interface ObservationLimitOptions {
  readonly store: Pick<Store, 'count' | 'names'>;
  /** MAX_OBSERVATIONS. */
  readonly limit: number;
  /** The one that holds what has no namespace of its own: no tenant's. */
  readonly systemNamespace: string;
  /** The one namespace that there is to count; `undefined` is the whole cluster. */
  readonly watchNamespace: string | undefined;
  readonly elapsed: () => number;
}

/** Which severities are kept out once so many tenths of the limit are reached, the most first. */
const steps: readonly { readonly tenths: number; readonly severities: readonly Severity[] }[] = [
  { tenths: 9, severities },
  { tenths: 8, severities: ['MEDIUM', 'LOW', 'UNKNOWN'] },
  { tenths: 6, severities: ['LOW', 'UNKNOWN'] },
];

/** A count that goes on. */
interface Running {
  count: number;
}

/** What was counted at one time. */
interface Counts {
  readonly at: number;
  readonly total: Promise<Running>;
  readonly namespaces: Map<string, Promise<Running>>;
}

/** How many a namespace has, with those that went to the system namespace since it did not take them. */
async function countIn(
  namespace: string,
  isDiverted: boolean,
  { store, limit, systemNamespace }: ObservationLimitOptions,
  signal: AbortSignal,
): Promise<Running> {
  let count = await store.count(namespace, signal);
  if (!isDiverted) return { count };
  for await (const _ of store.names({ namespace: systemNamespace, affected: namespace }, signal)) {
    count += 1;
    if (count * 10 >= limit) break;
  }
  return { count };
}

/** Keeps new findings out before there are so many Observations that evidence has to be deleted for them. */
export function createObservationLimit(options: ObservationLimitOptions): ObservationLimit {
  const { store, limit, systemNamespace, watchNamespace, elapsed } = options;
  const diverted = new Set<string>();
  const told = new Map<string, number>();
  let counts: Counts | undefined;

  /** The present counts. What can't be counted is counted anew by whoever asks next. */
  function current(signal: AbortSignal): Counts {
    if (counts && elapsed() - counts.at < keptMilliseconds) return counts;
    const total = store.count(watchNamespace, signal).then((count) => ({ count }));
    const fresh = { at: elapsed(), total, namespaces: new Map<string, Promise<Running>>() };
    counts = fresh;
    total.catch(() => {
      if (counts === fresh) counts = undefined;
    });
    return fresh;
  }

  async function isFull(namespace: string, { namespaces }: Counts, signal: AbortSignal): Promise<boolean> {
    const counting = namespaces.get(namespace) ?? countIn(namespace, diverted.has(namespace), options, signal);
    namespaces.set(namespace, counting);
    try {
      return (await counting).count * 10 >= limit;
    } catch (error) {
      namespaces.delete(namespace);
      throw error;
    }
  }

  return {
    async against(namespace, severity, signal): Promise<LimitReached | undefined> {
      const now = current(signal);
      const { count } = await now.total;
      const step = steps.find(({ tenths }) => count * 10 >= limit * tenths);
      if (step?.severities.includes(severity)) return { severities: step.severities };
      if (count * 2 <= limit || namespace === systemNamespace) return undefined;
      return (await isFull(namespace, now, signal)) ? { namespace } : undefined;
    },

    created(namespace, place) {
      if (namespace !== place && diverted.size < mostDiverted) diverted.add(namespace);
      if (!counts) return;
      const { total, namespaces } = counts;
      // A count that is under way may have this one already; one too many keeps nothing out for long.
      for (const running of [total, namespaces.get(namespace)]) {
        running?.then(
          (known) => {
            known.count += 1;
          },
          () => undefined,
        );
      }
    },

    mayTell(key) {
      const last = told.get(key);
      if (last !== undefined && elapsed() - last < keptMilliseconds) return false;
      if (told.size >= mostTold) told.clear();
      told.set(key, elapsed());
      return true;
    },
  };
}
