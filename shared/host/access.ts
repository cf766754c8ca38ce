import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { type AccessOptions, linesOf } from '../function/access-options.ts';
import { Refusal } from '../function/refusal.ts';
import { UserError } from '../function/user-error.ts';

/** What of a request is known before its body. */
export interface RequestHead {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
}

export interface Access {
  /** Throws a Refusal 401, 403 or 429. */
  check(head: RequestHead): void;
  /** Whether neither a token nor an address is asked for. */
  readonly isOpen: boolean;
}

const rereadMilliseconds = 1000;
const minute = 60_000;

/** As many clients are remembered; the one that has been silent longest is forgotten first. */
const maxClients = 10_000;

/** An address without port, brackets, zone and v4-mapping; `undefined` if it is none. */
export function plainAddress(text: string | undefined): string | undefined {
  const match =
    /^\[([0-9a-f:.]+)(?:%[\w.]+)?\](?::\d{1,5})?$|^(\d[\d.]*)(?::\d{1,5})?$|^([0-9a-f:.]+)(?:%[\w.]+)?$/i.exec(
      text?.trim() ?? '',
    );
  const address = (match?.[1] ?? match?.[2] ?? match?.[3])?.replace(/^::ffff:(?=\d+\.)/i, '');
  return address !== undefined && isIP(address) !== 0 ? address.toLowerCase() : undefined;
}

function listOf(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function isIn(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function header({ headers }: RequestHead, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

/** The hops that proxies tell of, client first: https://www.rfc-editor.org/rfc/rfc7239 */
function hops(head: RequestHead): string[] | undefined {
  // A proxy that appends to X-Forwarded-For may leave alone the Forwarded that a client made up.
  const list = header(head, 'x-forwarded-for');
  if (list !== undefined) return list.split(',');
  return header(head, 'forwarded')
    ?.split(',')
    .map((element) => /(?:^|;)\s*for="?([^";]*)"?/i.exec(element)?.[1] ?? '');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Compares with every token, in a time that tells nothing of any. */
function isOneOf(tokens: readonly string[], given: string): boolean {
  const digested = digest(given);
  let found = false;
  for (const token of tokens) if (timingSafeEqual(digest(token), digested)) found = true;
  return found;
}

/** Throws a UserError where the file can't be read. */
function countTokens(tokenFile: string, read: () => readonly string[]): number {
  try {
    return read().length;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unreadable';
    throw new UserError(`WEBHOOK_AUTH_TOKEN_FILE: ${tokenFile} can't be read (${code})`, { cause: error });
  }
}

/** Checks requests before their bodies are read. Throws where the token file can't be read. */
export function createAccess(options: AccessOptions, now: () => number): Access {
  const { tokens, tokenFile, allowedAddresses, trustedProxies, requestsPerMinute } = options;
  const allowed = listOf(allowedAddresses);
  const trusted = listOf(trustedProxies);
  const clients = new Map<string, { left: number; at: number }>();
  let fromFile: readonly string[] = [];
  let readAt = Number.NEGATIVE_INFINITY;

  function validTokens(): readonly string[] {
    if (tokenFile === undefined) return tokens;
    if (now() - readAt >= rereadMilliseconds) {
      fromFile = linesOf(readFileSync(tokenFile, 'utf8'));
      readAt = now();
    }
    return [...tokens, ...fromFile];
  }

  /** The first address from the right that no trusted proxy has; `undefined` where a hop is no address. */
  function clientOf(head: RequestHead): string | undefined {
    let client = plainAddress(head.remoteAddress);
    for (const hop of (hops(head) ?? []).reverse()) {
      if (client === undefined || !isIn(trusted, client)) return client;
      client = plainAddress(hop);
    }
    return client;
  }

  /** A bucket that holds a minute's requests and fills evenly. */
  function checkRate(client: string, limit: number): void {
    const bucket = clients.get(client) ?? { left: limit, at: now() };
    const left = Math.min(limit, bucket.left + ((now() - bucket.at) * limit) / minute);
    clients.delete(client);
    clients.set(client, { left: left >= 1 ? left - 1 : left, at: now() });
    if (clients.size > maxClients) for (const oldest of clients.keys()) return void clients.delete(oldest);
    if (left >= 1) return;
    throw new Refusal(429, 'too many requests', { retryAfter: Math.max(1, Math.ceil(((1 - left) * 60) / limit)) });
  }

  function checkToken(head: RequestHead): void {
    const given = /^Bearer +([^\s]+) *$/i.exec(header(head, 'authorization') ?? '')?.[1];
    if (given === undefined || !isOneOf(validTokens(), given)) throw new Refusal(401, 'a valid Bearer token is needed');
  }

  const needsToken = tokens.length > 0 || tokenFile !== undefined;
  if (tokenFile !== undefined && countTokens(tokenFile, validTokens) === 0) {
    throw new UserError(`WEBHOOK_AUTH_TOKEN_FILE: ${tokenFile} holds no token`);
  }
  return {
    isOpen: !needsToken && allowedAddresses.length === 0,
    check(head) {
      const client = clientOf(head);
      if (allowedAddresses.length > 0 && (client === undefined || !isIn(allowed, client))) {
        throw new Refusal(403, 'the address is not allowed');
      }
      if (requestsPerMinute !== undefined) checkRate(client ?? 'unknown', requestsPerMinute);
      if (needsToken) checkToken(head);
    },
  };
}
