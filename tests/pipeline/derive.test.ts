import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../shared/finding/finding.ts';
import { type DeriveOptions, derive } from '../../shared/pipeline/derive.ts';
import { allowAll } from './test-context.ts';

const options: DeriveOptions = {
  source: 'tool',
  dropOwn: true,
  filter: allowAll,
  systemNamespace: 'zen-system',
  watchNamespace: undefined,
};

function row(fields: Partial<Finding>): Finding {
  return {
    category: 'security',
    severity: 'HIGH',
    eventType: 'vulnerability',
    identity: { id: '1' },
    details: {},
    resource: { kind: 'Pod', namespace: 'shop', name: 'p' },
    detectedAt: '2026-03-01T10:00:00Z',
    ...fields,
  };
}

describe('derive', () => {
  it('merges equal findings into one, independently of their order', () => {
    const rows = fc.array(
      fc.record({
        message: fc.constantFrom('a', 'b', 'c'),
        score: fc.constantFrom(1, 2),
        minute: fc.integer({ min: 10, max: 59 }),
      }),
      { minLength: 2, maxLength: 8 },
    );
    fc.assert(
      fc.property(rows, fc.infiniteStream(fc.nat()), (given, random) => {
        const rowsOfOne = given.map(({ message, score, minute }) =>
          row({ details: { message, score }, detectedAt: `2026-03-01T10:${minute}:00Z` }),
        );
        const shuffled = rowsOfOne
          .map((finding) => ({ finding, at: random.next().value }))
          .sort((a, b) => a.at - b.at)
          .map(({ finding }) => finding);
        const { findings: derived } = derive(rowsOfOne, options);
        expect(derive(shuffled, options).findings).toEqual(derived);
        expect(derived).toHaveLength(1);
        const { details, detectedAt } = derived[0]?.finding ?? row({});
        expect(details.occurrences).toBe(given.length);
        expect(details.message).toBe([...new Set(given.map(({ message }) => message))].sort().join('\n'));
        expect(detectedAt).toBe(rowsOfOne.map((one) => one.detectedAt).sort()[0]);
      }),
    );
  });

  it.each([
    [{ kind: 'Pod', namespace: 'shop', name: 'p' }, 'shop'],
    [{ kind: 'Node', name: 'n' }, 'zen-system'],
    [{ kind: 'Pod', namespace: '', name: 'p' }, 'zen-system'],
    [{ kind: 'Pod', namespace: 'Not A Namespace', name: 'p' }, 'zen-system'],
    [{ kind: 'Pod', namespace: `${'x'.repeat(64)}`, name: 'p' }, 'zen-system'],
    [undefined, 'zen-system'],
  ])('puts a finding about %j into %s', (resource, namespace) => {
    expect(derive([row({ resource })], options).findings[0]?.namespace).toBe(namespace);
  });

  it('drops findings about zen-watcher itself, from state sources only', () => {
    const own = row({
      resource: { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', namespace: 'shop', name: 'x' },
    });
    expect(derive([own], options)).toEqual({ findings: [], filtered: { self: 1 } });
    expect(derive([own], { ...options, dropOwn: false }).findings).toHaveLength(1);
  });

  it('drops findings outside the watched namespace', () => {
    const watching = { ...options, watchNamespace: 'shop', systemNamespace: 'shop' };
    const elsewhere = row({ resource: { kind: 'Pod', namespace: 'other', name: 'p' } });
    const node = row({ resource: { kind: 'Node', name: 'n' } });
    const result = derive([row({}), elsewhere, node], watching);
    expect(result.filtered).toEqual({ outside_namespace: 1 });
    expect(result.findings.map(({ namespace }) => namespace)).toEqual(['shop', 'shop']);
  });

  it("counts what the filter drops, by the filter's reason", () => {
    const filter: DeriveOptions['filter'] = (source, { severity }) =>
      source === 'tool' && severity === 'LOW' ? 'min_severity' : undefined;
    const result = derive([row({}), row({ severity: 'LOW' }), row({ severity: 'LOW', identity: { id: '2' } })], {
      ...options,
      filter,
    });
    expect(result.filtered).toEqual({ min_severity: 2 });
    expect(result.findings).toHaveLength(1);
  });
});
