import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import { createBackoff } from '../function/backoff.ts';
import { Refusal } from '../function/refusal.ts';
import type { Change } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault, statusOf } from './api-status.ts';
import { listMetadata } from './list-metadata.ts';
import { callOf, pathOf, selectorsOf } from './resource-path.ts';

export interface FollowOptions {
  readonly client: ApiClient;
  /** In the first of its versions. */
  readonly resource: KindSelector;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Called once, when all objects have been listed: what changes from now on is told, what is there is not. */
  readonly onStart: () => void;
  readonly onChange: (change: Change) => void;
  /** Called with the reason when following breaks off, once until it goes on. */
  readonly onFault: (reason: string) => void;
  readonly limits?: FollowLimits;
}

/** All in milliseconds. */
export interface FollowLimits {
  /** How long the API server is asked to keep a watch open. */
  readonly watch: number;
  /** How long nothing at all may come. */
  readonly silence: number;
}

export interface Following {
  /** Whether changes are seen as they happen. */
  isSynced(): boolean;
}

/**
 * An API server says at least once a minute where it is (a bookmark), so one that says nothing for longer is gone, or the
 * connection is. One that sends no bookmarks is asked again that often, which costs it little.
 */
const usualLimits: FollowLimits = { watch: 600_000, silence: 100_000 };

const graceMilliseconds = 5000;
/** How long to wait for the head of an answer, which comes at once. */
const headMilliseconds = 15_000;
const firstPauseMilliseconds = 200;
/** After a connection that broke, or an API server that has too much to do. */
const longestPauseMilliseconds = 5000;
/** After a refusal that somebody has to mend. */
const longestRefusedMilliseconds = 60_000;

const metadataOfEach = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

const version = z.object({ resourceVersion: z.string() });
const eventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.enum(['ADDED', 'MODIFIED', 'DELETED']),
    object: z.object({ metadata: version.extend({ name: z.string(), namespace: z.string().default('') }) }),
  }),
  z.object({ type: z.literal('BOOKMARK'), object: z.object({ metadata: version }) }),
  z.object({ type: z.literal('ERROR'), object: z.looseObject({ code: z.number().optional() }) }),
]);

/** The API server no longer knows what happened since then: everything must be listed again. */
class Expired extends Error {}

/** Nothing has come for so long that nobody knows whether the watch is still one. */
class Silent extends Error {}

/** The versions of the objects that are there, which tell what has changed while nobody watched. */
function createKnown({ resource, onChange }: Pick<FollowOptions, 'resource' | 'onChange'>) {
  const { group, kind, versions } = resource;
  const [kindVersion = 'v1'] = versions;
  const apiVersion = group === '' ? kindVersion : `${group}/${kindVersion}`;
  let known = new Map<string, string>();

  function tell(type: Change['type'], key: string): void {
    const slash = key.indexOf('/');
    const namespace = key.slice(0, slash) || undefined;
    const name = key.slice(slash + 1);
    const path = pathOf(resource, kindVersion, namespace, name);
    onChange({ type, path, ref: { apiVersion, kind, namespace, name } });
  }

  return {
    start(listed: Map<string, string>): void {
      known = listed;
    },

    replace(listed: Map<string, string>): void {
      const before = known;
      known = listed;
      for (const [key, at] of listed) {
        const old = before.get(key);
        if (old !== at) tell(old === undefined ? 'add' : 'update', key);
      }
      for (const key of before.keys()) if (!listed.has(key)) tell('delete', key);
    },

    set(key: string, at: string): void {
      const old = known.get(key);
      known.set(key, at);
      if (old !== at) tell(old === undefined ? 'add' : 'update', key);
    },

    delete(key: string): void {
      if (known.delete(key)) tell('delete', key);
    },
  };
}

interface Target {
  readonly client: ApiClient;
  readonly resource: KindSelector;
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
}

/** The versions of all objects, and where a watch continues. Goes on while there is no answer. */
async function list(
  { client, resource, path, query }: Target,
  signal: AbortSignal,
  onRetry: (reason: string) => void,
): Promise<{ readonly listed: Map<string, string>; readonly from: string }> {
  const listed = new Map<string, string>();
  let from = '';
  const items = listMetadata(client, {
    path,
    query,
    signal,
    what: callOf('listing', resource),
    isLong: true,
    isWanted: () => false,
    onRetry,
    onVersion(version) {
      from = version;
    },
  });
  for await (const some of items) {
    for (const { namespace, name, resourceVersion } of some) listed.set(`${namespace}/${name}`, resourceVersion);
  }
  return { listed, from };
}

/** Aborts when nothing has come for so long, of an answer or of what follows its head. */
function createSilenceLimit(silence: number, signal: AbortSignal) {
  const silent = new AbortController();
  const end = (): void => silent.abort();
  let timer = setTimeout(end, Math.min(silence, headMilliseconds));
  signal.addEventListener('abort', end);
  return {
    signal: silent.signal,
    isOver: () => silent.signal.aborted && !signal.aborted,
    begin(): void {
      clearTimeout(timer);
      timer = setTimeout(end, silence);
    },
    refresh: () => void timer.refresh(),
    clear(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    },
  };
}

/** Opens a watch. Throws an Expired, a Refusal if it is refused, or an Error. */
async function open(
  { client, resource, path, query }: Target,
  from: string,
  milliseconds: number,
  signal: AbortSignal,
): Promise<AsyncIterable<unknown>> {
  const seconds = String(Math.ceil(milliseconds / 1000));
  const asked = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: from, timeoutSeconds: seconds };
  const request = { method: 'GET', path, query: { ...query, ...asked }, accept: metadataOfEach, signal } as const;
  const answer = await client.stream(request, milliseconds + graceMilliseconds);
  if (!('status' in answer)) return answer;
  if (answer.status === 410) throw new Expired();
  if (isRefusal(answer.status)) throw setUpFault(callOf('watching', resource), answer);
  throw new Error(`${callOf('watching', resource)}: the API server answered ${answer.status}`);
}

/** That a watch is open, then its events, until the API server ends it. Throws as `open` does, or a Silent. */
async function* watch(
  target: Target,
  from: string,
  limits: FollowLimits,
  signal: AbortSignal,
): AsyncGenerator<z.infer<typeof eventSchema> | 'open'> {
  const silence = createSilenceLimit(limits.silence, signal);
  let isOpen = false;
  try {
    const values = await open(target, from, limits.watch, silence.signal);
    isOpen = true;
    silence.begin();
    yield 'open';
    for await (const value of values) {
      silence.refresh();
      yield eventSchema.parse(value);
    }
  } catch (error) {
    if (!silence.isOver()) throw error;
    throw isOpen ? new Silent() : new Error(`${callOf('watching', target.resource)}: no answer in time`);
  } finally {
    silence.clear();
  }
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403 || status === 404;
}

type Known = ReturnType<typeof createKnown>;

/** Notes what an event says; returns the version from which a watch continues. Throws an Expired, or an Error. */
function take(event: z.infer<typeof eventSchema>, known: Known): string {
  if (event.type === 'ERROR') {
    if (event.object.code === 410) throw new Expired();
    throw new Error(`the watch failed: ${statusOf(event.object)?.reason}`);
  }
  if (event.type === 'BOOKMARK') return event.object.metadata.resourceVersion;
  const { namespace, name, resourceVersion } = event.object.metadata;
  const key = `${namespace}/${name}`;
  if (event.type === 'DELETED') known.delete(key);
  else known.set(key, resourceVersion);
  return resourceVersion;
}

/** How long to wait after what, and whether to list again. */
function createPacing() {
  const broken = createBackoff({ first: firstPauseMilliseconds, longest: longestPauseMilliseconds });
  const refused = createBackoff({ first: firstPauseMilliseconds, longest: longestRefusedMilliseconds });
  return {
    reset(): void {
      broken.reset();
      refused.reset();
    },
    /** A server that ends every watch at once is not asked without a pause either. */
    afterEnd: broken.next,
    // Where the kind went and came back, its objects are others.
    afterFault: (error: unknown) => ({
      pause: error instanceof Refusal ? refused.next() : broken.next(),
      isLost: error instanceof Refusal || error instanceof Expired,
      isFault: !(error instanceof Expired || error instanceof Silent),
    }),
  };
}

/**
 * Tells of each change of the objects of a kind until `signal` aborts, and holds nothing of them but their names and
 * versions. One watch follows the other from where it ended, also after one that broke or fell silent; only if the API server
 * no longer knows what happened since are all objects listed again, and what has changed meanwhile is told.
 */
export function followChanges(options: FollowOptions, signal: AbortSignal): Following {
  const { client, resource, sleep, random, onStart, limits = usualLimits } = options;
  const path = pathOf(resource, resource.versions[0] ?? 'v1', resource.namespaced ? resource.namespace : undefined);
  const target: Target = { client, resource, path, query: selectorsOf(resource) };
  const known = createKnown(options);
  const pacing = createPacing();
  let from: string | undefined;
  let isStarted = false;
  let isSynced = false;
  let said: string | undefined;

  function say(reason: string): void {
    if (said !== reason && !signal.aborted) options.onFault(reason);
    said = reason;
  }

  async function start(): Promise<string> {
    const found = await list(target, signal, (reason) => say(`${callOf('listing', resource)} has to wait: ${reason}`));
    if (isStarted) known.replace(found.listed);
    else known.start(found.listed);
    if (!isStarted) onStart();
    isStarted = true;
    return found.from;
  }

  async function follow(): Promise<void> {
    from ??= await start();
    for await (const event of watch(target, from, limits, signal)) {
      isSynced = true;
      said = undefined;
      if (event === 'open') continue;
      from = take(event, known);
      pacing.reset();
    }
  }

  /** Resolves to how long to wait before the next attempt. */
  async function followOnce(): Promise<number> {
    try {
      await follow();
      return pacing.afterEnd();
    } catch (error) {
      const { pause, isLost, isFault } = pacing.afterFault(error);
      if (isLost) from = undefined;
      if (isFault) {
        isSynced = false;
        say(error instanceof Error ? error.message : 'an unexpected fault');
      }
      return pause;
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const pause = await followOnce();
      await sleep(pause * (0.5 + random() / 2), signal);
    }
    isSynced = false;
  }

  void run();
  return { isSynced: () => isSynced };
}
