import { describe, expect, it } from 'vitest';
import { csvOf } from '../../shared/view/csv.ts';
import { anObservation } from './an-observation.ts';

const now = Date.parse('2026-03-05T10:00:00Z');

describe('csvOf', () => {
  it('has a header, and every field that an auditor asks for', () => {
    const object = anObservation({
      metadata: { labels: { 'zen.kube-zen.io/state': 'missing' } },
      spec: {
        rule: 'r',
        summary: 's',
        resource: { kind: 'Deployment', namespace: 'prod', name: 'web' },
        actor: { username: 'eve' },
        remediation: 'do it',
        references: ['https://a.example', 'https://b.example'],
      },
    });
    expect(csvOf([object, anObservation()], now)).toEqual([
      'namespace,name,source,severity,state,category,eventType,rule,summary,resourceKind,resourceNamespace,resourceName,actor,remediation,references,detectedAt,createdAt,acceptedUntil,acceptedBy,acceptedReason,exception',
      'shop,trivy-0123456789abcdef0123456789abcdef,trivy,HIGH,missing,security,vulnerability,r,s,Deployment,prod,web,eve,do it,https://a.example https://b.example,2026-03-01T09:00:00Z,2026-03-01T10:00:00Z,,,,',
      'shop,trivy-0123456789abcdef0123456789abcdef,trivy,HIGH,open,security,vulnerability,,,,,,,,,2026-03-01T09:00:00Z,2026-03-01T10:00:00Z,,,,',
    ]);
  });

  it.each<[what: string, summary: string, cell: string]>([
    ['a comma', 'a, b', '"a, b"'],
    ['quotes', 'the "x"', '"the ""x"""'],
    ['a line break', 'a\r\nb', 'a b'],
    ['a formula', '=1+1', "'=1+1"],
    ['a formula with a comma', '=HYPERLINK("x","y")', '"\'=HYPERLINK(""x"",""y"")"'],
    ['a plus', '+1', "'+1"],
    ['a minus', '-1', "'-1"],
    ['an at sign', '@SUM(A1)', "'@SUM(A1)"],
    ['a formula after a tab', '\t=1', "'=1"],
    ['a sign inside', 'a=b', 'a=b'],
    ['a control character', 'a\u001b[2J', 'a\\u{1b}[2J'],
  ])('spells %s', (_what, summary, cell) => {
    const [, record = ''] = csvOf([anObservation({ spec: { summary } })], now);
    expect(record).toContain(`,vulnerability,,${cell},,,,,,,2026`);
  });

  it('leaves a cell empty where a time is not known', () => {
    const { metadata, ...rest } = anObservation();
    const { creationTimestamp: _none, ...without } = metadata;
    expect(csvOf([{ ...rest, metadata: without }], now)[1]).toMatch(/,2026-03-01T09:00:00Z,,,,,$/);
  });

  it.each<[what: string, labels: Record<string, string>, cells: string]>([
    [
      'until a time',
      { 'zen.kube-zen.io/accepted': '1772791200' },
      '2026-03-06T10:00:00Z,alice,no fix yet,shop/openssl',
    ],
    ['forever', { 'zen.kube-zen.io/accepted': 'forever' }, 'forever,alice,no fix yet,shop/openssl'],
    ['no more', { 'zen.kube-zen.io/accepted': '1772704800' }, ',,,'],
  ])('says of what is accepted %s what, who, why and until when', (_what, labels, cells) => {
    const annotations = {
      'zen.kube-zen.io/exception': 'shop/openssl',
      'zen.kube-zen.io/accepted-by': 'alice',
      'zen.kube-zen.io/accepted-reason': 'no fix yet',
    };
    const [, record = ''] = csvOf([anObservation({ metadata: { labels, annotations } })], now);
    expect(record.split('2026-03-01T10:00:00Z,')[1]).toBe(cells);
  });

  it('is only a header without Observations', () => {
    expect(csvOf([], now)).toEqual([expect.stringMatching(/^namespace,name,/)]);
  });
});
