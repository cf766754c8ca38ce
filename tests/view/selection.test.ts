import { describe, expect, it } from 'vitest';
import { partsOf, type Selection, stateOf } from '../../shared/view/selection.ts';
import { anObservation } from './an-observation.ts';

const { spec } = anObservation({
  spec: {
    rule: 'CVE-2024-1',
    summary: 'CVE-2024-1 in OpenSSL',
    actor: { username: 'system:serviceaccount:ci:deployer' },
    resource: { kind: 'Pod', namespace: 'shop', name: 'Web-7d9c5b6f4d-x2x9z' },
    detectedAt: '2026-03-01T10:00:00+01:00',
  },
});
const bare = anObservation().spec;
const detected = Date.parse('2026-03-01T09:00:00Z');

describe('partsOf', () => {
  it('leaves values that are equal to the store', () => {
    const exact: Selection = {
      source: 'trivy',
      severity: 'HIGH',
      category: 'security',
      namespace: 'shop',
      states: ['open'],
      eventType: 'vulnerability',
      rule: 'CVE-2024-1',
      actor: 'eve',
    };
    expect(partsOf(exact)).toEqual({ exact, test: undefined });
    expect(partsOf({}).test).toBeUndefined();
  });

  it('leaves no pattern to it', () => {
    const { exact, test } = partsOf({
      source: 'trivy',
      rule: 'CVE-*',
      actor: '*',
      workload: 'w',
      since: 1,
      search: 's',
    });
    expect(exact).toEqual({ source: 'trivy', rule: undefined, actor: undefined });
    expect(test).toBeDefined();
  });

  it.each<[selection: Selection, expected: boolean]>([
    [{ rule: 'CVE-2024-*' }, true],
    [{ rule: 'CVE-2023-*' }, false],
    [{ actor: 'system:serviceaccount:ci:*' }, true],
    [{ actor: 'system:node:*' }, false],
    [{ workload: 'web-7d9c5b6f4d-x2x9z' }, false],
    [{ workload: 'Web' }, true],
    [{ since: detected }, true],
    [{ since: detected + 1 }, false],
    [{ search: 'openssl' }, true],
    [{ search: 'OPENSSL' }, true],
    [{ search: 'cve-2024' }, true],
    [{ search: 'wEB-7' }, true],
    [{ search: 'shop' }, false],
    [{ rule: 'CVE-*', search: 'openssl', since: detected }, true],
    [{ rule: 'CVE-*', search: 'zlib', since: detected }, false],
  ])('says of a spec whether it has %j: %s', (selection, expected) => {
    expect(partsOf(selection).test?.(spec)).toBe(expected);
  });

  it.each<Selection>([{ rule: '*' }, { actor: '*' }, { workload: 'web' }, { search: 'undefined' }, { search: 'e' }])(
    'finds nothing by %j where there is none of that',
    (selection) => {
      expect(partsOf(selection).test?.(bare)).toBe(false);
    },
  );

  it('takes a time that can not be read for no time', () => {
    expect(partsOf({ since: 0 }).test?.({ ...bare, detectedAt: 'yesterday' })).toBe(false);
  });
});

describe('stateOf', () => {
  it.each([
    [{}, 'open'],
    [{ 'zen.kube-zen.io/state': 'missing' }, 'missing'],
  ])('of the labels %j is %s', (labels, expected) => {
    expect(stateOf(anObservation({ metadata: { labels } }))).toBe(expected);
  });
});
