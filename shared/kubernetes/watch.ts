import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import { createBackoff } from '../function/backoff.ts';
import type { ObjectSet } from '../function/bounded-objects.ts';
import type { KubernetesObject } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault, statusOf } from './api-status.ts';
import { listedObject, objectSchema } from './kubernetes-objects.ts';
import { createPageSize, listPages, readJson } from './list-pages.ts';
import { callOf, pathOf, selectorOf } from './resource-path.ts';

export interface WatchOptions {
  readonly client: ApiClient;
  readonly resource: KindSelector;
  /** `undefined` for all. */
  readonly namespace: string | undefined;
  /** Makes what holds the objects. */
  readonly createSet: () => ObjectSet;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** A watch that has sent nothing for this long, not even a bookmark (one a minute), is considered dead. */
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

/** After a watch that the server ended without a fault. */
const pauseAfterEndMilliseconds = 100;
const firstPauseMilliseconds = 200;
const longestPauseMilliseconds = 5000;
const serverSeconds = 600;

const changeSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: objectSchema }),
  z.object({
    type: z.literal('BOOKMARK'),
    object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }),
  }),
  z.object({ type: z.literal('ERROR'), object: z.unknown() }),
]);

/** What a watch holds. */
interface Cache {
  replace(objects: ObjectSet): void;
  /** Throws an Error if the change can't be read, or reports a fault. */
  take(change: unknown): void;
  objects(): readonly KubernetesObject[] | undefined;
}

function createCache(): Cache {
  let current: ObjectSet | undefined;
  let snapshot: readonly KubernetesObject[] | undefined;
  return {
    replace(objects) {
      current = objects;
      snapshot = undefined;
    },
    take(value) {
      const change = changeSchema.parse(value);
      if (change.type === 'ERROR') throw new Error(`the watch failed: ${statusOf(change.object)?.reason}`);
      if (change.type === 'BOOKMARK') return;
      if (change.type === 'DELETED') current?.delete(change.object);
      else current?.set(change.object);
      snapshot = undefined;
    },
    objects() {
      snapshot ??= current?.all();
      return snapshot;
    },
  };
}

/** What a watch asks for. */
interface Target extends Pick<WatchOptions, 'client' | 'resource' | 'createSet'> {
  readonly version: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
}

function targetOf({ client, resource, namespace, createSet }: WatchOptions): Target {
  const version = resource.versions[0] ?? 'v1';
  return {
    client,
    resource,
    createSet,
    version,
    path: pathOf(resource, version, resource.namespaced ? namespace : undefined),
    query: { labelSelector: selectorOf(resource) },
  };
}

/** Reads all objects into the cache. Resolves to the resourceVersion that a watch continues from. */
async function list({ client, resource, createSet, version, path, query }: Target, cache: Cache, signal: AbortSignal) {
  const read = createSet();
  const size = createPageSize();
  let resourceVersion = '';
  const what = callOf('listing', resource);
  for await (const page of listPages(client, { path, query, limit: size.next, what, read: readJson, signal })) {
    resourceVersion = page.version;
    for (const item of page.items) {
      read.set(listedObject(resource, version, item));
    }
    size.note(page);
  }
  cache.replace(read);
  return resourceVersion;
}

/** Opens a watch. Throws a Refusal if the API server refuses it, an Error if it can't be reached. */
async function open(
  { client, resource, path, query }: Target,
  resourceVersion: string,
  signal: AbortSignal,
): Promise<AsyncIterable<unknown>> {
  const answer = await client.stream({
    method: 'GET',
    path,
    query: {
      ...query,
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(serverSeconds),
    },
    signal,
  });
  if ('status' in answer) throw setUpFault(callOf('watching', resource), answer);
  return answer;
}

interface FollowOptions {
  readonly silenceMilliseconds: number;
  readonly signal: AbortSignal;
  readonly setSynced: (isSynced: boolean) => void;
  /** Called for each value before it is taken, and when the server ends the watch. */
  readonly onAnswer: () => void;
  readonly take: (value: unknown) => void;
}

/** Takes the changes of a watch until the server ends it. Throws an Error if it breaks or falls silent. */
async function follow(target: Target, resourceVersion: string, options: FollowOptions): Promise<void> {
  const { silenceMilliseconds, signal, setSynced, onAnswer, take } = options;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMilliseconds);
  try {
    const values = await open(target, resourceVersion, AbortSignal.any([signal, silence.signal]));
    setSynced(true);
    for await (const value of values) {
      onAnswer();
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMilliseconds);
      take(value);
    }
    onAnswer();
  } finally {
    setSynced(false);
    clearTimeout(timer);
  }
}

/**
 * Lists the objects and watches them from there, again and again until `signal` aborts. A watch that ends is not
 * resumed: a list is always whole, while a watch that was open when a CRD changed shows objects without their new
 * fields. What was read last stays while the API server can't be reached.
 */
export function startWatch(options: WatchOptions, signal: AbortSignal): Watch {
  const { sleep, random, silenceMilliseconds, onFault } = options;
  const target = targetOf(options);
  const cache = createCache();
  const backoff = createBackoff({ first: firstPauseMilliseconds, longest: longestPauseMilliseconds });
  let synced = false;
  const following: FollowOptions = {
    silenceMilliseconds,
    signal,
    setSynced(isSynced) {
      synced = isSynced;
    },
    onAnswer: backoff.reset,
    take: cache.take,
  };

  /** Resolves to how long to wait before the next attempt. */
  async function listAndFollow(): Promise<number> {
    try {
      await follow(target, await list(target, cache, signal), following);
      // A server that ends every watch at once is not asked without a pause either.
      return pauseAfterEndMilliseconds;
    } catch (error) {
      if (!signal.aborted) onFault(error instanceof Error ? error.message : 'an unexpected fault');
      return backoff.next();
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const pause = await listAndFollow();
      await sleep(pause * (0.5 + random() / 2), signal);
    }
  }

  void run();
  return { objects: cache.objects, isSynced: () => synced };
}
