import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observationOf } from '../../shared/api/observation.ts';
import { cutText, fitDetails } from '../../shared/finding/size-limits.ts';
import { timeOf } from '../../shared/finding/values.ts';

const long = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20_000, size: 'max' }),
  fc.string({ unit: 'grapheme', maxLength: 50 }),
);

describe('an Observation', () => {
  it('stays below 8 KiB and within the bounds of its CRD, whatever a tool reports', () => {
    const details = fc.dictionary(long, fc.oneof(long, fc.jsonValue(), fc.array(long, { maxLength: 200 })), {
      maxKeys: 100,
    });
    fc.assert(
      fc.property(details, long, long, long, (given, name, namespace, correlationId) => {
        const object = observationOf(
          {
            category: 'security',
            severity: 'HIGH',
            eventType: 'vulnerability',
            identity: {},
            details: given,
            resource: { apiVersion: name, kind: name || 'Kind', name, namespace },
            detectedAt: '2026-03-01T10:00:00Z',
          },
          {
            name: `trivy-${'0'.repeat(32)}`,
            namespace: 'zen-system',
            source: 'trivy',
            subject: '0'.repeat(32),
            correlationId,
            ttl: 604_800,
            expiresAt: 0,
            now: 0,
          },
        );
        expect(Buffer.byteLength(JSON.stringify(object))).toBeLessThan(8192);
        expect(Object.keys(object.spec.details).length).toBeLessThanOrEqual(64);
        expect(JSON.stringify(object)).not.toMatch(/\\ud[89a-f][0-9a-f]{2}/i);
      }),
      { numRuns: 200 },
    );
  });
});

describe('fitDetails', () => {
  it('leaves details that fit unchanged', () => {
    const details = { message: 'short', score: 9.8, tags: ['a'], nested: { ok: true } };
    expect(fitDetails(details)).toEqual(details);
  });

  it('marks what it cuts', () => {
    const fitted = fitDetails({ message: 'x'.repeat(9000), rule: 'r' });
    expect(fitted.truncated).toBe(true);
    expect(fitted.rule).toBe('r');
    expect(String(fitted.message)).toMatch(/^x+… \(cut\)$/);
  });

  it('is deterministic', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), long), (details) => {
        expect(fitDetails(structuredClone(details))).toEqual(fitDetails(details));
      }),
    );
  });
});

describe('cutText', () => {
  it('cuts between characters', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-composite', maxLength: 500 }),
        fc.integer({ min: 20, max: 400 }),
        (text, max) => {
          const cut = cutText(text, max);
          expect(cut.isWellFormed()).toBe(true);
          expect(Buffer.byteLength(JSON.stringify(cut)) - 2).toBeLessThanOrEqual(max);
        },
      ),
    );
  });
});

describe('timeOf', () => {
  it.each([
    ['2026-03-01T10:00:00Z', true],
    ['2026-03-01T10:00:00.123456789+02:00', true],
    ['2026-03-01 10:00:00', false],
    ['2026-13-01T10:00:00Z', false],
    ['2026-03-01T10:00:00.1234567890Z', false],
    [1772359200, false],
    [null, false],
  ])('accepts %j as a time: %s', (value, isTime) => {
    expect(timeOf(value, 'fallback')).toBe(isTime ? value : 'fallback');
  });
});
