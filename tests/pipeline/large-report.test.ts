import { describe, expect, it } from 'vitest';
import kyverno from '../../functions/kyverno.ts';
import { aReport, createTestContext, handled, referenceTo } from './test-context.ts';

describe('a reference event', () => {
  it('handles a report with 100,000 results', { timeout: 300_000 }, async () => {
    const test = createTestContext(kyverno, { environment: { MAX_OBSERVATIONS: '1000000' } });
    const rules = Array.from({ length: 100_000 }, (_, index) => `r${index}`);
    const report = aReport('web', rules);
    test.objects.all.push(report);
    expect(await handled(kyverno, referenceTo(report), test.context)).toMatchObject({ observed: 100_000, dropped: 0 });
  });
});
