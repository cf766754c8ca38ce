import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import { createBackoff } from '../function/backoff.ts';
import type { ObjectSet } from '../function/bounded-objects.ts';
import type { Change, KubernetesObject, ObjectRef } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault, statusOf } from './api-status.ts';
import { listedObject, objectSchema } from './kubernetes-objects.ts';
import { createPageSize, listPages, readJson } from './list-pages.ts';
import { callOf, pathOf, selectorsOf } from './resource-path.ts';

export interface WatchOptions {
  readonly client: ApiClient;
  readonly resource: KindSelector;
  /** `undefined` for all. */
  readonly namespace: string | undefined;
  /** Makes what holds the objects. */
  readonly createSet: () => ObjectSet;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number;
  /** Called with the reason whenever the watch breaks or can't be made. */
  readonly onFault: (reason: string) => void;
  /** Called for each change after what was there when the objects were first read. */
  readonly onChange?: ((change: Change) => void) | undefined;
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

/**
 * How long the API server is asked to keep a watch open. A connection may die without a word, and a watch that is still
 * open after that long is dead: so nobody is blind for longer than these two together.
 */
const watchSeconds = 15;
const graceMilliseconds = 5000;

/** A watch that ends sooner was ended for a reason. */
const earlyMilliseconds = 1000;

/** How long one watch follows the other before everything is listed again. */
const listMilliseconds = 600_000;

const changeSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: objectSchema }),
  z.object({
    type: z.literal('BOOKMARK'),
    object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }),
  }),
  z.object({ type: z.literal('ERROR'), object: z.unknown() }),
]);

const changeTypes = { ADDED: 'add', MODIFIED: 'update', DELETED: 'delete' } as const;

export function objectKey({ namespace = '', name }: Pick<KubernetesObject['metadata'], 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function refTo({ apiVersion, kind, metadata: { namespace, name } }: KubernetesObject): ObjectRef {
  return { apiVersion, kind, namespace, name };
}

/** What a watch holds. */
interface Cache {
  replace(objects: ObjectSet): void;
  /**
   * Returns the version that a watch continues from after the change, if it says so. Throws an Error if the change can't
   * be read, or reports a fault.
   */
  take(change: unknown): string | undefined;
  objects(): readonly KubernetesObject[] | undefined;
}

/** What has become of objects between two lists. */
function changesBetween(before: readonly KubernetesObject[], after: readonly KubernetesObject[]): Change[] {
  const old = new Map(before.map((object) => [objectKey(object.metadata), object]));
  const current = new Set(after.map(({ metadata }) => objectKey(metadata)));
  const found = after.flatMap((object): Change[] => {
    const known = old.get(objectKey(object.metadata));
    if (known && known.metadata.resourceVersion === object.metadata.resourceVersion) return [];
    return [{ type: known ? 'update' : 'add', ref: refTo(object) }];
  });
  const gone = before.filter(({ metadata }) => !current.has(objectKey(metadata)));
  return [...found, ...gone.map((object): Change => ({ type: 'delete', ref: refTo(object) }))];
}

function createCache(onChange: WatchOptions['onChange'] = () => undefined): Cache {
  let current: ObjectSet | undefined;
  let snapshot: readonly KubernetesObject[] | undefined;
  return {
    replace(objects) {
      const changes = current ? changesBetween(current.all(), objects.all()) : [];
      current = objects;
      snapshot = undefined;
      changes.forEach(onChange);
    },
    take(value) {
      const change = changeSchema.parse(value);
      if (change.type === 'ERROR') throw new Error(`the watch failed: ${statusOf(change.object)?.reason}`);
      const { resourceVersion } = change.object.metadata;
      if (change.type === 'BOOKMARK') return resourceVersion;
      if (change.type === 'DELETED') current?.delete(change.object);
      else current?.set(change.object);
      snapshot = undefined;
      onChange({ type: changeTypes[change.type], ref: refTo(change.object) });
      return resourceVersion;
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
    query: selectorsOf(resource),
  };
}

/**
 * Reads all objects into the cache. Resolves to the resourceVersion that a watch continues from. While there is no answer it
 * goes on, and says so once.
 */
async function list(
  { client, resource, createSet, version, path, query }: Target,
  cache: Cache,
  { signal, onFault }: Pick<WatchOptions, 'onFault'> & { readonly signal: AbortSignal },
): Promise<string> {
  const read = createSet();
  const limit = createPageSize();
  let resourceVersion = '';
  const what = callOf('listing', resource);
  let isSaid = false;
  const onRetry = (reason: string): void => {
    if (!isSaid) onFault(`${what} has to wait: ${reason}`);
    isSaid = true;
  };
  for await (const page of listPages(client, { path, query, limit, what, read: readJson, signal, onRetry })) {
    resourceVersion = page.version;
    for (const item of page.items) {
      read.set(listedObject(resource, version, item));
    }
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
  const request = {
    method: 'GET',
    path,
    query: {
      ...query,
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(watchSeconds),
    },
    signal,
  } as const;
  const answer = await client.stream(request, watchSeconds * 1000 + graceMilliseconds);
  if ('status' in answer) throw setUpFault(callOf('watching', resource), answer);
  return answer;
}

interface FollowOptions {
  readonly signal: AbortSignal;
  readonly onOpen: () => void;
  /** Called for each value before it is taken, and when the server ends the watch. */
  readonly onAnswer: () => void;
  readonly take: Cache['take'];
}

/**
 * Takes the changes of a watch until the server ends it; resolves to the version that the next one continues from.
 * Throws an Error if it breaks, or does not end in time.
 */
async function follow(target: Target, from: string, options: FollowOptions): Promise<string> {
  const { signal, onOpen, onAnswer, take } = options;
  let version = from;
  const values = await open(target, from, signal);
  onOpen();
  for await (const value of values) {
    onAnswer();
    version = take(value) ?? version;
  }
  onAnswer();
  return version;
}

/**
 * Lists the objects and watches them from there until `signal` aborts. One watch follows the other; only after ten
 * minutes, and after one that broke or that the server ended before its time, are they listed again: a watch that was
 * open when a CRD changed shows objects without their new fields. What was read last stays while the API server can't be
 * reached.
 */
export function startWatch(options: WatchOptions, signal: AbortSignal): Watch {
  const { sleep, random, elapsed, onFault } = options;
  const target = targetOf(options);
  const cache = createCache(options.onChange);
  const backoff = createBackoff({ first: firstPauseMilliseconds, longest: longestPauseMilliseconds });
  let synced = false;
  /** Where the next watch continues; `undefined` if everything has to be listed first. */
  let version: string | undefined;
  let listedAt = 0;
  const following: FollowOptions = {
    signal,
    onOpen() {
      synced = true;
    },
    onAnswer: backoff.reset,
    take: cache.take,
  };

  async function startOf(): Promise<string> {
    if (version !== undefined && elapsed() - listedAt < listMilliseconds) return version;
    listedAt = elapsed();
    return list(target, cache, { signal, onFault });
  }

  /** Resolves to how long to wait before the next attempt. */
  async function followOnce(): Promise<number> {
    try {
      const from = await startOf();
      version = undefined;
      const openedAt = elapsed();
      const next = await follow(target, from, following);
      if (elapsed() - openedAt >= watchSeconds * 1000 - earlyMilliseconds) version = next;
      // A server that ends every watch at once is not asked without a pause either.
      return pauseAfterEndMilliseconds;
    } catch (error) {
      version = undefined;
      synced = false;
      if (!signal.aborted) onFault(error instanceof Error ? error.message : 'an unexpected fault');
      return backoff.next();
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const pause = await followOnce();
      await sleep(pause * (0.5 + random() / 2), signal);
    }
    synced = false;
  }

  void run();
  return { objects: cache.objects, isSynced: () => synced };
}
