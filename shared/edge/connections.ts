import { createAddressList, networkOf, plainAddress } from './client-address.ts';

/** An idle connection takes about 20 KiB: all of these together may take less than a tenth of the memory. */
const maxConnections = 1000;
const memoryPerConnection = 262_144;

/** Of one client: a browser opens six, and whoever posts to a webhook needs one for each request in flight. */
const maxPerClient = 200;

const loopback = ['127.0.0.1', '::1'];

interface Share {
  readonly key: string;
  readonly max: number;
}

/**
 * Bounds connections: all together, and those of one client, so that nobody shuts the others out. Proxies, through which
 * others come, and this machine itself, which asks whether we are alive, have a share of their own. What it returns gives
 * the function to call when a connection is closed, or `undefined` if there are too many.
 */
export function createConnectionLimit(
  trustedProxies: readonly string[],
  memoryLimit: number,
): (remoteAddress: string | undefined) => (() => void) | undefined {
  const isProxy = createAddressList([...loopback, ...trustedProxies]);
  const maxOthers = Math.min(maxConnections, Math.floor(memoryLimit / memoryPerConnection));
  const open = new Map<string, number>();
  const countOf = (key: string): number => open.get(key) ?? 0;

  function sharesOf(address: string | undefined): readonly Share[] {
    if (address !== undefined && isProxy(address)) return [{ key: 'proxies', max: maxConnections }];
    const client = address === undefined ? 'unknown' : networkOf(address);
    return [
      { key: 'others', max: maxOthers },
      { key: `client ${client}`, max: maxPerClient },
    ];
  }

  return (remoteAddress) => {
    const shares = sharesOf(plainAddress(remoteAddress));
    if (shares.some(({ key, max }) => countOf(key) >= max)) return undefined;
    for (const { key } of shares) open.set(key, countOf(key) + 1);
    return () => {
      for (const { key } of shares) {
        open.set(key, countOf(key) - 1);
        if (countOf(key) === 0) open.delete(key);
      }
    };
  };
}
