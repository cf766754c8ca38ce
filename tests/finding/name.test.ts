import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { actorHash, findingDigest, observationName, workloadHash } from '../../shared/finding/name.ts';
import { severities } from '../../shared/finding/severity.ts';
import { workloadKey } from '../../shared/finding/workload.ts';
import { anyCharacter } from './any-character.ts';

const base: Finding = {
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  rule: 'CVE-2099-0001',
  summary: 'CVE-2099-0001 in openssl',
  resource: { kind: 'Pod', namespace: 'shop', name: 'cart' },
  identity: { package: 'openssl', vulnerabilityID: 'CVE-2099-0001' },
  details: {},
  detectedAt: '2026-03-01T10:00:00Z',
};

function about(kind: string, name: string, namespace = 'shop'): Partial<Finding> {
  return { resource: { kind, namespace, name } };
}

/** The scheme is public and other programs compute names too, so these must never change. */
const golden: [string, Partial<Finding>, string][] = [
  ['trivy', {}, 'trivy-06a2b9156e1a9ea10e035b86dafc414b'],
  ['kyverno', {}, 'kyverno-56be39954a25446d72fb7fc14fbcfb74'],
  ['trivy', { category: 'compliance' }, 'trivy-ff3e83815e10a4440f0a70b990583aeb'],
  ['trivy', { eventType: 'exposed-secret' }, 'trivy-435bb02df48b726f906395d7c2c4162c'],
  ['trivy', { resource: undefined }, 'trivy-b9696cd1f6d503fe07a0d049b1644f47'],
  ['trivy', { resource: { kind: 'Pod', namespace: 'shop' } }, 'trivy-074b3884733af658c34970074169dd1b'],
  ['trivy', { resource: { kind: 'Node', name: 'node-1' } }, 'trivy-4944ffa9e4623d08ff7f55944cf0b498'],
  ['trivy', about('Pod', 'cart', 'payments'), 'trivy-89650470c2db1cbc4103a9f9bfc8e02b'],
  ['trivy', about('ReplicaSet', 'api-7d9c5b6f4d'), 'trivy-a49f14bafa823e35f17a8489d20da4b5'],
  ['trivy', about('Pod', 'db-0'), 'trivy-c2656698cd18053962f0979fdbb6e075'],
  ['trivy', about('Job', 'backup-29400000'), 'trivy-e82745660105b474c80b4ea1b150d350'],
  ['trivy', about('Pod', 'fluentd-x2x9z'), 'trivy-5d97639e102b28d82cf516133ff12e4e'],
  [
    'trivy',
    { resource: { apiVersion: 'example.com/v1', kind: 'Widget', namespace: 'shop', name: 'w' } },
    'trivy-b930d508ff553dd273fee5e15970a3bf',
  ],
  ['trivy', { identity: {} }, 'trivy-195ce41efb31d9ffd08d2cafe767e4bf'],
  ['trivy', { identity: { a: '' } }, 'trivy-0876164fc093ddeba5781936be495ae6'],
  ['trivy', { identity: { ab: '' } }, 'trivy-8be96dfcfc830768f9518ceffcfa5502'],
  ['trivy', { identity: { a: '1', b: '2' } }, 'trivy-685442ed506e145436c2d6d34715b3ed'],
  ['trivy', { identity: { a: '1","b":"2' } }, 'trivy-8a6585f2909b10b8e9f590069033f640'],
  ['trivy', { identity: { '🦀': '\u0000\n"\\ü' } }, 'trivy-e91d4ef4bce4219289822030b7c4a1c7'],
  ['trivy', { identity: { lone: '\ud800', __proto__key: 'x', Z: '1' } }, 'trivy-82728da68b1532f124935466f5cb039b'],
];

/** Resources of which many belong to one workload, and others. */
const resources = fc.option(
  fc.record({
    apiVersion: fc.constantFrom(undefined, 'v1', 'apps/v1', 'example.com/v1', 'example.com/v2'),
    kind: fc.oneof(fc.constantFrom('Pod', 'ReplicaSet', 'Deployment', 'StatefulSet', 'Node', 'Widget'), fc.string()),
    namespace: fc.constantFrom(undefined, 'shop', 'payments'),
    name: fc.oneof(
      fc.constantFrom(undefined, 'api', 'api-7d9c5b6f4d', 'api-56789bcdf4', 'api-7d9c5b6f4d-x2x9z', 'api-0', 'api-1'),
      fc.string(),
    ),
  }),
  { nil: undefined },
);

const identities = fc.dictionary(fc.string({ unit: anyCharacter }), fc.string({ unit: anyCharacter }), { maxKeys: 6 });

describe('observationName', () => {
  it('has 20 that must never change', () => {
    expect(new Set(golden.map(([, , name]) => name)).size).toBe(20);
  });

  it.each(golden)('of %s %j is %s', (source, changed, name) => {
    expect(observationName(source, { ...base, ...changed })).toBe(name);
  });

  it.each<[string, Partial<Finding>]>([
    ['how bad it is', { severity: 'LOW' }],
    ['what the tool calls it', { rule: 'another' }],
    ['what is said about it', { summary: 'another', remediation: 'do it', references: ['https://example.com'] }],
    ['details', { details: { a: 1 } }],
    ['who did it', { actor: { username: 'eve' } }],
    ['the time', { detectedAt: '2000-01-01T00:00:00Z' }],
    ['the version of its kind', { resource: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart' } }],
  ])('says nothing about %s', (_what, changed) => {
    expect(observationName('trivy', { ...base, ...changed })).toBe(observationName('trivy', base));
  });

  it('is the same for a Deployment, its ReplicaSets and their Pods', () => {
    const names = [
      about('Deployment', 'api'),
      about('ReplicaSet', 'api-7d9c5b6f4d'),
      about('ReplicaSet', 'api-56789bcdf4'),
      about('Pod', 'api-56789bcdf4-x2x9z'),
    ].map((changed) => observationName('trivy', { ...base, ...changed }));
    expect(new Set(names).size).toBe(1);
  });

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
    const hashed = {
      source: fc.string(),
      category: fc.constantFrom('security', 'compliance'),
      eventType: fc.constantFrom('a', 'a-b', 'b'),
      resource: resources,
      identity: identities,
    };
    const changes = fc.record({ ...hashed, severity: fc.constantFrom(...severities) }, { requiredKeys: [] });
    const partsOf = ({ source, category, eventType, resource, identity }: Finding & { readonly source: string }) =>
      canonicalJson([source, category, eventType, resource ? workloadKey(resource) : 'none', identity]);
    fc.assert(
      fc.property(fc.record(hashed), changes, (drawn, changed) => {
        const one = { ...base, ...drawn };
        const other = { ...one, ...changed };
        const isSame = observationName(one.source, one) === observationName(other.source, other);
        expect(isSame).toBe(partsOf(one) === partsOf(other));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('workloadHash', () => {
  it('is the same for whatever belongs to one workload, and differs by namespace and kind', () => {
    const hashes = [
      about('Deployment', 'api'),
      about('ReplicaSet', 'api-7d9c5b6f4d'),
      about('Pod', 'api-7d9c5b6f4d-x2x9z'),
      about('Deployment', 'api', 'payments'),
      about('StatefulSet', 'api'),
    ].map(({ resource }) => resource && workloadHash(resource));
    expect(hashes[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(hashes.slice(1, 3)).toEqual([hashes[0], hashes[0]]);
    expect(new Set(hashes).size).toBe(3);
  });

  it('must never change, since selectors are written with it', () => {
    expect(workloadHash({ kind: 'Deployment', namespace: 'shop', name: 'api' })).toBe(
      'ed8fbb909e36cd4dd05bc26fcb83ecb9',
    );
  });
});

describe('actorHash', () => {
  it('depends on the name of the user, and must never change', () => {
    expect(actorHash('system:serviceaccount:shop:eve')).toBe('c023d7a7e51d3f3d38f18657a9fc4bf7');
    expect(actorHash('eve')).not.toBe(actorHash('Eve'));
  });
});

describe('findingDigest', () => {
  const whole: Finding = {
    ...base,
    ...about('ReplicaSet', 'api-7d9c5b6f4d'),
    remediation: 'update openssl',
    references: ['https://example.com/1', 'https://example.com/2'],
    details: { fixedVersion: '3.0.1', score: 7 },
  };

  it.each<[string, Partial<Finding>]>([
    ['severity', { severity: 'LOW' }],
    ['summary', { summary: 'another' }],
    ['remediation', { remediation: 'another' }],
    ['remediation, if there is none any more', { remediation: undefined }],
    ['references', { references: ['https://example.com/1'] }],
    ['references, in order', { references: ['https://example.com/2', 'https://example.com/1'] }],
    ['references, if there are none any more', { references: undefined }],
    ['details', { details: { fixedVersion: '3.0.2', score: 7 } }],
    ['details, if one is gone', { details: { fixedVersion: '3.0.1' } }],
    ['details, by type', { details: { fixedVersion: '3.0.1', score: '7' } }],
    ['workload', about('ReplicaSet', 'web-7d9c5b6f4d')],
    ['namespace', about('ReplicaSet', 'api-7d9c5b6f4d', 'payments')],
    ['workload, if there is none', { resource: undefined }],
  ])('changes with its %s', (_what, changed) => {
    expect(findingDigest({ ...whole, ...changed })).not.toBe(findingDigest(whole));
  });

  it.each<[string, Partial<Finding>]>([
    ['time', { detectedAt: '2000-01-01T00:00:00Z' }],
    ['ReplicaSet', about('ReplicaSet', 'api-56789bcdf4')],
    ['Pod', about('Pod', 'api-56789bcdf4-x2x9z')],
    [
      'apiVersion',
      { resource: { apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace: 'shop', name: 'api-7d9c5b6f4d' } },
    ],
    ['order of details', { details: { score: 7, fixedVersion: '3.0.1' } }],
    ['identity, which is hashed into the name', { identity: {} }],
  ])('does not change with its %s', (_what, changed) => {
    expect(findingDigest(whole)).toMatch(/^[0-9a-f]{32}$/);
    expect(findingDigest({ ...whole, ...changed })).toBe(findingDigest(whole));
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
    [[{ b: 1, a: [undefined, { d: null, c: 'x' }] }], '[{"a":[null,{"c":"x","d":null}],"b":1}]'],
    [{ y: { b: 1, a: 2 }, z: [] }, '{"y":{"a":2,"b":1},"z":[]}'],
    [{ y: { b: 1, a: 2 } }, '{"y":{"a":2,"b":1}}'],
    [[{ a: 1 }, { b: 1, a: 2 }], '[{"a":1},{"a":2,"b":1}]'],
    [{ b: undefined, a: 1, '"': { c: undefined } }, '{"\\"":{},"a":1}'],
    [
      Object.fromEntries([...'tsrqponmlkjihgfedcba'].map((key) => [key, 0])),
      `{${[...'abcdefghijklmnopqrst'].map((key) => `"${key}":0`).join(',')}}`,
    ],
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
