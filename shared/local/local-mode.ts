import { randomUUID } from 'node:crypto';
import { type CloudEvent, pingOf } from '../function/cloud-event.ts';
import type { FunctionDefinition } from '../function/function-definition.ts';
import { knativeTriggers } from '../function/resource.ts';
import { type Environment, parseSettings } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { createAdmission } from '../host/admission.ts';
import { createCoalescer } from '../host/coalesce.ts';
import { createDispatcher, type Hosted } from '../host/dispatch.ts';
import { checkSettings, startHost } from '../host/host.ts';
import type { LineWriter } from '../host/line-writer.ts';
import { createLiveFilter } from '../host/live-filter.ts';
import type { ProcessLog } from '../host/log.ts';
import { createMetrics } from '../host/metrics.ts';
import { peerOf } from '../host/peers.ts';
import { wants } from '../host/routes.ts';
import { sleep } from '../host/sleep.ts';
import { createKnownNames } from '../pipeline/known-names.ts';
import type { LocalArguments } from './arguments.ts';
import { createLocalBroker } from './broker.ts';
import { about, firstScreen } from './first-screen.ts';
import { openLocalStores } from './local-stores.ts';
import type { ObjectChange } from './object-folder.ts';
import { observationList } from './observations-query.ts';
import { createPassRequests } from './pass-requests.ts';
import { playSamples } from './samples.ts';
import { createStoreHealth } from './store-health.ts';
import { startTimers } from './timers.ts';
import { createToolFileReader, loadToolFiles } from './tool-files.ts';
import { unknownSettings } from './unknown-settings.ts';

export interface LocalMode {
  readonly url: string;
  /** Finishes what is in flight, within ten seconds. */
  stop(): Promise<void>;
}

export interface LocalModeOptions {
  readonly args: LocalArguments;
  readonly definitions: readonly FunctionDefinition[];
  readonly environment: Environment;
  readonly log: ProcessLog;
  /** Somebody at a terminal, who is told what to do next; elsewhere a line of the log says where it listens. */
  readonly screen?: Pick<LineWriter, 'write'> | undefined;
}

/**
 * Hosts every function in one process, on an embedded store and folders of objects or on a cluster, and plays
 * the Broker, the PingSources and the ApiServerSources. Throws a SettingsError, or an Error for a bad folder.
 */
export async function startLocalMode(options: LocalModeOptions): Promise<LocalMode> {
  const { args, definitions, environment, log, screen } = options;
  const settings = checkSettings(definitions, environment);
  for (const warning of unknownSettings(environment, definitions)) log.warn({ operation: 'start' }, warning);
  const { SYSTEM_NAMESPACE: systemNamespace } = settings;
  const now = Date.now;
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  // Local mode plays the Broker itself, so there are no Triggers to be watched.
  const resources = definitions.flatMap(({ watches = [] }) => watches).filter((kind) => kind !== knativeTriggers);
  const toolFiles = createToolFileReader(await loadToolFiles(), definitions, environment);
  const opened = await openLocalStores(args, settings, { log, metrics, resources, toolFiles });
  const { objects, watched, ownUsers, ...stores } = opened;
  const isOnDisk = args.kubeconfig === undefined && args.data !== ':memory:';
  const health = isOnDisk
    ? createStoreHealth({
        store: opened.store,
        folder: args.data,
        onFault: (reason) => log.error({ operation: 'store', reason }, 'nothing can be stored'),
        onRecovery() {
          log.info({ operation: 'store' }, 'the store can be written again');
          for (const hosted of functions) passes.request(hosted);
        },
      })
    : undefined;
  const store = health?.store ?? opened.store;
  const known = createKnownNames({ size: settings.DEDUP_CACHE_SIZE, now, onEvict: () => metrics.countEviction() });
  metrics.watchKnownNames(() => known.count());

  const stopping = new AbortController();
  const functions: Hosted[] = [];
  const broker = createLocalBroker({ functions, dispatcher, systemNamespace, now, sleep });
  const shared = {
    ...{ store, objects, discovery: undefined, watched, known, now, sleep },
    filter: createLiveFilter(watched, systemNamespace, metrics.countFilterReload),
    functions: definitions.map((definition) => peerOf(definition, environment, ownUsers)),
    admit: createAdmission(),
    isRouted: () => true,
    publish: broker.publish,
    deliver: broker.deliver,
  };
  for (const definition of definitions) {
    const own = Object.assign({}, parseSettings(environment, definition.settings, ownUsers));
    const coalesce = createCoalescer({ now, sleep, signal: stopping.signal });
    const receive = definition.receive && health?.guard(definition.receive);
    const guarded = receive ? { ...definition, receive } : definition;
    functions.push({ definition: guarded, context: { ...shared, coalesce, settings: own } });
  }

  const host = await startHost({
    ...{ functions, dispatcher, settings, log, metrics, now },
    hostname: '127.0.0.1',
    port: args.port ?? settings.PORT,
    notReady: () => health?.reason(),
    about,
    observations: (query) => observationList(store, query),
    async route(event, signal) {
      const count = await broker.route(event, signal);
      if (count > 0) return;
      metrics.countUnwanted();
      log.debug({ operation: 'route', correlation_id: event.id }, 'no function wants this event');
    },
  });

  /** Nothing sends an event again here; what fails for good, the next completeness pass makes up for. */
  async function send(hosted: Hosted, event: CloudEvent): Promise<void> {
    const signal = AbortSignal.any([host.deadlineFor(event), stopping.signal]);
    await broker.send(hosted, event, signal).catch(() => undefined);
  }

  const passes = createPassRequests((hosted) => send(hosted, pingOf(hosted.definition.name, systemNamespace, now())));

  async function observe(change: ObjectChange): Promise<void> {
    const event = referenceEvent(change, now());
    for (const hosted of functions) {
      if (!wants(hosted.definition, event)) continue;
      await send(hosted, event);
      // What the object reported before may be gone from it, and nobody here waits an hour for word of that.
      if (change.type !== 'add') passes.request(hosted);
    }
  }

  stores.start((change) => void observe(change));
  if (screen)
    screen.write(
      firstScreen(
        args,
        host.url,
        definitions.map(({ name }) => name),
      ),
    );
  else log.announce({ operation: 'start' }, `listening on ${host.url}`);
  const firstRound = startTimers({ functions, systemNamespace, now, ping: send, signal: stopping.signal });
  if (args.samples) {
    await Promise.all([firstRound, playSamples(host.url, shared.functions)]);
    log.info(
      { operation: 'samples' },
      `samples played: see them with "npm run observations", or ${host.url}/observations`,
    );
  }
  return {
    url: host.url,
    async stop() {
      stopping.abort();
      passes.stop();
      health?.stop();
      await host.stop();
      stores.stop();
    },
  };
}

/** What Knative's ApiServerSource would send: a reference in place of the object. */
function referenceEvent({ type, object }: ObjectChange, now: number): CloudEvent {
  const { apiVersion, kind, metadata }: KubernetesObject = object;
  return {
    id: randomUUID(),
    source: 'urn:zen-watcher:objects',
    type: `dev.knative.apiserver.ref.${type}`,
    time: new Date(now).toISOString(),
    extensions: {},
    data: { apiVersion, kind, namespace: metadata.namespace, name: metadata.name },
  };
}
