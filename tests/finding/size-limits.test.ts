import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutText, fitDetails } from '../../shared/finding/size-limits.ts';
import { timeOf } from '../../shared/finding/values.ts';
import { isQuick } from '../quick.ts';
import { anyCharacter } from './any-character.ts';

const short = fc.string({ unit: 'grapheme', maxLength: 50 });

/** Up to 20,000 characters, of any kind: a part again and again, since fast-check takes seconds to draw so many. */
const long = fc.oneof(
  short,
  fc
    .tuple(
      fc.string({
        unit: fc.oneof(fc.string({ unit: anyCharacter, minLength: 1, maxLength: 1 }), fc.constant('\ud800')),
      }),
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

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

describe('fitDetails', () => {
  it('leaves alone what fits', () => {
    const details = { message: 'short', score: 9.8, tags: ['a'], nested: { ok: true } };
    expect(fitDetails(details, 4096)).toEqual(details);
    expect(fitDetails(details, bytesOf(details))).toEqual(details);
    expect(fitDetails(details, bytesOf(details) - 1)).toMatchObject({ truncated: true });
  });

  it('marks what it cuts', () => {
    const fitted = fitDetails({ message: 'x'.repeat(9000), rule: 'r' }, 4096);
    expect(fitted.truncated).toBe(true);
    expect(fitted.rule).toBe('r');
    expect(String(fitted.message)).toMatch(/^x+… \(cut\)$/);
  });

  it('takes no more bytes than there are, nor members than the CRD takes, and is well formed', () => {
    fc.assert(
      fc.property(anyDetails, fc.integer({ min: 256, max: 4096 }), (details, maxBytes) => {
        const fitted = fitDetails(details, maxBytes);
        expect(bytesOf(fitted)).toBeLessThanOrEqual(maxBytes);
        expect(Object.keys(fitted).length).toBeLessThanOrEqual(64);
        expect(JSON.stringify(fitted)).not.toMatch(/\\ud[89a-f][0-9a-f]{2}/i);
      }),
      // What fails is made smaller for so long, and then shown.
      { numRuns: isQuick ? 70 : 200, interruptAfterTimeLimit: 15_000 },
    );
  });

  it('gives the same for the same', () => {
    fc.assert(
      fc.property(anyDetails, fc.integer({ min: 256, max: 4096 }), (details, maxBytes) => {
        expect(fitDetails(structuredClone(details), maxBytes)).toEqual(fitDetails(details, maxBytes));
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
    ['2024-02-29T10:00:00Z', true],
    ['2026-02-29T10:00:00Z', false],
    ['2026-03-01T24:00:00Z', false],
    ['2026-03-01T10:00:61Z', false],
    ['2026-03-01T10:00:00+25:00', false],
    ['2026-03-01T10:00:00.Z', false],
    ['2026-03-01T10:00:00', false],
    [1772359200, false],
    [null, false],
  ])('takes %j for a time: %s', (value, isTime) => {
    expect(timeOf(value, 'fallback')).toBe(isTime ? value : 'fallback');
  });

  it.each([
    ['2026-03-01T10:00:00.1234567890Z', '2026-03-01T10:00:00.123456789Z'],
    ['2026-03-01T10:00:00.99999999999999999999+02:00', '2026-03-01T10:00:00.999999999+02:00'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59Z'],
    ['2026-03-01t10:00:00z', '2026-03-01T10:00:00Z'],
  ])('reads %s as everything else can read it', (value, read) => {
    expect(timeOf(value, 'fallback')).toBe(read);
  });
});
