import { describe, expect, it } from 'vitest';
import { widthOf } from '../../shared/view/cells.ts';
import { describeFinding } from '../../shared/view/one-finding.ts';
import { anObservation } from './an-observation.ts';

const now = Date.parse('2026-03-03T10:00:00Z');

const history = [
  { time: '2026-03-02T10:00:00Z', state: 'missing', severity: 'HIGH', reason: 'not reported' },
  { time: Date.parse('2026-03-01T10:00:00Z'), state: 'open', severity: 'HIGH', reason: 'new' },
];

const whole = anObservation({
  metadata: {
    labels: {
      'zen.kube-zen.io/state': 'missing',
      'zen.kube-zen.io/since': String(Date.parse('2026-03-02T10:00:00.123Z')),
    },
    annotations: { 'zen.kube-zen.io/history': JSON.stringify(history) },
  },
  spec: {
    rule: 'CVE-2024-1',
    summary: 'CVE-2024-1 in openssl 3.0.1, fixed in 3.0.2',
    resource: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod', name: 'web' },
    actor: {
      username: 'eve',
      groups: ['dev', 'ops'],
      sourceIP: '192.0.2.7',
      userAgent: 'kubectl/1.36',
      via: 'a token',
    },
    remediation: 'Upgrade openssl.\n\n  apk upgrade openssl\n\nThen build the image anew.\n',
    references: ['https://a.example/1', 'https://b.example/2'],
    details: { image: 'nginx:1.27', packages: [{ name: 'openssl', fixed: ['3.0.2', '3.1.0'] }, 'zlib'], score: 7.5 },
  },
});

function described(changes: Parameters<typeof anObservation>[0], width?: number): string[] {
  return describeFinding(anObservation(changes), { now, width });
}

describe('describeFinding', () => {
  it('says what it is, what to do, and everything else that is known', () => {
    expect(describeFinding(whole, { now, width: undefined })).toEqual([
      'CVE-2024-1 in openssl 3.0.1, fixed in 3.0.2',
      '',
      'Severity  HIGH',
      'State     missing since 2026-03-02T10:00:00Z (23h ago)',
      'Resource  Deployment/web in prod (apps/v1)',
      'Actor     eve (dev, ops) from 192.0.2.7 by way of a token with kubectl/1.36',
      'Rule      CVE-2024-1',
      'Source    trivy (security, vulnerability)',
      'Detected  2026-03-01T09:00:00Z (2d ago)',
      'Stored    2026-03-01T10:00:00Z (2d ago)',
      'Name      shop/trivy-0123456789abcdef0123456789abcdef',
      '',
      'What to do',
      '  Upgrade openssl.',
      '  ',
      '    apk upgrade openssl',
      '  ',
      '  Then build the image anew.',
      '',
      'References',
      '  https://a.example/1',
      '  https://b.example/2',
      '',
      'Details',
      '  image: nginx:1.27',
      '  packages:',
      '    -',
      '      name: openssl',
      '      fixed:',
      '        - 3.0.2',
      '        - 3.1.0',
      '    - zlib',
      '  score: 7.5',
      '',
      'History',
      '  2026-03-02T10:00:00Z  missing  HIGH  not reported',
      '  2026-03-01T10:00:00Z  open  HIGH  new',
    ]);
  });

  it.each<[what: string, accepted: string, annotations: Record<string, string>, line: string | undefined]>([
    [
      'an exception, for a while',
      '1772791200',
      {
        'zen.kube-zen.io/exception': 'shop/openssl',
        'zen.kube-zen.io/accepted-by': 'alice',
        'zen.kube-zen.io/accepted-reason': 'no fix yet',
      },
      'Accepted  until 2026-03-06T10:00:00Z, approved by alice, by shop/openssl: no fix yet',
    ],
    [
      'its tool',
      'forever',
      { 'zen.kube-zen.io/exception': 'PolicyException x' },
      'Accepted  forever, by PolicyException x',
    ],
    ['somebody unknown', 'forever', {}, 'Accepted  forever'],
    ['nobody any more', '1772532000', { 'zen.kube-zen.io/exception': 'shop/openssl' }, undefined],
  ])('says that it is accepted by %s', (_what, accepted, annotations, line) => {
    const lines = described({ metadata: { labels: { 'zen.kube-zen.io/accepted': accepted }, annotations } });
    expect(lines.find((one) => one.startsWith('Accepted'))).toBe(line);
  });

  it('says how often it happened, and what the repeats were about', () => {
    const series = { count: 12, lastObservedTime: '2026-03-03T09:59:00Z', seen: ['cat /etc/shadow', 'a\u001b[2J'] };
    const lines = described({ status: { series } });
    expect(lines).toContain('Happened  12 times, last at 2026-03-03T09:59:00Z (60s ago)');
    expect(lines.slice(-4)).toEqual(['', 'Repeats were about', '  cat /etc/shadow', '  a\\u{1b}[2J']);
    const { seen: _none, ...without } = series;
    expect(described({ status: { series: without } })).not.toContain('Repeats were about');
    expect(described({ status: {} }).join()).not.toContain('Happened');
  });

  it('leaves out what is not known', () => {
    const object = anObservation({ spec: { detectedAt: '', details: { list: [], none: {} } } });
    const { creationTimestamp: _none, ...metadata } = object.metadata;
    expect(describeFinding({ ...object, metadata }, { now, width: undefined })).toEqual([
      'vulnerability',
      '',
      'Severity  HIGH',
      'Source    trivy (security, vulnerability)',
      'Name      shop/trivy-0123456789abcdef0123456789abcdef',
    ]);
  });

  it.each<[what: string, labels: Record<string, string>, line: string | undefined]>([
    ['an event', {}, undefined],
    ['what has a time only', { 'zen.kube-zen.io/since': '0' }, undefined],
    ['one of unknown time', { 'zen.kube-zen.io/state': 'open' }, 'State     open'],
    ['one of a bad time', { 'zen.kube-zen.io/state': 'open', 'zen.kube-zen.io/since': 'x' }, 'State     open'],
  ])('shows the state of %s', (_what, labels, line) => {
    expect(described({ metadata: { labels } }).find((one) => one.startsWith('State'))).toBe(line);
  });

  it('says since when it is open, whenever it was accepted', () => {
    const accepted = [{ time: '2026-03-02T10:00:00Z', state: 'open', severity: 'HIGH', reason: 'accepted' }];
    const lines = described({
      metadata: {
        creationTimestamp: '2026-02-20T10:00:00Z',
        labels: {
          'zen.kube-zen.io/state': 'open',
          'zen.kube-zen.io/since': String(Date.parse('2026-03-02T10:00:00Z')),
        },
        annotations: { 'zen.kube-zen.io/history': JSON.stringify(accepted) },
      },
    });
    expect(lines).toContain('State     open since 2026-02-20T10:00:00Z (11d ago)');
  });

  it.each<[resource: NonNullable<typeof whole.spec.resource>, line: string]>([
    [{ kind: 'Secret' }, 'Resource  any Secret'],
    [{ kind: 'Node', name: 'n1', apiVersion: 'v1' }, 'Resource  Node/n1 (v1)'],
    [{ kind: 'Secret', namespace: 'prod' }, 'Resource  any Secret in prod'],
  ])('shows the resource %j', (resource, line) => {
    expect(described({ spec: { resource } })).toContain(line);
  });

  it('shows an actor of which little is known', () => {
    expect(described({ spec: { actor: { username: 'eve' } } })).toContain('Actor     eve');
  });

  it.each<[what: string, text: string]>([
    ['that is no JSON', '{'],
    ['that is no list', '{"time":1}'],
    ['with a change of no time', '[{"state":"open"}]'],
  ])('shows no history %s', (_what, text) => {
    const annotations = { 'zen.kube-zen.io/history': text };
    expect(described({ metadata: { annotations } })).not.toContain('History');
  });

  it('shows a time that can not be read as it is', () => {
    const annotations = { 'zen.kube-zen.io/history': '[{"time":"yesterday"}]' };
    expect(described({ metadata: { annotations } }).slice(-2)).toEqual(['History', '  yesterday']);
    expect(described({ spec: { detectedAt: 'yesterday' } })).toContain('Detected  yesterday');
  });

  it('lets no tool speak to the terminal', () => {
    const order = 'a\u001b[2Jb';
    const lines = described({
      metadata: {
        labels: { 'zen.kube-zen.io/state': order },
        annotations: { 'zen.kube-zen.io/history': JSON.stringify([{ time: order, reason: order }]) },
      },
      spec: {
        ...{ summary: order, rule: order, eventType: order, detectedAt: order },
        resource: { kind: order, name: order },
        actor: { username: order },
        remediation: `one${order}\r\n\ttwo\u202e`,
        references: [order],
        details: { [order]: order, list: [`${order}\nmore`] },
      },
    });
    expect(lines.join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(lines).toContain('  onea\\u{1b}[2Jb');
    expect(lines).toContain('    two\\u{202e}');
    expect(lines).toContain('  a\\u{1b}[2Jb: a\\u{1b}[2Jb');
  });

  it('puts a value of several lines into lines of its own', () => {
    const lines = described({ spec: { details: { output: 'one\ntwo', empty: '', nothing: null } } });
    expect(lines.slice(-5)).toEqual(['  output:', '    one', '    two', '  empty:', '  nothing: null']);
  });

  it('is as wide as the terminal at most, except for references', () => {
    const url = `https://example.com/${'x'.repeat(100)}`;
    const long = 'what it is, and where '.repeat(20);
    const object = anObservation({
      spec: {
        ...whole.spec,
        ...{ summary: long, rule: long, remediation: long, references: [url], details: { deep: { text: long } } },
      },
    });
    const lines = describeFinding(object, { now, width: 80 });
    expect(lines.filter((line) => widthOf(line) > 80)).toEqual([`  ${url}`]);
    const rule = lines.findIndex((line) => line.startsWith('Rule'));
    expect(lines[rule + 1]).toMatch(/^ {10}\S/);
    expect(lines).toContain('    deep:'.slice(2));
  });
});
