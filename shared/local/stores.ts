import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { KindSelector } from '../api/kind-selector.ts';
import { retry } from '../function/backoff.ts';
import type { Cluster } from '../function/context.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Store } from '../function/stores.ts';
import type { Log } from '../host/log.ts';
import type { Metrics } from '../host/metrics.ts';
import { sleep } from '../host/sleep.ts';
import { startWatches } from '../host/watches.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import type { LocalArguments } from './arguments.ts';
import { checkConfiguration } from './check-configuration.ts';
import type { ObjectChange } from './folders.ts';

/** What stands for a cluster in local mode, or the cluster that a kubeconfig names. */
export interface LocalStores {
  readonly store: Store & ObservationReader;
  readonly cluster: Cluster;
  /** The names under which zen-watcher itself appears in the audit log. */
  readonly ownUsers: readonly string[];
  /** Begins to observe changes, where that is not left to the completeness passes. */
  start(onChange: (change: ObjectChange) => void): void;
  stop(): void;
}

export interface LocalStoresOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  /** The kinds that the functions watch. */
  readonly kinds: readonly KindSelector[];
}

/** Throws an Error that says what the user got wrong. */
export async function openLocalStores(
  args: LocalArguments,
  settings: CommonSettings,
  options: LocalStoresOptions,
): Promise<LocalStores> {
  const { kubeconfig } = args;
  return kubeconfig === undefined
    ? openFolders(args, settings, options.log)
    : openCluster(kubeconfig, settings, options);
}

async function openFolders(args: LocalArguments, settings: CommonSettings, log: Log): Promise<LocalStores> {
  for (const option of ['objects', 'config'] as const) {
    const folder = args[option];
    if (folder !== undefined && !existsSync(folder)) throw new Error(`--${option}: no folder ${folder}`);
  }
  const { createEmbeddedStore } = await import('./embedded-store.ts');
  const { createObjectFolder } = await import('./folders.ts');
  const { sampleObjects } = await import('./samples.ts');
  const store = createEmbeddedStore({ data: args.data, now: Date.now });
  const data = args.data === ':memory:' ? folderOfProcess() : args.data;
  const own = join(data, 'objects');
  mkdirSync(own, { recursive: true });
  const folders = [args.objects, args.samples ? sampleObjects(data) : undefined, args.config, own];
  let notify: (change: ObjectChange) => void = () => undefined;
  let isStarted = false;
  const objects = createObjectFolder({
    folders: folders.filter((folder) => folder !== undefined),
    own,
    defaultNamespace: settings.SYSTEM_NAMESPACE,
    onChange: (change) => notify(change),
    check: checkConfiguration,
    onFault(file, reason) {
      // At the start somebody is there to mend it; later what was read last stays.
      if (!isStarted && args.config !== undefined && isBelow(args.config, file)) {
        throw new Error(`--config: ${file}: ${reason}`);
      }
      log.warn({ operation: 'read-objects', file, reason }, 'a file was not read');
    },
    onStatus: ({ kind, metadata: { namespace, name } }, status) =>
      log.info({ operation: 'set-status', object: [kind, namespace, name].join('/'), status }, 'conditions'),
  });
  return {
    store,
    // Folders serve whatever lies in them, and a change there is observed without any source.
    cluster: { objects, kinds: undefined, watched: objects.current, hasApiServerSources: false },
    ownUsers: [],
    start(onChange) {
      notify = onChange;
      objects.start();
      isStarted = true;
    },
    stop() {
      objects.stop();
      store.close();
    },
  };
}

/** A folder that is gone when the process ends, also where it ends because it can't start. */
function folderOfProcess(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zen-watcher-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function isBelow(folder: string, file: string): boolean {
  return !relative(folder, file).startsWith('..');
}

async function openCluster(
  file: string,
  settings: CommonSettings,
  { log, metrics, kinds }: LocalStoresOptions,
): Promise<LocalStores> {
  if (!existsSync(file)) throw new Error(`--kubeconfig: no file ${file}`);
  const { kubeconfigCredentials } = await import('../kubernetes/kubeconfig.ts');
  const { connectCluster } = await import('../kubernetes/cluster.ts');
  const connection = connectCluster({
    credentials: kubeconfigCredentials(file),
    sleep,
    watchNamespace: settings.WATCH_NAMESPACE,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
  });
  const stopping = new AbortController();
  const { watched, unread } = startWatches({
    cluster: connection,
    kinds,
    log,
    metrics,
    signal: stopping.signal,
  });
  await retry(
    async () => {
      if (unread().length > 0) throw new Error(`--kubeconfig: ${unread().join('; ')}`);
    },
    { first: 50, longest: 250, attempts: 50, sleep, signal: stopping.signal },
  );
  return {
    store: connection.store,
    cluster: {
      objects: connection.objects,
      kinds: connection.discovery,
      watched,
      // Changes are seen by the passes alone: nothing is installed into a cluster that is only read.
      hasApiServerSources: false,
    },
    ownUsers: [await connection.whoAmI(AbortSignal.timeout(10_000))],
    start: () => undefined,
    stop() {
      stopping.abort();
      connection.close();
    },
  };
}
