import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../shared/api/observation.ts';
import { commonSchema } from '../../shared/function/settings.ts';
import { parseObjects } from '../../shared/local/object-files.ts';
import { isException, readException } from '../../shared/rules/exception.ts';
import { anObservation } from '../view/an-observation.ts';

const text = readFileSync(join(import.meta.dirname, '..', '..', 'knative', 'EXCEPTIONS.md'), 'utf8');
const now = Date.parse('2026-03-01T00:00:00Z');

const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, yaml = '']) =>
  parseObjects(yaml, 'EXCEPTIONS.md'),
);

const web = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' };
const cart = { ...web, kind: 'ReplicaSet', name: 'cart-7d9' };
const cve = { source: 'trivy', rule: 'CVE-2099-7', resource: cart, eventType: 'vulnerability' } as const;

/** For each example what it accepts, and what it doesn't. */
const expected: Readonly<
  Record<string, readonly (readonly [spec: Partial<Observation['spec']>, isAccepted: boolean])[]>
> = {
  'zlib-in-cart': [
    [{ ...cve, severity: 'LOW', details: { package: 'zlib1g' } }, true],
    [{ ...cve, severity: 'HIGH', details: { package: 'zlib1g' } }, false],
    [{ ...cve, severity: 'LOW', details: { package: 'openssl' } }, false],
    [{ ...cve, severity: 'LOW', details: { package: 'zlib1g' }, resource: { ...cart, name: 'api-7d9' } }, false],
  ],
  'web-may-run-as-root': [
    [{ source: 'kyverno', rule: 'require-run-as-nonroot/run-as-non-root', resource: web }, true],
    [{ source: 'kyverno', rule: 'require-run-as-nonroot/run-as-non-root', resource: { ...web, name: 'api' } }, false],
  ],
  'cve-2099-0002': [
    [{ rule: 'CVE-2099-0002', resource: { kind: 'Node', name: 'n' } }, true],
    [{ rule: 'CVE-2099-00021' }, false],
  ],
  'minor-outside-production': [
    [{ source: 'trivy', severity: 'LOW', resource: web }, true],
    [{ source: 'falco', severity: 'LOW', resource: web }, false],
    [{ source: 'trivy', severity: 'LOW', resource: { kind: 'Node', name: 'n' } }, false],
    [{ source: 'trivy', severity: 'HIGH', resource: web }, false],
    [{ source: 'trivy', severity: 'LOW', resource: { ...web, namespace: 'prod-eu' } }, false],
  ],
  'no-fix-yet': [
    [{ ...cve, details: {} }, true],
    [{ ...cve, details: { versions: [{ installedVersion: '3.0.1' }] } }, true],
    [{ ...cve, details: { versions: [{ installedVersion: '3.0.1', fixedVersion: '3.0.2' }] } }, false],
    [{ ...cve, severity: 'CRITICAL', details: {} }, false],
  ],
  'chaos-tests': [
    [{ source: 'falco', rule: 'Terminal shell in container', resource: { ...web, namespace: 'chaos-1' } }, true],
    [{ source: 'falco', rule: 'Terminal shell in container', resource: web }, false],
  ],
};

describe('the examples in EXCEPTIONS.md', () => {
  it('have an expectation each', () => {
    expect(examples.map(({ metadata }) => metadata.name)).toEqual(Object.keys(expected));
  });

  it.each(examples.map((object) => [object.metadata.name, object] as const))(
    '%s accepts what it says',
    (name, object) => {
      const one = readException(object, { settings: commonSchema.parse({}), now });
      if (!isException(one)) throw new Error(one.message);
      for (const [spec, isAccepted] of expected[name] ?? []) {
        const stored = anObservation({ spec });
        const about = {
          spec: stored.spec,
          namespace: spec.resource?.namespace ?? 'zen-system',
          hasState: spec.source !== 'falco',
        };
        expect([spec, one.reasonAgainst(about, now) === undefined]).toEqual([spec, isAccepted]);
      }
    },
  );
});
