import * as z from 'zod';
import { type ApiClient, type ApiRequest, setUpFault, statusOf } from './api-client.ts';

export interface ListOptions<Item> extends Pick<ApiRequest, 'path' | 'query' | 'accept' | 'signal'> {
  /** Reads the body of a page. Throws an Error. */
  readonly read: (body: unknown) => List<Item>;
  /** Items a page; `undefined` asks for all at once. A function is asked before each page. */
  readonly limit: number | undefined | (() => number);
  /** What it is for, as an operator would say: the fault's message begins with it. */
  readonly what: string;
  /** A kind that is not served is an empty list. */
  readonly isOptional?: boolean;
}

export interface List<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; empty after the last one. */
  readonly continue: string;
  readonly resourceVersion: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly bytes: number;
  /** Of the whole list: where a watch goes on from. */
  readonly version: string;
}

const listSchema = z.object({
  items: z.array(z.unknown()).nullish(),
  metadata: z.object({ continue: z.string().default(''), resourceVersion: z.string().default('') }).optional(),
});

/** A list in JSON, of whatever items. */
export function readJson(body: unknown): List<unknown> {
  const { items, metadata = { continue: '', resourceVersion: '' } } = listSchema.parse(body);
  return { items: items ?? [], ...metadata };
}

function requestFor(options: ListOptions<unknown>, token: string | undefined): ApiRequest {
  const { path, query, limit, accept, signal } = options;
  const size = typeof limit === 'function' ? limit() : limit;
  const paging = { limit: size === undefined ? undefined : String(size), continue: token };
  return { method: 'GET', path, query: { ...query, ...paging }, ...(accept !== undefined && { accept }), signal };
}

/**
 * A list, page by page. Where the API server no longer has the state that the list began with (410), it goes on from
 * the next key with the state of now, as the server offers: https://kubernetes.io/docs/reference/using-api/api-concepts/
 * Throws a Refusal 503; gives no page at all where the kind is not served and `isOptional`.
 */
export async function* listPages<Item>(client: ApiClient, options: ListOptions<Item>): AsyncGenerator<Page<Item>> {
  let token: string | undefined;
  let next = client.request(requestFor(options, token));
  do {
    const response = await next;
    if (response.status === 404 && options.isOptional) return;
    if (response.status === 200) {
      const list = options.read(response.body);
      token = list.continue || undefined;
      // The server makes the next page while this one is used; who wants no more of them never learns of its fault.
      if (token !== undefined) next = client.request(requestFor(options, token));
      next.catch(() => undefined);
      yield { items: list.items, bytes: response.bytes, version: list.resourceVersion };
    } else {
      token = response.status === 410 && token !== undefined ? statusOf(response.body)?.metadata?.continue : undefined;
      // Without an offer to go on the list is incomplete, and nothing may be concluded from it.
      if (token === undefined) throw setUpFault(options.what, response);
      next = client.request(requestFor(options, token));
    }
  } while (token !== undefined);
}
