import { createObservationIndex } from './observation-index.ts';
import { queryTable, type Table, type TableQuery } from './table-query.ts';
import type { ViewRow } from './view-row.ts';

/** Where a feed puts what it reads. */
export interface FeedSink {
  /** A list of all that there is begins: what it leaves out is gone at its end. */
  begin(): void;
  /** `isChange` tells it from what the list has. */
  put(row: ViewRow, isChange: boolean): void;
  delete(namespace: string, name: string): void;
  end(): void;
}

/** What is stored, and then its changes. */
export interface ObservationFeed {
  /** Goes on until `signal` aborts. Throws a Refusal if it may not be read. */
  follow(sink: FeedSink, signal: AbortSignal): Promise<void>;
}

export interface ViewChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly namespace: string;
  readonly name: string;
}

/** How much has been read. */
export interface Progress {
  readonly read: number;
  /** Whether that was all. */
  readonly isComplete: boolean;
}

/** Observations in memory, as they are now, for one person. */
export interface LiveView {
  query(query: TableQuery): Table & Progress;
  rows(): number;
  /**
   * Changes from now on, those of the same Observation together as one; ends when the view is stopped or `signal`
   * aborts, and when there are more of them than are kept for a slow reader.
   */
  changes(signal: AbortSignal): AsyncGenerator<readonly ViewChange[]>;
  /** Why nothing more is read. */
  fault(): unknown;
  stop(): void;
}

/** What is kept for one who reads changes slowly. */
const mostPending = 2000;

interface Listener {
  note(change: ViewChange): void;
  end(): void;
}

function createListener(signal: AbortSignal) {
  let pending = new Map<string, ViewChange>();
  let ended = false;
  let wake: (() => void) | undefined;
  const end = (): void => {
    ended = true;
    wake?.();
  };
  signal.addEventListener('abort', end, { once: true });
  return {
    note(change: ViewChange): void {
      const key = `${change.namespace}/${change.name}`;
      const before = pending.get(key);
      pending.set(key, before?.type === 'ADDED' && change.type === 'MODIFIED' ? before : change);
      if (pending.size > mostPending) end();
      wake?.();
    },
    end,
    async *changes(): AsyncGenerator<readonly ViewChange[]> {
      while (!ended && !signal.aborted) {
        if (pending.size === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = undefined;
          continue;
        }
        const batch = [...pending.values()];
        pending = new Map();
        yield batch;
      }
    },
  };
}

/** Follows the feed from now on. */
export function createLiveView(feed: ObservationFeed): LiveView {
  const index = createObservationIndex();
  const stopping = new AbortController();
  const listeners = new Set<Listener>();
  const known = (namespace: string, name: string): boolean => index.has(namespace, name);
  let isComplete = false;
  let fault: unknown;

  function tell(change: ViewChange): void {
    for (const listener of listeners) listener.note(change);
  }

  const sink: FeedSink = {
    begin: () => index.beginMarking(),
    put(row, isChange) {
      const { namespace, name } = row;
      const type = known(namespace, name) ? 'MODIFIED' : 'ADDED';
      index.put(row);
      // What a second list has may be a change that no feed told.
      if (isChange || (isComplete && type === 'ADDED')) tell({ type, namespace, name });
    },
    delete(namespace, name) {
      if (!known(namespace, name)) return;
      index.delete(namespace, name);
      tell({ type: 'DELETED', namespace, name });
    },
    end() {
      for (const { namespace, name } of index.keepOnlyMarked()) tell({ type: 'DELETED', namespace, name });
      isComplete = true;
    },
  };

  const end = (): void => {
    for (const listener of listeners) listener.end();
  };
  feed.follow(sink, stopping.signal).catch((error: unknown) => {
    fault = error;
    end();
  });

  return {
    query: (query) => ({ ...queryTable(index, query), read: index.size(), isComplete }),
    rows: () => index.size(),
    async *changes(signal) {
      const listener = createListener(AbortSignal.any([signal, stopping.signal]));
      listeners.add(listener);
      try {
        yield* listener.changes();
      } finally {
        listeners.delete(listener);
      }
    },
    fault: () => fault,
    stop() {
      stopping.abort();
      end();
    },
  };
}
