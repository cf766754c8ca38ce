import { expiresAt, expiresLabel, labels, stateSinceLabel } from '../api/labels.ts';
import type { CommonSettings } from '../function/settings.ts';

type Labels = Readonly<Record<string, string>>;
type LifecycleSettings = Pick<CommonSettings, 'OBSERVATION_TTL_SECONDS' | 'RESYNC_INTERVAL_MINUTES'>;

function passInterval(settings: LifecycleSettings): number {
  return settings.RESYNC_INTERVAL_MINUTES * 60_000;
}

/**
 * When an Observation written or renewed at `now` ends (milliseconds since 1970). That of a state source outlives
 * three passes whatever its TTL, so that a finding is never absent while passes still report it.
 */
export function expiry(now: number, hasState: boolean, settings: LifecycleSettings): number {
  const ttl = settings.OBSERVATION_TTL_SECONDS * 1000;
  return now + (hasState ? Math.max(ttl, 3 * passInterval(settings)) : ttl);
}

export interface Relabelling {
  readonly labels: Labels;
  /** What it is counted as. */
  readonly change: 'renewed' | 'reopened' | 'missing' | 'resolved';
}

/** What the labels of a finding must become that is reported (still, or again); `undefined`: they are right. */
export function labelsWhenReported(stored: Labels, now: number, settings: LifecycleSettings): Relabelling | undefined {
  const expires = expiresLabel(expiry(now, true, settings));
  if (stored[labels.state] !== 'open') {
    const reopened = { [labels.state]: 'open', [labels.stateSince]: stateSinceLabel(now), [labels.expires]: expires };
    return { labels: reopened, change: 'reopened' };
  }
  const left = (expiresAt(stored[labels.expires]) ?? 0) - now;
  const needed = Math.max((settings.OBSERVATION_TTL_SECONDS * 1000) / 2, 3 * passInterval(settings));
  if (left >= needed) return undefined;
  return { labels: { [labels.expires]: expires }, change: 'renewed' };
}

/** What the labels of a finding must become that a complete pass did not see; `undefined`: they are right. */
export function labelsWhenUnreported(
  stored: Labels,
  now: number,
  settings: LifecycleSettings,
): Relabelling | undefined {
  const state = stored[labels.state];
  const since = Number(stored[labels.stateSince] ?? 0) * 1000;
  if (state === 'open') return changed('missing', now);
  // Two passes at once, or one retried at once, must not take a finding from open to resolved.
  if (state === 'missing' && now - since >= passInterval(settings) / 2) return changed('resolved', now);
  return undefined;
}

function changed(state: 'missing' | 'resolved', now: number): Relabelling {
  return { labels: { [labels.state]: state, [labels.stateSince]: stateSinceLabel(now) }, change: state };
}
