import { describe, expect, it } from 'vitest';
import { forever } from '../../shared/api/acceptance.ts';
import { expiresLabel, labels, outboxLabel } from '../../shared/api/labels.ts';
import type { Severity } from '../../shared/finding/severity.ts';
import type { Stored } from '../../shared/function/stores.ts';
import { historyWith } from '../../shared/pipeline/history.ts';
import {
  changeWhenAccepted,
  changeWhenReported,
  changeWhenUnreported,
  expiry,
  isAnnounced,
  type Reported,
  withOutbox,
} from '../../shared/pipeline/lifecycle.ts';

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

const reported: Reported = { digest: 'd', severity: 'HIGH', isAuthority: true };

/** How a finding with these labels is changed that is reported as it is. */
function whenReported(stored: Record<string, string>, at: number, settings: typeof week) {
  const known = { [labels.digest]: 'd', [labels.severity]: 'HIGH', ...stored };
  return changeWhenReported({ labels: known }, reported, { now: at, dueAt: at, settings });
}

function whenUnreported(stored: Record<string, string>, at: number, settings: typeof week) {
  const known = { [labels.severity]: 'HIGH', ...stored };
  return changeWhenUnreported({ labels: known }, undefined, { now: at, dueAt: at, settings });
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

describe('changeWhenReported', () => {
  it.each(['missing', 'resolved', 'something', undefined])(
    'reopens a finding whose state is %s, from now on, for its whole TTL',
    (state) => {
      expect(whenReported(finding(state, now - day, now + day), now, week)).toEqual({
        labels: {
          [labels.state]: 'open',
          [labels.since]: String(now),
          [labels.expires]: expiresLabel(now + 7 * day),
          [labels.digest]: 'd',
          [labels.severity]: 'HIGH',
        },
        history: '[{"time":"2026-03-01T12:00:00.000Z","state":"open","severity":"HIGH","reason":"reported"}]',
        withFacts: true,
        kind: 'reopened',
      });
    },
  );

  it.each([
    ['for ever', forever, { [labels.accepted]: null }, null],
    ['until a time, as an exception says', '1800000000', {}, undefined],
  ])('reopens what was accepted %s, as its tool no longer accepts it', (_what, label, more, acceptance) => {
    const stored = {
      labels: { ...finding('missing', now - day, now + day), [labels.accepted]: label },
      acceptance: { exception: 'shop/x', ...(label !== forever && { until: label, by: undefined, reason: 'because' }) },
    };
    const change = changeWhenReported(stored, reported, { now, dueAt: now, settings: week });
    expect(change?.labels).toEqual({ ...whenReported(stored.labels, now, week)?.labels, ...more });
    expect(change?.acceptance).toBe(acceptance);
  });

  it('reopens a finding for three passes at least, however short its TTL is', () => {
    const change = whenReported(finding('missing', now - day, now), now, short);
    expect(change?.labels[labels.expires]).toBe(expiresLabel(now + 3 * hour));
  });

  it.each([
    ['half its TTL', week, 3.5 * day, false],
    ['an hour less than half its TTL', week, 3.5 * day - hour, true],
    ['nothing', week, 0, true],
    ['three passes', { ...week, OBSERVATION_TTL_SECONDS: (5 * hour) / 1000 }, 3 * hour, false],
    ['less than three passes', { ...week, OBSERVATION_TTL_SECONDS: (5 * hour) / 1000 }, 2 * hour, true],
    ['less than three passes, if its TTL is shorter', short, 2 * hour, true],
    ['as much as it would get', short, 3 * hour, false],
  ])('renews an open finding, or not, that has %s left (%j, %i ms)', (_case, settings, left, isRenewed) => {
    const expires = expiresLabel(expiry(now, true, settings));
    const renewed = { labels: { [labels.expires]: expires }, withFacts: false, kind: 'renewed' };
    expect(whenReported(finding('open', now - day, now + left), now, settings)).toEqual(
      isRenewed ? renewed : undefined,
    );
  });

  it('renews nothing if the label would have the same hour, however little time is left', () => {
    const at = now + 30 * minute;
    expect(whenReported(finding('open', now, expiry(at, true, short)), at, short)).toBeUndefined();
    const everyMinute = { OBSERVATION_TTL_SECONDS: 60, RESYNC_INTERVAL_MINUTES: 25 };
    expect(whenReported(finding('open', now, now + 2 * hour), now + 50 * minute, everyMinute)).toMatchObject({
      kind: 'renewed',
    });
    expect(whenReported(finding('open', now, now + 2 * hour), now + 45 * minute, everyMinute)).toBeUndefined();
  });

  it('renews an open finding without a valid time of expiry', () => {
    const { [labels.expires]: _gone, ...unlabelled } = finding('open', now, now);
    expect(whenReported(unlabelled, now, week)).toMatchObject({ kind: 'renewed' });
    expect(whenReported({ ...unlabelled, [labels.expires]: 'never' }, now, week)).toMatchObject({
      kind: 'renewed',
    });
  });
});

describe('changeWhenAccepted', () => {
  function whenAccepted(stored: Record<string, string>, settings = week) {
    return changeWhenAccepted({ labels: stored }, 'shop/because', { now, dueAt: now, settings });
  }

  it.each([
    ['HIGH', 'HIGH'],
    [undefined, 'UNKNOWN'],
  ])('accepts an open finding, with its severity: %s', (severity, said) => {
    const stored = { ...finding('open', now - day, now), ...(severity && { [labels.severity]: severity }) };
    expect(whenAccepted(stored)).toEqual({
      labels: {
        [labels.accepted]: 'forever',
        [labels.since]: String(now),
        [labels.expires]: expiresLabel(now + 7 * day),
      },
      history: `[{"time":"2026-03-01T12:00:00.000Z","state":"open","severity":"${said}","reason":"accepted"}]`,
      acceptance: { exception: 'shop/because' },
      withFacts: false,
      kind: 'accepted',
    });
  });

  it.each(['missing', 'resolved', undefined])('leaves a finding alone whose state is %s', (state) => {
    expect(whenAccepted(finding(state, now - day, now))).toBeUndefined();
  });

  it('renews what is accepted, and changes nothing else of it', () => {
    const accepted = { ...finding('open', now - day, now + 7 * day), [labels.accepted]: 'forever' };
    expect(whenAccepted(accepted)).toBeUndefined();
    expect(whenAccepted({ ...accepted, [labels.expires]: expiresLabel(now + hour) }, short)).toEqual({
      labels: { [labels.expires]: expiresLabel(now + 3 * hour) },
      withFacts: false,
      kind: 'renewed',
    });
  });
});

describe('historyWith', () => {
  const entry = { time: now, state: 'open', severity: 'HIGH', reason: 'reported' } as const;

  it('has the newest ten changes', () => {
    let history: string | undefined;
    for (let change = 0; change < 12; change += 1) history = historyWith(history, { ...entry, reason: `${change}` });
    const reasons = JSON.parse(history ?? '').map(({ reason }: { reason: string }) => reason);
    expect(reasons).toEqual(['11', '10', '9', '8', '7', '6', '5', '4', '3', '2']);
  });

  it.each([undefined, '', 'edited', '{}', '7'])('begins anew where it was %j', (before) => {
    expect(historyWith(before, entry)).toBe(
      '[{"time":"2026-03-01T12:00:00.000Z","state":"open","severity":"HIGH","reason":"reported"}]',
    );
  });
});

describe('changeWhenUnreported', () => {
  const changeTo = (state: string) => ({
    labels: { [labels.state]: state, [labels.since]: String(now) },
    history: `[{"time":"2026-03-01T12:00:00.000Z","state":"${state}","severity":"HIGH","reason":"unreported"}]`,
    withFacts: false,
    kind: state,
  });

  it('marks an open finding as missing, however long it has been open', () => {
    expect(whenUnreported(finding('open', now - 1, now + day), now, week)).toEqual(changeTo('missing'));
    expect(whenUnreported(finding('open', now - day, now + day), now, week)).toEqual(changeTo('missing'));
  });

  it.each([
    ['at once', 0, false],
    ['a second less than half a pass ago', 30 * minute - 1000, false],
    ['half a pass ago', 30 * minute, true],
    ['long ago', day, true],
  ])('resolves a finding, or not, that became missing %s: %i ms, %s', (_case, ago, isResolved) => {
    const outcome = whenUnreported(finding('missing', now - ago, now + day), now, week);
    expect(outcome).toEqual(isResolved ? changeTo('resolved') : undefined);
  });

  it('resolves a missing finding that does not say since when', () => {
    expect(whenUnreported({ [labels.state]: 'missing' }, now, week)).toEqual(changeTo('resolved'));
  });

  it.each(['resolved', 'something', undefined])('leaves a finding alone whose state is %s', (state) => {
    expect(whenUnreported(finding(state, now - day, now), now, week)).toBeUndefined();
  });

  it('says UNKNOWN where no severity is stored', () => {
    const change = changeWhenUnreported({ labels: finding('open', now, now) }, undefined, {
      now,
      dueAt: now,
      settings: week,
    });
    expect(change?.history).toContain('"severity":"UNKNOWN"');
  });

  it('resolves at once what a filter drops', () => {
    for (const state of ['open', 'missing']) {
      const stored = { labels: { ...finding(state, now - 1, now), [labels.severity]: 'HIGH' } };
      const change = changeWhenUnreported(stored, 'filtered', { now, dueAt: now, settings: week });
      expect(change).toMatchObject({ kind: 'resolved', history: expect.stringContaining('"reason":"filtered"') });
    }
  });
});

describe('what a change says', () => {
  const open = finding('open', now - day, now + 7 * day);

  function changed(stored: Record<string, string>, more: Partial<Reported>) {
    const known = { [labels.digest]: 'd', [labels.severity]: 'HIGH', ...stored };
    return changeWhenReported({ labels: known }, { ...reported, ...more }, { now, dueAt: now, settings: week });
  }

  it('writes new facts without a new time of change, unless the severity differs', () => {
    expect(changed(open, { digest: 'e' })).toEqual({
      labels: { [labels.digest]: 'e', [labels.severity]: 'HIGH' },
      withFacts: true,
      kind: 'updated',
    });
    expect(changed(open, { digest: 'e', severity: 'LOW' })).toEqual({
      labels: { [labels.digest]: 'e', [labels.severity]: 'LOW', [labels.since]: String(now) },
      history: '[{"time":"2026-03-01T12:00:00.000Z","state":"open","severity":"LOW","reason":"severity"}]',
      withFacts: true,
      kind: 'updated',
    });
  });

  it('leaves the facts of what another slot says, or of what can not be read', () => {
    expect(changed(open, { digest: 'e', isAuthority: false })).toBeUndefined();
  });

  it('says of a finding that is accepted no longer that it is not, with its facts if they are others', () => {
    const accepted = { ...open, [labels.accepted]: 'forever' };
    const unaccepted = { [labels.accepted]: null, [labels.since]: String(now) };
    const history = '[{"time":"2026-03-01T12:00:00.000Z","state":"open","severity":"HIGH","reason":"unaccepted"}]';
    const facts = { history, acceptance: null, withFacts: true };
    expect(changed(accepted, {})).toEqual({ labels: unaccepted, ...facts, kind: 'unaccepted' });
    expect(changed(accepted, { digest: 'e' })).toEqual({
      labels: { ...unaccepted, [labels.digest]: 'e', [labels.severity]: 'HIGH' },
      ...facts,
      kind: 'updated',
    });
    // A person's acceptance has an end of its own, and is no report's to take back.
    expect(changed({ ...open, [labels.accepted]: '1772400000' }, {})).toBeUndefined();
  });

  it('gives a finding the slot that reports it', () => {
    expect(changed({ ...open, [labels.report]: 'a' }, { slot: 'shared' })).toEqual({
      labels: { [labels.report]: 'shared' },
      withFacts: false,
      kind: 'shared',
    });
    for (const slot of ['a', undefined]) {
      expect(changed({ ...open, [labels.report]: 'a' }, { ...(slot && { slot }) })).toBeUndefined();
    }
  });

  it.each(['a', 'shared', undefined])('renews a finding of its slot, and says nothing else of it: %s', (slot) => {
    const due = { ...finding('open', now - day, now), [labels.report]: slot ?? 'a' };
    expect(changed(due, { ...(slot && { slot }) })).toEqual({
      labels: { [labels.expires]: expiresLabel(now + 7 * day) },
      withFacts: false,
      kind: 'renewed',
    });
  });

  it('is always later than the last one, even if the clock of whoever made that was ahead', () => {
    const ahead = finding('missing', now + hour, now + day);
    expect(changed(ahead, {})?.labels[labels.since]).toBe(String(now + hour + 1));
    expect(changed({ ...ahead, [labels.since]: 'never' }, {})?.labels[labels.since]).toBe(String(now));
  });
});

describe('isAnnounced', () => {
  it.each<[Severity, Severity | undefined, boolean]>([
    ['HIGH', 'HIGH', true],
    ['MEDIUM', 'HIGH', false],
    ['UNKNOWN', 'HIGH', true],
    ['CRITICAL', undefined, false],
    ['UNKNOWN', undefined, false],
  ])('tells of %s from %s on, or not: %j', (severity, from, expected) => {
    expect(isAnnounced(severity, from)).toBe(expected);
  });
});

describe('withOutbox', () => {
  const since = { [labels.since]: '1' };
  const told = '{"state":"open"}';

  function stored(severity: string, more: Partial<Pick<Stored, 'told'>> & { outbox?: string } = {}): Stored {
    const { outbox, ...rest } = more;
    return {
      ref: { namespace: 'shop', name: 'n', uid: 'u', version: '1' },
      labels: { [labels.severity]: severity, ...(outbox !== undefined && { [outboxLabel]: outbox }) },
      hasAnnotations: true,
      createdAt: now,
      ...rest,
    };
  }

  const table: [string, Record<string, string | null>, Stored, Severity | undefined, boolean][] = [
    ['nobody is told', since, stored('CRITICAL', { told, outbox: 'due' }), undefined, false],
    ['it is at the floor', since, stored('MEDIUM'), 'MEDIUM', true],
    ['it is above the floor', since, stored('CRITICAL'), 'MEDIUM', true],
    ['it is below the floor', since, stored('LOW'), 'MEDIUM', false],
    ['nobody knows how bad it is', since, stored('UNKNOWN'), 'CRITICAL', true],
    ['a person has written its severity', since, stored('terrible'), 'CRITICAL', true],
    ['it rises to the floor', { ...since, [labels.severity]: 'HIGH' }, stored('LOW'), 'HIGH', true],
    ['it falls below the floor', { ...since, [labels.severity]: 'LOW' }, stored('HIGH'), 'HIGH', false],
    [
      'it was told, and falls below the floor',
      { ...since, [labels.severity]: 'LOW' },
      stored('HIGH', { told }),
      'HIGH',
      true,
    ],
    ['it was told, and is below the floor', since, stored('LOW', { told }), 'HIGH', true],
    ['it is to be told already, and is below the floor', since, stored('LOW', { outbox: 'due' }), 'HIGH', true],
    ['somebody else has used the label', since, stored('LOW', { outbox: 'done' }), 'HIGH', false],
    ['an event is accepted, which has no state', { [labels.accepted]: 'forever' }, stored('HIGH'), 'LOW', true],
    ['it is accepted no more', { ...since, [labels.accepted]: null }, stored('HIGH'), 'LOW', true],
    ['it is only renewed', { [labels.expires]: '1' }, stored('HIGH', { told }), 'LOW', false],
    ['its facts change, and not how bad it is', { [labels.digest]: 'd' }, stored('HIGH'), 'LOW', false],
  ];

  it.each(table)('marks a change or leaves it: %s', (_case, changed, before, from, isMarked) => {
    const change = { labels: changed, withFacts: false, kind: 'updated' } as const;
    const marked = withOutbox(change, before, from);
    expect(marked).toEqual(isMarked ? { ...change, labels: { ...changed, [outboxLabel]: 'due' } } : change);
  });
});
