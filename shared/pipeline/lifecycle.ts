import { expiresAt, expiresLabel, labels } from '../api/labels.ts';
import type { CommonSettings } from '../function/settings.ts';

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

export interface Relabelling {
  readonly labels: Labels;
  /** What the change is counted as. */
  readonly change: 'renewed' | 'reopened' | 'missing' | 'resolved';
}

/** How to change the labels of a finding that is reported, still or again; `undefined` if they are right. */
export function labelsWhenReported(stored: Labels, now: number, settings: LifecycleSettings): Relabelling | undefined {
  const expires = expiresLabel(expiry(now, true, settings));
  if (stored[labels.state] !== 'open') {
    const reopened = { [labels.state]: 'open', [labels.since]: String(now), [labels.expires]: expires };
    return { labels: reopened, change: 'reopened' };
  }
  const left = (expiresAt(stored[labels.expires]) ?? 0) - now;
  const needed = Math.max((settings.OBSERVATION_TTL_SECONDS * 1000) / 2, 3 * passInterval(settings));
  if (left >= needed) return undefined;
  return { labels: { [labels.expires]: expires }, change: 'renewed' };
}

/** How to change the labels of a finding that a complete pass has not reported; `undefined` if they are right. */
export function labelsWhenUnreported(
  stored: Labels,
  now: number,
  settings: LifecycleSettings,
): Relabelling | undefined {
  const state = stored[labels.state];
  const since = Number(stored[labels.since] ?? 0);
  if (state === 'open') return changeTo('missing', now);
  // Two concurrent passes, or an immediate retry of one, must not take a finding from open straight to resolved.
  if (state === 'missing' && now - since >= passInterval(settings) / 2) return changeTo('resolved', now);
  return undefined;
}

function changeTo(state: 'missing' | 'resolved', now: number): Relabelling {
  return { labels: { [labels.state]: state, [labels.since]: String(now) }, change: state };
}
