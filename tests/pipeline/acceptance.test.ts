import { describe, expect, it } from 'vitest';
import type { Acceptance } from '../../shared/api/acceptance.ts';
import { labels } from '../../shared/api/labels.ts';
import type { Accepting } from '../../shared/function/exceptions.ts';
import { commonSchema } from '../../shared/function/settings.ts';
import { bothChanges, changeWhenJudged, withAcceptance } from '../../shared/pipeline/acceptance.ts';
import type { Change, Known } from '../../shared/pipeline/lifecycle.ts';
import { aFinding, anObservationOf } from '../stores/store-contract.ts';
import { createTestContext } from './test-context.ts';
import { boxes } from './test-sources.ts';

const now = Date.parse('2026-03-01T12:00:00Z');
const options = { now, dueAt: now, settings: commonSchema.parse({}) };
const [past, present, ahead, later] = [-1, 0, 1, 2].map((seconds) => String(now / 1000 + seconds));

const ours: Acceptance = { exception: 'zen-system/ours', until: 'a time', by: 'alice', reason: 'no fix' };
const tools: Acceptance = { exception: 'shop/tools' };

function accepting(label: string | undefined, changes: Partial<Acceptance> = {}): Accepting {
  return { label: String(label), acceptance: { ...ours, ...changes } };
}

interface Marks {
  readonly label?: string | undefined;
  readonly acceptance?: Acceptance;
  readonly state?: string;
  readonly severity?: string;
}

function stored({ label, acceptance, state = 'open', severity = 'HIGH' }: Marks = {}): Known {
  const found = { [labels.state]: state, [labels.severity]: severity, [labels.since]: '7' };
  return {
    labels: { ...found, ...(label !== undefined && { [labels.accepted]: label }) },
    history: undefined,
    acceptance,
  };
}

/** A change in short: what becomes of the label, whether that is news, and what the history says of it. */
function shown(change: Change | undefined) {
  if (!change) return undefined;
  const { labels: changed, history, acceptance, withFacts, kind } = change;
  const [entry] = history === undefined ? [] : JSON.parse(history);
  return {
    label: changed[labels.accepted],
    isNews: changed[labels.since] === String(now),
    says: entry && `${entry.time} ${entry.state} ${entry.severity} ${entry.reason}`,
    by: acceptance?.exception ?? acceptance,
    ...{ withFacts, kind },
  };
}

const taken = { label: null, by: null, withFacts: false, kind: 'unaccepted' };
const given = { by: ours.exception, withFacts: false, kind: 'accepted' };

describe('changeWhenJudged', () => {
  it.each<[what: string, marks: Marks]>([
    ['has no mark', {}],
    ['is resolved', { state: 'resolved', label: ahead, acceptance: ours }],
    ['is accepted by its tool', { label: 'forever', acceptance: tools }],
    ['is accepted by its tool, which has not said how', { label: 'forever' }],
  ])('changes nothing of what no exception accepts and %s', (_what, marks) => {
    expect(changeWhenJudged(stored(marks), undefined, options)).toBeUndefined();
  });

  it.each<[what: string, marks: Marks, isNews: boolean, says: string | undefined]>([
    ['was to last', { label: ahead, acceptance: ours }, true, 'open HIGH unaccepted'],
    ['had no end', { label: 'forever', acceptance: ours }, true, 'open HIGH unaccepted'],
    ['is past', { label: past, acceptance: ours }, true, 'open HIGH expired'],
    ['is over now', { label: present, acceptance: ours }, true, 'open HIGH expired'],
    ['says who, and no label', { acceptance: ours }, false, undefined],
    ['is a label, and says nobody', { label: ahead }, true, 'open HIGH unaccepted'],
    ['nobody understands', { label: 'yes', acceptance: ours }, false, undefined],
    ['a missing one has', { label: past, acceptance: ours, state: 'missing' }, true, 'missing HIGH expired'],
    ['one has that became milder', { label: past, acceptance: ours, severity: 'LOW' }, true, 'open LOW expired'],
  ])('takes off a mark that %s', (_what, marks, isNews, says) => {
    expect(shown(changeWhenJudged(stored(marks), undefined, options))).toEqual({
      ...taken,
      isNews,
      says: says && `2026-03-01T12:00:00.000Z ${says}`,
    });
  });

  it.each<[what: string, marks: Marks, label: string | undefined, isNews: boolean, says: string | undefined]>([
    ['has no mark', {}, ahead, true, 'open HIGH accepted'],
    ['is missing', { state: 'missing' }, 'forever', true, 'missing HIGH accepted'],
    ['has no severity that is known', { severity: 'LOW' }, ahead, true, 'open LOW accepted'],
    ['was accepted, which is past', { label: past, acceptance: ours }, ahead, true, 'open HIGH accepted'],
    ['is accepted for longer', { label: later, acceptance: ours }, ahead, true, 'open HIGH accepted'],
    ['is marked, which says nobody', { label: ahead }, ahead, false, undefined],
  ])('marks what an exception accepts and %s', (_what, marks, label, isNews, says) => {
    expect(shown(changeWhenJudged(stored(marks), accepting(label), options))).toEqual({
      ...given,
      label,
      isNews,
      says: says && `2026-03-01T12:00:00.000Z ${says}`,
    });
  });

  it('leaves alone what is marked as the exception says', () => {
    expect(changeWhenJudged(stored({ label: ahead, acceptance: ours }), accepting(ahead), options)).toBeUndefined();
  });

  it.each<Partial<Acceptance>>([
    { exception: 'zen-system/other' },
    { until: 'another time' },
    { by: 'bob' },
    { by: undefined },
    { reason: 'no time' },
  ])('says what is different of the exception by now, as no news: %j', (changes) => {
    const change = changeWhenJudged(stored({ label: ahead, acceptance: ours }), accepting(ahead, changes), options);
    expect(change?.acceptance).toEqual({ ...ours, ...changes });
    expect(shown(change)).toMatchObject({ label: ahead, isNews: false, says: undefined });
  });

  it.each<[state: string, marks: Marks]>([
    ['resolved', { state: 'resolved' }],
    ['accepted by its tool', { label: 'forever', acceptance: tools }],
  ])('leaves alone what is %s, whatever accepts it', (_state, marks) => {
    expect(changeWhenJudged(stored(marks), accepting(ahead), options)).toBeUndefined();
  });

  it('says UNKNOWN of what has no label that says how bad it is', () => {
    const { history } = changeWhenJudged({ labels: {} }, accepting(ahead), options) ?? {};
    expect(JSON.parse(String(history))).toMatchObject([{ severity: 'UNKNOWN' }]);
  });
});

describe('bothChanges', () => {
  const first: Change = {
    labels: { [labels.state]: 'open', [labels.accepted]: null },
    history: '[1]',
    acceptance: null,
    withFacts: true,
    kind: 'reopened',
  };
  const before = { ...stored({ label: ahead, acceptance: ours, state: 'missing' }), history: '[0]' };

  it('asks about what the first makes of it', () => {
    const asked: Known[] = [];
    bothChanges(before, first, (after) => void asked.push(after));
    bothChanges(
      before,
      { labels: { other: 'x' }, withFacts: true, kind: 'updated' },
      (after) => void asked.push(after),
    );
    bothChanges(before, { ...first, acceptance: tools }, (after) => void asked.push(after));
    expect(asked).toEqual([
      { ...stored(), history: '[1]', acceptance: undefined },
      { ...before, labels: { ...before.labels, other: 'x' } },
      { ...stored(), history: '[1]', acceptance: tools },
    ]);
  });

  it('is the first alone where nothing follows', () => {
    expect(bothChanges(before, first, () => undefined)).toBe(first);
  });

  it('is one write that is counted as the first, and ends as the second says', () => {
    const second: Change = {
      labels: { [labels.accepted]: 'forever', [labels.since]: '9' },
      history: '[2]',
      acceptance: ours,
      withFacts: false,
      kind: 'accepted',
    };
    expect(bothChanges(before, first, () => second)).toEqual({
      labels: { [labels.state]: 'open', [labels.accepted]: 'forever', [labels.since]: '9' },
      history: '[2]',
      acceptance: ours,
      withFacts: true,
      kind: 'reopened',
    });
  });
});

describe('withAcceptance', () => {
  const created = anObservationOf(aFinding('a', 'shop'), { now });
  const observation = { ...created, spec: { ...created.spec, rule: 'a', summary: 'a is violated' } };
  const about = { namespace: 'shop', hasState: true };
  const { context } = createTestContext(boxes);

  it('marks what is new, and says no more than is known', () => {
    const acceptance = { exception: 'zen-system/ours', until: 'forever', by: undefined, reason: 'no fix' };
    const marked = withAcceptance(observation, about, {
      ...context,
      exceptions: () => ({ label: 'forever', acceptance }),
    });
    expect(marked.metadata.labels).toEqual({ ...observation.metadata.labels, [labels.accepted]: 'forever' });
    expect(marked.metadata.annotations).toEqual({
      ...observation.metadata.annotations,
      'zen.kube-zen.io/exception': 'zen-system/ours',
      'zen.kube-zen.io/accepted-until': 'forever',
      'zen.kube-zen.io/accepted-reason': 'no fix',
    });
  });

  it('leaves alone what no exception accepts', () => {
    expect(withAcceptance(observation, about, { ...context, exceptions: () => undefined })).toBe(observation);
  });

  it('asks nobody about what we say about ourselves', () => {
    const own = { ...observation, spec: { ...observation.spec, category: 'operations' } };
    const exceptions = (): never => {
      throw new Error('some functions know none');
    };
    expect(withAcceptance(own, about, { ...context, exceptions })).toBe(own);
  });
});
