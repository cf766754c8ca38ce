import { describe, expect, it } from 'vitest';
import type { ApiClient, ApiRequest, ApiResponse } from '../../shared/kubernetes/api-client.ts';
import { listPages, readJson } from '../../shared/kubernetes/list-pages.ts';

type Answer = Omit<ApiResponse, 'bytes'>;

/** A server that has an answer for each place in a list, once: the empty one is its beginning. */
function serving(answers: Readonly<Record<string, Answer>>): ApiClient {
  const left = new Map(Object.entries(answers));
  return {
    async request({ query }: ApiRequest) {
      const place = query?.continue ?? '';
      const answer = left.get(place);
      left.delete(place);
      if (!answer) throw new Error(`nothing is left at ${place}`);
      return { ...answer, bytes: 1 };
    },
    open: async () => ({ status: 404, body: undefined, bytes: 0 }),
    stream: async () => ({ status: 404, body: undefined, bytes: 0 }),
    close: () => undefined,
  };
}

const options = {
  path: '/apis/x/v1/things',
  limit: 2,
  what: 'listing things',
  read: readJson,
  signal: new AbortController().signal,
};

function page(items: readonly number[], token?: string) {
  return { status: 200, body: { items, metadata: token === undefined ? {} : { continue: token } } };
}

const expired = (token?: string) => ({
  status: 410,
  body: { kind: 'Status', reason: 'Expired', metadata: token === undefined ? {} : { continue: token } },
});

async function itemsOf(answers: Readonly<Record<string, Answer>>): Promise<unknown[]> {
  return (await Array.fromAsync(listPages(serving(answers), options))).flatMap(({ items }) => items);
}

describe('listPages', () => {
  it('follows the pages to the end', async () => {
    expect(await itemsOf({ '': page([1, 2], 'a'), a: page([3, 4], 'b'), b: page([5], '') })).toEqual([1, 2, 3, 4, 5]);
  });

  it('goes on from the next key when the list has expired', async () => {
    const answers = { '': page([1, 2], 'a'), a: expired('b'), b: page([3, 4], 'c'), c: page([5]) };
    expect(await itemsOf(answers)).toEqual([1, 2, 3, 4, 5]);
  });

  it.each<[string, Readonly<Record<string, Answer>>]>([
    ['that has expired without an offer to go on', { '': page([1, 2], 'a'), a: expired() }],
    ['that is refused in the middle', { '': page([1, 2], 'a'), a: { status: 403, body: {} } }],
    ['of a kind that is gone in the middle', { '': page([1, 2], 'a'), a: { status: 404, body: {} } }],
    ['of a kind that is not served', { '': { status: 404, body: {} } }],
  ])('concludes nothing from a list %s', async (_case, answers) => {
    await expect(itemsOf(answers)).rejects.toMatchObject({ status: 503 });
  });

  it('takes a kind that is not served for an empty list, where that is allowed', async () => {
    const pages = listPages(serving({ '': { status: 404, body: {} } }), { ...options, emptyStatus: 404 });
    expect(await Array.fromAsync(pages)).toEqual([]);
  });

  it.each([404, 403, 410, 500])('takes %i in the middle for no end, even where 404 is allowed', async (status) => {
    const answers = { '': page([1, 2], 'a'), a: { status, body: {} } };
    const pages = listPages(serving(answers), { ...options, emptyStatus: 404 });
    await expect(Array.fromAsync(pages)).rejects.toMatchObject({ status: 503 });
  });
});
