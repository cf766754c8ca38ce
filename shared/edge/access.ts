import type { AccessOptions } from '../function/access-options.ts';
import { Refusal } from '../function/refusal.ts';
import { createTokenCheck } from './bearer-token.ts';
import { clientAddress, createAddressList } from './client-address.ts';
import { createRateLimit } from './rate-limit.ts';
import type { RequestHead } from './request-head.ts';

export interface Access {
  /** Throws a Refusal 401, 403 or 429. The token may be in `tokenHeader`, too. */
  check(head: RequestHead, tokenHeader?: string): void;
  /** Whether neither a token nor an address is required. */
  readonly isOpen: boolean;
}

/** Checks requests before their bodies are read. Throws a UserError if the token file can't be read, or is empty. */
export function createAccess(options: AccessOptions, elapsed: () => number): Access {
  const { allowedAddresses, trustedProxies, requestsPerMinute } = options;
  const isAllowed = allowedAddresses.length > 0 ? createAddressList(allowedAddresses) : undefined;
  const isTrusted = createAddressList(trustedProxies);
  const checkRate = requestsPerMinute === undefined ? undefined : createRateLimit(requestsPerMinute, elapsed);
  const checkToken = createTokenCheck(options, elapsed);
  return {
    isOpen: !checkToken && !isAllowed,
    check(head, tokenHeader) {
      const client = clientAddress(head, isTrusted);
      if (isAllowed && (client === undefined || !isAllowed(client))) {
        throw new Refusal(403, 'the address is not allowed');
      }
      checkRate?.(client ?? 'unknown');
      checkToken?.(head, tokenHeader);
    },
  };
}
