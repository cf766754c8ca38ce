import { describe, expect, it } from 'vitest';
import type { Refusal } from '../../shared/function/refusal.ts';
import { createCountTally, type Grouping, groupings } from '../../shared/view/counts.ts';
import { createObservationAnswers } from '../../shared/view/list.ts';
import type { ObservationList, ReadQuery } from '../../shared/view/observation-reader.ts';
import { sorts } from '../../shared/view/order.ts';
import type { Selection } from '../../shared/view/selection.ts';
import { anObservation } from './an-observation.ts';

const now = Date.parse('2026-03-01T10:00:00Z');

/** The answers over a reader that has this page, and what it was asked. */
function answers(page: ObservationList = { items: [] }) {
  const asked: { read?: ReadQuery; counts?: Selection; by?: Grouping } = {};
  const reader = {
    sortsAcrossPages: true,
    async read(query: ReadQuery) {
      asked.read = query;
      return page;
    },
    async counts(selection: Selection, by: Grouping) {
      Object.assign(asked, { counts: selection, by });
      const tally = createCountTally();
      tally.add('a', 'HIGH', 3);
      tally.add('b', 'LOW');
      return tally.counts();
    },
    findByName: async () => [],
    get: async () => undefined,
  };
  return { asked, ...createObservationAnswers(reader, () => now) };
}

const selection = {
  source: 'trivy',
  severity: 'high',
  category: 'security',
  namespace: 'shop',
  state: 'missing',
  eventType: 'vulnerability',
  rule: 'CVE-*',
  workload: 'deployment/web',
  actor: 'eve',
  since: '2h',
  accepted: 'false',
  kind: 'Pod',
  image: 'registry.example/web',
  fix: 'upgrade it',
  fixable: 'true',
  created: '1h',
  changed: '1m',
  search: 'openssl',
};

const selected: Selection = {
  source: 'trivy',
  severity: 'HIGH',
  category: 'security',
  namespace: 'shop',
  states: ['missing'],
  eventType: 'vulnerability',
  rule: 'CVE-*',
  workload: 'deployment/web',
  actor: 'eve',
  since: now - 7_200_000,
  acceptance: { isAccepted: false, at: now },
  kind: 'Pod',
  image: 'registry.example/web',
  fix: 'upgrade it',
  isFixable: true,
  createdSince: now - 3_600_000,
  changedSince: now - 60_000,
  search: 'openssl',
};

describe('the answer to GET /observations', () => {
  it('is a list, as the API server would give it', async () => {
    const item = anObservation();
    expect(await answers({ items: [item] }).list({})).toStrictEqual({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'ObservationList',
      metadata: {},
      items: [item],
    });
    expect(await answers({ items: [], continue: 'x' }).list({})).toMatchObject({ metadata: { continue: 'x' } });
  });

  it('selects by every parameter', async () => {
    const { list, asked } = answers();
    await list({ ...selection, sort: 'age', limit: '7', continue: 'x' });
    expect(asked.read).toEqual({ ...selected, sort: 'age', limit: 7, continue: 'x' });
  });

  it('takes any of several values, each of them once', async () => {
    const { list, asked } = answers();
    const repeated = {
      source: ['trivy', 'falco', 'trivy'],
      severity: ['high', 'LOW'],
      workload: ['web'],
      fix: ['a', 'b'],
    };
    await list(repeated);
    expect(asked.read).toMatchObject({
      source: ['trivy', 'falco'],
      severity: ['HIGH', 'LOW'],
      workload: 'web',
      fix: ['a', 'b'],
    });
  });

  it('has 500 of all states, the worst first, unless something else is asked for', async () => {
    const { list, asked } = answers();
    await list({});
    expect(asked.read).toEqual({ limit: 500, sort: 'severity' });
  });

  it.each(sorts)('may be sorted by %s', async (sort) => {
    const { list, asked } = answers();
    await list({ sort });
    expect(asked.read?.sort).toBe(sort);
  });

  it.each<[parameter: string, value: unknown]>([
    ['severity', 'SEVERE'],
    ['state', 'closed'],
    ['state', 'all'],
    ['since', 'yesterday'],
    ['since', '0s'],
    ['accepted', 'maybe'],
    ['fixable', '1'],
    ['created', 'now'],
    ['sort', 'name'],
    ['limit', '0'],
    ['limit', '1001'],
    ['limit', '1.5'],
    ['limit', 'many'],
    ['source', ''],
    ['source', ['trivy', '']],
    ['severity', ['HIGH', 'SEVERE']],
    ['source', Array.from({ length: 101 }, (_, at) => `s${at}`)],
    ['search', ''],
    ['search', ['a', 'b']],
    ['search', Array.from({ length: 21 }, (_, at) => `w${at}`).join(' ')],
    ['since', ['1h', '2h']],
    ['eventType', ''],
    ['rule', { a: '1' }],
    ['nonsense', '1'],
    ['by', 'source'],
  ])('refuses %s=%j, and names it', async (parameter, value) => {
    const error: Refusal = await answers()
      .list({ [parameter]: value })
      .then(
        () => expect.unreachable(),
        (refusal) => refusal,
      );
    expect(error).toMatchObject({
      name: 'Refusal',
      status: 400,
      message: expect.stringMatching(/^a bad query: ./),
      path: parameter,
    });
  });

  it.each([
    ['severity', 'SEVERE', 'takes one of CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN'],
    ['since', 'yesterday', 'takes a duration such as 45s, 30m, 24h or 7d'],
    ['limit', '0', 'takes a number from 1 to 1000'],
    ['limit', '1.5', 'takes a number from 1 to 1000'],
    ['limit', '1001', 'takes a number from 1 to 1000'],
    ['limit', 'many', 'takes a number from 1 to 1000'],
    ['search', ['a', 'b'], 'takes one value'],
    ['search', Array.from({ length: 21 }, (_, at) => `w${at}`).join(' '), 'takes at most 20 words'],
    ['severity', ['HIGH', 'SEVERE'], 'takes one of CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN'],
    ['source', Array.from({ length: 101 }, (_, at) => `s${at}`), 'takes at most 100 values'],
    ['source', '', 'takes a value'],
    ['nonsense', '1', 'no such parameter'],
  ])('knows what is wrong with %s=%j', async (parameter, value, cause) => {
    await expect(answers().list({ [parameter]: value })).rejects.toMatchObject({ message: `a bad query: ${cause}` });
  });
});

describe('the answer to GET /observations/counts', () => {
  it('counts by source, unless something else is asked for', async () => {
    const { counts, asked } = answers();
    expect(await counts({})).toMatchObject({ by: 'source', total: 4 });
    expect(asked).toMatchObject({ by: 'source', counts: {} });
  });

  it.each(groupings)('counts by %s', async (by) => {
    const { counts, asked } = answers();
    expect(await counts({ by })).toMatchObject({ by });
    expect(asked.by).toBe(by);
  });

  it('has the worst first, and no more than asked for', async () => {
    const { counts } = answers();
    const one = { value: 'a', total: 3, severities: { CRITICAL: 0, HIGH: 3, MEDIUM: 0, LOW: 0, UNKNOWN: 0 } };
    expect(await counts({ limit: '1' })).toEqual({ by: 'source', total: 4, items: [one] });
  });

  it('selects by every parameter', async () => {
    const { counts, asked } = answers();
    await counts(selection);
    expect(asked.counts).toEqual(selected);
  });

  it.each([
    ['by', 'name'],
    ['sort', 'age'],
    ['continue', 'x'],
    ['severity', 'SEVERE'],
  ])('refuses %s=%s, and names it', async (parameter, value) => {
    await expect(answers().counts({ [parameter]: value })).rejects.toMatchObject({ status: 400, path: parameter });
  });
});
