import { expiresAt, expiresLabel, labels, sharedSlot } from '../api/labels.ts';
import type { Severity } from '../finding/severity.ts';
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
  readonly labels: Labels;
  readonly history?: string;
  /** Whether the facts are written, too. */
  readonly withFacts: boolean;
  /** What the change is counted as. */
  readonly kind: 'renewed' | 'reopened' | 'updated' | 'missing' | 'resolved' | 'shared';
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
  /** In milliseconds since 1970. */
  readonly now: number;
  readonly settings: LifecycleSettings;
}

/** Always later than before, even if the clock of whoever wrote it was ahead of ours. */
function sinceLabel(stored: Labels, now: number): string {
  const before = Number(stored[labels.since]);
  return String(Number.isSafeInteger(before) ? Math.max(now, before + 1) : now);
}

/** How to change a finding that is reported, still or again; `undefined` if it is right as it is. */
export function changeWhenReported(
  stored: Pick<Stored, 'labels' | 'history'>,
  { digest, severity, slot, isAuthority }: Reported,
  { now, settings }: LifecycleOptions,
): Change | undefined {
  const expires = { [labels.expires]: expiresLabel(expiry(now, true, settings)) };
  const facts = { [labels.digest]: digest, [labels.severity]: severity };
  const since = { [labels.since]: sinceLabel(stored.labels, now) };
  const report = slot === undefined || stored.labels[labels.report] === slot ? {} : { [labels.report]: slot };
  if (stored.labels[labels.state] !== 'open') {
    return {
      labels: { ...facts, ...since, ...expires, ...report, [labels.state]: 'open' },
      history: historyWith(stored.history, { time: now, state: 'open', severity, reason: 'reported' }),
      withFacts: true,
      kind: 'reopened',
    };
  }
  const left = (expiresAt(stored.labels[labels.expires]) ?? 0) - now;
  const needed = Math.max((settings.OBSERVATION_TTL_SECONDS * 1000) / 2, 3 * passInterval(settings));
  const renewal = left < needed ? expires : {};
  if (isAuthority && stored.labels[labels.digest] !== digest) {
    const isAsBad = stored.labels[labels.severity] === severity;
    const entry = { time: now, state: 'open', severity, reason: 'severity' } as const;
    return {
      labels: { ...facts, ...(isAsBad ? {} : since), ...renewal, ...report },
      ...(!isAsBad && { history: historyWith(stored.history, entry) }),
      withFacts: true,
      kind: 'updated',
    };
  }
  const changed = { ...renewal, ...report };
  if (Object.keys(changed).length === 0) return undefined;
  const kind = report[labels.report] === sharedSlot ? 'shared' : 'renewed';
  return { labels: changed, withFacts: false, kind };
}

/** Why a finding is no longer reported. */
export type UnreportedReason = 'unreported' | 'filtered';

/**
 * How to change a finding that no report has; `undefined` if it is right as it is. What is not reported is missing
 * first; what a filter drops is resolved at once.
 */
export function changeWhenUnreported(
  stored: Pick<Stored, 'labels' | 'history'>,
  reason: UnreportedReason,
  { now, settings }: LifecycleOptions,
): Change | undefined {
  const state = stored.labels[labels.state];
  if (state !== 'open' && state !== 'missing') return undefined;
  if (reason === 'filtered') return changeTo('resolved', stored, reason, now);
  if (state === 'open') return changeTo('missing', stored, reason, now);
  // Two concurrent passes, or an immediate retry of one, must not take a finding from open straight to resolved.
  const since = Number(stored.labels[labels.since] ?? 0);
  return now - since >= passInterval(settings) / 2 ? changeTo('resolved', stored, reason, now) : undefined;
}

function changeTo(
  state: 'missing' | 'resolved',
  stored: Pick<Stored, 'labels' | 'history'>,
  reason: UnreportedReason,
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
