import * as z from 'zod';
import type { ApiClient, ApiRequest, ApiResponse } from './api-client.ts';
import { setUpFault, statusOf } from './api-status.ts';

export interface ListOptions<Item> extends Pick<ApiRequest, 'path' | 'query' | 'accept' | 'signal' | 'onRetry'> {
  /** Reads the body of a page. Throws an Error. */
  readonly read: (body: unknown) => List<Item>;
  /** Items per page; `undefined` asks for all at once. */
  readonly limit: number | PageSize | undefined;
  /** What the call does, in an operator's words: the fault's message begins with it. */
  readonly what: string;
  /** The status that stands for no list at all, as the first answer: 404 where the kind need not be served. */
  readonly emptyStatus?: number;
}

export interface List<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; empty after the last one. */
  readonly continue: string;
  readonly resourceVersion: string;
  /** How many items follow, of a list without a selector that is not at its end. */
  readonly remaining?: number | undefined;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly bytes: number;
  /** The resourceVersion of the whole list: where a watch continues from. */
  readonly version: string;
}

const listSchema = z.object({
  items: z.array(z.unknown()).nullish(),
  metadata: z.object({ continue: z.string().default(''), resourceVersion: z.string().default('') }).optional(),
});

/** A list in JSON, whatever its items are. */
export function readJson(body: unknown): List<unknown> {
  const { items, metadata = { continue: '', resourceVersion: '' } } = listSchema.parse(body);
  return { items: items ?? [], ...metadata };
}

/** Objects differ a thousandfold in size, so each page asks for as many as would make about this many bytes. */
const pageBytes = 262_144;
const firstPage = 20;
const longestPage = 500;

/** How many items to ask for, by how large the ones before were. */
export interface PageSize {
  next(): number;
  note(page: Pick<Page<unknown>, 'items' | 'bytes'>): void;
}

export function createPageSize(): PageSize {
  let size = firstPage;
  return {
    next: () => size,
    note({ items, bytes }) {
      const fitting = Math.floor((pageBytes / Math.max(bytes, 1)) * items.length);
      size = Math.max(1, Math.min(longestPage, size * 4, fitting || 1));
    },
  };
}

function requestFor(options: ListOptions<unknown>, token: string | undefined): ApiRequest {
  const { path, query, limit, accept, signal, onRetry } = options;
  const size = typeof limit === 'object' ? limit.next() : limit;
  const paging = { limit: size === undefined ? undefined : String(size), continue: token };
  return {
    ...{ method: 'GET', path, query: { ...query, ...paging }, signal, onRetry },
    ...(accept !== undefined && { accept }),
  };
}

/**
 * Where a list that has expired continues. Throws a Refusal 503 if the server does not offer that, or the answer is any
 * other fault: the list is incomplete then, and nothing may be concluded from it.
 */
function tokenAfterFault(what: string, token: string | undefined, response: ApiResponse): string {
  const hasExpired = response.status === 410 && token !== undefined;
  const offered = hasExpired ? statusOf(response.body)?.metadata?.continue : undefined;
  if (offered === undefined) throw setUpFault(what, response);
  return offered;
}

/** The pages of a list, each asked for when it is needed. */
async function* fetchPages<Item>(client: ApiClient, options: ListOptions<Item>): AsyncGenerator<Page<Item>> {
  let token: string | undefined;
  do {
    const response = await client.request(requestFor(options, token));
    // Of a list that has begun, a part is missing.
    if (response.status === options.emptyStatus && token === undefined) return;
    if (response.status === 200) {
      const list = options.read(response.body);
      token = list.continue || undefined;
      const page = { items: list.items, bytes: response.bytes, version: list.resourceVersion };
      if (typeof options.limit === 'object') options.limit.note(page);
      yield page;
    } else {
      token = tokenAfterFault(options.what, token, response);
    }
  } while (token !== undefined);
}

/**
 * A list, page by page. If the API server no longer has the state that the list began with (410), the list continues
 * after the last key with the present state: https://kubernetes.io/docs/reference/using-api/api-concepts/
 * Throws a Refusal 503; yields no page at all if the answer has the `emptyStatus`.
 */
export async function* listPages<Item>(client: ApiClient, options: ListOptions<Item>): AsyncGenerator<Page<Item>> {
  const pages = fetchPages(client, options);
  let next = pages.next();
  for (let page = await next; !page.done; page = await next) {
    // The server prepares the next page while this one is used. If nobody asks for that page, its fault is ignored.
    next = pages.next();
    next.catch(() => undefined);
    yield page.value;
  }
}
