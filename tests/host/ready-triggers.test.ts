import { describe, expect, it } from 'vitest';
import { isRoutedBy } from '../../shared/host/ready-triggers.ts';
import { readyTrigger } from '../cluster/report-crds.ts';

const type = 'falco.rule.output.v1';
const ready = readyTrigger('falco', type);

describe('whether a Broker passes events on', () => {
  it.each<[string, object[], boolean]>([
    ['without Triggers', [], false],
    ['with a ready one', [ready], true],
    ['with one that is not ready', [readyTrigger('falco', type, false)], false],
    ['with one that is not ready yet', [{ ...ready, status: {} }], false],
    [
      'with one that is being deleted',
      [{ ...ready, metadata: { ...ready.metadata, deletionTimestamp: 'now' } }],
      false,
    ],
    ['with one for other events', [readyTrigger('falco', 'x.y')], false],
    ["with somebody else's for the same events", [readyTrigger('pager', type)], false],
    ['with one not ready and one that is', [readyTrigger('falco', type, false), ready], true],
    ['with one that names an address', [{ ...ready, spec: { ...ready.spec, subscriber: { uri: 'http://x' } } }], true],
    [
      'with one in the newer form',
      [{ ...ready, spec: { ...ready.spec, filter: undefined, filters: [{ exact: { type } }] } }],
      true,
    ],
    [
      'with one in the newer form for others',
      [{ ...ready, spec: { ...ready.spec, filter: undefined, filters: [{ exact: { type: 'x' } }] } }],
      false,
    ],
    ['with what is no Trigger', [{ ...ready, spec: 1 }], false],
  ])('%s', (_case, triggers, expected) => {
    expect(isRoutedBy(triggers as never, { functionName: 'falco', eventType: type })).toBe(expected);
  });

  it.each([
    ['the Broker that the Trigger is for', 'zen-watcher', true],
    ['another one', 'zen-watcher-kafka', false],
  ])('that is %s', (_which, brokerName, expected) => {
    expect(isRoutedBy([ready], { functionName: 'falco', eventType: type, brokerName })).toBe(expected);
  });
});
