import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../shared/finding/finding.ts';
import { findingDigest, observationName } from '../../shared/finding/name.ts';
import { type DeriveOptions, derive, mergeRows } from '../../shared/pipeline/derive.ts';
import { allowAll } from './test-context.ts';

const options: DeriveOptions = {
  source: 'tool',
  hasState: true,
  filter: allowAll,
  merge: mergeRows,
  systemNamespace: 'zen-system',
  watchNamespace: undefined,
};

function row(fields: Partial<Finding>): Finding {
  return {
    category: 'security',
    severity: 'HIGH',
    eventType: 'vulnerability',
    rule: 'CVE-1',
    summary: 'CVE-1 in openssl',
    identity: { id: '1' },
    details: {},
    resource: { kind: 'Pod', namespace: 'shop', name: 'p' },
    detectedAt: '2026-03-01T10:00:00Z',
    ...fields,
  };
}

describe('derive', () => {
  it('throws what a filter throws, unless that is that it can not be read', () => {
    const fault = new TypeError('a bug');
    const filter = (): never => {
      throw fault;
    };
    expect(() => derive([row({})], { ...options, filter })).toThrow(fault);
  });

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
    [{ kind: 'Pod', namespace: 'x'.repeat(63), name: 'p' }, 'x'.repeat(63)],
    [{ kind: 'Pod', namespace: 'x'.repeat(64), name: 'p' }, 'zen-system'],
    [{ kind: 'Pod', namespace: 'a', name: 'p' }, 'a'],
    [{ kind: 'Pod', namespace: 'a--1', name: 'p' }, 'a--1'],
    [{ kind: 'Pod', namespace: '-a', name: 'p' }, 'zen-system'],
    [{ kind: 'Pod', namespace: 'a-', name: 'p' }, 'zen-system'],
    [{ kind: 'Pod', namespace: 'a.b', name: 'p' }, 'zen-system'],
    [{ kind: 'Pod', namespace: 'a\nb', name: 'p' }, 'zen-system'],
    [undefined, 'zen-system'],
  ])('puts a finding about %j into %s', (resource, namespace) => {
    expect(derive([row({ resource })], options).findings[0]?.namespace).toBe(namespace);
  });

  it('drops findings about zen-watcher itself, from state sources only', () => {
    const own = row({
      resource: { apiVersion: 'zen.kube-zen.io/v1', kind: 'Observation', namespace: 'shop', name: 'x' },
    });
    expect(derive([own], options)).toEqual({ findings: [], filtered: { self: 1 }, dropped: [own], held: [] });
    expect(derive([own], { ...options, hasState: false }).findings).toHaveLength(1);
  });

  it.each([
    [undefined],
    [{ kind: 'Pod', name: 'p' }],
    [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }],
    [{ apiVersion: 'zen.kube-zen.io.example.com/v1', kind: 'Observation', name: 'x' }],
    [{ apiVersion: 'example.com/zen.kube-zen.io/', kind: 'Observation', name: 'x' }],
  ])('keeps a finding about %j, which is not zen-watcher itself', (resource) => {
    expect(derive([row({ resource })], options)).toMatchObject({ findings: [{}], filtered: {} });
  });

  it('drops findings outside the watched namespace', () => {
    const watching = { ...options, watchNamespace: 'shop', systemNamespace: 'shop' };
    const elsewhere = row({ resource: { kind: 'Pod', namespace: 'other', name: 'p' } });
    const node = row({ resource: { kind: 'Node', name: 'n' } });
    const result = derive([row({}), elsewhere, node], watching);
    expect(result.filtered).toEqual({ outside_namespace: 1 });
    expect(result.findings.map(({ namespace }) => namespace)).toEqual(['shop', 'shop']);
  });

  it('passes the filter the namespace that a finding will be stored in', () => {
    const filter: DeriveOptions['filter'] = (finding, { namespace }) =>
      namespace === 'zen-system' ? 'exclude_namespace' : finding;
    const node = row({ resource: { kind: 'Node', name: 'n' } });
    const { findings: derived, filtered } = derive([row({}), node], { ...options, filter });
    expect(derived.map(({ namespace }) => namespace)).toEqual(['shop']);
    expect(filtered).toEqual({ exclude_namespace: 1 });
  });

  it('adds name and digest to each finding, and leaves its contents alone', () => {
    const other = { kind: 'Pod', namespace: 'shop', name: 'q' };
    const rows = [row({}), row({ identity: { id: '2' } }), row({ resource: other })];
    const { findings: derived } = derive(rows, options);
    expect(derived.map(({ finding }) => finding)).toEqual(rows);
    for (const { name, digest, finding } of derived) {
      expect(name).toBe(observationName('tool', finding));
      expect(digest).toBe(findingDigest(finding));
    }
  });

  it('keeps the earliest time of equal findings, whatever their time zones', () => {
    const times = ['2026-03-01T10:30:00Z', '2026-03-01T12:00:00+02:00', '2026-03-01T11:00:00Z'];
    const { findings: derived } = derive(
      times.map((detectedAt) => row({ detectedAt })),
      options,
    );
    expect(derived[0]?.finding.detectedAt).toBe('2026-03-01T12:00:00+02:00');
  });

  it('merges findings that differ in fields outside their name, independently of their order', () => {
    const resources = ['apps/v1', undefined, 'apps/v1beta1'].map((apiVersion) => ({
      apiVersion,
      kind: 'Pod',
      name: 'p',
    }));
    const times = ['2026-03-01T12:00:00+02:00', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00.0Z'];
    const rows = times.map((detectedAt, index) => row({ detectedAt, resource: resources[index] }));
    const [a = row({}), b = row({}), c = row({})] = rows;
    const orders = [rows, [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]];
    const merged = orders.map((order) => derive(order, options).findings.map(({ finding }) => finding));
    for (const one of merged) expect(one).toEqual(merged[0]);
    // Of two spellings of the same time, the one that sorts first as text.
    expect(merged[0]).toMatchObject([{ detectedAt: '2026-03-01T10:00:00.0Z' }]);
  });

  it('joins those messages of equal findings that are text, and adds none if there are none', () => {
    const messagesOf = (...messages: unknown[]): unknown => {
      const rows = messages.map((message, index) => row({ details: { index, message } }));
      return derive(rows, options).findings[0]?.finding.details;
    };
    expect(messagesOf('b', 7, 'a', undefined, 'b')).toEqual({ index: 0, message: 'a\nb', occurrences: 5 });
    expect(messagesOf(7, 8)).toEqual({ index: 0, message: 7, occurrences: 2 });
    const withoutMessage = derive([row({}), row({})], options).findings[0]?.finding.details;
    expect(withoutMessage).toStrictEqual({ occurrences: 2 });
  });

  it('makes of equal findings the worst, with all references, and the summary of the one that sorts first', () => {
    const rows = [
      row({ severity: 'LOW', summary: 'b', references: ['https://example.com/2', 'https://example.com/1'] }),
      row({ severity: 'HIGH', summary: 'c', remediation: 'c' }),
      row({ severity: 'UNKNOWN', summary: 'a', remediation: 'a', references: ['https://example.com/2'] }),
    ];
    for (const order of [rows, rows.toReversed()]) {
      expect(derive(order, options).findings.map(({ finding }) => finding)).toEqual([
        row({
          severity: 'HIGH',
          summary: 'a',
          remediation: 'a',
          references: ['https://example.com/1', 'https://example.com/2'],
          details: { occurrences: 3 },
        }),
      ]);
    }
    expect(derive([row({}), row({})], options).findings[0]?.finding).not.toHaveProperty('references');
  });

  it('makes one finding of the Pods of a workload, and none of two workloads', () => {
    const of = (name: string) => row({ resource: { kind: 'Pod', namespace: 'shop', name } });
    const pods = ['api-7d9c5b6f4d-x2x9z', 'api-56789bcdf4-bcdfg', 'web-56789bcdf4-bcdfg'].map(of);
    const { findings: derived } = derive(pods, options);
    expect(derived.map(({ finding }) => finding.details.occurrences)).toEqual([2, undefined]);
  });

  it('merges as its source wants it, the findings of each name', () => {
    const merge: DeriveOptions['merge'] = ([first, ...others]) => ({ ...first, summary: `and ${others.length} more` });
    const rows = [row({}), row({ severity: 'LOW' }), row({ identity: { id: '2' } })];
    const { findings: derived } = derive(rows, { ...options, merge });
    expect(derived.map(({ finding }) => finding.summary)).toEqual(['and 1 more', 'and 0 more']);
  });

  it('keeps a finding as the filter gives it back, under the same name', () => {
    const filter: DeriveOptions['filter'] = (finding) => ({ ...finding, severity: 'LOW' });
    const [before] = derive([row({ severity: 'HIGH' })], options).findings;
    const [after] = derive([row({ severity: 'HIGH' })], { ...options, filter }).findings;
    expect([before?.finding.severity, after?.finding.severity]).toEqual(['HIGH', 'LOW']);
    expect(after?.name).toBe(before?.name);
  });

  it("counts what the filter drops, by the filter's reason", () => {
    const filter: DeriveOptions['filter'] = (finding, { source }) =>
      source === 'tool' && finding.severity === 'LOW' ? 'min_severity' : finding;
    const result = derive([row({}), row({ severity: 'LOW' }), row({ severity: 'LOW', identity: { id: '2' } })], {
      ...options,
      filter,
    });
    expect(result.filtered).toEqual({ min_severity: 2 });
    expect(result.findings).toHaveLength(1);
  });
});
