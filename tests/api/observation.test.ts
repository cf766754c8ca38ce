import { describe, expect, it } from 'vitest';
import { labels } from '../../shared/api/labels.ts';
import { type ObservationOptions, observationOf } from '../../shared/api/observation.ts';
import type { Finding, ResourceRef } from '../../shared/finding/finding.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

const options: ObservationOptions = {
  name: 'tool-1',
  namespace: 'shop',
  source: 'tool',
  subject: undefined,
  correlationId: 'c-1',
  ttl: 3600,
  expiresAt: now + 3_600_000,
  now,
};

const observation: Finding = {
  category: 'security',
  severity: 'HIGH',
  eventType: 'vulnerability',
  resource: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart' },
  identity: { id: 'CVE-1' },
  details: { title: 'Bad', score: 7, empty: '', none: undefined, words: [] },
  detectedAt: '2026-03-01T10:00:00Z',
};

function resourceOf(resource: ResourceRef | undefined): ResourceRef | undefined {
  return observationOf({ ...observation, resource }, options).spec.resource;
}

describe('observationOf', () => {
  it('is the object of the CRD, without the identity', () => {
    expect(observationOf(observation, options)).toEqual({
      apiVersion: 'zen.kube-zen.io/v1',
      kind: 'Observation',
      metadata: {
        name: 'tool-1',
        namespace: 'shop',
        labels: {
          'zen.kube-zen.io/source': 'tool',
          'zen.kube-zen.io/category': 'security',
          'zen.kube-zen.io/severity': 'HIGH',
          'zen.kube-zen.io/expires': '492325',
        },
        annotations: { 'zen.kube-zen.io/correlation-id': 'c-1' },
      },
      spec: {
        source: 'tool',
        category: 'security',
        severity: 'HIGH',
        eventType: 'vulnerability',
        resource: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart' },
        details: { title: 'Bad', score: 7 },
        detectedAt: '2026-03-01T10:00:00Z',
        ttlSecondsAfterCreation: 3600,
      },
    });
  });

  it('is open from now on where it has a subject', () => {
    expect(observationOf(observation, { ...options, subject: 'abc' }).metadata.labels).toMatchObject({
      [labels.subject]: 'abc',
      [labels.state]: 'open',
      [labels.stateSince]: '1772366400',
    });
  });

  it('has label values that the API server takes, whatever its source and category', () => {
    const { metadata } = observationOf({ ...observation, category: 'two words' }, { ...options, source: '-tool-' });
    expect(metadata.labels).toMatchObject({ [labels.source]: 'tool', [labels.category]: 'two-words' });
  });

  it.each<[string, ResourceRef | undefined]>([
    ['nothing', undefined],
    ['a kind', { kind: 'Pod' }],
    ['a name', { kind: 'Node', name: 'n' }],
    ['a namespace', { kind: 'Pod', namespace: 'shop' }],
    ['an apiVersion', { apiVersion: 'v1', kind: 'Pod' }],
  ])('has no member for what is not known: of its resource %s', (_case, resource) => {
    expect(resourceOf(resource)).toStrictEqual(resource);
    const { spec } = observationOf({ ...observation, resource }, options);
    expect(Object.hasOwn(spec, 'resource')).toBe(resource !== undefined);
  });

  it.each([
    ['apiVersion', 253],
    ['kind', 253],
    ['name', 512],
    ['namespace', 253],
  ] as const)('cuts the %s of its resource after %i bytes', (member, bytes) => {
    const whole = { kind: 'Pod', [member]: 'x'.repeat(bytes) };
    expect(resourceOf(whole)).toEqual(whole);
    const text = resourceOf({ kind: 'Pod', [member]: 'x'.repeat(bytes + 1) })?.[member];
    expect(Buffer.byteLength(text ?? '')).toBe(bytes);
    expect(text).toMatch(/^x+… \(cut\)$/);
  });

  it('cuts a correlation id after 256 bytes', () => {
    const idOf = (correlationId: string): string | undefined =>
      Object.values(observationOf(observation, { ...options, correlationId }).metadata.annotations)[0];
    expect(idOf('x'.repeat(256))).toBe('x'.repeat(256));
    expect(Buffer.byteLength(idOf('x'.repeat(257)) ?? '')).toBe(256);
  });

  it('stays below 8 KiB, however long its parts are', () => {
    const long = '\u0000'.repeat(10_000);
    const details = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${index}`, long]));
    const resource = { apiVersion: long, kind: long, namespace: long, name: long };
    const object = observationOf({ ...observation, details, resource }, { ...options, correlationId: long });
    expect(object.spec.details.truncated).toBe(true);
    expect(Buffer.byteLength(JSON.stringify(object))).toBeLessThan(8192);
  });
});
