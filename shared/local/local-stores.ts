import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObservationReader } from '../function/observation-reader.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { Objects, Store } from '../function/stores.ts';
import type { Log } from '../host/log.ts';
import { sleep } from '../host/sleep.ts';
import type { LocalArguments } from './arguments.ts';
import type { ObjectChange } from './object-folder.ts';

/** What stands for a cluster in local mode, or the cluster that a kubeconfig names. */
export interface LocalStores {
  readonly store: Store & ObservationReader;
  readonly objects: Objects;
  /** The names under which zen-watcher itself appears in the audit log. */
  readonly ownUsers: readonly string[];
  /** Begins to observe changes, where that is not left to the completeness passes. */
  start(onChange: (change: ObjectChange) => void): void;
  stop(): void;
}

/** Throws an Error that says what the user got wrong. */
export async function openLocalStores(args: LocalArguments, settings: CommonSettings, log: Log): Promise<LocalStores> {
  return args.kubeconfig === undefined ? openFolders(args, settings, log) : openCluster(args.kubeconfig, settings);
}

async function openFolders(args: LocalArguments, settings: CommonSettings, log: Log): Promise<LocalStores> {
  if (args.objects !== undefined && !existsSync(args.objects)) throw new Error(`--objects: no folder ${args.objects}`);
  const { createEmbeddedStore } = await import('./embedded-store.ts');
  const { createObjectFolder } = await import('./object-folder.ts');
  const { sampleObjects } = await import('./samples.ts');
  const store = createEmbeddedStore({ data: args.data, now: Date.now });
  const data = args.data === ':memory:' ? mkdtempSync(join(tmpdir(), 'zen-watcher-')) : args.data;
  const own = join(data, 'objects');
  mkdirSync(own, { recursive: true });
  const folders = [args.objects, args.samples ? sampleObjects(data) : undefined, own];
  let notify: (change: ObjectChange) => void = () => undefined;
  const objects = createObjectFolder({
    folders: folders.filter((folder) => folder !== undefined),
    own,
    defaultNamespace: settings.SYSTEM_NAMESPACE,
    onChange: (change) => notify(change),
    onFault: (file, reason) => log.warn({ operation: 'read-objects', file, reason }, 'a file was not read'),
    onStatus: ({ kind, metadata: { namespace, name } }, status) =>
      log.info({ operation: 'set-status', object: [kind, namespace, name].join('/'), status }, 'conditions'),
  });
  return {
    store,
    objects,
    ownUsers: [],
    start(onChange) {
      notify = onChange;
      objects.start();
    },
    stop() {
      objects.stop();
      store.close();
    },
  };
}

async function openCluster(file: string, settings: CommonSettings): Promise<LocalStores> {
  if (!existsSync(file)) throw new Error(`--kubeconfig: no file ${file}`);
  const { kubeconfigCredentials } = await import('../kubernetes/kubeconfig.ts');
  const { connectCluster } = await import('../kubernetes/cluster.ts');
  const cluster = connectCluster({
    credentials: kubeconfigCredentials(file),
    sleep,
    watchNamespace: settings.WATCH_NAMESPACE,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
  });
  return {
    store: cluster.store,
    objects: cluster.objects,
    ownUsers: [await cluster.whoAmI(AbortSignal.timeout(10_000))],
    start: () => undefined,
    stop: () => cluster.close(),
  };
}
