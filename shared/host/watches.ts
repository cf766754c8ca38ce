import type { KindSelector } from '../api/kind-selector.ts';
import { Refusal } from '../function/refusal.ts';
import type { Change, KubernetesObject } from '../function/stores.ts';
import type { connectCluster } from '../kubernetes/cluster.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

export interface WatchesOptions {
  readonly cluster: Pick<ReturnType<typeof connectCluster>, 'watch'>;
  readonly kinds: readonly KindSelector[];
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  /** Called for each change of an object of such a kind. */
  readonly onChange?: (kind: KindSelector, change: Change) => void;
}

export interface Watches {
  /** Throws a Refusal 503, with the reason, until the kind has been read once. */
  watched(kind: KindSelector): readonly KubernetesObject[];
  /** For each kind that has not been read yet, the reason. */
  unread(): string[];
}

function keyOf({ group, plural }: KindSelector): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/** Watches the kinds that a function needs to know before it can answer. */
export function startWatches({ cluster, kinds, log, metrics, signal, onChange }: WatchesOptions): Watches {
  const faults = new Map<string, string>();
  // Several functions of a process may need the same.
  const different = new Map(kinds.map((kind) => [keyOf(kind), kind]));
  const watches = new Map(
    [...different].map(([key, kind]) => {
      const onFault = (reason: string): void => {
        faults.set(key, reason);
        log.warn({ operation: 'watch', resource: key }, reason);
      };
      const onEach = onChange && ((change: Change) => onChange(kind, change));
      return [key, cluster.watch(kind, kind.namespace, { onFault, onChange: onEach }, signal)];
    }),
  );
  for (const [key, watch] of watches) metrics.watchSynced(key, watch.isSynced);
  const whyUnread = (key: string): string => faults.get(key) ?? `${key} has not been read yet`;
  return {
    watched(kind) {
      const key = keyOf(kind);
      const objects = watches.get(key)?.objects();
      if (!objects) throw new Refusal(503, `not ready: ${whyUnread(key)}`, { retryAfter: 5 });
      return objects;
    },
    unread: () => [...watches].filter(([, watch]) => watch.objects() === undefined).map(([key]) => whyUnread(key)),
  };
}
