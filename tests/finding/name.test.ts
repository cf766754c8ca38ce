import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { observationName, subjectLabel } from '../../shared/finding/name.ts';
import { severities } from '../../shared/finding/severity.ts';

const base: Finding = {
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  resource: { kind: 'Pod', namespace: 'shop', name: 'cart' },
  identity: { package: 'openssl', vulnerabilityID: 'CVE-2099-0001' },
  details: {},
  detectedAt: '2026-03-01T10:00:00Z',
};

/** The scheme is public and other programs compute names too, so these must never change. */
const golden: [string, Partial<Finding>, string][] = [
  ['trivy', {}, 'trivy-3e079a629601b0bb243596ce71ff413d'],
  ['kyverno', {}, 'kyverno-d1ad229bf9810ea8606fe0dd3dfe8ac6'],
  ['trivy', { category: 'compliance' }, 'trivy-ddf1e1d0d6814d8693b8c640d38549d3'],
  ['trivy', { severity: 'LOW' }, 'trivy-49b8ba3a3f04e773359c08bcf205c6b7'],
  ['trivy', { severity: 'UNKNOWN' }, 'trivy-2443aa83338395d88940e7aec0cb5ecb'],
  ['trivy', { eventType: 'exposed-secret' }, 'trivy-ad2bb010447a70090147e4ee79f8df03'],
  ['trivy', { resource: undefined }, 'trivy-4b148e821cd3e537edbb4e3f09bf50b9'],
  ['trivy', { resource: { kind: 'Node', name: 'node-1' } }, 'trivy-63fce41477632ff64474d07d045e1ec2'],
  ['trivy', { resource: { kind: 'Pod', namespace: 'shop' } }, 'trivy-ea2cc86584f8ba5b25b8809b6a36166b'],
  [
    'trivy',
    { resource: { kind: 'Pod', namespace: 'payments', name: 'cart' } },
    'trivy-8a56251f48ff2811b9814b54a7a07917',
  ],
  ['trivy', { identity: {} }, 'trivy-39688cd5fda78753dd496b043d36cc92'],
  ['trivy', { identity: { a: '' } }, 'trivy-f400fea16970e3774cc8e7b5202e21e4'],
  ['trivy', { identity: { a: 'b' } }, 'trivy-5fab044eb8c7e930617e2a86565fc538'],
  ['trivy', { identity: { ab: '' } }, 'trivy-a6e6fad19961a6978ca4709310fbd3f6'],
  ['trivy', { identity: { a: '1', b: '2' } }, 'trivy-8e046951857611b021e9caf29bf30b75'],
  ['trivy', { identity: { a: '1","b":"2' } }, 'trivy-6723ffb782b6fa80c3cff4f20e7723a8'],
  ['trivy', { identity: { ä: 'ö' } }, 'trivy-3f7d1c6e49bdb9ca68eb7871323f0392'],
  ['trivy', { identity: { '🦀': '\u0000\n"\\' } }, 'trivy-95599dcc6e764bcbed73b889f4fabad2'],
  ['trivy', { identity: { lone: '\ud800' } }, 'trivy-dd253de15675dfd937a71af2ee0f3798'],
  ['trivy', { identity: { __proto__key: 'x', Z: '1', a: '2' } }, 'trivy-7bcccc71d286966e174df9d254c809cd'],
];

describe('observationName', () => {
  it.each(golden)('of %s %j is %s', (source, changed, name) => {
    expect(observationName(source, { ...base, ...changed })).toBe(name);
  });

  it('ignores details, time and apiVersion', () => {
    const other = { details: { a: 1 }, detectedAt: '2000-01-01T00:00:00Z' };
    const resource = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart' };
    expect(observationName('trivy', { ...base, ...other, resource })).toBe(observationName('trivy', base));
  });

  const identities = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 6 });

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(identities, fc.infiniteStream(fc.nat()), (identity, random) => {
        const shuffled = Object.entries(identity)
          .map((entry) => ({ entry, at: random.next().value }))
          .sort((a, b) => a.at - b.at)
          .map(({ entry }) => entry);
        const same = Object.fromEntries(shuffled);
        expect(observationName('s', { ...base, identity: same })).toBe(observationName('s', { ...base, identity }));
      }),
    );
  });

  it('differs if and only if something that is hashed differs', () => {
    const findings = fc.record({
      category: fc.constantFrom('security', 'compliance'),
      severity: fc.constantFrom(...severities),
      eventType: fc.constantFrom('a', 'a-b', 'b'),
      resource: fc.option(
        fc.record({ kind: fc.string(), namespace: fc.option(fc.string(), { nil: undefined }), name: fc.string() }),
        { nil: undefined },
      ),
      identity: identities,
    });
    fc.assert(
      fc.property(fc.tuple(fc.string(), findings), fc.tuple(fc.string(), findings), ([s, a], [t, b]) => {
        const same = canonicalJson([s, a]) === canonicalJson([t, b]);
        expect(observationName(s, { ...base, ...a }) === observationName(t, { ...base, ...b })).toBe(same);
      }),
    );
  });
});

describe('subjectLabel', () => {
  it('depends on the source and the resource alone', () => {
    expect(subjectLabel('a', base.resource)).toMatch(/^[0-9a-f]{32}$/);
    expect(subjectLabel('a', base.resource)).not.toBe(subjectLabel('b', base.resource));
    expect(subjectLabel('a', { ...base.resource, kind: 'Pod', apiVersion: 'v1' })).toBe(
      subjectLabel('a', base.resource),
    );
  });
});

describe('canonicalJson', () => {
  it('gives one spelling per JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(JSON.parse(canonicalJson(a))).toEqual(JSON.parse(JSON.stringify(a)));
        const spelt = JSON.stringify(a, null, 3).replaceAll(/\b(\d+)(?=[,\s\]}])/g, '$1');
        expect(canonicalJson(JSON.parse(spelt))).toBe(canonicalJson(a));
        if (canonicalJson(a) === canonicalJson(b))
          expect(JSON.parse(JSON.stringify(a))).toEqual(JSON.parse(JSON.stringify(b)));
      }),
    );
    expect(canonicalJson(JSON.parse('{"n":1.0,"m":1e2}'))).toBe(canonicalJson({ m: 100, n: 1 }));
  });

  it.each<[unknown, string]>([
    [{ b: 1, a: 2, B: 3, '': 4, ä: 5, '10': 6, '9': 7 }, '{"":4,"10":6,"9":7,"B":3,"a":2,"b":1,"ä":5}'],
    [{ a: undefined, b: null, c: undefined }, '{"b":null}'],
    [[undefined, null, [], {}], '[null,null,[],{}]'],
    [undefined, 'null'],
    [[true, 1.5, 'x'], '[true,1.5,"x"]'],
    [' !"#[\\]~', '" !\\"#[\\\\]~"'],
    ['"', '"\\""'],
    ['\\', '"\\\\"'],
    ['\n', '"\\n"'],
    ['x\n', '"x\\n"'],
    ['\nx', '"\\nx"'],
    ['\u007f é', '"\u007f é"'],
    ['\ud800', '"\\ud800"'],
  ])('of %j is %s', (value, json) => {
    expect(canonicalJson(value)).toBe(json);
  });
});
