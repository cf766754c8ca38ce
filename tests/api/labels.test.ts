import { describe, expect, it } from 'vitest';
import {
  acceptedByAnnotation,
  acceptedReasonAnnotation,
  acceptedUntilAnnotation,
  correlationAnnotation,
  due,
  exceptionAnnotation,
  expiresAt,
  expiresLabel,
  historyAnnotation,
  labels,
  labelValue,
  laterExpiry,
  oldSubjectLabel,
  outboxLabel,
  reportedByAnnotation,
  sharedSlot,
  toldAnnotation,
} from '../../shared/api/labels.ts';

const hour = 3_600_000;

describe('labels', () => {
  it('have the names that selectors, dashboards and policies are written with', () => {
    expect(labels).toEqual({
      source: 'zen.kube-zen.io/source',
      category: 'zen.kube-zen.io/category',
      severity: 'zen.kube-zen.io/severity',
      expires: 'zen.kube-zen.io/expires',
      namespace: 'zen.kube-zen.io/namespace',
      workload: 'zen.kube-zen.io/workload',
      actor: 'zen.kube-zen.io/actor',
      report: 'zen.kube-zen.io/report',
      digest: 'zen.kube-zen.io/digest',
      state: 'zen.kube-zen.io/state',
      accepted: 'zen.kube-zen.io/accepted',
      since: 'zen.kube-zen.io/since',
    });
    expect([due, toldAnnotation]).toEqual(['due', 'zen.kube-zen.io/told']);
    const others = [oldSubjectLabel, outboxLabel, sharedSlot];
    expect([acceptedByAnnotation, acceptedReasonAnnotation, acceptedUntilAnnotation]).toEqual([
      'zen.kube-zen.io/accepted-by',
      'zen.kube-zen.io/accepted-reason',
      'zen.kube-zen.io/accepted-until',
    ]);
    expect([correlationAnnotation, exceptionAnnotation, historyAnnotation, reportedByAnnotation, ...others]).toEqual([
      'zen.kube-zen.io/correlation-id',
      'zen.kube-zen.io/exception',
      'zen.kube-zen.io/history',
      'zen.kube-zen.io/reported-by',
      'zen.kube-zen.io/subject',
      'zen.kube-zen.io/outbox',
      'shared',
    ]);
  });
});

describe('expiresLabel', () => {
  it.each([
    [0, '0'],
    [1, '1'],
    [hour, '1'],
    [hour + 1, '2'],
    [Date.parse('2026-03-01T12:00:00Z'), '492324'],
  ])('of %i is %s: the hour is full, or it is rounded up', (time, label) => {
    expect(expiresLabel(time)).toBe(label);
  });
});

describe('expiresAt', () => {
  it.each([
    ['0', 0],
    ['1', hour],
    ['492324', Date.parse('2026-03-01T12:00:00Z')],
    ['999999999999', 999_999_999_999 * hour],
  ])('of %s is %i', (label, time) => {
    expect(expiresAt(label)).toBe(time);
  });

  it.each([undefined, '', 'never', 'x1', '1x', '-1', '1.5', ' 1', '1\n', '0x10', '1e3', '9999999999999'])(
    'knows no time where the label is %j',
    (label) => {
      expect(expiresAt(label)).toBeUndefined();
    },
  );
});

describe('laterExpiry', () => {
  it.each([
    ['2', '1', '2'],
    ['10', '9', '10'],
    ['1', '1', undefined],
    ['1', '2', undefined],
    ['1', undefined, '1'],
    ['1', 'never', '1'],
    [undefined, '1', undefined],
    ['never', '1', undefined],
    ['never', undefined, undefined],
  ])('of %j, if it is later than %j, is %j', (label, than, later) => {
    expect(laterExpiry(label, than)).toBe(later);
  });
});

describe('labelValue', () => {
  it.each([
    ['security', 'security'],
    ['Az09', 'Az09'],
    ['a.b_c-d', 'a.b_c-d'],
    ['two  words', 'two--words'],
    ['naïve/cat', 'na-ve-cat'],
    ['..a..', 'a'],
    ['-_.x', 'x'],
    ['x.-_', 'x'],
    ['!!', ''],
    ['', ''],
    ['x'.repeat(63), 'x'.repeat(63)],
    ['x'.repeat(64), 'x'.repeat(63)],
    [`${'x'.repeat(62)} and more`, 'x'.repeat(62)],
  ])('makes of %j the label value %j', (text, value) => {
    expect(labelValue(text)).toBe(value);
  });
});
