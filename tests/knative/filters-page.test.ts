import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../shared/finding/finding.ts';
import { checkConfiguration } from '../../shared/local/check-configuration.ts';
import { parseObjects } from '../../shared/local/object-files.ts';
import { compileExpression } from '../../shared/rules/expression.ts';
import { variableNames } from '../../shared/rules/expression-values.ts';
import { compileFilters } from '../../shared/rules/filter.ts';
import { expectNone } from '../facts/faults.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'FILTERS.md'), 'utf8');

function aFinding(fields: Partial<Finding>): Finding {
  return {
    category: 'security',
    severity: 'HIGH',
    eventType: 'vulnerability',
    rule: 'CVE-2026-0001',
    summary: 'CVE-2026-0001 in openssl',
    resource: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod-shop', name: 'web' },
    identity: {},
    details: { versions: [{ installedVersion: '1.0', fixedVersion: '1.1' }] },
    detectedAt: '2026-03-01T10:00:00Z',
    ...fields,
  };
}

const about = (kind: string, namespace?: string) => ({ resource: { kind, name: 'web', namespace } });
const by = (username: string, ...groups: string[]) => ({ actor: { username, groups } });

/** For each question of the cookbook: findings, and what its filter does with them. */
const answers: Readonly<Record<string, readonly [Partial<Finding>, string][]>> = {
  'Only what can be fixed': [
    [{}, 'HIGH'],
    [{ details: { versions: [{ installedVersion: '1.0' }] } }, 'expression'],
    [{ details: {} }, 'expression'],
    [{ eventType: 'misconfiguration', details: {} }, 'HIGH'],
  ],
  'Only production': [
    [{}, 'HIGH'],
    [about('Deployment', 'test'), 'expression'],
    [about('Node'), 'HIGH'],
  ],
  'Less bad outside production': [
    [{}, 'HIGH'],
    [about('Deployment', 'test'), 'LOW'],
    [about('Node'), 'HIGH'],
    [{ ...about('Deployment', 'test'), severity: 'MEDIUM' }, 'MEDIUM'],
  ],
  'One check matters everywhere': [
    [{ rule: 'KSV-0017', severity: 'MEDIUM' }, 'CRITICAL'],
    [{ severity: 'MEDIUM' }, 'min_severity'],
    [{}, 'HIGH'],
  ],
  'What people do, not machines': [
    [by('jane'), 'HIGH'],
    [by('system:serviceaccount:kube-system:job-controller'), 'expression'],
    [{ ...by('system:admin'), severity: 'CRITICAL' }, 'CRITICAL'],
  ],
};

/** For each expression of the table: a finding that it is true of, and one that it isn't. */
const examples: Readonly<Record<string, readonly [Partial<Finding>, Partial<Finding>]>> = {
  'what is bad, in production': [{}, about('Pod', 'test')],
  'what is about the container web': [{ details: { container: 'web' } }, {}],
  "this year's CVEs and last year's": [{}, { rule: 'CVE-2024-0001' }],
  'CronJobs, their Jobs and Pods': [about('CronJob', 'shop'), {}],
  'what people did, and not Kubernetes itself': [by('jane', 'ops'), by('x', 'system:nodes')],
  'what was found since then': [{}, { detectedAt: '2025-12-31T23:59:59Z' }],
};

const sections = page.split(/^### /m).slice(1);
const cookbook = sections.flatMap((section) => {
  const [question = ''] = section.split('\n');
  const [, yaml] = /```yaml\n(.*?)```/s.exec(section) ?? [];
  return yaml === undefined ? [] : [{ question, yaml }];
});
const expressions = [...page.matchAll(/^\| `(.+)` \| ([^|]+) \|$/gm)]
  .map(([, text = '', what = '']) => ({ text: text.replaceAll('\\|', '|'), what }))
  .filter(({ what }) => Object.hasOwn(examples, what));

describe('the cookbook of questions in knative/FILTERS.md', () => {
  it('has a tested filter for every question that needs one', () => {
    expect(cookbook.map(({ question }) => question).filter((one) => Object.hasOwn(answers, one))).toEqual(
      Object.keys(answers),
    );
  });

  it.each(cookbook)('$question', ({ question, yaml }) => {
    const objects = parseObjects(yaml, 'FILTERS.md');
    for (const object of objects) checkConfiguration(object);
    const failures: string[] = [];
    const settings = { SYSTEM_NAMESPACE: 'zen-system', TENANTS_FILTER_EVENTS: false };
    const filter = compileFilters(objects, settings, (_object, message) => failures.push(message));
    const source = /targetSource: (\S+)/.exec(yaml)?.[1] ?? '';
    for (const [fields, expected] of answers[question] ?? []) {
      const finding = aFinding(fields);
      const namespace = finding.resource?.namespace ?? 'zen-system';
      const filtering = filter(finding, { source, namespace, hasState: true });
      expect(typeof filtering === 'string' ? filtering : filtering.severity).toBe(expected);
    }
    expect(failures).toEqual([]);
  });
});

describe('the expressions in knative/FILTERS.md', () => {
  it('are all tested', () => {
    expect(expressions.map(({ what }) => what)).toEqual(Object.keys(examples));
  });

  it.each(expressions)('$text is true of $what, and not of everything', ({ text, what }) => {
    const expression = compileExpression(text);
    if (typeof expression === 'object') throw new Error(expression.refusal);
    const given = examples[what] ?? [];
    expect(given.map((fields) => expression({ ...aFinding(fields), source: 'trivy' }))).toEqual([true, false]);
  });

  it('may ask about all that the page lists, and nothing else', () => {
    const [, table = ''] = page.split('## What it may ask about');
    const listed = [
      ...(table.split('\n## ')[0] ?? '').matchAll(/^\| (`[^|]+`) \| (?:string|map|timestamp) \|/gm),
    ].flatMap(([, names = '']) => [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
    expectNone(variableNames.filter((name) => !listed.includes(name)).map((name) => `FILTERS.md lacks ${name}`));
    expectNone(listed.filter((name) => !variableNames.includes(name)).map((name) => `FILTERS.md has ${name}`));
  });
});
