import { describe, expect, it } from 'vitest';
import { bearsOwnMark, ownMark, ownMarkAttribute, ownMarkLabel } from '../../shared/api/own-mark.ts';

describe('our mark', () => {
  it('is the same in all its forms', () => {
    expect([ownMark, ownMarkLabel, ownMarkAttribute]).toEqual([
      'zen.kube-zen.io/observation',
      'zen_kube_zen_io_observation',
      'zenobservation',
    ]);
  });
});

describe('bearsOwnMark', () => {
  const mark = { [ownMark]: 'shop/n' };
  const table: [string, unknown, boolean][] = [
    ['a record of a SIEM', mark, true],
    ['a list of them', [{}, mark], true],
    ['an alert of Alertmanager', { labels: { [ownMarkLabel]: 'shop/n' } }, true],
    ['a group of them', { commonLabels: { [ownMarkLabel]: 'shop/n' } }, true],
    ['an alert with annotations', { annotations: mark }, true],
    ['an alert of falcosidekick', { output_fields: mark }, true],
    ['a CloudEvent', { specversion: '1.0', [ownMarkAttribute]: 'shop/n' }, true],
    ['the alert of somebody else', { labels: { alertname: 'a' } }, false],
    ['what mentions it', { text: ownMark }, false],
    ['a Pod that somebody has labelled', { resource: { metadata: { labels: mark } } }, false],
    ['a list in a list', [[mark]], false],
    ['text', ownMark, false],
    ['nothing', null, false],
    ['no body', undefined, false],
    ['labels that are none', { labels: null, annotations: 'a', output_fields: [ownMark] }, false],
  ];

  it.each(table)('is asked of %s', (_case, data, expected) => {
    expect(bearsOwnMark(data)).toBe(expected);
  });

  it('looks at own members only', () => {
    expect(bearsOwnMark(Object.create(mark))).toBe(false);
  });
});
