import { labels, oldSubjectLabel } from '../../shared/api/labels.ts';
import { severities } from '../../shared/finding/severity.ts';
import type { Stored, StoredRef } from '../../shared/function/stores.ts';

/** Why an Observation can be spared, in the order in which they go. Whatever is none of these stays. */
const reasons = ['foreign', 'resolved', 'missing', 'minor', 'event'] as const;

/** An Observation that can be spared. */
export interface Spare {
  readonly ref: StoredRef;
  readonly source: string;
  readonly reason: (typeof reasons)[number];
  /** An index into `severities`: the least severe has the highest. */
  readonly severity: number;
  readonly createdAt: number;
  /** Tells apart whose it is: nobody's many push out somebody else's few. */
  readonly group: string;
}

type IsSource = (source: string | undefined) => boolean;

/** Whether an Observation can be one that a source of ours wrote. */
function isOurs({ ref, labels: found }: Stored, isSource: IsSource): boolean {
  const source = found[labels.source];
  if (!isSource(source)) return false;
  if (!ref.name.startsWith(`${source}-`) || !/-[0-9a-f]{32}$/.test(ref.name)) return false;
  // A finding with a state says which slot reports it, or is an old version's; nothing would ever close any other.
  return found[labels.state] === undefined || labels.report in found || oldSubjectLabel in found;
}

function reasonOf(stored: Stored, isSource: IsSource): Spare['reason'] | undefined {
  const { [labels.state]: state, [labels.severity]: severity } = stored.labels;
  if (!isOurs(stored, isSource)) return 'foreign';
  if (state === undefined) return 'event';
  if (state === 'resolved' || state === 'missing') return state;
  return severityIndex(severity) >= severities.indexOf('LOW') ? 'minor' : undefined;
}

function severityIndex(word: string | undefined): number {
  const index = severities.map(String).indexOf(String(word));
  return index === -1 ? severities.length - 1 : index;
}

/**
 * Tells which Observations can be spared: those that no source of ours wrote, resolved and missing findings, open ones of
 * severity LOW and UNKNOWN, and events. What is being deleted already is not among them. Remembers the groups that it has
 * seen, since many Observations share one.
 */
export function createSpares(isSource: IsSource) {
  const groups = new Map<string, string>();
  return (stored: Stored, rule?: string): Spare | undefined => {
    const reason = stored.isBeingDeleted ? undefined : reasonOf(stored, isSource);
    if (reason === undefined) return undefined;
    const { ref, createdAt, labels: found } = stored;
    const source = found[labels.source] ?? 'unknown';
    const key = JSON.stringify([reason, source, found[labels.namespace] ?? ref.namespace, rule]);
    const group = groups.get(key) ?? key;
    groups.set(key, group);
    return { ref, source, reason, severity: severityIndex(found[labels.severity]), createdAt, group };
  };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What is kept longest comes first: the most severe, and of those the oldest, which tells how it began. */
function compareWorth(a: Spare, b: Spare): number {
  return (
    a.severity - b.severity ||
    a.createdAt - b.createdAt ||
    compareText(a.ref.namespace, b.ref.namespace) ||
    compareText(a.ref.name, b.ref.name)
  );
}

/**
 * The order in which Observations go: by reason; then always one of the group that is the fullest by then, and of it the
 * least severe and the newest. Depends on what exists alone, and what is left keeps its order: so collections that run
 * at the same time choose the same.
 */
export function inRemovalOrder(spares: readonly Spare[]): Spare[] {
  const placed: { readonly spare: Spare; readonly rank: number; readonly place: number }[] = [];
  for (const members of Map.groupBy(spares, ({ group }) => group).values()) {
    members.sort(compareWorth);
    // One goes when its group has shrunk to its place: so the highest places are always in the fullest group.
    for (const [place, spare] of members.entries()) {
      placed.push({ spare, rank: reasons.indexOf(spare.reason), place });
    }
  }
  placed.sort((a, b) => a.rank - b.rank || b.place - a.place || compareWorth(b.spare, a.spare));
  return placed.map(({ spare }) => spare);
}
