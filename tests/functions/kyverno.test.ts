import { describe, expect, it } from 'vitest';
import kyverno from '../../functions/kyverno.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { parseSettings } from '../../shared/function/settings.ts';

const settings = Object.assign({}, parseSettings({}, kyverno.source.settings, []));

const web = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
const replica = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web-7d9c5b6f4d-x2x9z' };

const result = (more: object = {}) => ({
  policy: 'require-limits',
  rule: 'check-limits',
  result: 'fail',
  message: 'Limits are required',
  ...more,
});

const curl = { pkgName: 'curl', installedVersion: '8.1.0', fixedVersion: '8.1.2' };
const flaw = (more: object = {}) => ({
  policy: 'CVE-2099-1',
  result: 'fail',
  category: 'vulnerability scan',
  source: 'image-scanner',
  properties: curl,
  ...more,
});

function findingsOf(row: object, scope: object = web): readonly Finding[] {
  const report = kyverno.source.schema.parse({
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name: 'r', namespace: 'shop' },
    scope,
    results: [{ source: 'kyverno', ...row }],
  });
  return kyverno.source.normalize(report, { time: '2026-11-25T10:00:30Z', settings }).findings;
}

function summaryOf(row: object, scope: object = web): string {
  const [finding, ...others] = findingsOf(row, scope);
  if (!finding || others.length > 0) throw new Error(`${others.length + 1} findings instead of one`);
  return finding.summary;
}

describe('a summary of a policy report', () => {
  it.each<[eventType: string, row: object, ...said: string[]]>([
    ['policy-violation', result(), 'require-limits/check-limits', 'Limits are required', 'Deployment web'],
    ['policy-warning', result({ result: 'warn' }), 'require-limits/check-limits', 'Limits are', 'Deployment web'],
    ['policy-error', result({ result: 'error' }), 'require-limits/check-limits', 'did not run', 'Deployment web'],
    [
      'policy-error',
      result({ result: 'error', message: '' }),
      'check-limits',
      'did not run for',
      'Deployment shop/web',
    ],
    ['policy-violation', result({ message: '' }), 'require-limits/check-limits', 'fails for', 'Deployment shop/web'],
    ['policy-violation', flaw(), 'CVE-2099-1', 'curl 8.1.0', 'fixed in 8.1.2', 'Deployment web'],
    [
      'policy-violation',
      flaw({ properties: { ...curl, fixedVersion: '', container: 'app' } }),
      'CVE-2099-1',
      'curl 8.1.0',
      'no fix known',
      'container app',
    ],
    ['minor-vulnerabilities', flaw({ severity: 'low' }), '1 LOW vulnerability', 'with a fix', 'Deployment web'],
    [
      'policy-violation',
      {
        policy: 'block-shells',
        result: 'fail',
        source: 'KubeArmor',
        message: 'no shells',
        properties: {
          podname: 'web-0',
          containername: 'app',
          operation: 'Process',
          process_name: 'bash',
          resource: '/bin/sh',
        },
      },
      'block-shells',
      'bash ran /bin/sh',
      'container app',
      'no shells',
    ],
  ])('of a %s says which rule, what, and on what', (eventType, row, ...said) => {
    const [finding] = findingsOf(row);
    expect(finding?.eventType).toBe(eventType);
    for (const text of said) expect(finding?.summary).toContain(text);
    expect(finding?.summary).not.toMatch(/undefined|null| {2}|\( *\)|[,:;] *$/);
  });

  it.each<[said: string, row: object, scope?: object]>([
    [
      'require-limits/check-limits (Deployment web): CPU and memory limits are required (at /spec/containers/0)',
      result({
        message:
          'validation error: CPU and memory limits are required. rule autogen-check-limits failed at path /spec/containers/0/',
      }),
    ],
    [
      'require-limits/check-limits: Limits (at /spec/a, /spec/b) (Deployment web)',
      result({
        message: 'validation error: Limits. rule r[0] failed at path /spec/a/ rule r[1] failed at path /spec/b/',
      }),
    ],
    [
      'require-limits/check-limits: fails at /spec (Deployment web)',
      result({ message: 'validation error: rule check-limits failed at path /spec/' }),
    ],
    [
      'require-limits/check-limits: Is wrong (Deployment web)',
      result({ message: "Validation rule 'r' failed. Is wrong." }),
    ],
    ['no-latest: Tag it (Deployment web)', result({ policy: 'no-latest', rule: 'no-latest', message: 'Tag it' })],
    [
      'require-limits/check-limits (Deployment web): Restrict access. Specifying who has access reduces the risk',
      result({ message: 'Restrict access\nSpecifying who has\naccess reduces the risk.' }),
    ],
    ['require-limits/check-limits: web has no limits', result({ message: 'web has no limits' })],
    [
      'require-limits/check-limits: web has no limits',
      result({ message: 'web-7d9c5b6f4d-x2x9z has no limits' }),
      replica,
    ],
    ['require-limits/check-limits: Limits are required (web)', result(), replica],
    [
      'require-limits/check-limits: Limits are required',
      result(),
      { apiVersion: 'wgpolicyk8s.io/v1alpha2', kind: 'PolicyReport', namespace: 'shop', name: 'r' },
    ],
  ])('is no longer than it must be: %s', (said, row, scope) => {
    expect(summaryOf(row, scope)).toBe(said);
  });
});
