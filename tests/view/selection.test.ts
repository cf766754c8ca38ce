import { describe, expect, it } from 'vitest';
import { comparableOf, fixOf, imagesOf, partsOf, type Selection, stateOf } from '../../shared/view/selection.ts';
import { anObservation } from './an-observation.ts';

const whole = comparableOf(
  anObservation({
    metadata: { labels: { 'zen.kube-zen.io/since': '1772355600000' } },
    spec: {
      remediation: 'upgrade openssl to 3.0.15\nsoon',
      details: { image: 'registry.example/web\nregistry.example/worker' },
      rule: 'CVE-2024-1',
      summary: 'CVE-2024-1 in OpenSSL',
      actor: { username: 'system:serviceaccount:ci:deployer' },
      resource: { kind: 'Pod', namespace: 'shop', name: 'Web-7d9c5b6f4d-x2x9z' },
      detectedAt: '2026-03-01T10:00:00+01:00',
    },
  }),
);
const bare = comparableOf(anObservation());
const created = Date.parse('2026-03-01T10:00:00Z');
const changed = 1_772_355_600_000;
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
    const several: Selection = { source: ['trivy', 'falco'], rule: ['a', 'b'], actor: ['eve', 'bob'] };
    expect(partsOf(several)).toEqual({ exact: several, test: undefined });
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
    expect(partsOf({ rule: ['CVE-2024-1', 'KSV-*'] }).exact.rule).toBeUndefined();
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
    [{ createdSince: created }, true],
    [{ createdSince: created + 1 }, false],
    [{ changedSince: changed }, true],
    [{ changedSince: changed + 1 }, false],
    [{ kind: 'pod' }, true],
    [{ kind: 'Po' }, false],
    [{ image: 'registry.example/worker' }, true],
    [{ image: '*/web' }, true],
    [{ image: 'web' }, false],
    [{ fix: 'upgrade openssl to 3.0.15' }, true],
    [{ fix: 'upgrade openssl' }, false],
    [{ isFixable: true }, true],
    [{ isFixable: false }, false],
    [{ search: 'openssl' }, true],
    [{ search: 'OPENSSL' }, true],
    [{ search: 'cve-2024' }, true],
    [{ search: 'wEB-7' }, true],
    [{ search: 'Shop' }, true],
    [{ search: 'trivy pod' }, true],
    [{ search: 'deployer registry.example/worker' }, true],
    [{ search: '  openssl   cve-2024  openssl ' }, true],
    [{ search: 'openssl zlib' }, false],
    [{ search: 'high upgrade' }, true],
    [{ search: 'critical upgrade' }, false],
    [{ search: ' ' }, true],
    [{ rule: ['CVE-2023-1', 'CVE-2024-*'] }, true],
    [{ rule: ['CVE-2023-*', 'KSV-*'] }, false],
    [{ kind: ['secret', 'POD'] }, true],
    [{ workload: ['db', 'Web'] }, true],
    [{ image: ['other', '*/worker'] }, true],
    [{ fix: ['wait', 'upgrade openssl to 3.0.15'] }, true],
    [{ fix: ['wait', 'upgrade openssl'] }, false],
    [{ rule: 'CVE-*', search: 'openssl', since: detected }, true],
    [{ rule: 'CVE-*', search: 'zlib', since: detected }, false],
  ])('says of a spec whether it has %j: %s', (selection, expected) => {
    expect(partsOf(selection).test?.(whole)).toBe(expected);
  });

  it.each<Selection>([
    { rule: '*' },
    { actor: '*' },
    { workload: 'web' },
    { kind: 'undefined' },
    { image: '*' },
    { isFixable: true },
    { changedSince: 0 },
    { search: 'undefined' },
    { search: 'openssl' },
  ])('finds nothing by %j where there is none of that', (selection) => {
    expect(partsOf(selection).test?.(bare)).toBe(false);
  });

  it('takes a time that can not be read for no time', () => {
    expect(partsOf({ since: 0 }).test?.({ ...bare, detectedAt: 'yesterday' })).toBe(false);
  });
});

describe('imagesOf', () => {
  it.each([
    ['a\nb', ['a', 'b']],
    ['', []],
    [7, []],
    [undefined, []],
  ])('of %j is %j', (image, expected) => {
    expect(imagesOf(image)).toEqual(expected);
  });
});

describe('fixOf', () => {
  it.each([
    ['\n upgrade it \nand restart', 'upgrade it '],
    [undefined, ''],
    ['x'.repeat(160), 'x'.repeat(160)],
    ['x'.repeat(161), `${'x'.repeat(160)}…`],
  ])('of %j is %j', (remediation, expected) => {
    expect(fixOf(remediation)).toBe(expected);
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
