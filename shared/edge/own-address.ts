import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../function/refusal.ts';

/** What a browser says of a request that no page of another origin has caused. */
const ownSites = new Set(['same-origin', 'none']);

/** Whether a person opens the page itself, by a link or by hand. Where the link was doesn't matter: it learns nothing. */
function isOpened(method: string | undefined, { 'sec-fetch-mode': mode, 'sec-fetch-dest': page }: IncomingHttpHeaders) {
  return method === 'GET' && mode === 'navigate' && page === 'document';
}

export interface LocalRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** `localPort` is the port that it came in by. */
  readonly socket: { readonly localPort?: number | undefined };
}

/**
 * Throws a Refusal 403 for what a web page may have a browser send to this machine: under a name of its own, which it lets
 * lead to 127.0.0.1 (DNS rebinding), or from another origin, whose script can't read the answer but has done what it wanted.
 * No tool sends an Origin.
 */
export function checkOwnAddress({ method, headers, socket: { localPort: port } }: LocalRequest): void {
  const suffix = port === 80 ? '' : `:${port}`;
  const own = ['127.0.0.1', 'localhost', '[::1]'].map((name) => `${name}${suffix}`);
  const host = headers.host?.toLowerCase();
  if (host === undefined || !own.includes(host)) {
    const [address, name] = own;
    throw new Refusal(
      403,
      `local mode takes requests to ${address} and ${name} alone, and this one names another Host`,
    );
  }
  const site = headers['sec-fetch-site'];
  const isForeign = headers.origin !== undefined && headers.origin !== `http://${host}`;
  const isCrossSite = typeof site === 'string' && !ownSites.has(site) && !isOpened(method, headers);
  if (isForeign || isCrossSite) throw new Refusal(403, 'local mode takes no requests from other web pages');
}
