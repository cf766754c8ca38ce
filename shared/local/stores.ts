import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { KindSelector } from '../api/kind-selector.ts';
import { retry } from '../function/backoff.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Cluster, Store } from '../function/stores.ts';
import { UserError } from '../function/user-error.ts';
import type { HostClock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import type { Metrics } from '../host/metrics.ts';
import { sleep } from '../host/sleep.ts';
import { startWatches } from '../host/watches.ts';
import type { ObservationFeed } from '../view/live-view.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import type { ViewerOptions } from '../view/viewer.ts';
import type { LocalArguments } from './arguments.ts';
import { checkCluster } from './check-cluster.ts';
import { checkConfiguration, checkMeaning } from './check-configuration.ts';
import { checkDatabase } from './check-database.ts';
import type { ObjectChange } from './folders.ts';
import { importsFolder } from './imports.ts';
import { blaming, firstLine } from './start-errors.ts';
import { readToolFile, type ToolFileReader } from './tool-files.ts';

/** What stands in for a cluster in local mode, or the cluster that a kubeconfig names. */
export interface LocalStores {
  readonly store: Store & ObservationReader;
  readonly cluster: Cluster;
  /** What the page looks at. */
  readonly viewing: Pick<ViewerOptions, 'exceptions' | 'problems'> & {
    readonly feed: ObservationFeed;
    /** The folder of --config. */
    readonly config?: string | undefined;
  };
  /** The user names under which zen-watcher itself appears in the audit log. */
  readonly ownUsers: readonly string[];
  /** Begins to report changes, unless finding them is left to the completeness passes. */
  start(onChange: (change: ObjectChange) => void): void;
  stop(): void;
}

export interface LocalStoresOptions {
  readonly toolFiles: ToolFileReader;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: HostClock;
  /** The kinds that the functions watch. */
  readonly kinds: readonly KindSelector[];
}

/** Throws a UserError that says what the user got wrong. */
export async function openLocalStores(
  args: LocalArguments,
  settings: CommonSettings,
  options: LocalStoresOptions,
): Promise<LocalStores> {
  const { kubeconfig } = args;
  return kubeconfig === undefined ? openFolders(args, settings, options) : openCluster(kubeconfig, settings, options);
}

async function openFolders(
  args: LocalArguments,
  settings: CommonSettings,
  { log, toolFiles }: LocalStoresOptions,
): Promise<LocalStores> {
  for (const option of ['objects', 'config'] as const) {
    const folder = args[option];
    if (folder === undefined) continue;
    if (!existsSync(folder)) throw new UserError(`--${option}: no folder ${folder}`);
    if (!statSync(folder).isDirectory()) throw new UserError(`--${option}: ${folder} is a file, not a folder`);
  }
  const { createEmbeddedStore } = await import('./embedded-store.ts');
  const { createEmbeddedFeed, createChangeTeller } = await import('./embedded-feed.ts');
  const { createObjectFolder } = await import('./folders.ts');
  const { sampleObjects } = await import('./samples.ts');
  const { lockData } = await import('./data-lock.ts');
  const { store, unlock } = blaming(`--data ${args.data}`, () => {
    checkDatabase(args.data);
    return { unlock: lockData(args.data), store: createEmbeddedStore({ data: args.data, now: Date.now }) };
  });
  const teller = createChangeTeller(store);
  const data = args.data === ':memory:' ? folderOfProcess() : args.data;
  const own = join(data, 'objects');
  const imports = join(data, importsFolder);
  for (const folder of [own, imports]) mkdirSync(folder, { recursive: true });
  const folders = [args.objects, args.samples ? sampleObjects(data, Date.now()) : undefined, args.config, own, imports];
  let notify: (change: ObjectChange) => void = () => undefined;
  let isStarted = false;
  const objects = createObjectFolder({
    folders: folders.filter((folder) => folder !== undefined),
    own,
    defaultNamespace: settings.SYSTEM_NAMESPACE,
    onChange: (change) => notify(change),
    check(object, file) {
      checkConfiguration(object);
      if (args.config !== undefined && isBelow(args.config, file)) checkMeaning(object);
    },
    readOther: (text, file) => readToolFile(toolFiles, text, file).objects,
    onFault(file, reason) {
      // At the start someone is there to fix it. Later, the objects read last stay.
      if (!isStarted && args.config !== undefined && isBelow(args.config, file)) {
        throw new UserError(`--config: ${file}: ${firstLine(reason)}`);
      }
      log.warn({ operation: 'read-objects', file, reason }, 'a file was not read');
    },
    onStatus: ({ kind, metadata: { namespace, name } }, status) =>
      log.info({ operation: 'set-status', object: [kind, namespace, name].join('/'), status }, 'conditions'),
  });
  return {
    store: teller.store,
    viewing: { feed: createEmbeddedFeed(store, teller.listen), problems: objects.faults, config: args.config },
    // Folders serve whatever is in them, and their changes are watched, without any ApiServerSource.
    cluster: { objects, owners: objects, kinds: undefined, watched: objects.current, hasApiServerSources: false },
    ownUsers: [],
    start(onChange) {
      notify = onChange;
      objects.start();
      isStarted = true;
    },
    stop() {
      objects.stop();
      store.close();
      unlock();
    },
  };
}

/** A folder that is deleted when the process ends, even if it ends because it can't start. */
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
  { log, metrics, clock, kinds }: LocalStoresOptions,
): Promise<LocalStores> {
  if (!existsSync(file)) throw new UserError(`--kubeconfig: no file ${file}`);
  const { kubeconfigCredentials } = await import('../kubernetes/kubeconfig.ts');
  const { clusterOf, connectCluster } = await import('../kubernetes/cluster.ts');
  const credentials = blaming(`--kubeconfig ${file}`, () => kubeconfigCredentials(file));
  const connection = connectCluster({
    credentials,
    sleep,
    watchNamespace: settings.WATCH_NAMESPACE,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
    onTime: clock.noteServerTime,
  });
  metrics.watchClockOffset(clock.offset);
  await checkCluster(connection, { server: credentials.server, systemNamespace: settings.SYSTEM_NAMESPACE });
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
      if (unread().length > 0) throw new UserError(`--kubeconfig: ${unread().join('; ')}`);
    },
    { first: 50, longest: 250, attempts: 50, sleep, signal: stopping.signal },
  );
  return {
    store: connection.store,
    // Only the passes see changes, because no ApiServerSources are installed into this cluster.
    cluster: clusterOf(connection, { watched, hasApiServerSources: false }),
    viewing: { feed: connection.feed(settings.WATCH_NAMESPACE), exceptions: connection.exceptions },
    ownUsers: [await connection.whoAmI(AbortSignal.timeout(10_000))],
    start: () => undefined,
    stop() {
      stopping.abort();
      connection.close();
    },
  };
}
