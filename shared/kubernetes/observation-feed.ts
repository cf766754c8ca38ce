import * as z from 'zod';
import { readObservation, readObservationList } from '../api/read-observation.ts';
import { createBackoff } from '../function/backoff.ts';
import { Refusal } from '../function/refusal.ts';
import type { FeedSink, ObservationFeed } from '../view/live-view.ts';
import { viewRowOf } from '../view/view-row.ts';
import type { ApiClient } from './api-client.ts';
import { observationPath } from './observation-path.ts';
import { readFault } from './observation-reads.ts';

export interface ObservationFeedOptions {
  readonly client: ApiClient;
  /** The one namespace to follow; `undefined` is the whole cluster. */
  readonly namespace: string | undefined;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

const itemsPerPage = 500;
const pageMilliseconds = 60_000;

/** So often the API server is asked anew whether who watches still may; a connection may also die without a word. */
const watchSeconds = 45;
const graceMilliseconds = 5000;

const firstPauseMilliseconds = 200;
const longestPauseMilliseconds = 5000;

const changeSchema = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
});
const bookmarkSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
const placeSchema = z.object({
  metadata: z.object({ namespace: z.string(), name: z.string(), resourceVersion: z.string() }),
});

/** Lists everything into the sink, page by page. Resolves to where a watch continues. */
async function list({ client, namespace }: ObservationFeedOptions, sink: FeedSink, signal: AbortSignal) {
  sink.begin();
  let page: string | undefined;
  let version = '';
  do {
    const response = await client.request({
      method: 'GET',
      path: observationPath(namespace),
      query: { limit: String(itemsPerPage), continue: page },
      signal: AbortSignal.any([signal, AbortSignal.timeout(pageMilliseconds)]),
    });
    if (response.status !== 200) throw readFault('listing Observations', response);
    const { items, continue: next, resourceVersion } = readObservationList(response.body);
    for (const item of items) sink.put(viewRowOf(item), false);
    version = resourceVersion;
    page = next === '' ? undefined : next;
  } while (page !== undefined);
  sink.end();
  return version;
}

/** Takes one change. Returns the version that the next watch continues from. */
function take(value: unknown, sink: FeedSink): string {
  const { type, object } = changeSchema.parse(value);
  if (type === 'ERROR') throw new Error('the watch failed');
  if (type === 'BOOKMARK') return bookmarkSchema.parse(object).metadata.resourceVersion;
  const { namespace, name, resourceVersion } = placeSchema.parse(object).metadata;
  if (type === 'DELETED') sink.delete(namespace, name);
  else sink.put(viewRowOf(readObservation(object)), true);
  return resourceVersion;
}

/** Follows changes until the server ends that; resolves to where the next watch continues. */
async function watch(
  { client, namespace }: ObservationFeedOptions,
  sink: FeedSink,
  from: string,
  signal: AbortSignal,
): Promise<string> {
  const query = {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: from,
    timeoutSeconds: String(watchSeconds),
  };
  const request = { method: 'GET', path: observationPath(namespace), query, signal } as const;
  const answer = await client.stream(request, watchSeconds * 1000 + graceMilliseconds);
  if ('status' in answer) throw readFault('watching Observations', answer);
  let version = from;
  for await (const value of answer) version = take(value, sink);
  return version;
}

/** Whether nobody can read on, however often that is tried. */
function isRefused(error: unknown): boolean {
  return error instanceof Refusal && (error.status === 401 || error.status === 403);
}

/**
 * The Observations that the client may see, and their changes: one watch after the other, and a new list after one that broke.
 * Throws the Refusal by which the API server says that they may not be seen, or no longer.
 */
export function createObservationFeed(options: ObservationFeedOptions): ObservationFeed {
  return {
    async follow(sink, signal) {
      const backoff = createBackoff({ first: firstPauseMilliseconds, longest: longestPauseMilliseconds });
      let version: string | undefined;
      while (!signal.aborted) {
        try {
          const from: string = version ?? (await list(options, sink, signal));
          version = undefined;
          version = await watch(options, sink, from, signal);
          backoff.reset();
        } catch (error) {
          if (isRefused(error)) throw error;
          await options.sleep(backoff.next(), signal);
        }
      }
    },
  };
}
