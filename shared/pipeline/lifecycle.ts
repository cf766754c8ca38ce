import { type Acceptance, forever, isAcceptedByTool } from '../api/acceptance.ts';
import { due, expiresAt, expiresLabel, labels, outboxLabel, sharedSlot } from '../api/labels.ts';
import { oneLine } from '../finding/one-line.ts';
import { isBelow, parseSeverity, type Severity } from '../finding/severity.ts';
import type { Context } from '../function/context.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Stored } from '../function/stores.ts';
import { historyWith } from './history.ts';

type Labels = Readonly<Record<string, string>>;
type LifecycleSettings = Pick<CommonSettings, 'OBSERVATION_TTL_SECONDS' | 'RESYNC_INTERVAL_MINUTES'>;

function passInterval(settings: LifecycleSettings): number {
  return settings.RESYNC_INTERVAL_MINUTES * 60_000;
}

/**
 * When an Observation that is written or renewed at `now` expires, in milliseconds since 1970. One with a state
 * outlives three passes whatever its TTL is, so that it never vanishes while passes still report it.
 */
export function expiry(now: number, hasState: boolean, settings: LifecycleSettings): number {
  const ttl = settings.OBSERVATION_TTL_SECONDS * 1000;
  return now + (hasState ? Math.max(ttl, 3 * passInterval(settings)) : ttl);
}

/** What to write of a stored Observation. */
export interface Change {
  /** What is null is removed. */
  readonly labels: Readonly<Record<string, string | null>>;
  readonly history?: string;
  /** What to say about its acceptance; `null` removes that. */
  readonly acceptance?: Acceptance | null;
  /** Whether the facts are written, too. */
  readonly withFacts: boolean;
  /** What the change is counted as. */
  readonly kind: 'renewed' | 'reopened' | 'updated' | 'missing' | 'resolved' | 'shared' | 'accepted' | 'unaccepted';
}

/** Whether others are told of what has this severity; `from` is where that begins, `undefined` if nobody is told anything. */
export function isAnnounced(severity: Severity, from: Severity | undefined): boolean {
  return from !== undefined && !isBelow(severity, from);
}

/**
 * A change, with the mark that others are to be told of it, in the same write. Each change of state or severity moves
 * `since`, so this one place is enough. What was told once is told to its end, whatever its severity is by now.
 */
export function withOutbox(change: Change, { labels: stored, told }: Stored, from: Severity | undefined): Change {
  const isNews = labels.since in change.labels || labels.accepted in change.labels;
  if (from === undefined || !isNews) return change;
  const severity = parseSeverity(change.labels[labels.severity] ?? stored[labels.severity]);
  const isTold = told !== undefined || stored[outboxLabel] === due;
  if (!isTold && !isAnnounced(severity, from)) return change;
  return { ...change, labels: { ...change.labels, [outboxLabel]: due } };
}

/** What is known of a finding that a slot reports. */
export interface Reported {
  readonly digest: string;
  readonly severity: Severity;
  /** The value of the label `report`; `undefined` leaves it. */
  readonly slot?: string;
  /** Whether the facts may be replaced while the finding stays open. */
  readonly isAuthority: boolean;
}

export interface LifecycleOptions {
  /** In milliseconds since 1970, by the later of the clocks: what is kept is reckoned from it. */
  readonly now: number;
  /** The same by the earlier of the clocks: it says what is due. */
  readonly dueAt: number;
  readonly settings: LifecycleSettings;
}

/** What the lifecycle of an Observation goes by. */
export function lifecycleOptions<Settings>({ clock, settings }: Context<Settings>): LifecycleOptions {
  return { now: clock.latest(), dueAt: clock.earliest(), settings };
}

/** Always later than before, even if the clock of whoever wrote it was ahead of ours. */
export function sinceLabel(stored: Labels, now: number): string {
  const before = Number(stored[labels.since]);
  return String(Number.isSafeInteger(before) ? Math.max(now, before + 1) : now);
}

function needsRenewal(stored: Labels, now: number, settings: LifecycleSettings): boolean {
  const left = (expiresAt(stored[labels.expires]) ?? 0) - now;
  return left < Math.max((settings.OBSERVATION_TTL_SECONDS * 1000) / 2, 3 * passInterval(settings));
}

/** What is kept of the name of an exception. */
const maxException = 253;

/** What the lifecycle of an Observation depends on. */
export type Known = Pick<Stored, 'labels' | 'history' | 'acceptance'>;

/** How to change a finding that the tool has accepted: what is open stays open. `undefined` if it is right as it is. */
export function changeWhenAccepted(
  stored: Known,
  exception: string,
  { now, settings }: LifecycleOptions,
): Change | undefined {
  if (stored.labels[labels.state] !== 'open') return undefined;
  const expires = { [labels.expires]: expiresLabel(expiry(now, true, settings)) };
  if (isAcceptedByTool(stored.labels, stored.acceptance)) {
    return needsRenewal(stored.labels, now, settings)
      ? { labels: expires, withFacts: false, kind: 'renewed' }
      : undefined;
  }
  const severity = stored.labels[labels.severity] ?? 'UNKNOWN';
  return {
    labels: { ...expires, [labels.accepted]: forever, [labels.since]: sinceLabel(stored.labels, now) },
    history: historyWith(stored.history, { time: now, state: 'open', severity, reason: 'accepted' }),
    acceptance: { exception: oneLine(exception, maxException) },
    withFacts: false,
    kind: 'accepted',
  };
}

/** How to change a finding that is reported, still or again; `undefined` if it is right as it is. */
export function changeWhenReported(stored: Known, reported: Reported, options: LifecycleOptions): Change | undefined {
  const { now, settings } = options;
  if (stored.labels[labels.state] !== 'open') return reopening(stored, reported, options);
  const isDue = needsRenewal(stored.labels, now, settings);
  const update = reported.isAuthority ? updateOf(stored, reported, now) : undefined;
  if (!isDue && !update && !isMoved(stored.labels, reported)) return undefined;
  const report = reportLabel(stored.labels, reported);
  const changed = { ...(isDue && { [labels.expires]: expiresLabel(expiry(now, true, settings)) }), ...report };
  if (update) return { ...update, labels: { ...update.labels, ...changed } };
  const kind = report[labels.report] === sharedSlot ? 'shared' : 'renewed';
  return { labels: changed, withFacts: false, kind };
}

function isMoved(stored: Labels, { slot }: Reported): boolean {
  return slot !== undefined && stored[labels.report] !== slot;
}

function reportLabel(stored: Labels, reported: Reported): Record<string, string> {
  return reported.slot !== undefined && isMoved(stored, reported) ? { [labels.report]: reported.slot } : {};
}

function factLabels({ digest, severity }: Reported): Record<string, string> {
  return { [labels.digest]: digest, [labels.severity]: severity };
}

/** Whoever reopens a finding writes its facts as well: an older CRD may have pruned fields in between. */
function reopening(stored: Known, reported: Reported, { now, settings }: LifecycleOptions): Change {
  const { severity } = reported;
  const { labels: more, ...unaccepted } = withoutToolsAcceptance(stored);
  return {
    labels: {
      ...factLabels(reported),
      ...reportLabel(stored.labels, reported),
      [labels.state]: 'open',
      [labels.since]: sinceLabel(stored.labels, now),
      [labels.expires]: expiresLabel(expiry(now, true, settings)),
      ...more,
    },
    ...unaccepted,
    history: historyWith(stored.history, { time: now, state: 'open', severity, reason: 'reported' }),
    withFacts: true,
    kind: 'reopened',
  };
}

/** What its tool reports as a flaw again, it no longer accepts. */
function withoutToolsAcceptance({ labels: found, acceptance }: Known): Partial<Pick<Change, 'labels' | 'acceptance'>> {
  return isAcceptedByTool(found, acceptance) ? { labels: { [labels.accepted]: null }, acceptance: null } : {};
}

/** What to write of an open finding that says something else by now, or that the tool no longer accepts. */
function updateOf(stored: Known, reported: Reported, now: number): Change | undefined {
  const { digest, severity } = reported;
  const isUnaccepted = isAcceptedByTool(stored.labels, stored.acceptance);
  const isChanged = stored.labels[labels.digest] !== digest;
  if (!isChanged && !isUnaccepted) return undefined;
  const isNews = isUnaccepted || stored.labels[labels.severity] !== severity;
  const reason = isUnaccepted ? 'unaccepted' : 'severity';
  return {
    labels: {
      ...(isChanged && factLabels(reported)),
      ...(isUnaccepted && { [labels.accepted]: null }),
      ...(isNews && { [labels.since]: sinceLabel(stored.labels, now) }),
    },
    ...(isNews && { history: historyWith(stored.history, { time: now, state: 'open', severity, reason }) }),
    ...(isUnaccepted && { acceptance: null }),
    // Whether an exception accepts it instead is asked where its facts are known.
    withFacts: true,
    kind: isChanged ? 'updated' : 'unaccepted',
  };
}

/**
 * How to change a finding that no report has; `undefined` if it is right as it is. What is not reported is missing
 * first; what a filter or the source has left out for a reason is resolved at once.
 */
export function changeWhenUnreported(
  stored: Pick<Stored, 'labels' | 'history'>,
  leftOutFor: string | undefined,
  { now, dueAt, settings }: LifecycleOptions,
): Change | undefined {
  const state = stored.labels[labels.state];
  if (state !== 'open' && state !== 'missing') return undefined;
  if (leftOutFor !== undefined) return changeTo('resolved', stored, leftOutFor, now);
  if (state === 'open') return changeTo('missing', stored, 'unreported', now);
  // Two concurrent passes, or an immediate retry of one, must not take a finding from open straight to resolved.
  const since = Number(stored.labels[labels.since] ?? 0);
  return dueAt - since >= passInterval(settings) / 2 ? changeTo('resolved', stored, 'unreported', now) : undefined;
}

function changeTo(
  state: 'missing' | 'resolved',
  stored: Pick<Stored, 'labels' | 'history'>,
  reason: string,
  now: number,
): Change {
  const severity = stored.labels[labels.severity] ?? 'UNKNOWN';
  return {
    labels: { [labels.state]: state, [labels.since]: sinceLabel(stored.labels, now) },
    history: historyWith(stored.history, { time: now, state, severity, reason }),
    withFacts: false,
    kind: state,
  };
}
