import { describe, expect, it } from 'vitest';
import { expiresLabel, labels } from '../../shared/api/labels.ts';
import { expiry, labelsWhenReported, labelsWhenUnreported } from '../../shared/pipeline/lifecycle.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.parse('2026-03-01T12:00:00Z');

const week = { OBSERVATION_TTL_SECONDS: (7 * day) / 1000, RESYNC_INTERVAL_MINUTES: 60 };
const short = { OBSERVATION_TTL_SECONDS: 60, RESYNC_INTERVAL_MINUTES: 60 };

function finding(state: string | undefined, since: number, expires: number): Record<string, string> {
  return {
    ...(state !== undefined && { [labels.state]: state }),
    [labels.since]: String(since),
    [labels.expires]: expiresLabel(expires),
  };
}

describe('expiry', () => {
  it.each([
    ['an event', week, false, 7 * day],
    ['an event', short, false, minute],
    ['a finding with a state', week, true, 7 * day],
    ['a finding with a state', short, true, 3 * hour],
    ['a finding with a state', { ...short, OBSERVATION_TTL_SECONDS: 10_799 }, true, 3 * hour],
    ['a finding with a state', { ...short, OBSERVATION_TTL_SECONDS: 10_801 }, true, 3 * hour + 1000],
  ])('of %s with %j (state: %j) is %i ms away', (_case, settings, hasState, left) => {
    expect(expiry(now, hasState, settings)).toBe(now + left);
  });
});

describe('labelsWhenReported', () => {
  it.each(['missing', 'resolved', 'something', undefined])(
    'reopens a finding whose state is %s, from now on, for its whole TTL',
    (state) => {
      expect(labelsWhenReported(finding(state, now - day, now + day), now, week)).toEqual({
        labels: {
          [labels.state]: 'open',
          [labels.since]: String(now),
          [labels.expires]: expiresLabel(now + 7 * day),
        },
        change: 'reopened',
      });
    },
  );

  it.each([
    ['half its TTL', week, 3.5 * day, false],
    ['an hour less than half its TTL', week, 3.5 * day - hour, true],
    ['nothing', week, 0, true],
    ['three passes', { ...week, OBSERVATION_TTL_SECONDS: (5 * hour) / 1000 }, 3 * hour, false],
    ['less than three passes', { ...week, OBSERVATION_TTL_SECONDS: (5 * hour) / 1000 }, 2 * hour, true],
    ['as much as it would get', short, 3 * hour, false],
  ])('renews an open finding, or not, that has %s left (%j, %i ms)', (_case, settings, left, isRenewed) => {
    const renewed = { labels: { [labels.expires]: expiresLabel(expiry(now, true, settings)) }, change: 'renewed' };
    expect(labelsWhenReported(finding('open', now - day, now + left), now, settings)).toEqual(
      isRenewed ? renewed : undefined,
    );
  });

  it('renews nothing if the label would have the same hour, however little time is left', () => {
    const at = now + 30 * minute;
    expect(labelsWhenReported(finding('open', now, expiry(at, true, short)), at, short)).toBeUndefined();
    const everyMinute = { OBSERVATION_TTL_SECONDS: 60, RESYNC_INTERVAL_MINUTES: 25 };
    expect(labelsWhenReported(finding('open', now, now + 2 * hour), now + 50 * minute, everyMinute)).toMatchObject({
      change: 'renewed',
    });
    expect(labelsWhenReported(finding('open', now, now + 2 * hour), now + 45 * minute, everyMinute)).toBeUndefined();
  });

  it('renews an open finding without a valid time of expiry', () => {
    const { [labels.expires]: _gone, ...unlabelled } = finding('open', now, now);
    expect(labelsWhenReported(unlabelled, now, week)).toMatchObject({ change: 'renewed' });
    expect(labelsWhenReported({ ...unlabelled, [labels.expires]: 'never' }, now, week)).toMatchObject({
      change: 'renewed',
    });
  });
});

describe('labelsWhenUnreported', () => {
  const changeTo = (state: string) => ({
    labels: { [labels.state]: state, [labels.since]: String(now) },
    change: state,
  });

  it('marks an open finding as missing, however long it has been open', () => {
    expect(labelsWhenUnreported(finding('open', now, now + day), now, week)).toEqual(changeTo('missing'));
    expect(labelsWhenUnreported(finding('open', now - day, now + day), now, week)).toEqual(changeTo('missing'));
  });

  it.each([
    ['at once', 0, false],
    ['a second less than half a pass ago', 30 * minute - 1000, false],
    ['half a pass ago', 30 * minute, true],
    ['long ago', day, true],
  ])('resolves a finding, or not, that became missing %s: %i ms, %s', (_case, ago, isResolved) => {
    const outcome = labelsWhenUnreported(finding('missing', now - ago, now + day), now, week);
    expect(outcome).toEqual(isResolved ? changeTo('resolved') : undefined);
  });

  it('resolves a missing finding that does not say since when', () => {
    expect(labelsWhenUnreported({ [labels.state]: 'missing' }, now, week)).toEqual(changeTo('resolved'));
  });

  it.each(['resolved', 'something', undefined])('leaves a finding alone whose state is %s', (state) => {
    expect(labelsWhenUnreported(finding(state, now - day, now), now, week)).toBeUndefined();
  });
});
