import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countValues, maxValues, parseJson } from '../../shared/function/json.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, member) => sum + valuesIn(member), 1);
}

describe('the number of values of a JSON text', () => {
  it('is never less than what parsing makes of it, and at most twice as many', () => {
    fc.assert(
      fc.property(fc.json(), fc.integer({ min: 0, max: 4 }), (text, indent) => {
        const value: unknown = JSON.parse(text);
        const counted = countValues(bytes(JSON.stringify(value, null, indent)), Number.POSITIVE_INFINITY);
        expect(counted).toBeGreaterThanOrEqual(valuesIn(value));
        expect(counted).toBeLessThanOrEqual(2 * valuesIn(value));
      }),
    );
  });

  it.each([
    ['"a,[{\\"b\\",[{"', 1],
    ['["a\\\\",1]', 3],
    ['{"a":[1,2],"b":{}}', 6],
  ])('does not count what stands in texts: %s', (text, count) => {
    expect(countValues(bytes(text), 100)).toBe(count);
  });

  it('is counted up to a limit', () => {
    expect(countValues(bytes('[1,1,1,1,1,1]'), 3)).toBe(4);
  });

  it('is bounded before anything is parsed', () => {
    const tooMany = bytes(`[${'[],'.repeat(maxValues())}[]]`);
    expect(() => parseJson(tooMany, 'body')).toThrow(
      expect.objectContaining({ status: 413, path: 'body', message: 'the JSON holds too many values' }),
    );
    expect(parseJson(bytes(`"${',['.repeat(maxValues())}"`), 'body')).toHaveLength(2 * maxValues());
  });
});
