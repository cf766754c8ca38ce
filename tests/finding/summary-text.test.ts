import { describe, expect, it } from 'vitest';
import { vulnerabilityCount, withObject } from '../../shared/finding/summary-text.ts';

const long = 'Ensure that the admission control plugin EventRateLimit is set, and limits events';

describe('withObject', () => {
  it.each<[parts: Parameters<typeof withObject>, line: string]>([
    [['R-1', 'No limits', 'Pod web'], 'R-1 No limits (Pod web)'],
    [['p/r', 'no limits', 'Pod web', ': '], 'p/r: no limits (Pod web)'],
    [['R-1', 'No limits', undefined], 'R-1 No limits'],
    [['p/r', long, undefined, ': '], `p/r: ${long}`],
    [['R-1', long, 'Pod web'], `R-1 (Pod web): ${long}`],
    [['p/r', long, 'Pod web', ': '], `p/r (Pod web): ${long}`],
    [['', long, 'Pod web'], `${long} (Pod web)`],
    [['R-1', '', 'Pod web'], 'R-1 (Pod web)'],
  ])('names the object where it is seen: %j', (parts, line) => {
    expect(withObject(...parts)).toBe(line);
  });

  it.each([59, 60, 61])('lets no object begin after what is shown, with %i characters before', (length) => {
    const line = withObject('R', 'x'.repeat(length), 'Deployment shop/web');
    expect(line.indexOf('Deployment shop/web') + 'Deployment shop/web'.length).toBeLessThanOrEqual(80);
  });
});

describe('vulnerabilityCount', () => {
  it.each([
    ['1 LOW', 1, 1, '1 LOW vulnerability, with a fix'],
    ['1 LOW', 1, 0, '1 LOW vulnerability, without a fix'],
    ['3 LOW', 3, 3, '3 LOW vulnerabilities, all with a fix'],
    ['3 LOW', 3, 2, '3 LOW vulnerabilities, 2 with a fix'],
    ['3 LOW', 3, 0, '3 LOW vulnerabilities, none with a fix'],
  ])('counts %s of %i, %i with a fix', (counts, total, withFix, line) => {
    expect(vulnerabilityCount(counts, total, withFix)).toBe(line);
  });
});
