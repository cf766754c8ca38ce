import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FilterReason, filterReasons } from '../../shared/function/filter.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import type { Observation } from '../../shared/observation/observation.ts';
import { severities } from '../../shared/observation/severity.ts';
import { compileFilters, compileRules } from '../../shared/pipeline/filters.ts';

function anObservation(fields: Partial<Observation> = {}): Observation {
  return {
    ...{
      category: 'security',
      severity: 'MEDIUM',
      eventType: 'policy-violation',
      details: {},
      detectedAt: '2026-03-01T10:00:00Z',
    },
    resource: { kind: 'Deployment', namespace: 'shop', name: 'web' },
    identity: { policy: 'require-labels', rule: 'check-team' },
    ...fields,
  };
}

function aFilter(spec: object, name = 'f', namespace = 'zen-system'): KubernetesObject {
  const object = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter', metadata: { name, namespace } };
  return { ...object, spec: { targetSource: 'kyverno', ...spec } } as KubernetesObject;
}

function ask(
  filters: readonly KubernetesObject[],
  observation = anObservation(),
  source = 'kyverno',
  namespace = 'shop',
) {
  return compileFilters(filters, 'zen-system')(source, observation, namespace);
}

const clusterScoped = anObservation({ resource: { kind: 'Namespace', name: 'shop' } });
const aboutNothing = anObservation({ resource: undefined });

/** Each reason, both sides of its edge. */
const table: [string, object, Observation, FilterReason | undefined][] = [
  ['no field', {}, anObservation(), undefined],
  ['disabled', { enabled: false }, anObservation(), 'source_disabled'],
  ['enabled', { enabled: true }, anObservation(), undefined],
  ['minSeverity below', { minSeverity: 'LOW' }, anObservation(), undefined],
  ['minSeverity at', { minSeverity: 'medium' }, anObservation(), undefined],
  ['minSeverity above', { minSeverity: 'High' }, anObservation(), 'min_severity'],
  ['minSeverity, unknown', { minSeverity: 'LOW' }, anObservation({ severity: 'UNKNOWN' }), 'min_severity'],
  ['minSeverity UNKNOWN', { minSeverity: 'UNKNOWN' }, anObservation({ severity: 'UNKNOWN' }), undefined],
  ['minSeverity CRITICAL', { minSeverity: 'CRITICAL' }, anObservation({ severity: 'CRITICAL' }), undefined],
  ['includeSeverity with it', { includeSeverity: ['low', 'Medium'] }, anObservation(), undefined],
  ['includeSeverity without', { includeSeverity: ['LOW'] }, anObservation(), 'include_severity'],
  ['includeSeverity wins', { includeSeverity: ['MEDIUM'], minSeverity: 'CRITICAL' }, anObservation(), undefined],
  [
    'includeSeverity wins, too',
    { includeSeverity: ['CRITICAL'], minSeverity: 'LOW' },
    anObservation(),
    'include_severity',
  ],
  ['includeSeverity empty', { includeSeverity: [], minSeverity: 'HIGH' }, anObservation(), 'min_severity'],
  ['excludeEventTypes', { excludeEventTypes: ['Policy-Violation'] }, anObservation(), 'exclude_event_type'],
  ['excludeEventTypes others', { excludeEventTypes: ['policy'] }, anObservation(), undefined],
  ['includeEventTypes', { includeEventTypes: ['POLICY-VIOLATION'] }, anObservation(), undefined],
  ['includeEventTypes others', { includeEventTypes: ['pod-exec'] }, anObservation(), 'include_event_type'],
  [
    'both, exclude first',
    { includeEventTypes: ['x'], excludeEventTypes: ['policy-violation'] },
    anObservation(),
    'exclude_event_type',
  ],
  ['excludeNamespaces', { excludeNamespaces: ['shop'] }, anObservation(), 'exclude_namespace'],
  ['excludeNamespaces, a prefix', { excludeNamespaces: ['sho'] }, anObservation(), undefined],
  ['excludeNamespaces, cluster-scoped', { excludeNamespaces: ['shop', 'zen-system'] }, clusterScoped, undefined],
  ['includeNamespaces', { includeNamespaces: ['shop'] }, anObservation(), undefined],
  ['includeNamespaces others', { includeNamespaces: ['pay'] }, anObservation(), 'include_namespace'],
  ['includeNamespaces, cluster-scoped', { includeNamespaces: ['shop'] }, clusterScoped, 'include_namespace'],
  ['includeNamespaces empty', { includeNamespaces: [] }, anObservation(), undefined],
  ['excludeKinds', { excludeKinds: ['deployment'] }, anObservation(), 'exclude_kind'],
  ['ignoreKinds', { ignoreKinds: ['DEPLOYMENT'] }, anObservation(), 'exclude_kind'],
  ['both of these', { excludeKinds: ['Pod'], ignoreKinds: ['Deployment'] }, anObservation(), 'exclude_kind'],
  ['excludeKinds others', { excludeKinds: ['Pod'] }, anObservation(), undefined],
  ['excludeKinds, about nothing', { excludeKinds: ['Pod'] }, aboutNothing, undefined],
  ['includeKinds', { includeKinds: ['Deployment'] }, anObservation(), undefined],
  ['includeKinds others', { includeKinds: ['Pod'] }, anObservation(), 'include_kind'],
  ['includeKinds, about nothing', { includeKinds: ['Pod'] }, aboutNothing, 'include_kind'],
  ['excludeCategories', { excludeCategories: ['Security'] }, anObservation(), 'exclude_category'],
  ['excludeCategories others', { excludeCategories: ['compliance'] }, anObservation(), undefined],
  ['includeCategories', { includeCategories: ['security'] }, anObservation(), undefined],
  ['includeCategories others', { includeCategories: ['compliance'] }, anObservation(), 'include_category'],
  ['excludeRules by rule', { excludeRules: ['Check-Team'] }, anObservation(), 'exclude_rule'],
  ['excludeRules by policy', { excludeRules: ['require-labels'] }, anObservation(), 'exclude_rule'],
  [
    'excludeRules by what details say',
    { excludeRules: ['AVD-1'] },
    anObservation({ identity: {}, details: { checkID: 'avd-1' } }),
    'exclude_rule',
  ],
  ['excludeRules others', { excludeRules: ['check'] }, anObservation(), undefined],
];

describe('a filter', () => {
  it.each(table)('%s', (_case, spec, observation, reason) => {
    expect(ask([aFilter(spec)], observation)).toBe(reason);
  });

  it('has a case for every reason', () => {
    expect(new Set(table.map(([, , , reason]) => reason).filter((reason) => reason))).toEqual(new Set(filterReasons));
  });

  it('asks its fields in the order of the reasons', () => {
    const all = {
      ...{ minSeverity: 'CRITICAL', excludeEventTypes: ['policy-violation'], includeEventTypes: ['x'] },
      ...{ excludeNamespaces: ['shop'], includeNamespaces: ['x'], excludeKinds: ['Deployment'], includeKinds: ['x'] },
      ...{ excludeCategories: ['security'], includeCategories: ['x'], excludeRules: ['check-team'] },
    };
    const fields = Object.keys(all);
    const seen = fields.map((_field, index) => ask([aFilter(Object.fromEntries(Object.entries(all).slice(index)))]));
    expect(seen).toEqual(
      filterReasons.filter((reason) => reason !== 'source_disabled' && reason !== 'include_severity'),
    );
  });
});

describe('several filters', () => {
  it.each([
    ['of its source', 'kyverno', undefined, 'min_severity'],
    ['in another spelling', 'ky-verno', undefined, 'min_severity'],
    ['of another source', 'trivy', undefined, undefined],
  ])('ask about a finding %s', (_case, targetSource, _none, reason) => {
    expect(ask([aFilter({ targetSource, minSeverity: 'HIGH' })])).toBe(reason);
  });

  it('of a namespace decide about that namespace alone, those of the system namespace about all', () => {
    const local = aFilter({ minSeverity: 'HIGH' }, 'f', 'shop');
    expect([ask([local]), ask([local], anObservation(), 'kyverno', 'pay')]).toEqual(['min_severity', undefined]);
    expect(ask([aFilter({ minSeverity: 'HIGH' })], clusterScoped, 'kyverno', 'zen-system')).toBe('min_severity');
    expect(ask([local], clusterScoped, 'kyverno', 'zen-system')).toBeUndefined();
  });

  it('drop for the reason of the first, by namespace and name', () => {
    const a = aFilter({ minSeverity: 'HIGH' }, 'a');
    const b = aFilter({ excludeKinds: ['Deployment'] }, 'b');
    expect([ask([a, b]), ask([b, a])]).toEqual(['min_severity', 'min_severity']);
  });

  it.each<[string, object]>([
    ['a word that is no severity', { minSeverity: 'hgih' }],
    ['a field of a newer version', { onlyOnTuesdays: true }],
    ['a list that is none', { excludeKinds: 'Pod' }],
    ['a pattern for namespaces', { excludeNamespaces: ['kube-*'] }],
    ['enabled as text', { enabled: 'false' }],
  ])('stop their source where one has %s, and no other', (_case, spec) => {
    const filters = [aFilter(spec)];
    expect(() => ask(filters)).toThrow(expect.objectContaining({ status: 503 }));
    expect(ask(filters, anObservation(), 'trivy')).toBeUndefined();
  });

  it('stop every source where one does not say which it is for, but in its namespace alone', () => {
    const filters = [aFilter({ targetSource: 7 }, 'f', 'shop')];
    for (const source of ['kyverno', 'trivy']) expect(() => ask(filters, anObservation(), source)).toThrow();
    expect(ask(filters, anObservation(), 'trivy', 'pay')).toBeUndefined();
  });

  const words = fc.constantFrom(
    'security',
    'compliance',
    'policy-violation',
    'pod-exec',
    'shop',
    'pay',
    'pod',
    'deployment',
    'r1',
  );
  const list = fc.option(fc.uniqueArray(words, { maxLength: 3 }), { nil: undefined });
  const severity = fc.constantFrom(...severities, ...severities.map((word) => word.toLowerCase()));
  const spec = fc.record(
    {
      ...{ targetSource: fc.constantFrom('kyverno', 'kyver-no', 'trivy'), minSeverity: severity },
      includeSeverity: fc.uniqueArray(severity, { maxLength: 3 }),
      ...{ includeEventTypes: list, excludeEventTypes: list, includeNamespaces: list, excludeNamespaces: list },
      ...{
        includeKinds: list,
        excludeKinds: list,
        ignoreKinds: list,
        includeCategories: list,
        excludeCategories: list,
      },
      ...{ excludeRules: list, enabled: fc.boolean() },
    },
    { requiredKeys: ['targetSource'] },
  );
  const filters = fc
    .array(fc.tuple(spec, fc.constantFrom('zen-system', 'shop', 'pay')), { maxLength: 6 })
    .map((all) => all.map(([one, namespace], index) => aFilter(one, `f${index}`, namespace)));
  const observations = fc.record({
    ...{ severity: fc.constantFrom(...severities), category: words, eventType: words },
    resource: fc.option(fc.record({ kind: words, namespace: fc.option(words, { nil: undefined }), name: words }), {
      nil: undefined,
    }),
    identity: fc.dictionary(fc.constantFrom('rule', 'policy', 'other'), words),
  });
  const places = fc.constantFrom('shop', 'pay', 'zen-system');

  it('let nothing pass that one of them stops, whatever their order', () => {
    fc.assert(
      fc.property(filters, observations, places, fc.infiniteStream(fc.nat()), (all, fields, place, order) => {
        const observation = anObservation(fields);
        const together = ask(all, observation, 'kyverno', place);
        const alone = all.map((one) => ask([one], observation, 'kyverno', place));
        expect(together === undefined).toBe(alone.every((reason) => reason === undefined));
        expect(together).toBe(alone.find((reason) => reason !== undefined && reason === together));
        const shuffled = all.map((one) => ({ one, key: order.next().value })).sort((a, b) => a.key - b.key);
        expect(
          ask(
            shuffled.map(({ one }) => one),
            observation,
            'kyverno',
            place,
          ),
        ).toBe(together);
      }),
    );
  });

  it('a finding that passes without an include or a minimum passes with nothing else changed', () => {
    fc.assert(
      fc.property(observations, (fields) => {
        expect(compileRules({ enabled: true })(anObservation(fields))).toBeUndefined();
      }),
    );
  });
});
