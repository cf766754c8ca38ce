import { laterExpiry } from '../api/labels.ts';
import { laterOf, seenName, seenWith } from '../api/series.ts';
import { contentHash } from '../finding/canonical-json.ts';
import type { RepeatCounter } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { SeriesAddition, Store } from '../function/stores.ts';
import { forEachConcurrently } from './concurrency.ts';

/** How often repeats are written, in milliseconds: as often as Kubernetes writes those of its own events, at most. */
const heartbeatMilliseconds = 60_000;

/** How long one heartbeat may take. What it doesn't reach is left to the next one. */
const heartbeatLimit = 30_000;

/** Few, so that events come first. */
const heartbeatsInFlight = 4;

/** At the end there is no next heartbeat for what another process has changed at the same time. */
const lastRounds = 3;

/** How many Observations have repeats that are not yet written. */
const maxObservations = 5000;

/** How many events are remembered, at least. */
const maxEvents = 10_000;

const maxEventKey = 256;

export interface RepeatsOptions {
  readonly store: Pick<Store, 'addSeries'>;
  /** Called with the name of an Observation that turned out to be gone. */
  readonly onGone: (name: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after this many milliseconds, or as soon as `signal` aborts; must not keep the process alive. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

export interface Repeats extends RepeatCounter {
  /** Writes what is left, when the last event has been handled. Never throws; `signal` ends it. */
  finish(signal: AbortSignal): Promise<void>;
}

/** What is to be added to one Observation. */
interface Pending extends SeriesAddition {
  readonly namespace: string;
  readonly name: string;
}

/** Two that belong to one Observation; what was seen first stays. */
function united(a: Pending, b: Pending): Pending {
  return {
    ...a,
    count: a.count + b.count,
    lastObservedTime: laterOf(a.lastObservedTime, b.lastObservedTime),
    seen: b.seen.every((name) => a.seen.includes(name)) ? a.seen : seenWith(a.seen, b.seen),
    expires: laterExpiry(b.expires, a.expires) ?? a.expires,
  };
}

/** Remembers which events led to which finding: at least the latest `maxEvents`, and at most twice as many. */
function createMemory(): (key: string) => boolean {
  let young = new Set<string>();
  let old = new Set<string>();
  return (long) => {
    const key = long.length <= maxEventKey ? long : contentHash(long);
    const isKnown = young.has(key) || old.has(key);
    young.add(key);
    if (young.size >= maxEvents) {
      old = young;
      young = new Set();
    }
    return isKnown;
  };
}

/**
 * Observations with repeats that are not yet written, at most `maxObservations`. The one that has been without a repeat
 * longest makes room for a new one.
 */
function createBacklog() {
  const all = new Map<string, Pending>();
  return {
    /** Adds to what is there. Returns what had to make room. */
    add(pending: Pending): Pending | undefined {
      const key = keyOf(pending);
      const before = all.get(key);
      all.delete(key);
      all.set(key, before ? united(before, pending) : pending);
      if (all.size <= maxObservations) return undefined;
      const [oldest] = all;
      if (oldest) all.delete(oldest[0]);
      return oldest?.[1];
    },
    /** Removes and returns those that have not been written lately. */
    take(isRecent: (key: string) => boolean): Pending[] {
      const taken = [...all].filter(([key]) => !isRecent(key));
      for (const [key] of taken) all.delete(key);
      return taken.map(([, pending]) => pending);
    },
    count: () => all.size,
  };
}

function keyOf({ namespace, name }: Pending): string {
  return `${namespace}/${name}`;
}

/**
 * Counts repeats in memory and writes them by heartbeat, at most once a minute an Observation. What is lost: repeats since
 * the last heartbeat if the process is killed; and those of an Observation that makes room for others more than once a
 * minute. While nothing repeats, no timer runs.
 */
export function createRepeats({ store, onGone, now, sleep }: RepeatsOptions): Repeats {
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
    urgent = urgent
      .then(() => write(evicted, limited()))
      .then(() => {
        urgentCount -= 1;
      });
  }

  function limited(): AbortSignal {
    return AbortSignal.any([hurried.signal, AbortSignal.timeout(heartbeatLimit)]);
  }

  async function write(pending: Pending, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return put(pending);
    const { namespace, name, ...addition } = pending;
    try {
      const outcome = await store.addSeries({ namespace, name }, addition, signal);
      if (outcome === 'gone') onGone(name);
      if (outcome === 'changed') put(pending);
    } catch (error) {
      // Whatever else it is, trying again would not mend it.
      if (error instanceof Refusal && error.status === 503) put(pending);
    }
  }

  async function writeAll(all: readonly Pending[], signal: AbortSignal): Promise<void> {
    await forEachConcurrently(all, heartbeatsInFlight, (pending) => write(pending, signal));
  }

  async function beat(): Promise<void> {
    while (backlog.count() > 0) {
      await sleep(heartbeatMilliseconds, ended.signal);
      if (ended.signal.aborted) return;
      const recent = early;
      const due = backlog.take((key) => recent.has(key));
      regular = new Set([...recent, ...due.map(keyOf)]);
      early = new Set();
      await writeAll(due, limited());
    }
    beating = undefined;
  }

  return {
    note({ event, name, namespace, isRepeat, time, about, expires }) {
      if (isKnownEvent(`${name} ${event}`) || !isRepeat) return;
      const lastObservedTime = new Date(Math.min(Date.parse(time) || now(), now())).toISOString();
      const seen = about === undefined ? [] : seenWith([], [seenName(about)]);
      put({ namespace, name, count: 1, lastObservedTime, seen, expires });
      if (!ended.signal.aborted) beating ??= beat();
    },

    async finish(signal) {
      ended.abort();
      signal.addEventListener('abort', () => hurried.abort());
      await Promise.all([beating, urgent]);
      for (let round = 0; round < lastRounds && backlog.count() > 0 && !signal.aborted; round += 1) {
        await writeAll(
          backlog.take(() => false),
          signal,
        );
      }
    },
  };
}
