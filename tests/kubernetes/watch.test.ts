import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { createObjectSet } from '../../shared/function/bounded-objects.ts';
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
function versionOf(change: unknown): string | undefined {
  const schema = z.object({ object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }) });
  return schema.safeParse(change).data?.object.metadata.resourceVersion;
}

const gone = { type: 'ERROR', object: { kind: 'Status', reason: 'Expired', code: 410 } };

/**
 * What one watch brings: changes, and then its end at its time or before, a broken connection, or nothing any more, until
 * its time is long over or even then.
 */
interface Session {
  readonly changes?: readonly unknown[];
  readonly end: 'ends' | 'ends early' | 'breaks' | 'is silent' | 'hangs';
}

/** An API server with a script; resolves `finished` when it has been asked for more than that. */
function scripted(
  lists: (ReturnType<typeof listOf> | { readonly status: number; readonly body: undefined })[],
  sessions: (Session | Omit<ApiResponse, 'bytes'>)[],
  retries: string[] = [],
) {
  let calls = 0;
  let elapsed = 0;
  /** Watches that began elsewhere than where the list or watch before had ended: what happened between is never seen. */
  const gaps: string[] = [];
  /** How long each watch may be open, in milliseconds. */
  const limits: number[] = [];
  let seen: string | undefined;
  const faults: string[] = [];
  const snapshots: string[][] = [];
  const stop = new AbortController();
  let over: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    over = resolve;
  });
  let watch: Watch | undefined;
  const names = (): string[] => (watch?.objects() ?? []).map(({ metadata }) => metadata.name).sort();
  const note = (): void => {
    snapshots.push(names());
  };
  const finish = (): Promise<never> => {
    over();
    return new Promise(() => undefined);
  };

  async function* values({ changes = [], end }: Session, signal: AbortSignal): AsyncGenerator<unknown> {
    for (const change of changes) {
      yield change;
      seen = versionOf(change) ?? seen;
      note();
    }
    if (end === 'ends') elapsed += 15_000;
    if (end === 'is silent') throw new Error('no answer in time');
    if (end === 'breaks') throw new Error('the answer was cut off');
    if (end === 'hangs') {
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    }
  }

  const client: ApiClient = {
    async request({ onRetry }: ApiRequest) {
      calls += 1;
      for (const reason of retries.splice(0)) onRetry?.(reason);
      const answer = lists.shift();
      seen = answer?.body?.metadata.resourceVersion;
      return answer ? { ...answer, bytes: 1 } : finish();
    },
    open: () => Promise.reject(new Error('nothing is opened')),
    async stream({ query, signal }: ApiRequest, milliseconds: number) {
      calls += 1;
      limits.push(milliseconds);
      const { watch: isWatch, allowWatchBookmarks: hasBookmarks, resourceVersion: from } = query ?? {};
      if (from !== seen || isWatch !== 'true' || hasBookmarks !== 'true') gaps.push(JSON.stringify(query));
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
      createSet: createObjectSet,
      namespace: undefined,
      random: () => 0,
      elapsed: () => elapsed,
      sleep: async () => undefined,
      onFault: (reason) => faults.push(reason),
    },
    stop.signal,
  );
  return { calls: () => calls, gaps, limits, faults, snapshots, watch, names, finished, stop };
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
    const { watch, snapshots, finished } = scripted([listOf('5', 'a')], [{ changes, end: 'ends early' }]);
    await finished;
    expect(snapshots).toEqual([['a'], ['a', 'b'], ['a', 'b'], ['b']]);
    expect(watch.objects()).toBe(watch.objects());
  });

  it('lists again when a watch has broken or ended before its time: what it showed may have lacked what a changed CRD knows', async () => {
    const { gaps, faults, snapshots, names, finished } = scripted(
      [listOf('5'), listOf('7', 'b'), listOf('9', 'c')],
      [
        { changes: [added('a', '6')], end: 'ends early' },
        { changes: [bookmark('8')], end: 'breaks' },
      ],
    );
    await finished;
    expect(snapshots).toContainEqual(['a']);
    expect(snapshots).toContainEqual(['b']);
    expect([names(), gaps]).toEqual([['c'], []]);
    expect(faults).toEqual(['the answer was cut off']);
  });

  it.each<[string, Session | Omit<ApiResponse, 'bytes'>]>([
    ['in the stream', { changes: [gone], end: 'ends' }],
    ['in the answer', { status: 410, body: undefined }],
  ])('lists again when its version is no longer kept, said %s', async (_case, session) => {
    const { gaps, names, finished } = scripted([listOf('5', 'a'), listOf('20', 'b')], [session]);
    await finished;
    expect([names(), gaps]).toEqual([['b'], []]);
  });

  it.each<[string, unknown[]]>([
    ['from its beginning', []],
    ['after a change', [added('c', '6')]],
    ['after a bookmark', [bookmark('6')]],
  ])('takes one that is silent %s for dead after twenty seconds', async (_case, changes) => {
    const lists = [listOf('5', 'a'), listOf('7', 'a', 'b')];
    const { gaps, limits, names, finished } = scripted(lists, [{ changes, end: 'is silent' }]);
    await finished;
    expect([names(), gaps]).toEqual([['a', 'b'], []]);
    expect(Math.max(...limits)).toBeLessThanOrEqual(20_000);
  });

  it('goes on where a watch ended whose time was over, and is synced meanwhile', async () => {
    const sessions: Session[] = [
      { changes: [added('b', '6')], end: 'ends' },
      { changes: [bookmark('9')], end: 'ends' },
      { end: 'ends' },
    ];
    const { watch, calls, gaps, faults, names, finished } = scripted([listOf('5', 'a')], sessions);
    await finished;
    expect([names(), gaps, faults, watch.isSynced()]).toEqual([['a', 'b'], [], [], true]);
    // One list, three watches, and the one that is not answered.
    expect(calls()).toBe(5);
  });

  it('lists again every ten minutes all the same', async () => {
    const sessions = Array.from({ length: 60 }, (): Session => ({ end: 'ends' }));
    const { gaps, names, finished } = scripted([listOf('5', 'a'), listOf('700', 'b')], sessions);
    await finished;
    expect([names(), gaps]).toEqual([['b'], []]);
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
    const { gaps, names, finished } = scripted([listOf('5'), listOf('6', 'b')], [{ changes, end: 'ends' }]);
    await finished;
    expect([names(), gaps]).toEqual([['b'], []]);
  });

  it('has not been read while the kind is not served', async () => {
    const { watch, faults, finished } = scripted([{ status: 404, body: undefined }], []);
    await finished;
    expect(watch.objects()).toBeUndefined();
    expect(faults).toEqual(['listing things.example.com is not served: is its CRD installed?']);
  });

  it('says once for each list that it gets no answer', async () => {
    const { faults, finished } = scripted([listOf('5')], [], ['it is away', 'it is still away']);
    await finished;
    expect(faults).toEqual(['listing things.example.com has to wait: it is away']);
  });

  it('asks nothing more when it is told to stop', async () => {
    const { calls, watch, stop } = scripted([listOf('5'), listOf('6')], [{ end: 'hangs' }]);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    while (!watch.isSynced()) await turn();
    const before = calls();
    stop.abort();
    for (let turns = 0; turns < 10; turns += 1) await turn();
    expect([calls(), watch.isSynced()]).toEqual([before, false]);
  });
});
