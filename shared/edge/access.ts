import type { AccessOptions } from '../function/access-options.ts';
import { Refusal } from '../function/refusal.ts';
import type { TokenPlaces } from '../function/triggers.ts';
import { createTokenCheck } from './bearer-token.ts';
import { clientAddress, createAddressList, networkOf } from './client-address.ts';
import { createRateLimit } from './rate-limit.ts';
import type { RequestHead } from './request-head.ts';

export interface Access {
  /** Throws a Refusal 401, 403 or 429. */
  check(head: RequestHead, places?: TokenPlaces): void;
  /** Whether neither a token nor an address is required. */
  readonly isOpen: boolean;
}

/** Checks requests before their bodies are read. Throws a UserError if the token file can't be read, or is empty. */
export function createAccess(options: AccessOptions, elapsed: () => number): Access {
  const { allowedAddresses, trustedProxies, requestsPerMinute } = options;
  const isAllowed = allowedAddresses.length > 0 ? createAddressList(allowedAddresses) : undefined;
  const isTrusted = createAddressList(trustedProxies);
  const rateLimit = () => (requestsPerMinute === undefined ? undefined : createRateLimit(requestsPerMinute, elapsed));
  const checkRate = rateLimit();
  // Whoever guesses tokens has a bucket of its own, so that it takes nothing from who knows one.
  const checkGuesses = rateLimit();
  const checkToken = createTokenCheck(options, elapsed);
  return {
    isOpen: !checkToken && !isAllowed,
    check(head, places = {}) {
      const address = clientAddress(head, isTrusted);
      if (isAllowed && (address === undefined || !isAllowed(address))) {
        throw new Refusal(403, 'the address is not allowed');
      }
      const client = address === undefined ? 'unknown' : networkOf(address);
      try {
        checkToken?.(head, places);
      } catch (refusal) {
        checkGuesses?.(client);
        throw refusal;
      }
      checkRate?.(client);
    },
  };
}
