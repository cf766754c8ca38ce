import type { IncomingHttpHeaders } from 'node:http';

/** What is known of a request before its body. */
export interface RequestHead {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
}

/** A header's value, those of several lines joined. */
export function headerOf({ headers }: RequestHead, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
