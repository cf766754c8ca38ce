import { describe, expect, it } from 'vitest';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import type { ApiClient, ApiRequest, ApiResponse } from '../../shared/kubernetes/api-client.ts';
import { startWatch, type Watch } from '../../shared/kubernetes/watch.ts';

const things: KindSelector = {
  group: 'example.com',
  versions: ['v1'],
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
};

function thing(name: string, resourceVersion: string) {
  return { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { namespace: 'shop', name, resourceVersion } };
}

const listOf = (version: string, ...names: string[]) => ({
  status: 200,
  body: {
    items: names.map((name) => ({ metadata: thing(name, version).metadata })),
    metadata: { resourceVersion: version },
  },
});
const added = (name: string, version: string) => ({ type: 'ADDED', object: thing(name, version) });
const deleted = (name: string, version: string) => ({ type: 'DELETED', object: thing(name, version) });
const bookmark = (version: string) => ({
  type: 'BOOKMARK',
  object: { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { resourceVersion: version } },
});
const gone = { type: 'ERROR', object: { kind: 'Status', reason: 'Expired', code: 410 } };

/** What one watch brings: changes, and then its end, a broken connection, or nothing any more. */
interface Session {
  readonly changes?: readonly unknown[];
  readonly end: 'ends' | 'breaks' | 'hangs';
}

/** An API server with a script; resolves `over` when it has been asked for more than that. */
function scripted(lists: Omit<ApiResponse, 'bytes'>[], sessions: (Session | Omit<ApiResponse, 'bytes'>)[]) {
  const asked: string[] = [];
  const faults: string[] = [];
  const snapshots: string[][] = [];
  const stop = new AbortController();
  let over: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    over = resolve;
  });
  let watch: Watch | undefined;
  const note = (): void => {
    snapshots.push((watch?.objects() ?? []).map(({ metadata }) => metadata.name).sort());
  };
  const finish = (): Promise<never> => {
    over();
    return new Promise(() => undefined);
  };

  async function* values({ changes = [], end }: Session, signal: AbortSignal): AsyncGenerator<unknown> {
    for (const change of changes) {
      yield change;
      note();
    }
    if (end === 'breaks') throw new Error('the answer was cut off');
    if (end === 'hangs') {
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    }
  }

  const client: ApiClient = {
    async request() {
      asked.push('list');
      const answer = lists.shift();
      return answer ? { ...answer, bytes: 1 } : finish();
    },
    async stream({ query, signal }: ApiRequest) {
      asked.push(`watch from ${query?.resourceVersion}`);
      expect(query).toMatchObject({ watch: 'true', allowWatchBookmarks: 'true' });
      note();
      const session = sessions.shift();
      if (!session) return finish();
      return 'end' in session ? values(session, signal) : { ...session, bytes: 1 };
    },
    close: () => undefined,
  };
  watch = startWatch(
    {
      client,
      resource: things,
      namespace: undefined,
      random: () => 0,
      silenceMilliseconds: 20,
      sleep: async () => undefined,
      onFault: (reason) => faults.push(reason),
    },
    stop.signal,
  );
  return { asked, faults, snapshots, watch, finished, stop };
}

describe('a watch', () => {
  it('has nothing until it has listed, then what was listed', async () => {
    const { watch, finished } = scripted([listOf('5', 'a', 'b')], []);
    expect([watch.objects(), watch.isSynced()]).toEqual([undefined, false]);
    await finished;
    expect(watch.objects()?.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    expect(watch.objects()?.[0]).toMatchObject({ apiVersion: 'example.com/v1', kind: 'Thing' });
  });

  it('follows changes, and gives the same array while nothing changes', async () => {
    const changes = [added('b', '6'), bookmark('7'), deleted('a', '8')];
    const { watch, snapshots, finished } = scripted([listOf('5', 'a')], [{ changes, end: 'ends' }]);
    await finished;
    expect(snapshots).toEqual([['a'], ['a', 'b'], ['a', 'b'], ['b']]);
    expect(watch.objects()).toBe(watch.objects());
  });

  it('lists again when a watch has ended or broken: what it showed may have lacked what a changed CRD knows', async () => {
    const { asked, faults, snapshots, finished } = scripted(
      [listOf('5'), listOf('7', 'b'), listOf('9', 'c')],
      [
        { changes: [added('a', '6')], end: 'ends' },
        { changes: [bookmark('8')], end: 'breaks' },
      ],
    );
    await finished;
    expect(asked).toEqual(['list', 'watch from 5', 'list', 'watch from 7', 'list', 'watch from 9']);
    expect(snapshots).toEqual([[], ['a'], ['b'], ['b'], ['c']]);
    expect(faults).toEqual(['the answer was cut off']);
  });

  it.each<[string, Session | Omit<ApiResponse, 'bytes'>]>([
    ['in the stream', { changes: [gone], end: 'ends' }],
    ['in the answer', { status: 410, body: undefined }],
  ])('lists again when its version is no longer kept, said %s', async (_case, session) => {
    const { asked, watch, finished } = scripted([listOf('5', 'a'), listOf('20', 'b')], [session]);
    await finished;
    expect(asked).toEqual(['list', 'watch from 5', 'list', 'watch from 20']);
    expect(watch.objects()?.map(({ metadata }) => metadata.name)).toEqual(['b']);
  });

  it.each<[string, unknown[]]>([
    ['from its beginning', []],
    ['after a change', [added('c', '6')]],
    ['after a bookmark', [bookmark('6')]],
  ])('takes one that is silent %s for dead', async (_case, changes) => {
    const lists = [listOf('5', 'a'), listOf('7', 'a', 'b')];
    const { asked, watch, finished } = scripted(lists, [{ changes, end: 'hangs' }]);
    await finished;
    expect(asked).toEqual(['list', 'watch from 5', 'list', 'watch from 7']);
    expect(watch.objects()?.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
  });

  it('keeps what it has while it may not watch, says why, and is not synced', async () => {
    const forbidden = { status: 403, body: { kind: 'Status', reason: 'Forbidden' } };
    const { watch, faults, finished } = scripted([listOf('5', 'a')], [forbidden]);
    await finished;
    expect(faults).toEqual(['watching things.example.com was refused (Forbidden): check the Role']);
    expect([watch.objects()?.length, watch.isSynced()]).toEqual([1, false]);
  });

  it('goes on after a change that it can not read', async () => {
    const changes = [{ type: 'ADDED', object: 1 }];
    const { asked, finished } = scripted([listOf('5'), listOf('6')], [{ changes, end: 'ends' }]);
    await finished;
    expect(asked).toEqual(['list', 'watch from 5', 'list', 'watch from 6']);
  });

  it('has not been read while the kind is not served', async () => {
    const { watch, faults, finished } = scripted([{ status: 404, body: undefined }], []);
    await finished;
    expect(watch.objects()).toBeUndefined();
    expect(faults).toEqual(['listing things.example.com is not served: is its CRD installed?']);
  });

  it('stops when it is told to', async () => {
    const { asked, stop } = scripted([listOf('5')], [{ end: 'hangs' }]);
    stop.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual(['list', 'watch from 5']);
  });
});
