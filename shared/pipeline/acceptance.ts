import { type Acceptance, acceptanceAnnotations, acceptedUntil, isAcceptedByTool } from '../api/acceptance.ts';
import { labels } from '../api/labels.ts';
import { type NewObservation, operationsCategory } from '../api/observation.ts';
import type { Context } from '../function/context.ts';
import type { Accepting } from '../function/exceptions.ts';
import { historyWith } from './history.ts';
import { type Change, type Known, type LifecycleOptions, sinceLabel } from './lifecycle.ts';

function isSame(a: Acceptance | undefined, b: Acceptance): boolean {
  return a?.exception === b.exception && a.until === b.until && a.by === b.by && a.reason === b.reason;
}

function historyOf({ labels: found, history }: Known, reason: string, now: number): string {
  const state = found[labels.state] === 'missing' ? 'missing' : 'open';
  return historyWith(history, { time: now, state, severity: found[labels.severity] ?? 'UNKNOWN', reason });
}

/** What to write of one that no exception accepts any more. */
function withoutAcceptance(stored: Known, { now, dueAt }: LifecycleOptions): Change | undefined {
  const label = stored.labels[labels.accepted];
  const until = acceptedUntil(label);
  if (label === undefined && stored.acceptance === undefined) return undefined;
  // To readers it is open since that time is past, but nobody has been told.
  const isNews = until !== undefined;
  return {
    labels: { [labels.accepted]: null, ...(isNews && { [labels.since]: sinceLabel(stored.labels, now) }) },
    ...(isNews && { history: historyOf(stored, until <= dueAt ? 'expired' : 'unaccepted', now) }),
    acceptance: null,
    withFacts: false,
    kind: 'unaccepted',
  };
}

/**
 * How to change a stored Observation that an exception accepts, or none; `undefined` if it is right as it is. What is
 * resolved is nobody's concern, and judged anew when it is opened; what its tool accepts is the tool's.
 */
export function changeWhenJudged(
  stored: Known,
  accepting: Accepting | undefined,
  options: LifecycleOptions,
): Change | undefined {
  const { labels: found, acceptance } = stored;
  if (found[labels.state] === 'resolved' || isAcceptedByTool(found, acceptance)) return undefined;
  if (!accepting) return withoutAcceptance(stored, options);
  const { label } = accepting;
  if (found[labels.accepted] === label && isSame(acceptance, accepting.acceptance)) return undefined;
  const { now } = options;
  // Until when it is accepted is told, too, so another end is another change: `since` is part of its id.
  const isNews = found[labels.accepted] !== label;
  return {
    labels: { [labels.accepted]: label, ...(isNews && { [labels.since]: sinceLabel(found, now) }) },
    ...(isNews && { history: historyOf(stored, 'accepted', now) }),
    acceptance: accepting.acceptance,
    withFacts: false,
    kind: 'accepted',
  };
}

/** One change, and another one of what it makes of an Observation, in one write. */
export function bothChanges(stored: Known, first: Change, next: (after: Known) => Change | undefined): Change {
  const kept = Object.entries({ ...stored.labels, ...first.labels }).filter(([, value]) => value !== null);
  const after: Known = {
    labels: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
    history: first.history ?? stored.history,
    acceptance: first.acceptance === undefined ? stored.acceptance : (first.acceptance ?? undefined),
  };
  const second = next(after);
  if (!second) return first;
  return {
    ...first,
    ...second,
    labels: { ...first.labels, ...second.labels },
    withFacts: first.withFacts,
    kind: first.kind,
  };
}

function marked(observation: NewObservation, { label, acceptance }: Accepting): NewObservation {
  const { metadata } = observation;
  const given = Object.entries(acceptanceAnnotations(acceptance)).filter(([, value]) => value !== null);
  const annotations = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
  return {
    ...observation,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [labels.accepted]: label },
      annotations: { ...metadata.annotations, ...annotations },
    },
  };
}

/** A new Observation with the mark of the exception that accepts it, if there is one. */
export function withAcceptance<Settings>(
  observation: NewObservation,
  about: { readonly namespace: string; readonly hasState: boolean },
  { exceptions, clock }: Context<Settings>,
): NewObservation {
  // What we say about ourselves is never accepted, and some functions that say it know no exceptions.
  if (observation.spec.category === operationsCategory) return observation;
  const accepting = exceptions({ spec: observation.spec, ...about }, clock.earliest());
  return accepting ? marked(observation, accepting) : observation;
}
