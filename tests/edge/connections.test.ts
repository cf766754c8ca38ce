import { describe, expect, it } from 'vitest';
import { createConnectionLimit } from '../../shared/edge/connections.ts';

const gibibyte = 1_073_741_824;

type Admit = ReturnType<typeof createConnectionLimit>;

/** How many of these connections are let in. */
function opened(admit: Admit, addresses: readonly (string | undefined)[]): number {
  return addresses.filter((address) => admit(address) !== undefined).length;
}

const of = (address: string | undefined, count: number) => Array.from({ length: count }, () => address);
const clients = (count: number) => Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`);

describe('connections', () => {
  it('of one client leave room for the others and for probes', () => {
    const admit = createConnectionLimit([], gibibyte);
    expect(opened(admit, of('192.0.2.1', 5000))).toBe(200);
    expect(opened(admit, of('192.0.2.2', 5))).toBe(5);
    expect(opened(admit, of('127.0.0.1', 500))).toBe(500);
  });

  it('of a network count together, of unknown clients too', () => {
    const admit = createConnectionLimit([], gibibyte);
    const network = Array.from({ length: 5000 }, (_, index) => `2001:db8:1:2::${index.toString(16)}`);
    expect(opened(admit, network)).toBe(200);
    expect(opened(admit, ['2001:db8:1:3::1'])).toBe(1);
    expect(opened(admit, of(undefined, 300))).toBe(200);
  });

  it('are bounded, and leave room for proxies and probes', () => {
    const admit = createConnectionLimit(['192.0.2.0/24'], gibibyte);
    expect(opened(admit, clients(5000))).toBe(1000);
    expect(opened(admit, of('192.0.2.7', 900))).toBe(900);
    expect(opened(admit, of('::ffff:127.0.0.1', 5000))).toBe(100);
    expect(opened(admit, ['198.51.100.1'])).toBe(0);
  });

  it('are fewer where there is little memory, but for those of proxies', () => {
    const admit = createConnectionLimit([], gibibyte / 8);
    expect(opened(admit, clients(5000))).toBe(512);
    expect(opened(admit, of('127.0.0.1', 5000))).toBe(1000);
  });

  it('that are closed make room', () => {
    const admit = createConnectionLimit([], gibibyte);
    const close = admit('192.0.2.1');
    opened(admit, of('192.0.2.1', 5000));
    close?.();
    expect(opened(admit, of('192.0.2.1', 5))).toBe(1);
  });
});
