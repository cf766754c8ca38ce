import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type AccessOptions, linesOf } from '../function/access-options.ts';
import { Refusal } from '../function/refusal.ts';
import type { TokenPlaces } from '../function/triggers.ts';
import { UserError } from '../function/user-error.ts';
import { headerOf, type RequestHead } from './request-head.ts';

const rereadMilliseconds = 1000;

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Compares with every token, so that the time taken reveals nothing about any of them. */
function isOneOf(tokens: readonly string[], given: string): boolean {
  const digested = digest(given);
  let found = false;
  for (const token of tokens) if (timingSafeEqual(digest(token), digested)) found = true;
  return found;
}

/** The tokens that are valid now: the file is read again once a second at most. Throws if it can't be read. */
function createTokens({ tokens, tokenFile }: AccessOptions, elapsed: () => number): () => readonly string[] {
  if (tokenFile === undefined) return () => tokens;
  let fromFile: readonly string[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (elapsed() - readAt >= rereadMilliseconds) {
      fromFile = linesOf(readFileSync(tokenFile, 'utf8'));
      readAt = elapsed();
    }
    return [...tokens, ...fromFile];
  };
}

/** Throws a UserError if the file can't be read. */
function countTokens(tokenFile: string, read: () => readonly string[]): number {
  try {
    return read().length;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unreadable';
    throw new UserError(`WEBHOOK_AUTH_TOKEN_FILE: ${tokenFile} can't be read (${code})`, { cause: error });
  }
}

/** Throws a Refusal 401. */
type TokenCheck = (head: RequestHead, places: TokenPlaces) => void;

/** The credentials of this scheme in the Authorization header. */
function authorizationOf(head: RequestHead, scheme: 'Bearer' | 'Basic'): string | undefined {
  const [, given, credentials] = /^(\S+) +(\S+) *$/.exec(headerOf(head, 'authorization') ?? '') ?? [];
  return given?.toLowerCase() === scheme.toLowerCase() ? credentials : undefined;
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The password, and what it is if it was sent as it is written in a URL. */
function passwordsOf(credentials: string | undefined): string[] {
  const text = Buffer.from(credentials ?? '', 'base64').toString();
  const at = text.indexOf(':');
  const password = at < 0 ? '' : text.slice(at + 1);
  return [password, percentDecoded(password) ?? ''];
}

function givenIn(head: RequestHead, { tokenHeader, takesBasic }: TokenPlaces): string[] {
  const given = [
    authorizationOf(head, 'Bearer') ?? (tokenHeader === undefined ? undefined : headerOf(head, tokenHeader)),
    ...(takesBasic ? passwordsOf(authorizationOf(head, 'Basic')) : []),
  ];
  return given.filter((token): token is string => token !== undefined && token !== '');
}

/**
 * Throws a Refusal 401 unless the request has a valid token; `undefined` if none is required. Throws a UserError if the
 * token file can't be read, or holds no token.
 */
export function createTokenCheck(options: AccessOptions, elapsed: () => number): TokenCheck | undefined {
  if (options.tokens.length === 0 && options.tokenFile === undefined) return undefined;
  const validTokens = createTokens(options, elapsed);
  if (options.tokenFile !== undefined && countTokens(options.tokenFile, validTokens) === 0) {
    throw new UserError(`WEBHOOK_AUTH_TOKEN_FILE: ${options.tokenFile} holds no token`);
  }
  return (head, places) => {
    const valid = validTokens();
    if (!givenIn(head, places).some((given) => isOneOf(valid, given))) {
      throw new Refusal(401, 'a valid Bearer token is required');
    }
  };
}
