import type { KindSelector } from '../api/kind-selector.ts';
import { parseReportedBy, type ReportedBy } from '../api/reported-by.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { type KubernetesObject, NotServed, type Stored } from '../function/stores.ts';

/** A kind of report. Where its name is not known, all kinds of the group are meant. */
export type UnseenKind = Pick<KindSelector, 'group'> & { readonly kind: string | undefined };

/** The reports that somebody could not look at: of what they say, nothing is over. */
export interface Unseen {
  /** Notes that a kind could not be listed to its end: because it is not served or, with a fault, for another reason. */
  note(kind: UnseenKind, fault?: Refusal): void;
  /** Whether reports that were not seen may say what is stored. */
  mayReport(stored: Pick<Stored, 'reportedBy'>): boolean;
  /** The first fault. */
  fault(): Refusal | undefined;
}

function isOf({ group, kind }: UnseenKind, reportedBy: Pick<ReportedBy, 'group' | 'kind'>): boolean {
  return group === reportedBy.group && (kind === undefined || kind === '' || kind === reportedBy.kind);
}

/** `kinds` are those that there is to be looked at, and `from` those that can't be seen from the beginning. */
export function createUnseen<Settings>(
  kinds: readonly KindSelector[],
  { settings }: Context<Settings>,
  from: readonly UnseenKind[] = [],
): Unseen {
  const noted = [...from];
  let first: Refusal | undefined;
  const isNoted = (wanted: KindSelector): boolean => noted.some((one) => isOf(one, wanted));
  return {
    note(kind, fault) {
      noted.push(kind);
      first ??= fault;
    },
    mayReport({ reportedBy }) {
      if (first) return true;
      const reporter = reportedBy && parseReportedBy(reportedBy);
      // Not all say by what they were reported. If any kind is there, it may have been that.
      if (!reporter) return noted.length > 0 && kinds.every(isNoted);
      // Another zen-watcher, which sees the whole cluster, may have written it.
      const { WATCH_NAMESPACE: watchNamespace } = settings;
      if (watchNamespace !== undefined && reporter.namespace !== watchNamespace) return true;
      return noted.some((one) => isOf(one, reporter));
    },
    fault: () => first,
  };
}

/** The objects of a kind, up to where they could be listed. */
export async function* whileSeen(
  kind: KindSelector,
  objects: AsyncIterable<KubernetesObject>,
  unseen: Unseen,
  signal: AbortSignal,
): AsyncGenerator<KubernetesObject> {
  try {
    yield* objects;
  } catch (error) {
    if (signal.aborted || !(error instanceof Refusal)) throw error;
    unseen.note(kind, error instanceof NotServed ? undefined : error);
  }
}
