import { describe, expect, it } from 'vitest';
import type { ApiClient, ApiRequest, ApiResponse } from '../../shared/kubernetes/api-client.ts';
import { listPages, readJson } from '../../shared/kubernetes/list-pages.ts';

/** A client that gives these answers, and notes what it was asked. */
function scripted(answers: readonly Omit<ApiResponse, 'bytes'>[]): { client: ApiClient; asked: ApiRequest[] } {
  const asked: ApiRequest[] = [];
  const client: ApiClient = {
    async request(request) {
      asked.push(request);
      const answer = answers[asked.length - 1];
      if (!answer) throw new Error('asked too often');
      return { ...answer, bytes: 1 };
    },
    stream: async () => ({ status: 404, body: undefined, bytes: 0 }),
    close: () => undefined,
  };
  return { client, asked };
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

async function itemsOf(client: ApiClient): Promise<unknown[]> {
  return (await Array.fromAsync(listPages(client, options))).flatMap(({ items }) => items);
}

describe('listPages', () => {
  it('follows the pages to the end', async () => {
    const { client, asked } = scripted([page([1, 2], 'a'), page([3], '')]);
    expect(await itemsOf(client)).toEqual([1, 2, 3]);
    expect(asked.map(({ query }) => query?.continue)).toEqual([undefined, 'a']);
  });

  it('goes on from the next key when the list has expired', async () => {
    const { client, asked } = scripted([page([1, 2], 'a'), expired('b'), page([3, 4], 'c'), page([5])]);
    expect(await itemsOf(client)).toEqual([1, 2, 3, 4, 5]);
    expect(asked.map(({ query }) => query?.continue)).toEqual([undefined, 'a', 'b', 'c']);
  });

  it('concludes nothing from a list that it cannot read to its end', async () => {
    await expect(itemsOf(scripted([page([1, 2], 'a'), expired()]).client)).rejects.toMatchObject({ status: 503 });
    await expect(itemsOf(scripted([page([1, 2], 'a'), { status: 403, body: {} }]).client)).rejects.toMatchObject({
      status: 503,
    });
    await expect(itemsOf(scripted([{ status: 404, body: {} }]).client)).rejects.toMatchObject({ status: 503 });
  });

  it('takes a kind that is not served for an empty list, where that is allowed', async () => {
    const pages = listPages(scripted([{ status: 404, body: {} }]).client, { ...options, isOptional: true });
    expect(await Array.fromAsync(pages)).toEqual([]);
  });
});
