import { describe, expect, it } from 'vitest';
import type { Acceptable } from '../../shared/function/exceptions.ts';
import { commonSchema } from '../../shared/function/settings.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import {
  acceptedCondition,
  type Exception,
  indexExceptions,
  isException,
  readException,
} from '../../shared/rules/exception.ts';
import { anException, type ExceptionFields } from './an-exception.ts';

const now = Date.parse('2026-03-10T00:00:00Z');

function settingsOf(environment: Readonly<Record<string, string>> = {}) {
  return commonSchema.parse(environment);
}

function read(object: KubernetesObject, environment: Readonly<Record<string, string>> = {}) {
  return readException(object, { settings: settingsOf(environment), now });
}

function readable(object: KubernetesObject, environment?: Readonly<Record<string, string>>): Exception {
  const one = read(object, environment);
  if (!isException(one)) throw new Error(one.message);
  return one;
}

type Changes = Partial<Omit<Acceptable, 'spec'>> & { readonly spec?: Partial<Acceptable['spec']> };

function something({ spec, ...rest }: Changes = {}): Acceptable {
  return {
    namespace: 'shop',
    hasState: true,
    ...rest,
    spec: {
      source: 'kube-bench',
      category: 'security',
      severity: 'HIGH',
      eventType: 'flaw',
      rule: 'policy/CVE-2024-1',
      summary: 'it is old',
      resource: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' },
      details: { image: 'nginx' },
      detectedAt: '2026-03-01T00:00:00Z',
      ttlSecondsAfterCreation: 60,
      ...spec,
    },
  };
}

describe('an exception', () => {
  it.each<[match: object, what: Changes, reason: string | undefined]>([
    [{ sources: ['kube-bench'] }, {}, undefined],
    [{ sources: ['kubebench'] }, {}, undefined],
    [{ sources: ['trivy'] }, {}, 'source'],
    [{ sources: ['trivy', 'kube-bench'] }, {}, undefined],
    [{ rules: ['policy/CVE-2024-1'] }, {}, undefined],
    [{ rules: ['cve-2024-1'] }, {}, undefined],
    [{ rules: ['policy'] }, {}, undefined],
    [{ rules: ['CVE-2024-*'] }, {}, undefined],
    [{ rules: ['CVE-2024-'] }, {}, 'rule'],
    [{ rules: ['CVE-2024-1'] }, { spec: { rule: 'CVE-2024-12' } }, 'rule'],
    [{ rules: ['*'] }, {}, undefined],
    [{ severities: ['high'] }, {}, undefined],
    [{ severities: ['LOW', 'MEDIUM'] }, {}, 'severity'],
    [{ resources: [{ kind: 'deployment' }] }, {}, undefined],
    [{ resources: [{ kind: 'Deployment', name: 'api' }] }, {}, 'resource'],
    [{ resources: [{ kind: 'Pod' }, { name: 'w*' }] }, {}, undefined],
    [{ resources: [{ namespace: 'sh*p', name: 'web' }] }, {}, undefined],
    [{ resources: [{ namespace: 'prod' }] }, {}, 'resource'],
    [{ resources: [{ name: '*' }] }, { spec: { resource: { kind: 'Node' } } }, 'resource'],
    [{ expression: "details.image.startsWith('nginx') && source == 'kube-bench'" }, {}, undefined],
    [{ expression: "details.image == 'x'" }, {}, 'expression'],
    [{ expression: "details.missing == 'x'" }, {}, 'expression'],
    [{ sources: ['kube-bench'], rules: ['policy'], severities: ['LOW'] }, {}, 'severity'],
    [{ sources: ['kube-bench'] }, { spec: { category: 'operations' } }, 'own_finding'],
  ])('with the match %j of %j is refused for %s', (match, what, reason) => {
    expect(readable(anException('one', { match })).reasonAgainst(something(what), now)).toBe(reason);
  });

  it.each<[until: string | undefined, reason: string | undefined, label: string]>([
    [undefined, undefined, 'forever'],
    ['2026-03-10T00:00:00Z', 'expired', '1773100800'],
    ['2026-03-10T00:00:01Z', undefined, '1773100801'],
    ['2026-03-10T00:00:00.999Z', 'expired', '1773100800'],
    ['2026-03-10T02:00:00+02:00', 'expired', '1773100800'],
    ['2026-03-10T02:00:00-02:00', undefined, '1773115200'],
    ['1969-12-31T00:00:00Z', 'expired', '0'],
  ])('until %s is refused for %s', (until, reason, label) => {
    const one = readable(anException('one', { match: { severities: ['HIGH'] }, ...(until && { until }) }));
    expect(one.reasonAgainst(something(), now)).toBe(reason);
    expect(one.label).toBe(label);
  });

  it.each<[namespace: string, what: Changes, environment: Record<string, string>, reason: string | undefined]>([
    ['zen-system', {}, {}, undefined],
    ['zen-system', { hasState: false }, {}, undefined],
    ['shop', {}, {}, undefined],
    ['shop', { hasState: false }, {}, 'event'],
    ['shop', { hasState: false }, { TENANTS_FILTER_EVENTS: 'true' }, undefined],
    ['prod', {}, {}, 'namespace'],
    ['prod', { hasState: false }, { TENANTS_FILTER_EVENTS: 'true' }, 'namespace'],
    ['shop', { namespace: 'zen-system' }, {}, 'namespace'],
  ])('in the namespace %s, of %j with %j, is refused for %s', (namespace, what, environment, reason) => {
    const one = readable(anException('one', { match: { rules: ['*'] } }, namespace), environment);
    expect(one.reasonAgainst(something(what), now)).toBe(reason);
  });

  it.each<[severity: 'CRITICAL' | 'HIGH' | 'LOW', fields: ExceptionFields, reason: string | undefined]>([
    ['CRITICAL', {}, 'needs_approval'],
    ['HIGH', {}, 'needs_approval'],
    ['LOW', {}, undefined],
    ['CRITICAL', { approvedBy: 'alice' }, undefined],
  ])('of a %s finding, with %j, where that needs approval, is refused for %s', (severity, fields, reason) => {
    const environment = { EXCEPTION_NEEDS_APPROVAL: 'critical, HIGH' };
    const one = readable(anException('one', { match: { rules: ['*'] }, ...fields }), environment);
    expect(one.reasonAgainst(something({ spec: { severity } }), now)).toBe(reason);
  });

  it('tells of an expression that could not be answered, and accepts nothing', () => {
    const failures: string[] = [];
    const onFailure = (name: string, failure: string): void => void failures.push(`${name}: ${failure}`);
    const object = anException('one', { match: { expression: 'details.missing > 1' } });
    const one = readException(object, { settings: settingsOf(), now, onFailure });
    if (isException(one)) expect(one.reasonAgainst(something(), now)).toBe('expression');
    expect(failures).toEqual([expect.stringMatching(/^zen-system\/one: .*missing/)]);
  });

  it('says who has approved it, why, and until when, in lines that a terminal may show', () => {
    const one = readable(
      anException('one', { approvedBy: 'al\u001bice', reason: 'no\nfix', until: '2027-01-01T00:00:00Z' }),
    );
    expect(one.acceptance).toEqual({
      exception: 'zen-system/one',
      until: '2027-01-01T00:00:00Z',
      by: 'al\\u{1b}ice',
      reason: 'no fix',
    });
    expect(readable(anException('one')).acceptance).toMatchObject({ until: 'forever', by: undefined });
  });
});

describe('an exception that can not be read', () => {
  it.each<[what: string, fields: ExceptionFields, message: RegExp]>([
    ['an unknown field', { untill: '2026-01-01T00:00:00Z' }, /^spec\.untill: /],
    ['an unknown field of its match', { match: { sources: ['a'], rulez: ['b'] } }, /^spec\.match\.rulez: /],
    ['an unknown field of a resource', { match: { resources: [{ kind: 'Pod', nmae: 'a' }] } }, /nmae: /],
    ['a match of nothing', { match: {} }, /^spec\.match: must have a condition/],
    ['an empty list', { match: { sources: [] } }, /^spec\.match\.sources: /],
    ['a resource of nothing', { match: { resources: [{}] } }, /^spec\.match\.resources\[0\]: /],
    ['a severity that there is none', { match: { severities: ['bad'] } }, /^spec\.match\.severities\[0\]: /],
    ['an expression with a fault', { match: { expression: 'source ==' } }, /^spec\.match\.expression: at /],
    [
      'an expression that asks about the state',
      { match: { expression: "state == 'open'" } },
      /^spec\.match\.expression: at /,
    ],
    ['no reason', { reason: '' }, /^spec\.reason: /],
    ['a day', { until: '2026-12-31' }, /^spec\.until: must be a time such as/],
    ['a day that there is none', { until: '2026-13-31T00:00:00Z' }, /^spec\.until: must be a time such as/],
    ['a justification of its own', { justification: 'tired' }, /^spec\.justification: /],
    [
      'lists that are too long',
      { match: { rules: Array.from({ length: 256 }, (_, n) => `${n}`.padStart(129, 'x')) } },
      /32768/,
    ],
  ])('has a condition that names the field: %s', (_what, fields, message) => {
    const one = read(anException('one', fields));
    expect(isException(one)).toBe(false);
    expect(acceptedCondition(one)).toMatchObject({ type: 'Accepted', status: 'False', reason: 'Invalid' });
    expect(acceptedCondition(one).message).toMatch(message);
  });

  it.each<[until: string | undefined, isTooLong: boolean]>([
    [undefined, true],
    ['2026-03-31T00:00:00Z', false],
    ['2026-03-31T00:00:01Z', true],
  ])('may last 30 days from when it was made, where that is the limit: until %s', (until, isTooLong) => {
    const one = read(anException('one', until === undefined ? {} : { until }), { EXCEPTION_MAX_DAYS: '30' });
    expect(isException(one)).toBe(!isTooLong);
    if (isTooLong) expect(acceptedCondition(one)).toMatchObject({ status: 'False', reason: 'TooLong' });
    expect(acceptedCondition(one).message).toMatch(isTooLong ? /^spec\.until: .*2026-03-31T00:00:00/ : /^$/);
  });
});

describe('indexExceptions', () => {
  const named = (exceptions: readonly Exception[]): readonly string[] => exceptions.map(({ name }) => name);

  it('finds all that accept something, the one that lasts longest first', () => {
    const all = [
      anException('later', { match: { rules: ['policy'] }, until: '2026-05-01T00:00:00Z' }),
      anException('never-ends-b', { match: { resources: [{ name: 'WEB' }] } }),
      anException('over', { match: { rules: ['policy'] }, until: '2026-01-01T00:00:00Z' }),
      anException('never-ends-a', { match: { severities: ['HIGH'] } }),
      anException('soon', { match: { sources: ['kubebench'] }, until: '2026-04-01T00:00:00Z' }),
      anException('own', { match: { rules: ['*'] }, until: '2026-04-02T00:00:00Z' }, 'shop'),
      anException('place', { match: { resources: [{ namespace: 'shop' }] }, until: '2026-04-03T00:00:00Z' }),
      anException('another', { match: { rules: ['*'] } }, 'prod'),
      anException('pattern', { match: { rules: ['p*'], sources: ['trivy'] } }),
    ].map((object) => readable(object));
    expect(named(indexExceptions(all).accepting(something(), now))).toEqual([
      'zen-system/never-ends-a',
      'zen-system/never-ends-b',
      'zen-system/later',
      'zen-system/place',
      'shop/own',
      'zen-system/soon',
    ]);
  });

  it('asks few of a thousand exceptions', () => {
    let asked = 0;
    const all = Array.from({ length: 1000 }, (_, index) => {
      const one = readable(anException(`${index}`, { match: { rules: [`CVE-${index}`] } }));
      return {
        ...one,
        reasonAgainst: (...given: Parameters<Exception['reasonAgainst']>) => {
          asked += 1;
          return one.reasonAgainst(...given);
        },
      };
    });
    const found = indexExceptions(all).accepting(something({ spec: { rule: 'CVE-7' } }), now);
    expect(named(found)).toEqual(['zen-system/7']);
    expect(asked).toBe(1);
  });
});
