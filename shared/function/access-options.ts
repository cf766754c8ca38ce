import { isIP } from 'node:net';

/** Who may post to the doors for raw HTTP. What is not set allows everybody. */
export interface AccessOptions {
  /** Bearer tokens, any of which is good: while one is replaced both are. */
  readonly tokens: readonly string[];
  /** A file of tokens, one a line, read again while the process runs. */
  readonly tokenFile?: string | undefined;
  /** Addresses and CIDRs, v4 and v6; empty for all. */
  readonly allowedAddresses: readonly string[];
  /** The proxies whose word about the client's address is believed. */
  readonly trustedProxies: readonly string[];
  /** Of one client. */
  readonly requestsPerMinute?: number | undefined;
}

/** Whether a text is an address or a CIDR. */
export function isAddressOrCidr(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const longest = isIP(address) === 6 ? 128 : isIP(address) === 4 ? 32 : -1;
  if (longest < 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest);
}

/** The lines of a text that hold something. */
export function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
