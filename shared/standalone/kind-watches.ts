import type { KindSelector } from '../api/kind-selector.ts';
import { createBackoff } from '../function/backoff.ts';
import type { Clock } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Change, Discovery, Objects } from '../function/stores.ts';
import type { BoundHandler } from '../host/context.ts';
import type { Log } from '../host/log.ts';
import type { FollowOptions } from '../kubernetes/follow-changes.ts';
import type { AcceptedMapping } from '../rules/accepted-mappings.ts';
import { createPresence, type WantedKind, wantedKinds } from './wanted-kinds.ts';

export interface KindWatchesOptions {
  readonly handlers: readonly BoundHandler[];
  /** The mappings that are accepted now. Throws a Refusal until they have been read. */
  readonly mappings: () => readonly AcceptedMapping[];
  /** Whether something else tells of changes of this kind. */
  readonly isToldOtherwise: (kind: Pick<KindSelector, 'group' | 'kind'>) => boolean;
  readonly discovery: Discovery;
  readonly objects: Pick<Objects, 'get'>;
  /** Tells of each change of a kind's objects until `signal` aborts. */
  readonly follow: (
    kind: KindSelector,
    listeners: Pick<FollowOptions, 'onStart' | 'onChange' | 'onFault'>,
    signal: AbortSignal,
  ) => void;
  readonly onChange: (handler: BoundHandler, change: Change) => void;
  /** Asks for a pass over what was there before its changes were seen. Whoever waits for `begun` runs the first one. */
  readonly requestPass: (handler: BoundHandler) => void;
  readonly settings: CommonSettings;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface KindWatches {
  /** Has what the cluster serves looked at again soon: something there, or a mapping, has changed. */
  wake(): void;
  /** Resolves when changes are seen of all kinds that are wanted and served now, or it is known of each why they aren't. */
  readonly begun: Promise<void>;
}

/** Installing a tool makes dozens of kinds at a time, which are looked at together. */
const settleMilliseconds = 1000;

/** While something is not known, and otherwise: changes that wake nobody are found by then. */
const firstRetryMilliseconds = 1000;
const longestRetryMilliseconds = 60_000;
const usualMilliseconds = 600_000;

/** One watch, and who is told what it sees. */
interface Followed {
  readonly kind: KindSelector;
  handlers: ReadonlySet<BoundHandler>;
  readonly stop: () => void;
  isStarted: boolean;
  /** Resolves when it sees changes, or it is known why it doesn't. */
  readonly begun: Promise<void>;
}

function keyOf({ group, versions: [version], plural, namespace = '', labels = {} }: KindSelector): string {
  return JSON.stringify([group, version, plural, namespace, labels]);
}

function describe({ group, plural, namespace }: KindSelector): string {
  return `${plural}${group === '' ? '' : `.${group}`}${namespace === undefined ? '' : ` in ${namespace}`}`;
}

/** The watches that there are, by what they watch. */
function createFollowedKinds(options: KindWatchesOptions, hasBegun: () => boolean) {
  const { follow, onChange, requestPass, log, signal } = options;
  const followed = new Map<string, Followed>();

  function start(kind: KindSelector, handlers: ReadonlySet<BoundHandler>): Followed {
    const stop = new AbortController();
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const one: Followed = { kind, handlers, stop: () => stop.abort(), isStarted: false, begun };
    const resource = describe(kind);
    log.info({ operation: 'watch', resource }, 'watched from now on');
    follow(
      kind,
      {
        onStart() {
          one.isStarted = true;
          resolve();
          // Before, the first pass of all is still to come.
          if (hasBegun()) one.handlers.forEach(requestPass);
        },
        onChange: (change) => {
          for (const handler of one.handlers) onChange(handler, change);
        },
        onFault(reason) {
          resolve();
          log.warn({ operation: 'watch', resource }, reason);
        },
      },
      AbortSignal.any([stop.signal, signal]),
    );
    return one;
  }

  function end(key: string, { kind, stop }: Followed): void {
    stop();
    followed.delete(key);
    log.info({ operation: 'watch', resource: describe(kind) }, 'no longer watched');
  }

  /** Who joins a watch has seen nothing of what is there. */
  function join(known: Followed, handlers: ReadonlySet<BoundHandler>): void {
    if (known.isStarted) [...handlers.difference(known.handlers)].forEach(requestPass);
    known.handlers = handlers;
  }

  return {
    all: (): readonly Followed[] => [...followed.values()],

    /** Follows these kinds and no others, but those of which `isKept` says so. */
    set(wanted: ReadonlyMap<string, Pick<Followed, 'kind' | 'handlers'>>, isKept: (kind: KindSelector) => boolean) {
      for (const [key, one] of followed) if (!wanted.has(key) && !isKept(one.kind)) end(key, one);
      for (const [key, { kind, handlers }] of wanted) {
        const known = followed.get(key);
        if (known) join(known, handlers);
        else followed.set(key, start(kind, handlers));
      }
    },
  };
}

function isOf({ group, kind, plural }: WantedKind, known: KindSelector): boolean {
  return group === known.group && (kind === undefined ? plural === known.plural : kind === known.kind);
}

/**
 * Stands in for the ApiServerSources: one watch for each kind that a function wants and the cluster serves. It is let go when
 * the kind is gone, and never because that can't be found out.
 */
export function startKindWatches(options: KindWatchesOptions): KindWatches {
  const { handlers, mappings, isToldOtherwise, settings, clock, log, signal } = options;
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  let hasBegun = false;
  const followed = createFollowedKinds(options, () => hasBegun);
  let wakeUp = new AbortController();

  function begin(): void {
    hasBegun = true;
    resolve();
  }

  /** Resolves to whether all that is wanted is known to be there or not. */
  async function synchronize(): Promise<boolean> {
    const presenceOf = await createPresence(options);
    const wanted = new Map<string, { readonly kind: KindSelector; readonly handlers: Set<BoundHandler> }>();
    const unknown: WantedKind[] = [];
    for (const one of wantedKinds(handlers, mappings(), settings)) {
      const kind = await presenceOf(one);
      if (kind === 'unknown') unknown.push(one);
      if (typeof kind === 'string' || isToldOtherwise(kind)) continue;
      const known = wanted.get(keyOf(kind)) ?? { kind, handlers: new Set() };
      known.handlers.add(one.handler);
      wanted.set(keyOf(kind), known);
    }
    followed.set(wanted, (kind) => unknown.some((one) => isOf(one, kind)));
    return unknown.length === 0;
  }

  async function run(): Promise<void> {
    const backoff = createBackoff({ first: firstRetryMilliseconds, longest: longestRetryMilliseconds });
    while (!signal.aborted) {
      wakeUp = new AbortController();
      const isKnown = await synchronize().catch((error: unknown) => {
        if (!signal.aborted) log.warn({ operation: 'discover' }, Refusal.from(error).message);
        return false;
      });
      const all = followed.all();
      if (isKnown || all.length > 0) void Promise.all(all.map((one) => one.begun)).then(() => begin());
      if (isKnown) backoff.reset();
      await clock.sleep(isKnown ? usualMilliseconds : backoff.next(), AbortSignal.any([wakeUp.signal, signal]));
      await clock.sleep(settleMilliseconds, signal);
    }
  }

  void run();
  return { wake: () => wakeUp.abort(), begun };
}
