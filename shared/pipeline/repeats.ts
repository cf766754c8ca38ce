import { seenName, seenWith } from '../api/series.ts';
import type { Clock, RepeatCounter } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { Store } from '../function/stores.ts';
import { forEachConcurrently } from './concurrency.ts';
import { createBacklog, createMemory, keyOf, maxObservations, type Pending } from './series.ts';

/** Milliseconds. */
const heartbeatMilliseconds = 60_000;

/** How long one heartbeat may take. What it doesn't reach is left to the next one. */
const heartbeatLimit = 30_000;

/** Few, so that events come first. */
const heartbeatsInFlight = 4;

/** At the end there is no next heartbeat for what another process has changed at the same time. */
const lastRounds = 3;

export interface RepeatsOptions {
  readonly store: Pick<Store, 'addSeries'>;
  /** Called with an Observation that turned out to be there. */
  readonly onThere: (name: string, namespace: string) => void;
  /** Called with the name of an Observation that turned out to be gone. */
  readonly onGone: (name: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after this many milliseconds, or as soon as `signal` aborts; must not keep the process alive. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly deadline: Clock['deadline'];
}

export interface Repeats extends RepeatCounter {
  /** Writes what is left, when the last event has been handled. Never throws; `signal` ends it. */
  finish(signal: AbortSignal): Promise<void>;
}

/** Writes what is to be added. Resolves to `false` if another attempt may succeed. */
async function isSettled(
  pending: Pending,
  { store, onThere, onGone }: RepeatsOptions,
  signal: AbortSignal,
): Promise<boolean> {
  if (signal.aborted) return false;
  const { namespace, name, lastObserved, ...rest } = pending;
  const addition = { ...rest, lastObservedTime: new Date(lastObserved).toISOString() };
  try {
    const outcome = await store.addSeries({ namespace, name }, addition, signal);
    if (outcome === 'gone') onGone(name);
    else onThere(name, namespace);
    return outcome !== 'changed';
  } catch (error) {
    return !(error instanceof Refusal) || error.status !== 503;
  }
}

/**
 * Counts repeats in memory and writes them by heartbeat, at most once a minute an Observation, and when the process ends.
 * It is approximate: a process that is killed loses the repeats since the last heartbeat, and an Observation that has to
 * make room for others twice a minute loses those of the second time. While nothing repeats, no timer runs.
 */
export function createRepeats(options: RepeatsOptions): Repeats {
  const { now, sleep, deadline } = options;
  const isKnownEvent = createMemory();
  const backlog = createBacklog();
  const ended = new AbortController();
  const hurried = new AbortController();
  /** What was written since the last heartbeat began: because of it, or to make room. */
  let regular = new Set<string>();
  let early = new Set<string>();
  let beating: Promise<void> | undefined;
  /** What had to make room is written one after another. */
  let urgent: Promise<void> = Promise.resolve();
  let urgentCount = 0;

  function put(pending: Pending): void {
    const evicted = backlog.add(pending);
    if (!evicted || urgentCount >= maxObservations) return;
    const key = keyOf(evicted);
    if (regular.has(key) || early.has(key)) return;
    early.add(key);
    urgentCount += 1;
    urgent = urgent.then(async () => {
      // There is no room to keep it for another attempt.
      await inTime((signal) => isSettled(evicted, options, signal));
      urgentCount -= 1;
    });
  }

  async function inTime(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { signal, clear } = deadline(heartbeatLimit, hurried.signal);
    await work(signal);
    clear();
  }

  async function writeAll(all: readonly Pending[], signal: AbortSignal): Promise<void> {
    await forEachConcurrently(all, heartbeatsInFlight, async (pending) => {
      if (!(await isSettled(pending, options, signal))) put(pending);
    });
  }

  async function beat(): Promise<void> {
    while (backlog.count() > 0) {
      await sleep(heartbeatMilliseconds, ended.signal);
      if (ended.signal.aborted) return;
      const recent = early;
      const due = backlog.take(recent);
      regular = new Set([...recent, ...due.map(keyOf)]);
      early = new Set();
      await inTime((signal) => writeAll(due, signal));
    }
    beating = undefined;
  }

  return {
    note({ event, name, namespace, isRepeat, time, about, expires }) {
      if (isKnownEvent(`${name} ${event}`) || !isRepeat) return;
      const lastObserved = Math.min(Date.parse(time) || now(), now());
      const seen = about === undefined ? [] : seenWith([], [seenName(about)]);
      put({ namespace, name, count: 1, lastObserved, seen, expires });
      beating ??= beat();
    },

    async finish(signal) {
      ended.abort();
      signal.addEventListener('abort', () => hurried.abort());
      await Promise.all([beating, urgent]);
      for (let round = 0; round < lastRounds && backlog.count() > 0 && !signal.aborted; round += 1) {
        await writeAll(backlog.take(new Set()), signal);
      }
    },
  };
}
