import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labels, outboxLabel } from '../../shared/api/labels.ts';
import {
  findingLabels,
  type ObservationOptions,
  observationOf,
  operationsCategory,
} from '../../shared/api/observation.ts';
import type { Actor, Finding, ResourceRef } from '../../shared/finding/finding.ts';
import { actorHash, workloadHash } from '../../shared/finding/name.ts';
import { anyCharacter } from '../finding/any-character.ts';
import { isQuick } from '../quick.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

const options: ObservationOptions = {
  name: 'tool-1',
  namespace: 'shop',
  source: 'tool',
  state: undefined,
  correlationId: 'c-1',
  ttl: 3600,
  expiresAt: now + 3_600_000,
  now,
};

const resource = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart' };
const actor = {
  username: 'eve',
  groups: ['dev', 'ops'],
  sourceIP: '192.0.2.7',
  userAgent: 'kubectl/v1.36.0',
  via: 'token-1',
};

const finding: Finding = {
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  rule: 'CVE-1',
  summary: 'CVE-1 in openssl',
  resource,
  actor,
  identity: { id: 'CVE-1' },
  remediation: 'update openssl\nto 3.0.1',
  references: ['https://example.com/CVE-1'],
  details: { title: 'Bad', score: 7, empty: '', none: undefined, words: [] },
  detectedAt: '2026-03-01T10:00:00Z',
};

function specOf(changes: Partial<Finding>) {
  return observationOf({ ...finding, ...changes }, options).spec;
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

describe('observationOf', () => {
  it.each([
    [true, 'due'],
    [false, undefined],
  ])('is marked if others are to be told of it: %s', (isDue, mark) => {
    expect(observationOf(finding, { ...options, isDue }).metadata.labels[outboxLabel]).toBe(mark);
  });

  it('has a category that filters and dashboards know zen-watcher by', () => {
    expect(operationsCategory).toBe('operations');
  });

  it('is the object of the CRD, without the identity', () => {
    expect(observationOf(finding, options)).toStrictEqual({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata: {
        name: 'tool-1',
        namespace: 'shop',
        labels: {
          'zen.kube-zen.io/source': 'tool',
          'zen.kube-zen.io/category': 'security',
          'zen.kube-zen.io/severity': 'HIGH',
          'zen.kube-zen.io/workload': workloadHash(resource),
          'zen.kube-zen.io/actor': actorHash('eve'),
          'zen.kube-zen.io/expires': '492325',
        },
        annotations: { 'zen.kube-zen.io/correlation-id': 'c-1' },
      },
      spec: {
        source: 'tool',
        category: 'security',
        severity: 'HIGH',
        eventType: 'vulnerability',
        rule: 'CVE-1',
        summary: 'CVE-1 in openssl',
        resource,
        actor,
        remediation: 'update openssl\nto 3.0.1',
        references: ['https://example.com/CVE-1'],
        details: { title: 'Bad', score: 7 },
        detectedAt: '2026-03-01T10:00:00Z',
        ttlSecondsAfterCreation: 3600,
      },
    });
  });

  it('is open from now on, in milliseconds, where it has a state, and says what reports it and what it says', () => {
    const state = { slot: 'a-slot', digest: 'a-digest' };
    expect(observationOf(finding, { ...options, state }).metadata.labels).toMatchObject({
      [labels.report]: 'a-slot',
      [labels.digest]: 'a-digest',
      [labels.state]: 'open',
      [labels.since]: '1772366400000',
    });
  });

  it.each([undefined, 'shop/PolicyReport.wgpolicyk8s.io'])(
    'names the kind of its report, if that is known: %s',
    (kind) => {
      const state = { slot: 'a-slot', digest: 'a-digest', reportedBy: kind };
      expect(observationOf(finding, { ...options, state }).metadata.annotations).toStrictEqual({
        'zen.kube-zen.io/correlation-id': 'c-1',
        ...(kind && { 'zen.kube-zen.io/reported-by': kind }),
      });
    },
  );

  it('has label values that the API server takes, whatever its source and category', () => {
    const { metadata } = observationOf({ ...finding, category: 'two words' }, { ...options, source: '-tool-' });
    expect(metadata.labels).toMatchObject({ [labels.source]: 'tool', [labels.category]: 'two-words' });
  });

  it.each<[string, ResourceRef | undefined]>([
    ['nothing', undefined],
    ['a kind', { kind: 'Pod' }],
    ['a name', { kind: 'Node', name: 'n' }],
    ['a namespace', { kind: 'Pod', namespace: 'shop' }],
    ['an apiVersion', { apiVersion: 'v1', kind: 'Pod' }],
  ])('has no member for what is not known: of its resource %s', (_case, known) => {
    const spec = specOf({ resource: known });
    expect(spec.resource).toStrictEqual(known);
    expect(Object.hasOwn(spec, 'resource')).toBe(known !== undefined);
  });

  it('shows the controller of its resource, and is found by the resource itself', () => {
    const controller = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'cart' };
    const { spec, metadata } = observationOf(finding, { ...options, controller });
    expect(spec.resource).toEqual(controller);
    expect(metadata.labels[labels.workload]).toBe(workloadHash(resource));
  });

  it('has no member for what is not known: of its actor, its remediation and its references', () => {
    const bare = specOf({ actor: undefined, remediation: undefined, references: undefined });
    for (const member of ['actor', 'remediation', 'references']) expect(Object.hasOwn(bare, member)).toBe(false);
    const empty = specOf({ actor: { username: 'eve', groups: [] }, references: [] });
    expect(empty.actor).toStrictEqual({ username: 'eve' });
    expect(specOf({ actor: { username: 'eve' } }).actor).toStrictEqual({ username: 'eve' });
    expect(Object.hasOwn(empty, 'references')).toBe(false);
  });

  it.each([
    ['apiVersion', 253],
    ['kind', 253],
    ['name', 512],
    ['namespace', 253],
  ] as const)('cuts the %s of its resource after %i bytes', (member, bytes) => {
    const whole = { kind: 'Pod', [member]: 'x'.repeat(bytes) };
    expect(specOf({ resource: whole }).resource).toEqual(whole);
    const text = specOf({ resource: { kind: 'Pod', [member]: 'x'.repeat(bytes + 1) } }).resource?.[member];
    expect(Buffer.byteLength(text ?? '')).toBe(bytes);
    expect(text).toMatch(/^x+… \(cut\)$/);
  });

  it.each([
    ['username', 253],
    ['sourceIP', 64],
    ['userAgent', 128],
    ['via', 253],
  ] as const)('cuts the %s of its actor after %i bytes, and shows it as one printable line', (member, bytes) => {
    const actorOf = (text: string): Actor | undefined => specOf({ actor: { username: 'eve', [member]: text } }).actor;
    expect(actorOf('x'.repeat(bytes))?.[member]).toBe('x'.repeat(bytes));
    for (const unit of ['x', '🦀', '"']) {
      const length = bytesOf(actorOf(unit.repeat(bytes + 1))?.[member]) - 2;
      expect(length).toBeGreaterThan(bytes - 12);
      expect(length).toBeLessThanOrEqual(bytes);
    }
    expect(actorOf('a\n\u001b[31mb')?.[member]).toBe('a \\u{1b}[31mb');
  });

  it('keeps the first eight groups of its actor, and cuts each after 64 bytes', () => {
    const groups = Array.from({ length: 9 }, (_, index) => `${index}${'x'.repeat(index === 1 ? 64 : 63)}`);
    const kept = specOf({ actor: { username: 'eve', groups } }).actor?.groups ?? [];
    expect(kept).toHaveLength(8);
    expect(kept[0]).toBe(groups[0]);
    expect(Buffer.byteLength(kept[1] ?? '')).toBeLessThanOrEqual(64);
    expect(kept[1]).toMatch(/^1x+…/);
  });

  it('cuts its rule after 320 bytes, and shows it as one printable line', () => {
    expect(specOf({ rule: 'x'.repeat(320) }).rule).toBe('x'.repeat(320));
    expect(Buffer.byteLength(specOf({ rule: 'x'.repeat(321) }).rule ?? '')).toBe(320);
    expect(specOf({ rule: 'a\r\n\u202eb' }).rule).toBe('a \\u{202e}b');
  });

  it('cuts its summary after 256 characters, and shows it as one printable line', () => {
    expect(specOf({ summary: 'ü'.repeat(256) }).summary).toBe('ü'.repeat(256));
    expect(specOf({ summary: 'ü'.repeat(257) }).summary).toBe(`${'ü'.repeat(255)}…`);
    expect(specOf({ summary: ' a\n\u0007b ' }).summary).toBe('a \\u{7}b');
  });

  it('cuts its remediation after 1024 bytes, and leaves its lines alone', () => {
    expect(specOf({ remediation: 'x\n'.repeat(300) }).remediation).toBe('x\n'.repeat(300));
    expect(specOf({ remediation: 'x'.repeat(1024) }).remediation).toBe('x'.repeat(1024));
    const cut = specOf({ remediation: 'x'.repeat(1025) }).remediation ?? '';
    expect(Buffer.byteLength(cut)).toBe(1024);
    expect(cut).toMatch(/^x+… \(cut\)$/);
  });

  it('has of its references those that fit, whole', () => {
    const short = ['https://example.com/a', 'https://example.com/b'];
    const long = `https://example.com/${'x'.repeat(1010)}`;
    expect(specOf({ references: [...short, long] }).references).toEqual(short);
    expect(specOf({ references: [long, ...short] }).references).toEqual(short);
    expect(specOf({ references: [long] })).not.toHaveProperty('references');
    const half = (letter: string) => `https://example.com/${letter.repeat(500)}`;
    expect(specOf({ references: [half('a'), half('b'), ...short] }).references).toEqual([half('a'), ...short]);
    for (const odd of ['https://example.com/\u0007', 'https://example.com/\ud800', 'https://a\nb']) {
      expect(specOf({ references: [odd, ...short] }).references).toEqual(short);
    }
    const whole = `https://example.com/${'x'.repeat(1002)}`;
    expect(specOf({ references: [whole] }).references).toEqual([whole]);
    expect(specOf({ references: [`${whole}x`] })).not.toHaveProperty('references');
  });

  it('has no more references than the CRD takes', () => {
    const many = Array.from({ length: 70 }, (_, index) => `h:${index}`);
    expect(specOf({ references: many }).references).toEqual(many.slice(0, 64));
  });

  it('cuts a correlation id after 256 bytes', () => {
    const idOf = (correlationId: string): string | undefined =>
      Object.values(observationOf(finding, { ...options, correlationId }).metadata.annotations)[0];
    expect(idOf('x'.repeat(256))).toBe('x'.repeat(256));
    expect(Buffer.byteLength(idOf('x'.repeat(257)) ?? '')).toBe(256);
  });

  it('gives details 4096 bytes, or what the rest of the object leaves of 7168', () => {
    const details = { message: 'x'.repeat(10_000) };
    expect(bytesOf(specOf({ details }).details)).toBeGreaterThan(2048);
    expect(bytesOf(specOf({ details }).details)).toBeLessThanOrEqual(4096);
    const long = '"'.repeat(5000);
    const changes = {
      ...{ rule: long, summary: long, remediation: long, details },
      ...{ resource: { apiVersion: long, kind: long, name: long, namespace: long } },
    };
    const full = observationOf({ ...finding, ...changes }, options);
    expect(bytesOf(full.spec.details)).toBeGreaterThan(1000);
    expect(bytesOf(full.spec.details)).toBeLessThan(2048);
    expect(bytesOf(full)).toBeLessThanOrEqual(7168);
  });
});

describe('the largest Observation', () => {
  it.each(['x', '"', '€', '🦀', '\u0000'])('of %j takes no more than 7168 bytes, and still has details', (unit) => {
    const long = unit.repeat(5000);
    const by = { username: long, groups: Array(9).fill(long), sourceIP: long, userAgent: long, via: long };
    const about = { apiVersion: long, kind: long, name: long, namespace: long };
    const references = [`https://example.com/${'x'.repeat(1002)}`];
    const said = { rule: long, summary: long, remediation: long, references, details: { message: long } };
    const object = observationOf(
      { ...finding, ...said, category: 'c'.repeat(63), eventType: 'e'.repeat(63), resource: about, actor: by },
      {
        ...{ name: `${'s'.repeat(63)}-${'0'.repeat(32)}`, namespace: 'n'.repeat(63), source: 's'.repeat(63) },
        ...{ state: { slot: '0'.repeat(32), digest: '0'.repeat(32) }, correlationId: long },
        ...{ ttl: 604_800, expiresAt: now, now },
      },
    );
    expect(bytesOf(object)).toBeLessThanOrEqual(7168);
    expect(object.spec.remediation).toMatch(/… \(cut\)$/);
    expect(object.spec.details.message).toMatch(/… \(cut\)$/);
  });
});

const hostile = [
  '\u0000',
  '\u001b[2J',
  '"',
  '\\',
  '\n',
  ' ',
  'é',
  '€',
  '🦀',
  '👩‍👩‍👧',
  '\u202e',
  '\u200b',
  '\ufeff',
  '\ud800',
  '\udc00',
];

/** Up to 20,000 characters, of any kind: a part again and again, since fast-check takes seconds to draw so many. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 50 }),
  fc
    .tuple(
      fc.string({ unit: fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: anyCharacter, maxLength: 1 })) }),
      fc.integer({ min: 1, max: 2000 }),
    )
    .map(([part, times]) => part.repeat(times)),
);

const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

const findings = fc.record({
  severity: fc.constantFrom('CRITICAL', 'UNKNOWN'),
  rule: text,
  summary: text,
  resource: optional(
    fc.record({ apiVersion: optional(text), kind: text, name: optional(text), namespace: optional(text) }),
  ),
  actor: optional(
    fc.record({
      username: text,
      groups: optional(fc.array(text)),
      sourceIP: optional(text),
      userAgent: optional(text),
      via: optional(text),
    }),
  ),
  remediation: optional(text),
  references: optional(fc.array(fc.oneof(text, fc.webUrl()), { maxLength: 200 })),
  details: fc.dictionary(text, fc.oneof(text, fc.jsonValue(), fc.array(text))),
});

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

describe('an Observation of anything', () => {
  const state = { slot: '0'.repeat(32), digest: '0'.repeat(32) };
  const named = {
    ...{ name: `${'s'.repeat(63)}-${'0'.repeat(32)}`, namespace: 'n'.repeat(63), source: 's'.repeat(63), state },
    ...{ ttl: 604_800, expiresAt: now, now },
  };

  it('stays below what the API server may add to it, has whole references and printable lines', () => {
    fc.assert(
      fc.property(findings, text, (drawn, correlationId) => {
        const { references: given = [] } = drawn;
        const object = observationOf({ ...finding, ...drawn }, { ...named, correlationId });
        expect(bytesOf(object)).toBeLessThanOrEqual(7168);
        expect(JSON.stringify(object)).not.toMatch(/\\ud[89a-f][0-9a-f]{2}/i);
        const { rule = '', summary = '', actor: by, references = [] } = object.spec;
        expect(references.filter((url) => !given.includes(url))).toEqual([]);
        expect(references.length).toBeLessThanOrEqual(64);
        const lines = [rule, summary, ...Object.values(by ?? {}).flat()];
        expect(lines.filter((line) => unprintable.test(line))).toEqual([]);
      }),
      { numRuns: isQuick ? 100 : 300, interruptAfterTimeLimit: 15_000 },
    );
  });
});

describe('findingLabels', () => {
  it('have the namespace of the resource only where the Observation is in another one', () => {
    expect(findingLabels(finding, 'shop')[labels.namespace]).toBeUndefined();
    expect(findingLabels(finding, 'zen-system')[labels.namespace]).toBe('shop');
    const odd = { ...finding, resource: { ...resource, namespace: 'Not A Namespace!' } };
    expect(findingLabels(odd, 'zen-system')[labels.namespace]).toBe('Not-A-Namespace');
  });

  it.each<[string, Partial<Finding>, string]>([
    ['a resource', { resource: undefined }, labels.workload],
    ['an actor', { actor: undefined }, labels.actor],
    ['a namespace', { resource: { kind: 'Node', name: 'n' } }, labels.namespace],
  ])('have none for %s where there is none', (_what, changes, label) => {
    const found = findingLabels({ ...finding, ...changes }, 'zen-system');
    expect(Object.hasOwn(findingLabels(finding, 'zen-system'), label)).toBe(true);
    expect(Object.hasOwn(found, label)).toBe(false);
  });

  it('are the same for every Pod of a workload', () => {
    const labelsOf = (kind: string, name: string) =>
      findingLabels({ ...finding, resource: { kind, namespace: 'shop', name } }, 'shop');
    expect(labelsOf('Pod', 'api-7d9c5b6f4d-x2x9z')).toEqual(labelsOf('Deployment', 'api'));
  });
});
