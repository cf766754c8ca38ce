import { BlockList, isIP } from 'node:net';
import { headerOf, type RequestHead } from './request-head.ts';

/** The address without port, brackets, zone and v4-mapping; `undefined` if the text is no address. */
export function plainAddress(text: string | undefined): string | undefined {
  const match =
    /^\[([0-9a-f:.]+)(?:%[\w.]+)?\](?::\d{1,5})?$|^(\d[\d.]*)(?::\d{1,5})?$|^([0-9a-f:.]+)(?:%[\w.]+)?$/i.exec(
      text?.trim() ?? '',
    );
  const address = (match?.[1] ?? match?.[2] ?? match?.[3])?.replace(/^::ffff:(?=\d+\.)/i, '');
  return address !== undefined && isIP(address) !== 0 ? address.toLowerCase() : undefined;
}

/** Of what is known to be an address, so that a cold start need not compile the pattern by which `net` knows an IPv6 address. */
function isIPv6(address: string): boolean {
  return address.includes(':');
}

function familyOf(address: string): 'ipv6' | 'ipv4' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('%', 1).join('').split('::');
  const [before, after] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':')));
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - (before?.length ?? 0) - (after?.length ?? 0) }, () => '0');
  return [...(before ?? []), ...zeros, ...(after ?? [])].map((group) => group.replace(/^0+(?=.)/, ''));
}

/** What counts as one client: an IPv4 address, or the /64 of an IPv6 address, of which anybody has them all. */
export function networkOf(address: string): string {
  return isIPv6(address) ? `${groupsOf(address).slice(0, 4).join(':')}::/64` : address;
}

/** Whether an address is one of these, or in one of these CIDRs. */
export function createAddressList(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    if (bits === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(bits), familyOf(address));
  }
  return (address) => list.check(address, familyOf(address));
}

/** The hops that proxies report, client first: https://www.rfc-editor.org/rfc/rfc7239 */
function hops(head: RequestHead): string[] {
  // A proxy that appends to X-Forwarded-For may pass on a Forwarded header that the client made up.
  const list = headerOf(head, 'x-forwarded-for');
  if (list !== undefined) return list.split(',');
  const elements = headerOf(head, 'forwarded')?.split(',') ?? [];
  return elements.map((element) => /(?:^|;)\s*for="?([^";]*)"?/i.exec(element)?.[1] ?? '');
}

/** The rightmost address that is not a trusted proxy's; `undefined` if a hop before it is no address. */
export function clientAddress(head: RequestHead, isTrusted: (address: string) => boolean): string | undefined {
  let client = plainAddress(head.remoteAddress);
  for (const hop of hops(head).reverse()) {
    if (client === undefined || !isTrusted(client)) return client;
    client = plainAddress(hop);
  }
  return client;
}
