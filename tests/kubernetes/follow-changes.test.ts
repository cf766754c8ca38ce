import { describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import type { Change } from '../../shared/function/stores.ts';
import type { ApiClient, ApiRequest, OpenResponse } from '../../shared/kubernetes/api-client.ts';
import { type Following, followChanges } from '../../shared/kubernetes/follow-changes.ts';
import { encode } from './metadata-bytes.ts';

const things: KindSelector = {
  group: 'example.com',
  versions: ['v1'],
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
  labels: { app: 'a' },
};

/** What is there: versions by name. */
type Objects = Readonly<Record<string, string>>;

async function* listOf(objects: Objects, resourceVersion: string): AsyncGenerator<Buffer> {
  const items = Object.entries(objects).map(([name, version]) => ({
    ...{ name, namespace: 'shop', resourceVersion: version, uid: 'u', other: 'x', seconds: 0 },
    ...{ deleted: undefined, labels: {}, owners: [] },
  }));
  yield Buffer.from(encode({ items, continue: '', remaining: undefined, resourceVersion }));
}

const event = (type: string, name: string, resourceVersion: string) => ({
  type,
  object: { kind: 'PartialObjectMetadata', metadata: { name, namespace: 'shop', resourceVersion, labels: {} } },
});
const bookmark = (resourceVersion: string) => ({ type: 'BOOKMARK', object: { metadata: { resourceVersion } } });
const fault = (code: number) => ({ type: 'ERROR', object: { kind: 'Status', reason: 'Because', code } });

/** What a watch is answered: a status, or what comes before it ends, breaks or falls silent. */
type Session =
  | number
  | { readonly events: readonly unknown[]; readonly end: 'ends' | 'breaks' | 'is silent' | 'is never open' };

interface Script {
  /** What each list finds, and the version at which it does; or the status that it is answered. */
  readonly lists: readonly ([Objects, string] | number)[];
  readonly sessions: readonly Session[];
}

/** Follows an API server with a script until that is at its end. */
async function play({ lists, sessions }: Script) {
  const left = { lists: [...lists], sessions: [...sessions] };
  const changes: string[] = [];
  const calls: string[] = [];
  const faults: string[] = [];
  const pauses: number[] = [];
  const queries: ApiRequest['query'][] = [];
  const synced: boolean[] = [];
  const stop = new AbortController();
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  let following: Following | undefined;
  const silent = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));

  async function* values({ events, end }: Exclude<Session, number>, signal: AbortSignal): AsyncGenerator<unknown> {
    for (const one of events) {
      yield one;
      synced.push(following?.isSynced() ?? false);
    }
    if (end === 'breaks') throw new Error('the answer was cut off');
    if (end === 'is silent') await silent(signal);
  }

  const client: ApiClient = {
    async open({ query, signal }): Promise<OpenResponse> {
      calls.push('list');
      queries.push(query);
      const answer = left.lists.shift();
      if (answer === undefined) return silent(signal);
      if (typeof answer === 'number') return { status: answer, body: undefined, bytes: 0 };
      return { status: 200, body: undefined, bytes: 0, chunks: listOf(...answer) };
    },
    async stream({ query, signal }) {
      calls.push(`watch from ${query?.resourceVersion}`);
      queries.push(query);
      const session = left.sessions.shift();
      if (session === undefined) {
        finish();
        return silent(signal);
      }
      if (typeof session === 'number') return { status: session, body: undefined, bytes: 0 };
      return session.end === 'is never open' ? silent(signal) : values(session, signal);
    },
    request: () => Promise.reject(new Error('no other request')),
    close: () => undefined,
  };
  following = followChanges(
    {
      client,
      resource: things,
      random: () => 1,
      sleep: async (milliseconds) => void pauses.push(milliseconds),
      onStart: () => changes.push('started'),
      onChange: ({ type, ref, path }: Change) => {
        expect(path).toBe(`/apis/example.com/v1/namespaces/shop/things/${ref.name}`);
        expect(ref).toMatchObject({ apiVersion: 'example.com/v1', kind: 'Thing', namespace: 'shop' });
        changes.push(`${type} ${ref.name}`);
      },
      onFault: (reason) => faults.push(reason),
      limits: { watch: 1000, silence: 20 },
    },
    stop.signal,
  );
  await finished;
  stop.abort();
  return { changes, calls, faults, pauses, queries, synced };
}

const ends = (...events: unknown[]): Session => ({ events, end: 'ends' });
const breaks = (...events: unknown[]): Session => ({ events, end: 'breaks' });

describe('followChanges', () => {
  it('tells what changes, and not what was there when it began', async () => {
    const { changes, calls, synced } = await play({
      lists: [[{ a: '1', b: '2' }, '5']],
      sessions: [ends(event('ADDED', 'c', '6'), event('MODIFIED', 'a', '7'), event('DELETED', 'b', '8'))],
    });
    expect(changes).toEqual(['started', 'add c', 'update a', 'delete b']);
    expect(calls).toEqual(['list', 'watch from 5', 'watch from 8']);
    expect(synced).toEqual([true, true, true]);
  });

  it('asks for bookmarks, for a time, and for what is wanted alone', async () => {
    const { queries } = await play({ lists: [[{}, '5']], sessions: [ends(bookmark('9'))] });
    expect(queries[0]).toEqual({ labelSelector: 'app=a', fieldSelector: undefined });
    expect(queries[1]).toEqual({
      ...queries[0],
      ...{ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '5', timeoutSeconds: '1' },
    });
  });

  const cases: readonly (readonly [string, Session, string, Session])[] = [
    ['ended', ends(bookmark('9')), 'watch from 9', ends()],
    ['broke', breaks(event('ADDED', 'b', '7')), 'watch from 7', ends()],
    ['fell silent', { events: [bookmark('8')], end: 'is silent' }, 'watch from 8', ends()],
    ['was never open', { events: [], end: 'is never open' }, 'watch from 5', ends()],
    ['reported a fault', ends(bookmark('6'), fault(500)), 'watch from 6', ends()],
    ['was answered 429', 429, 'watch from 5', ends()],
    ['was answered 503', 503, 'watch from 5', ends()],
  ];
  it.each(cases)('goes on where it was after a watch that %s, without a list', async (_how, first, next, then) => {
    const { calls } = await play({ lists: [[{ a: '1' }, '5']], sessions: [first, then] });
    expect(calls.slice(0, 3)).toEqual(['list', 'watch from 5', next]);
    expect(calls.filter((call) => call === 'list')).toHaveLength(1);
  });

  it.each([
    ['the watch is answered 410', 410],
    ['the watch reports it', ends(event('ADDED', 'c', '6'), fault(410))],
  ] as const)('lists again when the API server no longer knows what happened: %s', async (_how, session) => {
    const { changes, calls, faults } = await play({
      lists: [
        [{ a: '1', b: '2', same: '3' }, '5'],
        [{ a: '7', c: '6', same: '3' }, '9'],
      ],
      sessions: [session],
    });
    expect(new Set(changes)).toEqual(new Set(['started', 'add c', 'update a', 'delete b']));
    expect(changes.filter((change) => change === 'add c')).toHaveLength(1);
    expect(calls).toEqual(['list', 'watch from 5', 'list', 'watch from 9']);
    expect(faults).toEqual([]);
  });

  it('tells nothing twice that a watch shows again', async () => {
    const { changes } = await play({
      lists: [[{ a: '6' }, '5']],
      sessions: [breaks(event('MODIFIED', 'a', '6'), event('ADDED', 'b', '7')), ends(event('ADDED', 'b', '7'))],
    });
    expect(changes).toEqual(['started', 'add b']);
  });

  it('waits longer and longer for a kind that it may not see, says why once, and lists when it may', async () => {
    const { calls, faults, pauses, changes } = await play({
      lists: [403, 403, [{ a: '1' }, '5'], [{ a: '1' }, '6']],
      sessions: [ends(), 404],
    });
    expect(calls.slice(0, 4)).toEqual(['list', 'list', 'list', 'watch from 5']);
    expect(faults[0]).toBe('listing things.example.com was refused (403): check the Role');
    expect(faults.filter((reason) => reason === faults[0])).toHaveLength(1);
    const [first = 0, second = 0] = pauses;
    expect(second).toBeGreaterThan(first);
    expect(changes).toEqual(['started']);
  });

  it('does not ask a server without a pause that ends every watch at once', async () => {
    const { pauses } = await play({ lists: [[{}, '5']], sessions: [ends(), ends(), ends()] });
    const [first = 0, second = 0, third = 0] = pauses;
    expect([first > 0, second > first, third > second]).toEqual([true, true, true]);
  });

  it('says the same fault once, until it goes on', async () => {
    const { faults } = await play({
      lists: [[{}, '5']],
      sessions: [503, 503, ends(bookmark('6')), 503],
    });
    expect(faults).toEqual(Array(2).fill('watching things.example.com: the API server answered 503'));
  });
});
