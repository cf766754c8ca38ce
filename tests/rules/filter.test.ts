import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import {
  type FilterRules,
  filterObject,
  filterRules,
  filterSpec,
  observationFilters,
} from '../../shared/api/observation-filter.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { severities } from '../../shared/finding/severity.ts';
import { type Filtering, type FilterReason, filterReasons } from '../../shared/function/filter.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { compileFilters, compileRules } from '../../shared/rules/filter.ts';
import { expectNone } from '../facts/faults.ts';
import { allowAll } from '../pipeline/test-context.ts';

function aFinding(fields: Partial<Finding> = {}): Finding {
  return {
    category: 'security',
    severity: 'MEDIUM',
    eventType: 'policy-violation',
    rule: 'require-labels/check-team',
    summary: 'the label team is required',
    details: {},
    detectedAt: '2026-03-01T10:00:00Z',
    resource: { kind: 'Deployment', namespace: 'shop', name: 'web' },
    identity: { policy: 'require-labels', rule: 'check-team' },
    ...fields,
  };
}

function aFilter(spec: object, name = 'f', namespace = 'zen-system'): KubernetesObject {
  const object = { apiVersion: 'zen.kube-zen.io/v1alpha1', kind: 'ObservationFilter', metadata: { name, namespace } };
  return { ...object, spec: { targetSource: 'kyverno', ...spec } } as KubernetesObject;
}

const settings = { SYSTEM_NAMESPACE: 'zen-system', TENANTS_FILTER_EVENTS: false };

function decide(filters: readonly KubernetesObject[], finding = aFinding(), source = 'kyverno', namespace = 'shop') {
  return reasonIn(compileFilters(filters, settings)(finding, { source, namespace, hasState: true }));
}

/** What the filter of an Ingester does with a finding. */
function ask(rules: FilterRules, finding: Finding): Filtering {
  const check = compileRules(rules);
  if (typeof check === 'object') throw new Error(check.message);
  return check(finding, 'kyverno', () => undefined);
}

/** The reason to drop a finding; `undefined` if it is kept. */
function reasonIn(filtering: Filtering): FilterReason | undefined {
  return typeof filtering === 'string' ? filtering : undefined;
}

const clusterScoped = aFinding({ resource: { kind: 'Namespace', name: 'shop' } });
const unknown = aFinding({ severity: 'UNKNOWN' });
const withoutResource = aFinding({ resource: undefined });

/** Every reason, with cases on both sides of its boundary. */
const table: [string, object, Finding, FilterReason | undefined][] = [
  ['no field', {}, aFinding(), undefined],
  ['disabled', { enabled: false }, aFinding(), 'source_disabled'],
  ['enabled', { enabled: true }, aFinding(), undefined],
  ['minSeverity below', { minSeverity: 'LOW' }, aFinding(), undefined],
  ['minSeverity at', { minSeverity: 'medium' }, aFinding(), undefined],
  ['minSeverity above', { minSeverity: 'High' }, aFinding(), 'min_severity'],
  ['minSeverity, unknown', { minSeverity: 'LOW' }, aFinding({ severity: 'UNKNOWN' }), undefined],
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
    'include and exclude, exclude first',
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
  ['excludeKinds and ignoreKinds', { excludeKinds: ['Pod'], ignoreKinds: ['Deployment'] }, aFinding(), 'exclude_kind'],
  ['excludeKinds others', { excludeKinds: ['Pod'] }, aFinding(), undefined],
  ['excludeKinds, no resource', { excludeKinds: ['Pod'] }, withoutResource, undefined],
  ['includeKinds', { includeKinds: ['Deployment'] }, aFinding(), undefined],
  ['includeKinds others', { includeKinds: ['Pod'] }, aFinding(), 'include_kind'],
  ['includeKinds, no resource', { includeKinds: ['Pod'] }, withoutResource, 'include_kind'],
  ['excludeCategories', { excludeCategories: ['Security'] }, aFinding(), 'exclude_category'],
  ['excludeCategories others', { excludeCategories: ['compliance'] }, aFinding(), undefined],
  ['includeCategories', { includeCategories: ['security'] }, aFinding(), undefined],
  ['includeCategories others', { includeCategories: ['compliance'] }, aFinding(), 'include_category'],
  ['excludeRules by rule', { excludeRules: ['cve-1'] }, aFinding({ rule: 'CVE-1', identity: {} }), 'exclude_rule'],
  ['excludeRules by a rule of a policy', { excludeRules: ['Check-Team'] }, aFinding(), 'exclude_rule'],
  ['excludeRules by policy', { excludeRules: ['require-labels'] }, aFinding(), 'exclude_rule'],
  ['excludeRules by the whole rule', { excludeRules: ['Require-Labels/Check-Team'] }, aFinding(), 'exclude_rule'],
  [
    'excludeRules, a rule without a policy',
    { excludeRules: ['ksv-0014'] },
    aFinding({ rule: 'KSV-0014' }),
    'exclude_rule',
  ],
  ['excludeRules, a rule that begins alike', { excludeRules: ['ksv-001'] }, aFinding({ rule: 'KSV-0014' }), undefined],
  [
    'excludeRules, a rule of a policy without a name',
    { excludeRules: ['check-team'] },
    aFinding({ rule: '/check-team' }),
    'exclude_rule',
  ],
  ['excludeRules, letters beyond ASCII', { excludeRules: ['\u212A'] }, aFinding({ rule: 'k' }), undefined],
  ['excludeRules others', { excludeRules: ['check'] }, aFinding(), undefined],
  [
    'one field that lets it pass, another that does not',
    { minSeverity: 'LOW', excludeKinds: ['Deployment'] },
    aFinding(),
    'exclude_kind',
  ],
  ['excludeRules empty', { excludeRules: [] }, aFinding(), undefined],
  [
    'excludeRules, what details and identity say',
    { excludeRules: ['avd-1'] },
    aFinding({ identity: { rule: 'avd-1' }, details: { rule: 'avd-1', policy: 'avd-1' } }),
    undefined,
  ],
  ['ignoreKinds, no resource', { ignoreKinds: ['Pod'] }, withoutResource, undefined],
  ['includeKinds empty', { includeKinds: [] }, withoutResource, undefined],
  ['excludeNamespaces, no resource', { excludeNamespaces: ['shop'] }, withoutResource, undefined],
  ['includeNamespaces, no resource', { includeNamespaces: ['shop'] }, withoutResource, 'include_namespace'],
  ['excludeNamespaces, a pattern', { excludeNamespaces: ['pay', 'sh*'] }, aFinding(), 'exclude_namespace'],
  ['excludeNamespaces, another pattern', { excludeNamespaces: ['*-shop'] }, aFinding(), undefined],
  ['includeNamespaces, a pattern', { includeNamespaces: ['s*p'] }, aFinding(), undefined],
  ['includeNamespaces, any, cluster-scoped', { includeNamespaces: ['*'] }, clusterScoped, 'include_namespace'],
  ['excludeRules, a pattern', { excludeRules: ['REQUIRE-*'] }, aFinding(), 'exclude_rule'],
  ['excludeRules, another pattern', { excludeRules: ['*-labels'] }, aFinding({ rule: 'labels' }), undefined],
  ['unknownSeverity', { minSeverity: 'LOW', unknownSeverity: 'low' }, unknown, undefined],
  ['unknownSeverity below', { minSeverity: 'MEDIUM', unknownSeverity: 'low' }, unknown, 'min_severity'],
  ['unknownSeverity of a known one', { minSeverity: 'MEDIUM', unknownSeverity: 'low' }, aFinding(), undefined],
  ['unknownSeverity UNKNOWN', { minSeverity: 'CRITICAL', unknownSeverity: 'unknown' }, unknown, undefined],
  ['unknownSeverity included', { includeSeverity: ['HIGH'], unknownSeverity: 'HIGH' }, unknown, undefined],
  [
    'unknownSeverity not included',
    { includeSeverity: ['UNKNOWN'], unknownSeverity: 'HIGH' },
    unknown,
    'include_severity',
  ],
  ['unknownSeverity alone', { unknownSeverity: 'low' }, unknown, undefined],
  ['setSeverity to less', { setSeverity: [{ severity: 'low' }], minSeverity: 'MEDIUM' }, aFinding(), 'min_severity'],
  ['setSeverity to more', { setSeverity: [{ severity: 'HIGH' }], minSeverity: 'HIGH' }, aFinding(), undefined],
  ['setSeverity of UNKNOWN', { setSeverity: [{ severity: 'LOW' }], minSeverity: 'HIGH' }, unknown, 'min_severity'],
  ['expression that holds', { expression: 'severity == "MEDIUM" && source == "kyverno"' }, aFinding(), undefined],
  ["expression that doesn't", { expression: 'resource.kind in ["Pod", "Job"]' }, aFinding(), 'expression'],
  ["expression that can't be answered", { expression: 'details.nothing == 1' }, aFinding(), undefined],
  [
    'expression about the severity that it has here',
    { setSeverity: [{ severity: 'LOW' }], expression: 'severity == "MEDIUM"' },
    aFinding(),
    'expression',
  ],
  ...severities.flatMap((minSeverity, least): typeof table =>
    severities.map((severity, given) => [
      `minSeverity ${minSeverity} of ${severity}`,
      { minSeverity },
      aFinding({ severity }),
      given <= least || severity === 'UNKNOWN' ? undefined : 'min_severity',
    ]),
  ),
];

describe('a filter', () => {
  it.each(table)('%s', (_case, spec, finding, reason) => {
    expect(decide([aFilter(spec)], finding)).toBe(reason);
  });

  it('has a case for every reason', () => {
    expect(new Set(table.map(([, , , reason]) => reason).filter((reason) => reason))).toEqual(new Set(filterReasons));
  });

  it('has a case for every field', () => {
    const fields = new Set(table.flatMap(([, spec]) => Object.keys(spec)));
    const without = Object.keys(filterRules.shape).filter((field) => !fields.has(field));
    expectNone(without.map((field) => `tests/rules/filter.test.ts has no case for ${field}`));
  });

  it('checks its fields in the order of the reasons', () => {
    const all = {
      minSeverity: 'CRITICAL',
      excludeEventTypes: ['policy-violation'],
      includeEventTypes: ['x'],
      excludeNamespaces: ['shop'],
      includeNamespaces: ['x'],
      excludeKinds: ['Deployment'],
      includeKinds: ['x'],
      excludeCategories: ['security'],
      includeCategories: ['x'],
      excludeRules: ['check-team'],
      expression: 'false',
    };
    const fields = Object.keys(all);
    const seen = fields.map((_field, index) => decide([aFilter(Object.fromEntries(Object.entries(all).slice(index)))]));
    expect(seen).toEqual(
      filterReasons.filter((reason) => reason !== 'source_disabled' && reason !== 'include_severity'),
    );
  });
});

describe('setSeverity', () => {
  type Entries = { readonly rules?: readonly string[]; readonly expression?: string; readonly severity: string }[];

  function grade(filters: readonly KubernetesObject[], finding = aFinding(), namespace = 'shop') {
    return compileFilters(filters, settings)(finding, { source: 'kyverno', namespace, hasState: true });
  }

  it('tells of an expression that can not be answered, by its field', () => {
    const told: string[] = [];
    const filter = aFilter({
      setSeverity: [{ severity: 'LOW' }, { expression: 'details.nothing == 1', severity: 'HIGH' }],
    });
    const expressions = aFilter({ setSeverity: [{ expression: 'details.nothing == 1', severity: 'HIGH' }] }, 'other');
    const check = compileFilters([filter, expressions], settings, (_object, message) => told.push(message));
    check(aFinding(), { source: 'kyverno', namespace: 'shop', hasState: true });
    expect(told).toEqual([expect.stringMatching(/^spec\.setSeverity\[0\]\.expression: /)]);
    const keeping = aFilter({ expression: 'details.nothing == 1' });
    const later = compileFilters([keeping], settings, (_object, message) => told.push(message));
    expect(later(aFinding(), { source: 'kyverno', namespace: 'shop', hasState: true })).toEqual(aFinding());
    expect(told.slice(1)).toEqual([expect.stringMatching(/^spec\.expression: /)]);
  });

  it('says what is wrong with an expression of an Ingester', () => {
    expect(compileRules({ expression: 'severity ==', enabled: true })).toMatchObject({
      field: 'expression',
      message: expect.any(String),
    });
    expect(compileRules({ setSeverity: [{ expression: 'nothing', severity: 'LOW' }], enabled: true })).toMatchObject({
      field: 'setSeverity[0].expression',
      message: expect.any(String),
    });
  });

  it.each<[string, Entries, string]>([
    ['of a rule', [{ rules: ['Require-Labels/Check-Team'], severity: 'low' }], 'LOW'],
    ['of a policy', [{ rules: ['require-labels'], severity: 'HIGH' }], 'HIGH'],
    ['of rules by a pattern', [{ rules: ['x', 'require-*'], severity: 'HIGH' }], 'HIGH'],
    ['of other rules', [{ rules: ['require'], severity: 'HIGH' }], 'MEDIUM'],
    ['of all', [{ severity: 'critical' }], 'CRITICAL'],
    ['of all, by an empty list', [{ rules: [], severity: 'HIGH' }], 'HIGH'],
    [
      'of the first that fits',
      [{ rules: ['x'], severity: 'CRITICAL' }, { severity: 'LOW' }, { severity: 'HIGH' }],
      'LOW',
    ],
    ['of none', [], 'MEDIUM'],
    ['where an expression holds', [{ expression: 'severity == "MEDIUM"', severity: 'HIGH' }], 'HIGH'],
    ['not where it does not', [{ expression: 'severity == "LOW"', severity: 'HIGH' }], 'MEDIUM'],
    ['not where it can not be answered', [{ expression: 'details.nothing == 1', severity: 'HIGH' }], 'MEDIUM'],
  ])('sets the severity %s', (_case, setSeverity, severity) => {
    expect(grade([aFilter({ setSeverity })])).toMatchObject({ severity });
  });

  it('keeps what the tool said in the details, and changes nothing else', () => {
    const finding = aFinding({ details: { message: 'no team' } });
    expect(grade([aFilter({ setSeverity: [{ severity: 'LOW' }] })], finding)).toEqual({
      ...finding,
      severity: 'LOW',
      details: { message: 'no team', reportedSeverity: 'MEDIUM' },
    });
    expect(grade([aFilter({ setSeverity: [{ severity: 'MEDIUM' }] })], finding)).toEqual(finding);
  });

  it('of several filters gives the worst, and that is what all of them judge', () => {
    const filters = ['LOW', 'HIGH', 'MEDIUM'].map((severity) => aFilter({ setSeverity: [{ severity }] }, severity));
    expect(grade(filters)).toMatchObject({ severity: 'HIGH' });
    expect(grade([...filters, aFilter({ minSeverity: 'HIGH' }, 'a')])).toMatchObject({ severity: 'HIGH' });
    expect(grade([...filters, aFilter({ minSeverity: 'CRITICAL' }, 'z')])).toBe('min_severity');
  });

  it('of a tenant sets the severity in its namespace, and of no events', () => {
    const filter = aFilter({ setSeverity: [{ severity: 'LOW' }] }, 'f', 'shop');
    expect(grade([filter])).toMatchObject({ severity: 'LOW' });
    expect(grade([filter], aFinding(), 'pay')).toMatchObject({ severity: 'MEDIUM' });
    const about = { source: 'kyverno', namespace: 'shop', hasState: false };
    expect(compileFilters([filter], settings)(aFinding(), about)).toMatchObject({ severity: 'MEDIUM' });
  });

  it('of a filter that has disabled its source sets nothing', () => {
    const filters = [aFilter({ setSeverity: [{ severity: 'LOW' }], enabled: false })];
    expect(grade(filters)).toBe('source_disabled');
  });

  it('in an Ingester sets the severity, too', () => {
    const rules = filterRules.parse({ setSeverity: [{ severity: 'low' }] });
    expect(ask(rules, aFinding())).toMatchObject({ severity: 'LOW', details: { reportedSeverity: 'MEDIUM' } });
  });
});

describe('filterSpec', () => {
  const whole = [...Array.from({ length: 129 }, () => 'x'.repeat(253)), 'x'.repeat(131)];
  const lists = { excludeRules: whole, minSeverity: 'LOW', enabled: true };

  it('takes 32,768 characters in all lists of a filter together', () => {
    expect(filterSpec.safeParse({ targetSource: 'kyverno', ...lists }).success).toBe(true);
    expect(filterRules.safeParse(lists).success).toBe(true);
  });

  it.each<[string, object, string]>([
    ['one more', { ...lists, includeKinds: ['x'] }, 'the lists have more than 32768 characters'],
    ['a severity that is none', { minSeverity: 'hgih' }, 'must be critical, high, medium, low or unknown'],
    ['a severity with more behind it', { minSeverity: 'highest' }, 'must be critical, high, medium, low or unknown'],
    ['a severity with more before it', { minSeverity: 'very-high' }, 'must be critical, high, medium, low or unknown'],
    [
      'a source that is none',
      { targetSource: 'Kyverno!' },
      'must be the name of a source: lower-case letters, digits and hyphens',
    ],
    [
      'an impossible pattern for namespaces',
      { excludeNamespaces: ['kube-?'] },
      'must be the name of a namespace, in which * stands for any text',
    ],
    [
      'a severity to set that is none',
      { setSeverity: [{ severity: 'x' }] },
      'must be critical, high, medium, low or unknown',
    ],
    [
      'one more in the rules whose severity is set',
      { ...lists, setSeverity: [{ rules: ['x'], severity: 'LOW' }] },
      'the lists have more than 32768 characters',
    ],
  ])('refuses %s, and says why', (_case, given, message) => {
    const { error } = filterSpec.safeParse({ targetSource: 'kyverno', ...given });
    expect(error?.issues.map((issue) => issue.message)).toEqual([message]);
    if (!('targetSource' in given)) expect(filterRules.safeParse(given).error?.issues[0]?.message).toBe(message);
  });
});

describe('several filters', () => {
  it.each([
    ['if they are for its source', 'kyverno', undefined, 'min_severity'],
    ['if they spell its source differently', 'ky-verno', undefined, 'min_severity'],
    ['but not if they are for another source', 'trivy', undefined, undefined],
  ])('decide about a finding, %s', (_case, targetSource, _none, reason) => {
    expect(decide([aFilter({ targetSource, minSeverity: 'HIGH' })])).toBe(reason);
  });

  it.each(['kube-bench', 'kubebench', 'Kube-Bench', 'k-u-b-e-bench'])(
    'decide about a finding of %s, however it is spelt',
    (source) => {
      const filters = ['kube-bench', 'kubebench'].map((targetSource) => [aFilter({ targetSource, enabled: false })]);
      for (const one of filters) expect(decide(one, aFinding(), source)).toBe('source_disabled');
    },
  );

  it('apply to their own namespace only, or to all if they are in the system namespace', () => {
    const local = aFilter({ minSeverity: 'HIGH' }, 'f', 'shop');
    expect([decide([local]), decide([local], aFinding(), 'kyverno', 'pay')]).toEqual(['min_severity', undefined]);
    expect(decide([aFilter({ minSeverity: 'HIGH' })], clusterScoped, 'kyverno', 'zen-system')).toBe('min_severity');
    expect(decide([local], clusterScoped, 'kyverno', 'zen-system')).toBeUndefined();
  });

  it.each([
    ['zen-system', false, 'min_severity'],
    ['shop', false, undefined],
    ['shop', true, 'min_severity'],
  ])('in %s apply to events, with TENANTS_FILTER_EVENTS=%s: %s', (namespace, allowed, reason) => {
    const filter = compileFilters([aFilter({ minSeverity: 'HIGH' }, 'f', namespace)], {
      ...settings,
      TENANTS_FILTER_EVENTS: allowed,
    });
    expect(reasonIn(filter(aFinding(), { source: 'kyverno', namespace: 'shop', hasState: false }))).toBe(reason);
  });

  it('of a tenant that can not be read hold no events', () => {
    const filter = compileFilters([aFilter({ minSeverity: 'hgih' }, 'f', 'shop')], settings);
    const about = { source: 'kyverno', namespace: 'shop' };
    expect(filter(aFinding(), { ...about, hasState: false })).toEqual(aFinding());
    expect(() => filter(aFinding(), { ...about, hasState: true })).toThrow(
      expect.objectContaining({ status: 503, cause: 'shop/f', isTenants: true }),
    );
  });

  it('drop a finding for the reason of the first one by namespace and name', () => {
    const a = aFilter({ minSeverity: 'HIGH' }, 'a');
    const b = aFilter({ excludeKinds: ['Deployment'] }, 'b');
    expect([decide([a, b]), decide([b, a])]).toEqual(['min_severity', 'min_severity']);
    const local = aFilter({ excludeCategories: ['security'] }, 'z', 'shop');
    for (const all of [
      [a, b, local],
      [local, b, a],
      [b, local, a],
    ]) {
      expect(decide(all)).toBe('exclude_category');
    }
  });

  it('leave a finding that the first one lets pass to the next one', () => {
    const passes = aFilter({ minSeverity: 'LOW' }, 'a');
    expect(decide([passes, aFilter({ excludeKinds: ['Deployment'] }, 'b')])).toBe('exclude_kind');
  });

  it.each<[string, object]>([
    ['a word that is not a severity', { minSeverity: 'hgih' }],
    ['a field of a newer version', { onlyOnTuesdays: true }],
    ['text instead of a list', { excludeKinds: 'Pod' }],
    ['an impossible pattern for namespaces', { excludeNamespaces: ['kube-?'] }],
    ['text for enabled', { enabled: 'false' }],
  ])('stop their source, and no other, if one of them has %s', (_case, spec) => {
    const filters = [aFilter(spec)];
    const message = expect.stringContaining('ObservationFilter');
    const refusal = { status: 503, message, retryAfter: 5, cause: 'zen-system/f', isTenants: false };
    expect(() => decide(filters)).toThrow(expect.objectContaining(refusal));
    expect(decide(filters, aFinding(), 'trivy')).toBeUndefined();
  });

  it('stop every source in its namespace if one of them does not say which source it is for', () => {
    const filters = [aFilter({ targetSource: 7 }, 'f', 'shop')];
    for (const source of ['kyverno', 'trivy']) expect(() => decide(filters, aFinding(), source)).toThrow();
    expect(decide(filters, aFinding(), 'trivy', 'pay')).toBeUndefined();
  });

  it.each<[string, object]>([
    ['no spec', {}],
    ['a spec that is null', { spec: null }],
    ['no source', { spec: { minSeverity: 'LOW' } }],
    ['an impossible name of a source', { spec: { targetSource: 'Kyverno!' } }],
  ])('stop every source if one of them has %s, even sources with their own filters', (_case, given) => {
    const { apiVersion, kind, metadata } = aFilter({});
    const filters = [{ apiVersion, kind, metadata, ...given }, aFilter({ minSeverity: 'LOW' }, 'own')];
    for (const source of ['kyverno', 'trivy', 'falco']) {
      expect(() => decide(filters, aFinding(), source)).toThrow(expect.objectContaining({ status: 503 }));
    }
  });

  it('stop their source everywhere if one of them has no namespace', () => {
    const filter = aFilter({ minSeverity: 'LOW' });
    const filters = [{ ...filter, metadata: { name: 'f' } }];
    for (const namespace of ['shop', 'zen-system']) {
      expect(() => decide(filters, aFinding(), 'kyverno', namespace)).toThrow();
    }
    expect(decide(filters, aFinding(), 'trivy')).toBeUndefined();
  });

  it('keep everything if there are none', () => {
    expect(decide([])).toBeUndefined();
    expect(allowAll(aFinding(), { source: 'kyverno', namespace: 'shop', hasState: true })).toEqual(aFinding());
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
      targetSource: fc.constantFrom('kyverno', 'kyver-no', 'trivy'),
      minSeverity: severity,
      includeSeverity: fc.uniqueArray(severity, { maxLength: 3 }),
      includeEventTypes: list,
      excludeEventTypes: list,
      includeNamespaces: list,
      excludeNamespaces: list,
      includeKinds: list,
      excludeKinds: list,
      ignoreKinds: list,
      includeCategories: list,
      excludeCategories: list,
      excludeRules: list,
      enabled: fc.boolean(),
    },
    { requiredKeys: ['targetSource'] },
  );
  const filters = fc
    .array(fc.tuple(spec, fc.constantFrom('zen-system', 'shop', 'pay')), { maxLength: 6 })
    .map((all) => all.map(([one, namespace], index) => aFilter(one, `f${index}`, namespace)));
  const findings = fc.record({
    severity: fc.constantFrom(...severities),
    category: words,
    eventType: words,
    resource: fc.option(fc.record({ kind: words, namespace: fc.option(words, { nil: undefined }), name: words }), {
      nil: undefined,
    }),
    rule: words,
  });
  const namespaces = fc.constantFrom('shop', 'pay', 'zen-system');

  it('let a finding pass if and only if each of them does, in any order', () => {
    fc.assert(
      fc.property(filters, findings, namespaces, fc.infiniteStream(fc.nat()), (all, fields, namespace, order) => {
        const finding = aFinding(fields);
        const together = decide(all, finding, 'kyverno', namespace);
        const alone = all.map((one) => decide([one], finding, 'kyverno', namespace));
        expect(together === undefined).toBe(alone.every((reason) => reason === undefined));
        expect(together).toBe(alone.find((reason) => reason !== undefined && reason === together));
        const shuffled = all.map((one) => ({ one, key: order.next().value })).sort((a, b) => a.key - b.key);
        expect(
          decide(
            shuffled.map(({ one }) => one),
            finding,
            'kyverno',
            namespace,
          ),
        ).toBe(together);
      }),
    );
  });

  it('let everything pass if no field is set', () => {
    fc.assert(
      fc.property(findings, (fields) => {
        expect(ask({ enabled: true }, aFinding(fields))).toEqual(aFinding(fields));
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
const list = z.object({ type: z.literal('array'), maxItems: z.number(), items: text });
/** An entry of a list of objects: some text, and lists of text. */
const entry = z.object({
  type: z.literal('object'),
  required: z.array(z.string()),
  properties: z.record(z.string(), z.union([text, list])),
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
                      list,
                      z.object({ type: z.literal('boolean') }),
                      z.object({ type: z.literal('array'), maxItems: z.number(), items: entry }),
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
  it('defines the kind that is watched', () => {
    expect(observationFilters).toEqual({
      group: crd.group,
      versions: crd.versions.map(({ name }) => name),
      kind: crd.names.kind,
      plural: crd.names.plural,
      namespaced: crd.scope === 'Namespaced',
    });
  });

  const fields = Object.entries(crd.versions[0]?.schema.openAPIV3Schema.properties.spec.properties ?? {});
  const takes = (field: string, value: unknown): boolean => filterObject.safeParse(aFilter({ [field]: value })).success;
  const isSeverity = ({ pattern = '' }: z.infer<typeof text>): boolean => pattern.includes('[cC][rR]');
  const wordFor = (bounds: z.infer<typeof text>, length: number): string =>
    isSeverity(bounds) ? 'CRITICAL' : 'x'.repeat(length);

  /** A field of text or a list, and how a value is put there. */
  interface Place {
    readonly place: string;
    readonly schema: z.infer<typeof text> | z.infer<typeof list>;
    readonly takesValue: (value: unknown) => boolean;
  }
  const places = fields.flatMap(([field, schema]): Place[] => {
    if (schema.type === 'boolean') return [];
    if (schema.type === 'string' || schema.items.type === 'string') {
      const ofText = schema.type === 'string' ? schema : list.parse(schema);
      return [{ place: field, schema: ofText, takesValue: (value) => takes(field, value) }];
    }
    const { required, properties } = schema.items;
    const given = Object.fromEntries(required.map((name) => [name, 'LOW']));
    return Object.entries(properties).map(([name, ofEntry]) => ({
      ...{ place: `${field}.${name}`, schema: ofEntry },
      takesValue: (value) => takes(field, [{ ...given, [name]: value }]),
    }));
  });
  const texts = places.map(({ place, schema, takesValue }): [string, z.infer<typeof text>, Place['takesValue']] =>
    schema.type === 'string' ? [place, schema, takesValue] : [place, schema.items, (word) => takesValue([word])],
  );

  it('has text, a list of text or a list of entries in every field but one', () => {
    expect(new Set(places.map(({ place }) => place.split('.')[0])).size).toBe(fields.length - 1);
    expect(fields.map(([field]) => field).sort()).toEqual(Object.keys(filterObject.shape.spec.shape).sort());
    const { setSeverity } = filterObject.shape.spec.shape;
    const entryFields = Object.keys(setSeverity.unwrap().element.shape).map((field) => `setSeverity.${field}`);
    expect(places.map(({ place }) => place).filter((place) => place.includes('.'))).toEqual(entryFields);
  });

  it('and its reader agree what an entry must have, and how many there may be', () => {
    const all = Array.from({ length: 17 }, () => ({ severity: 'LOW' }));
    expect([takes('setSeverity', all.slice(1)), takes('setSeverity', all)]).toEqual([true, false]);
    expect([takes('setSeverity', [{}]), takes('setSeverity', [{ severity: 'LOW', kinds: ['Pod'] }])]).toEqual([
      ...[false, false],
    ]);
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
      const expression = new RegExp(pattern);
      const words = ['a', 'ab', 'a-b', 'a--b', '0', 'a1b', '-a', 'a-', 'A', 'aB', 'a b', 'a.b', 'a*', '*a', '', '-'];
      for (const word of [...words, ...severities, 'low', 'Low', 'xlow', 'lowx', 'un\u212anown', 'cr\u0131tical']) {
        expect(`${word}: ${takesWord(word)}`).toBe(`${word}: ${expression.test(word)}`);
      }
    },
  );

  const lists = places.flatMap(
    ({ place, schema, takesValue }): [string, z.infer<typeof list>, Place['takesValue']][] =>
      schema.type === 'array' ? [[place, schema, takesValue]] : [],
  );

  it.each(lists)('and its reader agree how long %s may be', (_place, { maxItems, items }, takesValue) => {
    const some = Array.from({ length: maxItems + 1 }, (_, index) =>
      isSeverity(items) ? severities[index % severities.length] : `w${index}`,
    );
    expect(takesValue(some.slice(1))).toBe(true);
    expect(takesValue(some)).toBe(false);
    expect(takesValue(some[0])).toBe(false);
  });
});
