import { describe, expect, it } from 'vitest';
import type { ApiClient, OpenResponse } from '../../shared/kubernetes/api-client.ts';
import { listMetadata } from '../../shared/kubernetes/list-metadata.ts';
import { encode } from './metadata-bytes.ts';

/** One answer of the API server: a status, or a list that may break off after some items, with an error or without. */
type Answer = number | { readonly items: readonly string[]; readonly breaksAfter?: number; readonly isSilent?: true };

/** Objects by `<namespace>/<name>`, as the API server answers. */
function bytesOf(keys: readonly string[]): Buffer {
  const items = keys.map((key) => ({
    namespace: key.split('/')[0] ?? '',
    name: key.split('/')[1] ?? '',
    uid: 'u',
    resourceVersion: '1',
    other: 'x'.repeat(100),
    seconds: 0,
    deleted: undefined,
    labels: {},
    owners: [],
  }));
  return Buffer.from(encode({ items, continue: '', remaining: undefined, resourceVersion: '7' }));
}

/** A body in small pieces. */
async function* chunksOf({ items, breaksAfter, isSilent }: Exclude<Answer, number>): AsyncGenerator<Buffer> {
  const bytes = bytesOf(items);
  const end = breaksAfter === undefined ? bytes.length : bytesOf(items.slice(0, breaksAfter)).length;
  for (let index = 0; index < end; index += 50) yield bytes.subarray(index, Math.min(index + 50, end));
  if (breaksAfter !== undefined && !isSilent) throw new Error('the connection broke');
}

/** A server that has these answers, one after the other. */
function serving(answers: readonly Answer[]): ApiClient & { readonly left: () => number } {
  const left = [...answers];
  return {
    left: () => left.length,
    async open(): Promise<OpenResponse> {
      const answer = left.shift();
      if (answer === undefined) throw new Error('nothing is left');
      if (typeof answer === 'number') return { status: answer, body: {}, bytes: 1 };
      return { status: 200, body: undefined, bytes: 0, chunks: chunksOf(answer) };
    },
    request: () => Promise.reject(new Error('no other request')),
    stream: () => Promise.reject(new Error('no stream')),
    close: () => undefined,
  };
}

const options = {
  path: '/apis/x/v1/things',
  query: {},
  what: 'listing things',
  isLong: true,
  isWanted: () => false,
  signal: new AbortController().signal,
};

async function keysOf(client: ApiClient, more: { readonly emptyStatus?: number } = {}): Promise<string[]> {
  const lists = await Array.fromAsync(listMetadata(client, { ...options, ...more }));
  return lists.flat().map(({ namespace, name }) => `${namespace}/${name}`);
}

// As the API server sorts them: "-" comes before "/".
const all = ['a-b/1', 'a/1', 'a/2', 'b/1', 'b/2'];

describe('listMetadata', () => {
  it('reads all of it in one call', async () => {
    expect(await keysOf(serving([{ items: all }]))).toEqual(all);
  });

  it.each([1, 2, 3, 4])('goes on where an answer broke off, after %i items', async (breaksAfter) => {
    expect(await keysOf(serving([{ items: all, breaksAfter }, { items: all }]))).toEqual(all);
  });

  it('takes no list for complete that ends too soon', async () => {
    const answers = [0, 2, 4].map((breaksAfter) => ({ items: all, breaksAfter, isSilent: true }) as const);
    expect(await keysOf(serving([...answers, { items: all }]))).toEqual(all);
  });

  it('goes on with what there is by then', async () => {
    const client = serving([{ items: all, breaksAfter: 3 }, { items: ['a/0', 'a/3', 'b/2'] }]);
    expect(await keysOf(client)).toEqual(['a-b/1', 'a/1', 'a/2', 'a/3', 'b/2']);
  });

  it('goes on as often as there is something new', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `a/${String(index).padStart(2, '0')}`);
    const breaks = names.map((_, index) => ({ items: names, breaksAfter: index + 1 }));
    expect(await keysOf(serving([...breaks, { items: names }]))).toEqual(names);
  });

  it('gives up where nothing new arrives', async () => {
    const client = serving(Array.from({ length: 9 }, () => ({ items: all, breaksAfter: 0 })));
    await expect(keysOf(client)).rejects.toMatchObject({
      status: 503,
      message: 'listing things: the answer breaks off',
    });
    expect(client.left()).toBe(4);
  });

  it('concludes nothing from a list that breaks off and is in no order', async () => {
    const items = ['b/1', 'a/1', 'c/1'];
    await expect(keysOf(serving([{ items, breaksAfter: 2 }, { items }]))).rejects.toMatchObject({ status: 503 });
    expect(await keysOf(serving([{ items }]))).toEqual(items);
  });

  it.each([404, 403, 410, 500])(
    'concludes nothing from a list that is refused (%i) once it has begun',
    async (status) => {
      for (const breaksAfter of [0, 2]) {
        const client = serving([{ items: all, breaksAfter }, status]);
        await expect(keysOf(client, { emptyStatus: 404 })).rejects.toMatchObject({ status: 503 });
      }
    },
  );

  it('takes a kind that is not served for an empty list, where that is allowed', async () => {
    expect(await Array.fromAsync(listMetadata(serving([404]), { ...options, emptyStatus: 404 }))).toEqual([]);
    await expect(keysOf(serving([404]))).rejects.toMatchObject({ status: 503 });
  });

  it('tells a list without items from no list', async () => {
    const lists = await Array.fromAsync(listMetadata(serving([{ items: [] }]), { ...options, emptyStatus: 404 }));
    expect(lists.length).toBeGreaterThan(0);
    expect(lists.flat()).toEqual([]);
  });

  it('refuses an answer that is not in protobuf', async () => {
    await expect(keysOf(serving([200]))).rejects.toMatchObject({ status: 503 });
  });
});
