import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { printableJson } from '../../shared/finding/printable.ts';
import { commonSchema } from '../../shared/function/settings.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import { isException, readException } from '../../shared/rules/exception.ts';
import { exceptionFor, exceptionText } from '../../shared/view/exception-for.ts';
import { untilOf } from '../../shared/view/until.ts';
import { anObservation, type Changes } from './an-observation.ts';

const now = Date.parse('2026-03-01T00:00:00Z');
const resource = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' };
const open = { metadata: { labels: { 'zen.kube-zen.io/state': 'open' } } };
const options = { reason: 'no fix yet', until: '2026-04-01T00:00:00Z', systemNamespace: 'zen-system' };

describe('exceptionFor', () => {
  it('names the rule and the workload, in the namespace of the finding', () => {
    expect(exceptionFor(anObservation({ ...open, spec: { rule: 'CVE-1', resource } }), options)).toEqual({
      apiVersion: 'zen.kube-zen.io/v1alpha1',
      kind: 'ObservationException',
      metadata: { name: 'accept-trivy-0123456789abcdef0123456789abcdef', namespace: 'shop' },
      spec: {
        match: {
          sources: ['trivy'],
          rules: ['CVE-1'],
          resources: [{ namespace: 'shop' }],
          expression: 'workload.kind == "rollout" && workload.name == "web"',
        },
        reason: 'no fix yet',
        until: '2026-04-01T00:00:00Z',
      },
    });
  });

  it.each<[what: string, changes: Changes]>([
    ['a finding', { ...open, spec: { rule: 'policy/rule', resource } }],
    ['one about nothing', { ...open, spec: { rule: 'r' } }],
    ['one without a rule', { ...open, spec: { resource } }],
    ['an event', { spec: { source: 'falco', rule: 'Terminal shell in container', resource } }],
    ['one with a name as long as may be', { ...open, metadata: { ...open.metadata, name: 'x'.repeat(253) } }],
  ])('accepts %s, wherever it is applied', (_what, changes) => {
    const stored = anObservation(changes);
    const object = exceptionFor(stored, options) as KubernetesObject;
    const read = readException(object, { settings: commonSchema.parse({}), now });
    if (!isException(read)) throw new Error(read.message);
    const hasState = Object.keys(stored.metadata.labels).length > 0;
    expect(read.reasonAgainst({ spec: stored.spec, namespace: 'shop', hasState }, now)).toBeUndefined();
    expect(read.reasonAgainst({ spec: { ...stored.spec, source: 'other' }, namespace: 'shop', hasState }, now)).toBe(
      'source',
    );
  });
});

describe('what exceptionFor binds an exception to', () => {
  const pod = { kind: 'Pod', name: 'cart-7d9c5b6f4d-x2k9d', namespace: 'shop' };
  const secrets = { kind: 'Secret', namespace: 'payments' };
  const secret = { ...secrets, name: 'card-keys' };
  const eve = { username: 'eve@"example".com' };

  it.each<[what: string, spec: Changes['spec'], more: object, match: object]>([
    [
      'the workload of a Pod',
      { resource: pod },
      {},
      { resources: [{ namespace: 'shop' }], expression: 'workload.kind == "rollout" && workload.name == "cart"' },
    ],
    ['its namespace', { resource: pod }, { isForNamespace: true }, { resources: [{ namespace: 'shop' }] }],
    [
      'a list of Secrets',
      { resource: secrets },
      { isForNamespace: false },
      { resources: [secrets], expression: 'resource.name == ""' },
    ],
    [
      'one Secret, and who read it',
      { resource: secret, actor: eve },
      {},
      { resources: [secret], expression: String.raw`actor.username == "eve@\"example\".com"` },
    ],
    ['one Secret, whoever read it', { resource: secret, actor: eve }, { isByAnyone: true }, { resources: [secret] }],
    [
      'a node',
      { resource: { kind: 'Node', name: 'a' } },
      { isForNamespace: true },
      { resources: [{ kind: 'Node', name: 'a' }] },
    ],
    ['nothing', {}, {}, { expression: 'resource.kind == "" && resource.name == ""' }],
  ])('%s', (_what, spec, more, match) => {
    const stored = anObservation({ ...open, spec: { ...spec, rule: 'r' } });
    const object = exceptionFor(stored, { ...options, ...more }) as KubernetesObject;
    expect(object).toMatchObject({ spec: { match: { sources: ['trivy'], rules: ['r'], ...match } } });
    const read = readException(object, { settings: commonSchema.parse({}), now });
    if (!isException(read)) throw new Error(read.message);
    expect(read.reasonAgainst({ spec: stored.spec, namespace: 'shop', hasState: true }, now)).toBeUndefined();
    const other = { ...stored.spec, resource: { kind: 'Pod', name: 'other', namespace: 'bank' } };
    expect(read.reasonAgainst({ spec: other, namespace: 'shop', hasState: true }, now)).toBeDefined();
  });
});

describe('exceptionText', () => {
  it('says in its first line what it accepts, in one line whatever that is, and is what exceptionFor makes', () => {
    const stored = anObservation({ ...open, spec: { rule: 'a\u202eb', summary: 'bad:\n- kind\u0085: Secret' } });
    const text = exceptionText(stored, options);
    expect(text.split('\n')[0]).toBe('# bad: - kind : Secret');
    expect(parseYaml(text)).toEqual(exceptionFor(stored, options));
    expect(parseYaml(printableJson(text))).toEqual(exceptionFor(stored, options));
    expect(printableJson(text)).not.toContain('\u202e');
  });

  it('says the type of what has no summary', () => {
    expect(exceptionText(anObservation(open), options).split('\n')[0]).toBe('# vulnerability');
  });
});

describe('untilOf', () => {
  it.each<[text: string, until: string | undefined]>([
    ['30d', '2026-03-31T00:00:00Z'],
    ['12h', '2026-03-01T12:00:00Z'],
    ['2026-12-31', '2026-12-31T23:59:59Z'],
    ['2026-12-31T10:00:00Z', '2026-12-31T10:00:00Z'],
    ['2026-12-31T10:00:00+02:00', '2026-12-31T08:00:00Z'],
    ['2026-12-31T10:00:00', undefined],
    ['2026-13-01', undefined],
    ['tomorrow', undefined],
    ['0s', undefined],
    ['', undefined],
    [`${'9'.repeat(20)}d`, undefined],
  ])('of %s is %s', (text, until) => {
    expect(untilOf(text, now)).toBe(until);
  });
});
