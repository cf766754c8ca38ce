import * as z from 'zod';
import type { Resource } from '../function/resource.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { type ApiClient, setUpFault, statusOf } from './api-client.ts';
import { listedObject, objectSchema, pathOf, selectorOf, what } from './kubernetes-objects.ts';
import { listPages } from './list-pages.ts';

export interface WatchOptions {
  readonly client: ApiClient;
  readonly resource: Resource;
  /** `undefined` for all. */
  readonly namespace: string | undefined;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** A watch from which not even a bookmark (one a minute) has come for so many milliseconds is taken for dead. */
  readonly silenceMilliseconds: number;
  /** Called with the reason whenever the watch breaks or can't be made. */
  readonly onFault: (reason: string) => void;
}

/** Objects of one kind, kept as the API server has them. */
export interface Watch {
  /** The same array until something changes; `undefined` until it has been read once. */
  objects(): readonly KubernetesObject[] | undefined;
  /** Whether what it holds follows the API server now. */
  isSynced(): boolean;
}

const firstPauseMilliseconds = 100;
const longestPauseMilliseconds = 5000;
const serverSeconds = 600;
const itemsAPage = 500;

const changeSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: objectSchema }),
  z.object({
    type: z.literal('BOOKMARK'),
    object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }),
  }),
  z.object({ type: z.literal('ERROR'), object: z.unknown() }),
]);

/** The state that the watch would go on from is no longer kept: https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses */
class Expired extends Error {}

function keyOf({ metadata: { namespace = '', name } }: KubernetesObject): string {
  return `${namespace}/${name}`;
}

/**
 * Lists the objects and watches them from there, until `signal` aborts: with bookmarks, resumed from the last version
 * seen, listed again when the API server no longer has that one. What was read last stays while it can't be reached.
 */
export function startWatch(options: WatchOptions, signal: AbortSignal): Watch {
  const { client, resource, namespace, sleep, random, silenceMilliseconds, onFault } = options;
  const version = resource.versions[0] ?? 'v1';
  const path = pathOf(resource, version, resource.namespaced ? namespace : undefined);
  const query = { labelSelector: selectorOf(resource) };
  let byKey: Map<string, KubernetesObject> | undefined;
  let snapshot: readonly KubernetesObject[] | undefined;
  let resumeFrom: string | undefined;
  let synced = false;

  async function list(): Promise<void> {
    const read = new Map<string, KubernetesObject>();
    let listed = '';
    const pages = listPages(client, { path, query, limit: itemsAPage, what: what('listing', resource), signal });
    for await (const page of pages) {
      listed = page.version;
      for (const item of page.items) {
        const object = listedObject(resource, version, item);
        read.set(keyOf(object), object);
      }
    }
    byKey = read;
    snapshot = undefined;
    resumeFrom = listed;
  }

  function take(value: unknown): void {
    const change = changeSchema.parse(value);
    if (change.type === 'ERROR') {
      const status = statusOf(change.object);
      throw status?.reason === 'Expired' || status?.reason === 'Gone' ? new Expired() : new Error('the watch failed');
    }
    resumeFrom = change.object.metadata.resourceVersion ?? resumeFrom;
    if (change.type === 'BOOKMARK') return;
    if (change.type === 'DELETED') byKey?.delete(keyOf(change.object));
    else byKey?.set(keyOf(change.object), change.object);
    snapshot = undefined;
  }

  async function follow(onAnswer: () => void): Promise<void> {
    const silence = new AbortController();
    let dog = setTimeout(() => silence.abort(), silenceMilliseconds);
    try {
      const asked = { ...query, watch: 'true', allowWatchBookmarks: 'true', resourceVersion: resumeFrom };
      const answer = await client.stream({
        ...{ method: 'GET', path, query: { ...asked, timeoutSeconds: String(serverSeconds) } },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if ('status' in answer)
        throw answer.status === 410 ? new Expired() : setUpFault(what('watching', resource), answer);
      synced = true;
      for await (const value of answer) {
        onAnswer();
        clearTimeout(dog);
        dog = setTimeout(() => silence.abort(), silenceMilliseconds);
        take(value);
      }
      onAnswer();
    } finally {
      clearTimeout(dog);
    }
  }

  function lost(error: unknown): void {
    if (signal.aborted) return;
    synced = false;
    if (error instanceof Expired) resumeFrom = undefined;
    else onFault(error instanceof Error ? error.message : 'an unexpected fault');
  }

  async function run(): Promise<void> {
    let failures = 0;
    const onAnswer = (): void => {
      failures = 0;
    };
    while (!signal.aborted) {
      try {
        if (resumeFrom === undefined) await list();
        await follow(onAnswer);
      } catch (error) {
        lost(error);
        failures = Math.min(failures + 1, 10);
      }
      // After a watch that only ended, too: a server that ends each at once is not asked without a pause.
      const limit = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** failures);
      await sleep(limit * (0.5 + random() / 2), signal);
    }
  }

  void run();
  return {
    objects() {
      if (byKey) snapshot ??= [...byKey.values()];
      return snapshot;
    },
    isSynced: () => synced,
  };
}
