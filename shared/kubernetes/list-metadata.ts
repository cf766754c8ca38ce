import { Refusal } from '../function/refusal.ts';
import type { ApiClient, ApiRequest, OpenResponse } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import { createMetadataReader, type Metadata, metadataOfMany } from './metadata-list.ts';

export interface MetadataListOptions extends Pick<ApiRequest, 'path' | 'query' | 'signal' | 'onRetry'> {
  /** What the call does, in an operator's words: the fault's message begins with it. */
  readonly what: string;
  /** The status that stands for no list at all, as the first answer: 404 where the kind need not be served. */
  readonly emptyStatus?: number;
  /** Whether there may be so many objects that the API server takes its time to begin. */
  readonly isLong: boolean;
  /** Which annotations are read. */
  readonly isWanted: (annotation: string) => boolean;
  /** Called when the list has been read, with the resourceVersion that a watch continues from. */
  readonly onVersion?: (version: string) => void;
}

/** By default an API server ends any answer but a watch after this time. */
const longestMilliseconds = 60_000;

/** How often in a row an answer may break off without having shown anything new. */
const mostAttempts = 5;

/** Whether one object follows another as the API server sorts them: by `<namespace>/<name>`. */
function isAfter(one: Metadata, other: Metadata): boolean {
  if (one.namespace === other.namespace) return one.name > other.name;
  return `${one.namespace}/` > `${other.namespace}/`;
}

/** What has been read of a list, whose answer may break off. */
interface Progress {
  last: Metadata | undefined;
  /** Of the first answer: later ones show the state of later, which a watch from here on shows again. */
  version: string | undefined;
  isSorted: boolean;
  /** How many answers in a row have shown nothing new. */
  idle: number;
}

/** The items of one answer that have not been read yet, some at a time, as they arrive. Throws an Error if it breaks off. */
async function* readAnswer(
  chunks: AsyncIterable<Buffer>,
  isWanted: MetadataListOptions['isWanted'],
  progress: Progress,
) {
  const { last: begin } = progress;
  const reader = createMetadataReader(isWanted);
  for await (const chunk of chunks) {
    const items = reader.read(chunk);
    const fresh = begin ? items.filter((item) => isAfter(item, begin)) : items;
    for (const item of fresh) {
      if (progress.last && !isAfter(item, progress.last)) progress.isSorted = false;
      progress.last = item;
    }
    if (fresh.length > 0) progress.idle = 0;
    yield fresh;
    progress.version ??= reader.version() || undefined;
  }
  if (!reader.isComplete()) throw new Error('the answer was cut short');
}

/** The body of an answer; `undefined` if it stands for no list. Throws a Refusal 503 if it is anything else. */
function bodyOf(
  { chunks, ...response }: OpenResponse,
  emptyStatus: number | undefined,
  what: string,
): AsyncIterable<Buffer> | undefined {
  if (response.status === emptyStatus) return undefined;
  if (response.status !== 200) throw setUpFault(what, response);
  if (!chunks) throw new Refusal(503, 'the API server lists no metadata in protobuf', { retryAfter: 5 });
  return chunks;
}

/**
 * The metadata of a list, however long, in one call: some items at a time, as they arrive and no faster than they are
 * used. The API server answers from its memory, where pages would make it read the objects from etcd, which costs it
 * several times as much. If the answer breaks off (a slow reader's does after a minute), the list is asked for again and
 * continues, in its present state, after the last item. Throws a Refusal 503 if it can't be read to its end; yields
 * nothing at all if the answer has the `emptyStatus`.
 */
export async function* listMetadata(
  client: ApiClient,
  { path, query, signal, onRetry, what, emptyStatus, isLong, isWanted, onVersion }: MetadataListOptions,
): AsyncGenerator<readonly Metadata[]> {
  const request: ApiRequest = { method: 'GET', path, ...(query && { query }), accept: metadataOfMany, signal, onRetry };
  const progress: Progress = { last: undefined, version: undefined, isSorted: true, idle: 0 };
  for (let hasBegun = false; ; hasBegun = true) {
    const response = await client.open(request, isLong ? longestMilliseconds : undefined);
    // Of a list that has begun, a part is missing.
    const chunks = bodyOf(response, hasBegun ? undefined : emptyStatus, what);
    if (!chunks) return;
    progress.idle += 1;
    try {
      yield* readAnswer(chunks, isWanted, progress);
      onVersion?.(progress.version ?? '');
      return;
    } catch (cause) {
      // Where a list that is not sorted goes on can't be told.
      if (signal.aborted || !progress.isSorted || progress.idle >= mostAttempts) {
        throw new Refusal(503, `${what}: the answer breaks off`, { cause, retryAfter: 5 });
      }
    }
  }
}
