import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { type ApiClient, setUpFault, statusOf } from './api-client.ts';
import { listedObject, objectSchema, pathOf, selectorOf, what } from './kubernetes-objects.ts';
import { listPages, readJson } from './list-pages.ts';

export interface WatchOptions {
  readonly client: ApiClient;
  readonly resource: KindSelector;
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

function keyOf({ metadata: { namespace = '', name } }: KubernetesObject): string {
  return `${namespace}/${name}`;
}

/**
 * Lists the objects and watches them from there, until `signal` aborts, again and again: a watch that ends is not resumed.
 * What the list says is whole, while a watch that was open when a CRD changed has shown objects without their new fields.
 * What was read last stays while it can't be reached.
 */
export function startWatch(options: WatchOptions, signal: AbortSignal): Watch {
  const { client, resource, namespace, sleep, random, silenceMilliseconds, onFault } = options;
  const version = resource.versions[0] ?? 'v1';
  const path = pathOf(resource, version, resource.namespaced ? namespace : undefined);
  const query = { labelSelector: selectorOf(resource) };
  let byKey: Map<string, KubernetesObject> | undefined;
  let snapshot: readonly KubernetesObject[] | undefined;
  let synced = false;

  /** Resolves to where a watch goes on from. */
  async function list(): Promise<string> {
    const read = new Map<string, KubernetesObject>();
    let listed = '';
    const pages = listPages(client, {
      ...{ path, query, limit: itemsAPage, what: what('listing', resource), read: readJson, signal },
    });
    for await (const page of pages) {
      listed = page.version;
      for (const item of page.items) {
        const object = listedObject(resource, version, item);
        read.set(keyOf(object), object);
      }
    }
    byKey = read;
    snapshot = undefined;
    return listed;
  }

  function take(value: unknown): void {
    const change = changeSchema.parse(value);
    if (change.type === 'ERROR') throw new Error(`the watch failed: ${statusOf(change.object)?.reason}`);
    if (change.type === 'BOOKMARK') return;
    if (change.type === 'DELETED') byKey?.delete(keyOf(change.object));
    else byKey?.set(keyOf(change.object), change.object);
    snapshot = undefined;
  }

  async function follow(from: string, onAnswer: () => void): Promise<void> {
    const silence = new AbortController();
    let dog = setTimeout(() => silence.abort(), silenceMilliseconds);
    try {
      const asked = { ...query, watch: 'true', allowWatchBookmarks: 'true', resourceVersion: from };
      const answer = await client.stream({
        ...{ method: 'GET', path, query: { ...asked, timeoutSeconds: String(serverSeconds) } },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if ('status' in answer) throw setUpFault(what('watching', resource), answer);
      synced = true;
      for await (const value of answer) {
        onAnswer();
        clearTimeout(dog);
        dog = setTimeout(() => silence.abort(), silenceMilliseconds);
        take(value);
      }
      onAnswer();
    } finally {
      synced = false;
      clearTimeout(dog);
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    const onAnswer = (): void => {
      failures = 0;
    };
    while (!signal.aborted) {
      try {
        await follow(await list(), onAnswer);
      } catch (error) {
        if (!signal.aborted) onFault(error instanceof Error ? error.message : 'an unexpected fault');
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
