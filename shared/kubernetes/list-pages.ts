import * as z from 'zod';
import { type ApiClient, type ApiRequest, setUpFault, statusOf } from './api-client.ts';

export interface ListOptions extends Pick<ApiRequest, 'path' | 'query' | 'accept' | 'decode' | 'signal'> {
  /** Items a page; `undefined` asks for all at once. A function is asked before each page. */
  readonly limit: number | undefined | (() => number);
  /** What it is for, as an operator would say: the fault's message begins with it. */
  readonly what: string;
  /** A kind that is not served is an empty list. */
  readonly isOptional?: boolean;
}

export interface Page {
  readonly items: readonly unknown[];
  readonly bytes: number;
  /** Of the whole list: where a watch goes on from. */
  readonly version: string;
}

const pageSchema = z.object({
  items: z.array(z.unknown()).nullish(),
  metadata: z.object({ continue: z.string().optional(), resourceVersion: z.string().default('') }).optional(),
});

function requestFor({ limit, query, ...options }: ListOptions, token: string | undefined): ApiRequest {
  const size = typeof limit === 'function' ? limit() : limit;
  const paging = { limit: size === undefined ? undefined : String(size), continue: token };
  return { ...options, method: 'GET', query: { ...query, ...paging } };
}

/**
 * A list, page by page. Where the API server no longer has the state that the list began with (410), it goes on from
 * the next key with the state of now, as the server offers: https://kubernetes.io/docs/reference/using-api/api-concepts/
 * Throws a Refusal 503; gives no page at all where the kind is not served and `isOptional`.
 */
export async function* listPages(client: ApiClient, options: ListOptions): AsyncGenerator<Page> {
  let token: string | undefined;
  let next = client.request(requestFor(options, token));
  do {
    const response = await next;
    if (response.status === 404 && options.isOptional) return;
    if (response.status === 200) {
      const { items, metadata } = pageSchema.parse(response.body);
      token = metadata?.continue || undefined;
      // The server makes the next page while this one is used; who wants no more of them never learns of its fault.
      if (token !== undefined) next = client.request(requestFor(options, token));
      next.catch(() => undefined);
      yield { items: items ?? [], bytes: response.bytes, version: metadata?.resourceVersion ?? '' };
    } else {
      token = response.status === 410 && token !== undefined ? statusOf(response.body)?.metadata?.continue : undefined;
      // Without an offer to go on the list is incomplete, and nothing may be concluded from it.
      if (token === undefined) throw setUpFault(options.what, response);
      next = client.request(requestFor(options, token));
    }
  } while (token !== undefined);
}
