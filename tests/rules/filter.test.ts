import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { filterObject, observationFilters } from '../../shared/api/observation-filter.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { severities } from '../../shared/finding/severity.ts';
import { type FilterReason, filterReasons } from '../../shared/function/filter.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { compileFilters, compileRules, isReadable } from '../../shared/rules/filter.ts';
import { allowAll } from '../pipeline/test-context.ts';

function aFinding(fields: Partial<Finding> = {}): Finding {
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

function ask(filters: readonly KubernetesObject[], observation = aFinding(), source = 'kyverno', namespace = 'shop') {
  return compileFilters(filters, 'zen-system')(source, observation, namespace);
}

const clusterScoped = aFinding({ resource: { kind: 'Namespace', name: 'shop' } });
const aboutNothing = aFinding({ resource: undefined });

/** Each reason, both sides of its edge. */
const table: [string, object, Finding, FilterReason | undefined][] = [
  ['no field', {}, aFinding(), undefined],
  ['disabled', { enabled: false }, aFinding(), 'source_disabled'],
  ['enabled', { enabled: true }, aFinding(), undefined],
  ['minSeverity below', { minSeverity: 'LOW' }, aFinding(), undefined],
  ['minSeverity at', { minSeverity: 'medium' }, aFinding(), undefined],
  ['minSeverity above', { minSeverity: 'High' }, aFinding(), 'min_severity'],
  ['minSeverity, unknown', { minSeverity: 'LOW' }, aFinding({ severity: 'UNKNOWN' }), 'min_severity'],
  ['minSeverity UNKNOWN', { minSeverity: 'UNKNOWN' }, aFinding({ severity: 'UNKNOWN' }), undefined],
  ['minSeverity CRITICAL', { minSeverity: 'CRITICAL' }, aFinding({ severity: 'CRITICAL' }), undefined],
  ['includeSeverity with it', { includeSeverity: ['low', 'Medium'] }, aFinding(), undefined],
  ['includeSeverity without', { includeSeverity: ['LOW'] }, aFinding(), 'include_severity'],
  ['includeSeverity wins', { includeSeverity: ['MEDIUM'], minSeverity: 'CRITICAL' }, aFinding(), undefined],
  ['includeSeverity wins, too', { includeSeverity: ['CRITICAL'], minSeverity: 'LOW' }, aFinding(), 'include_severity'],
  ['includeSeverity empty', { includeSeverity: [], minSeverity: 'HIGH' }, aFinding(), 'min_severity'],
  ['excludeEventTypes', { excludeEventTypes: ['Policy-Violation'] }, aFinding(), 'exclude_event_type'],
  ['excludeEventTypes others', { excludeEventTypes: ['policy'] }, aFinding(), undefined],
  ['includeEventTypes', { includeEventTypes: ['POLICY-VIOLATION'] }, aFinding(), undefined],
  ['includeEventTypes others', { includeEventTypes: ['pod-exec'] }, aFinding(), 'include_event_type'],
  [
    'both, exclude first',
    { includeEventTypes: ['x'], excludeEventTypes: ['policy-violation'] },
    aFinding(),
    'exclude_event_type',
  ],
  ['excludeNamespaces', { excludeNamespaces: ['shop'] }, aFinding(), 'exclude_namespace'],
  ['excludeNamespaces, a prefix', { excludeNamespaces: ['sho'] }, aFinding(), undefined],
  ['excludeNamespaces, cluster-scoped', { excludeNamespaces: ['shop', 'zen-system'] }, clusterScoped, undefined],
  ['includeNamespaces', { includeNamespaces: ['shop'] }, aFinding(), undefined],
  ['includeNamespaces others', { includeNamespaces: ['pay'] }, aFinding(), 'include_namespace'],
  ['includeNamespaces, cluster-scoped', { includeNamespaces: ['shop'] }, clusterScoped, 'include_namespace'],
  ['includeNamespaces empty', { includeNamespaces: [] }, aFinding(), undefined],
  ['excludeKinds', { excludeKinds: ['deployment'] }, aFinding(), 'exclude_kind'],
  ['ignoreKinds', { ignoreKinds: ['DEPLOYMENT'] }, aFinding(), 'exclude_kind'],
  ['both of these', { excludeKinds: ['Pod'], ignoreKinds: ['Deployment'] }, aFinding(), 'exclude_kind'],
  ['excludeKinds others', { excludeKinds: ['Pod'] }, aFinding(), undefined],
  ['excludeKinds, about nothing', { excludeKinds: ['Pod'] }, aboutNothing, undefined],
  ['includeKinds', { includeKinds: ['Deployment'] }, aFinding(), undefined],
  ['includeKinds others', { includeKinds: ['Pod'] }, aFinding(), 'include_kind'],
  ['includeKinds, about nothing', { includeKinds: ['Pod'] }, aboutNothing, 'include_kind'],
  ['excludeCategories', { excludeCategories: ['Security'] }, aFinding(), 'exclude_category'],
  ['excludeCategories others', { excludeCategories: ['compliance'] }, aFinding(), undefined],
  ['includeCategories', { includeCategories: ['security'] }, aFinding(), undefined],
  ['includeCategories others', { includeCategories: ['compliance'] }, aFinding(), 'include_category'],
  ['excludeRules by rule', { excludeRules: ['Check-Team'] }, aFinding(), 'exclude_rule'],
  ['excludeRules by policy', { excludeRules: ['require-labels'] }, aFinding(), 'exclude_rule'],
  [
    'excludeRules by what details say',
    { excludeRules: ['AVD-1'] },
    aFinding({ identity: {}, details: { checkID: 'avd-1' } }),
    'exclude_rule',
  ],
  ['excludeRules others', { excludeRules: ['check'] }, aFinding(), undefined],
  [
    'one field that lets it pass, one that does not',
    { minSeverity: 'LOW', excludeKinds: ['Deployment'] },
    aFinding(),
    'exclude_kind',
  ],
  ['excludeRules empty', { excludeRules: [] }, aFinding(), undefined],
  [
    'excludeRules, where what details say is no text',
    { excludeRules: ['7'] },
    aFinding({ identity: {}, details: { rule: 7, policy: null } }),
    undefined,
  ],
  ['ignoreKinds, about nothing', { ignoreKinds: ['Pod'] }, aboutNothing, undefined],
  ['includeKinds empty', { includeKinds: [] }, aboutNothing, undefined],
  ['excludeNamespaces, about nothing', { excludeNamespaces: ['shop'] }, aboutNothing, undefined],
  ['includeNamespaces, about nothing', { includeNamespaces: ['shop'] }, aboutNothing, 'include_namespace'],
  ...severities.flatMap((minSeverity, least): typeof table =>
    severities.map((severity, given) => [
      `minSeverity ${minSeverity} of ${severity}`,
      { minSeverity },
      aFinding({ severity }),
      given <= least ? undefined : 'min_severity',
    ]),
  ),
];

describe('a filter', () => {
  it.each(table)('%s', (_case, spec, observation, reason) => {
    expect(ask([aFilter(spec)], observation)).toBe(reason);
  });

  it.each(['rule', 'ruleID', 'policy', 'checkID', 'checkId', 'testNumber', 'vulnerabilityID', 'control'])(
    'knows a rule by what a tool calls %s, in the identity and in the details',
    (key) => {
      const filters = [aFilter({ excludeRules: ['the-rule'] })];
      expect(ask(filters, aFinding({ identity: { [key]: 'The-Rule' } }))).toBe('exclude_rule');
      expect(ask(filters, aFinding({ identity: {}, details: { [key]: 'The-Rule' } }))).toBe('exclude_rule');
    },
  );

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

  it.each(['kube-bench', 'kubebench', 'Kube-Bench', 'k-u-b-e-bench'])('ask about a finding of %s', (source) => {
    const filters = ['kube-bench', 'kubebench'].map((targetSource) => [aFilter({ targetSource, enabled: false })]);
    for (const one of filters) expect(ask(one, aFinding(), source)).toBe('source_disabled');
  });

  it('of a namespace decide about that namespace alone, those of the system namespace about all', () => {
    const local = aFilter({ minSeverity: 'HIGH' }, 'f', 'shop');
    expect([ask([local]), ask([local], aFinding(), 'kyverno', 'pay')]).toEqual(['min_severity', undefined]);
    expect(ask([aFilter({ minSeverity: 'HIGH' })], clusterScoped, 'kyverno', 'zen-system')).toBe('min_severity');
    expect(ask([local], clusterScoped, 'kyverno', 'zen-system')).toBeUndefined();
  });

  it('drop for the reason of the first, by namespace and name', () => {
    const a = aFilter({ minSeverity: 'HIGH' }, 'a');
    const b = aFilter({ excludeKinds: ['Deployment'] }, 'b');
    expect([ask([a, b]), ask([b, a])]).toEqual(['min_severity', 'min_severity']);
    const local = aFilter({ excludeCategories: ['security'] }, 'z', 'shop');
    for (const all of [
      [a, b, local],
      [local, b, a],
      [b, local, a],
    ]) {
      expect(ask(all)).toBe('exclude_category');
    }
  });

  it('ask the next one where one lets a finding pass', () => {
    const passes = aFilter({ minSeverity: 'LOW' }, 'a');
    expect(ask([passes, aFilter({ excludeKinds: ['Deployment'] }, 'b')])).toBe('exclude_kind');
  });

  it.each<[string, object]>([
    ['a word that is no severity', { minSeverity: 'hgih' }],
    ['a field of a newer version', { onlyOnTuesdays: true }],
    ['a list that is none', { excludeKinds: 'Pod' }],
    ['a pattern for namespaces', { excludeNamespaces: ['kube-*'] }],
    ['enabled as text', { enabled: 'false' }],
  ])('stop their source where one has %s, and no other', (_case, spec) => {
    const filters = [aFilter(spec)];
    const message = expect.stringContaining('ObservationFilter');
    const refusal = { status: 503, message, retryAfter: 5, cause: 'zen-system/f' };
    expect(() => ask(filters)).toThrow(expect.objectContaining(refusal));
    expect(ask(filters, aFinding(), 'trivy')).toBeUndefined();
  });

  it('stop every source where one does not say which it is for, but in its namespace alone', () => {
    const filters = [aFilter({ targetSource: 7 }, 'f', 'shop')];
    for (const source of ['kyverno', 'trivy']) expect(() => ask(filters, aFinding(), source)).toThrow();
    expect(ask(filters, aFinding(), 'trivy', 'pay')).toBeUndefined();
  });

  it.each<[string, object]>([
    ['nothing', {}],
    ['null', { spec: null }],
    ['no source', { spec: { minSeverity: 'LOW' } }],
    ['a source that can have no name', { spec: { targetSource: 'Kyverno!' } }],
  ])('stop every source where one says %s, those that have filters of their own, too', (_case, given) => {
    const { apiVersion, kind, metadata } = aFilter({});
    const filters = [{ apiVersion, kind, metadata, ...given }, aFilter({ minSeverity: 'LOW' }, 'own')];
    for (const source of ['kyverno', 'trivy', 'falco']) {
      expect(() => ask(filters, aFinding(), source)).toThrow(expect.objectContaining({ status: 503 }));
    }
  });

  it('stop their source everywhere where one lies in no namespace', () => {
    const filter = aFilter({ minSeverity: 'LOW' });
    const filters = [{ ...filter, metadata: { name: 'f' } }];
    for (const namespace of ['shop', 'zen-system']) {
      expect(() => ask(filters, aFinding(), 'kyverno', namespace)).toThrow();
    }
    expect(ask(filters, aFinding(), 'trivy')).toBeUndefined();
  });

  it('may be none at all', () => {
    expect(ask([])).toBeUndefined();
    expect(allowAll('kyverno', aFinding(), 'shop')).toBeUndefined();
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
        const observation = aFinding(fields);
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
        expect(compileRules({ enabled: true })(aFinding(fields))).toBeUndefined();
      }),
    );
  });
});

const text = z.object({
  type: z.literal('string'),
  maxLength: z.number(),
  minLength: z.number(),
  pattern: z.string().optional(),
});
const crd = z
  .object({
    spec: z.object({
      group: z.string(),
      scope: z.string(),
      names: z.object({ kind: z.string(), plural: z.string() }),
      versions: z.array(
        z.object({
          name: z.string(),
          schema: z.object({
            openAPIV3Schema: z.object({
              properties: z.object({
                spec: z.object({
                  properties: z.record(
                    z.string(),
                    z.union([
                      text,
                      z.object({ type: z.literal('array'), maxItems: z.number(), items: text }),
                      z.object({ type: z.literal('boolean') }),
                    ]),
                  ),
                }),
              }),
            }),
          }),
        }),
      ),
    }),
  })
  .parse(parse(readFileSync(join(import.meta.dirname, '..', '..', 'crds', 'observationfilters.yaml'), 'utf8'))).spec;

describe('the CRD of filters', () => {
  it('is of the kind that is watched', () => {
    expect(observationFilters).toEqual({
      group: crd.group,
      versions: crd.versions.map(({ name }) => name),
      kind: crd.names.kind,
      plural: crd.names.plural,
      namespaced: crd.scope === 'Namespaced',
    });
  });

  const fields = Object.entries(crd.versions[0]?.schema.openAPIV3Schema.properties.spec.properties ?? {});
  const takes = (field: string, value: unknown): boolean => isReadable(aFilter({ [field]: value }));
  const isSeverity = ({ pattern = '' }: z.infer<typeof text>): boolean => pattern.includes('critical');
  const wordFor = (bounds: z.infer<typeof text>, length: number): string =>
    isSeverity(bounds) ? 'CRITICAL' : 'x'.repeat(length);

  const texts = fields.flatMap(([field, schema]): [string, z.infer<typeof text>, (word: unknown) => boolean][] => {
    if (schema.type === 'string') return [[field, schema, (word) => takes(field, word)]];
    return schema.type === 'array' ? [[field, schema.items, (word) => takes(field, [word])]] : [];
  });

  it('has a text or a list for each field but one', () => {
    expect(texts.length).toBe(fields.length - 1);
    expect(fields.map(([field]) => field).sort()).toEqual(Object.keys(filterObject.shape.spec.shape).sort());
  });

  it.each(texts)('and its reader agree how long a word in %s may be', (_field, bounds, takesWord) => {
    expect(takesWord(wordFor(bounds, bounds.maxLength))).toBe(true);
    expect(takesWord('x'.repeat(bounds.maxLength + 1))).toBe(false);
    expect(takesWord(wordFor(bounds, bounds.minLength))).toBe(true);
    expect(takesWord('')).toBe(false);
    expect(takesWord(7)).toBe(false);
  });

  it.each(texts.filter(([, bounds]) => bounds.pattern !== undefined))(
    'and its reader agree what a word in %s may look like',
    (_field, { pattern = '' }, takesWord) => {
      const expression = new RegExp(pattern.replace('(?i)', ''), pattern.startsWith('(?i)') ? 'i' : '');
      const words = ['a', 'ab', 'a-b', 'a--b', '0', 'a1b', '-a', 'a-', 'A', 'aB', 'a b', 'a.b', 'a*', '*a', '', '-'];
      for (const word of [...words, ...severities, 'low', 'Low', 'xlow', 'lowx']) {
        expect(`${word}: ${takesWord(word)}`).toBe(`${word}: ${expression.test(word)}`);
      }
    },
  );

  it.each(fields.filter(([, { type }]) => type === 'array'))(
    'and its reader agree how long %s may be',
    (field, schema) => {
      const { maxItems, items } = z.object({ maxItems: z.number(), items: text }).parse(schema);
      const some = Array.from({ length: maxItems + 1 }, (_, index) =>
        isSeverity(items) ? severities[index % severities.length] : `w${index}`,
      );
      expect(takes(field, some.slice(1))).toBe(true);
      expect(takes(field, some)).toBe(false);
      expect(takes(field, some[0])).toBe(false);
    },
  );
});
