import { describe, expect, it } from 'vitest';
import { brokerAddressIn } from '../../shared/host/broker-address.ts';
import { broker } from '../cluster/report-crds.ts';

const url = 'https://broker-ingress.knative-eventing.svc/zen-system/zen-watcher';

describe('brokerAddressIn', () => {
  it.each<[string, object[], object | undefined]>([
    ['no Broker', [], undefined],
    ['one without a status', [{ ...broker({ url }), status: undefined }], undefined],
    ['one without an address', [{ ...broker({ url }), status: { address: null } }], undefined],
    ['one whose address is no URL', [broker({ url: 'broker-ingress' })], undefined],
    ['one whose address nobody can post to', [broker({ url: 'ftp://broker' })], undefined],
    ['one with an address', [broker({ url })], { url }],
    [
      'one with certificates and an audience',
      [broker({ url, CACerts: 'PEM', audience: 'a/b' })],
      { url, caCerts: 'PEM', audience: 'a/b' },
    ],
    ['one with empty ones', [broker({ url, CACerts: '', audience: '' })], { url }],
  ])('reads the status of %s', (_which, brokers, expected) => {
    expect(brokerAddressIn(brokers as never)).toEqual(expected);
  });
});
