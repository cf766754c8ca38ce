import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observationOf } from '../../shared/api/observation.ts';
import { cutText, fitDetails } from '../../shared/finding/size-limits.ts';
import { timeOf } from '../../shared/finding/values.ts';

const short = fc.string({ unit: 'grapheme', maxLength: 50 });

/** Up to 20,000 characters, of any kind: a part again and again, since fast-check takes seconds to draw so many. */
const long = fc.oneof(
  short,
  fc
    .tuple(
      fc.string({ unit: fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.constant('\ud800')) }),
      fc.integer({ min: 1, max: 2000 }),
    )
    .map(([part, times]) => part.repeat(times)),
);

const word = fc.string({ maxLength: 6 });
const words = fc.array(word, { maxLength: 200, size: 'max' });

/** Few members that are long, or many that are short: more of them than there may be, too. */
const anyDetails = fc.oneof(
  fc.dictionary(long, fc.oneof(long, fc.jsonValue(), fc.array(long), words)),
  fc.dictionary(word, fc.oneof(fc.nat(), word), { maxKeys: 100, size: 'max' }),
);

describe('an Observation', () => {
  it('stays below 8 KiB and within the bounds of its CRD, whatever a tool says', () => {
    fc.assert(
      fc.property(anyDetails, long, long, long, (given, name, namespace, correlationId) => {
        const object = observationOf(
          {
            ...{ category: 'security', severity: 'HIGH', eventType: 'vulnerability', identity: {}, details: given },
            ...{
              resource: { apiVersion: name, kind: name || 'Kind', name, namespace },
              detectedAt: '2026-03-01T10:00:00Z',
            },
          },
          {
            ...{ name: `trivy-${'0'.repeat(32)}`, namespace: 'zen-system', source: 'trivy', subject: '0'.repeat(32) },
            ...{ correlationId, ttl: 604_800, expiresAt: 0, now: 0 },
          },
        );
        expect(Buffer.byteLength(JSON.stringify(object))).toBeLessThan(8192);
        expect(Object.keys(object.spec.details).length).toBeLessThanOrEqual(64);
        expect(JSON.stringify(object)).not.toMatch(/\\ud[89a-f][0-9a-f]{2}/i);
      }),
      // What fails is made smaller for so long, and then shown.
      { numRuns: 200, interruptAfterTimeLimit: 15_000 },
    );
  });
});

describe('fitDetails', () => {
  it('leaves alone what fits', () => {
    const details = { message: 'short', score: 9.8, tags: ['a'], nested: { ok: true } };
    expect(fitDetails(details)).toEqual(details);
  });

  it('marks what it cuts', () => {
    const fitted = fitDetails({ message: 'x'.repeat(9000), rule: 'r' });
    expect(fitted.truncated).toBe(true);
    expect(fitted.rule).toBe('r');
    expect(String(fitted.message)).toMatch(/^x+… \(cut\)$/);
  });

  it('gives the same for the same', () => {
    fc.assert(
      fc.property(anyDetails, (details) => {
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
  ])('takes %j for a time: %s', (value, isTime) => {
    expect(timeOf(value, 'fallback')).toBe(isTime ? value : 'fallback');
  });
});
