import { isIP } from 'node:net';

/** Who may post raw HTTP to the webhook paths. An option that is not set restricts nobody. */
export interface AccessOptions {
  /** Bearer tokens. Any of them is accepted, so that one can be replaced without an interruption. */
  readonly tokens: readonly string[];
  /** A file of tokens, one per line, which is reread while the process runs. */
  readonly tokenFile?: string | undefined;
  /** Client addresses and CIDRs, IPv4 and IPv6; empty allows all. */
  readonly allowedAddresses: readonly string[];
  /** Proxies whose X-Forwarded-For or Forwarded header is trusted to name the client. */
  readonly trustedProxies: readonly string[];
  /** The limit for each client. */
  readonly requestsPerMinute?: number | undefined;
}

/** Whether a text is an IP address or a CIDR. */
export function isAddressOrCidr(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const maxBits = isIP(address) === 6 ? 128 : isIP(address) === 4 ? 32 : -1;
  if (maxBits < 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits);
}

/** The lines of a text, trimmed, without empty ones. */
export function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
