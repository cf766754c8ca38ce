import { checkOwnAddress } from '../edge/own-address.ts';
import { type CloudEvent, pingOf } from '../function/cloud-event.ts';
import type { FunctionInfo } from '../function/context.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import type { CommonSettings, Environment } from '../function/settings.ts';
import { type HostClock, processClock } from '../host/clock.ts';
import { type Bindings, type BoundHandler, bindFunctions, isHandler } from '../host/context.ts';
import { createDispatcher, type Dispatcher } from '../host/dispatch.ts';
import { functionInfoOf } from '../host/function-info.ts';
import { checkSettings, type Host, startHost } from '../host/host.ts';
import type { LineWriter } from '../host/line-writer.ts';
import type { ProcessLog } from '../host/log.ts';
import { createMetrics, type Metrics } from '../host/metrics.ts';
import { warnOfUnknownSettings } from '../host/unknown-settings.ts';
import { createProcessBroker, type ProcessBroker } from '../standalone/broker.ts';
import { createPassRequests } from '../standalone/pass-requests.ts';
import { withTelling } from '../standalone/telling.ts';
import { startTimers } from '../standalone/timers.ts';
import { watchedKinds } from '../standalone/watched-kinds.ts';
import { createOutside } from '../transport/outside.ts';
import type { LocalArguments } from './arguments.ts';
import { createChangeObserver } from './change-observer.ts';
import { firstScreen, storeOption } from './first-screen.ts';
import { createLocalViewer, type LocalViewer } from './local-viewer.ts';
import { playSamples } from './samples.ts';
import { createStoreHealth, type StoreHealth } from './store-health.ts';
import { type LocalStores, openLocalStores } from './stores.ts';
import { createToolFileReader, loadToolFiles, type ToolFileReader } from './tool-files.ts';

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
  /** The terminal of a person, who is told what to do next. Without one, a line of the log says where it listens. */
  readonly screen?: Pick<LineWriter, 'write'> | undefined;
}

/**
 * Hosts every function in one process, on an embedded store and folders of objects or on a cluster, and stands in for
 * the Broker, the PingSources and the ApiServerSources. Throws a SettingsError, or an Error for a bad folder.
 */
export async function startLocalMode(options: LocalModeOptions): Promise<LocalMode> {
  const stopping = new AbortController();
  const shared = await prepare(options, stopping.signal);
  const { args, definitions, environment, log, settings, stores, clock, dispatcher } = shared;
  const { SYSTEM_NAMESPACE: systemNamespace } = settings;
  const health = createHealth(shared, () => handlers.forEach(passes.request));
  // The Broker delivers to the functions, and they publish to it, so its list is filled once they exist.
  const handlers: BoundHandler[] = [];
  const broker = createProcessBroker({ functions: handlers, dispatcher, systemNamespace, clock });
  const infos = definitions.map((definition) => functionInfoOf(definition, environment, stores.ownUsers));
  const bindings = bind(shared, { broker, health, infos });
  handlers.push(...bindings.functions.filter(isHandler));
  const view = createLocalViewer(stores, settings, clock.now);
  const host = await listen(shared, { broker, health, bindings, view });

  /** Nobody sends a failed event again here: the next completeness pass makes up for it. */
  async function send(handler: BoundHandler, event: CloudEvent): Promise<void> {
    const signal = AbortSignal.any([host.deadlineFor(event), stopping.signal]);
    await broker.send(handler, event, signal).catch(() => undefined);
  }

  const passes = createPassRequests((handler) =>
    send(handler, pingOf(handler.definition.name, systemNamespace, clock.now())),
  );
  const observe = createChangeObserver({
    functions: handlers,
    send,
    requestPass: passes.request,
    now: clock.now,
  });
  stores.start((change) => void observe(change));
  announce(shared, infos, host.url);
  const firstRound = startTimers({
    functions: handlers,
    systemNamespace,
    clock,
    ping: send,
    signal: stopping.signal,
  });
  if (args.samples) {
    await Promise.all([firstRound, playSamples(host.url, infos, clock.now())]);
    const where = `see them with "npm run observations${storeOption(args)}", or ${host.url}/observations`;
    log.info({ operation: 'samples' }, `samples played: ${where}`);
  }
  return {
    url: host.url,
    async stop() {
      stopping.abort();
      passes.stop();
      health?.stop();
      view.stop();
      await host.stop();
      stores.stop();
    },
  };
}

/** What the parts of local mode share. */
interface Shared extends LocalModeOptions {
  readonly settings: CommonSettings;
  readonly clock: HostClock;
  readonly metrics: Metrics;
  readonly dispatcher: Dispatcher;
  readonly toolFiles: ToolFileReader;
  readonly stores: LocalStores;
  readonly stopping: AbortSignal;
}

async function prepare(options: LocalModeOptions, stopping: AbortSignal): Promise<Shared> {
  const { args, log } = options;
  checkSettings(options.definitions, options.environment);
  warnOfUnknownSettings(options);
  const { definitions, environment } = withTelling(options.definitions, options.environment);
  const settings = checkSettings(definitions, environment);
  const metrics = createMetrics();
  const clock = processClock(log);
  const toolFiles = createToolFileReader(await loadToolFiles(), definitions, environment);
  const kinds = watchedKinds(definitions, environment);
  return {
    ...options,
    definitions,
    environment,
    settings,
    clock,
    metrics,
    dispatcher: createDispatcher(log, metrics),
    toolFiles,
    stores: await openLocalStores(args, settings, { log, metrics, clock, kinds, toolFiles }),
    stopping,
  };
}

type Health = StoreHealth<LocalStores['store']>;

/** Watches for a full disk if the store is on a disk. */
function createHealth({ args, log, stores }: Shared, onRecovery: () => void): Health | undefined {
  if (args.kubeconfig !== undefined || args.data === ':memory:') return undefined;
  return createStoreHealth({
    store: stores.store,
    folder: args.data,
    onFault: (reason) => log.error({ operation: 'store', reason }, 'nothing can be stored'),
    onRecovery() {
      log.info({ operation: 'store' }, 'the store can be written again');
      onRecovery();
    },
  });
}

interface BindOptions {
  readonly broker: ProcessBroker;
  readonly health: Health | undefined;
  readonly infos: readonly FunctionInfo[];
}

function bind(shared: Shared, { broker, health, infos }: BindOptions): Bindings {
  const { definitions, environment, settings, stores, clock, metrics, stopping } = shared;
  const guarded = definitions.map((definition) =>
    health && definition.kind === 'gateway' ? { ...definition, receive: health.guard(definition.receive) } : definition,
  );
  return bindFunctions(guarded, {
    environment,
    settings,
    ownUsers: stores.ownUsers,
    store: health?.store ?? stores.store,
    cluster: stores.cluster,
    broker,
    outside: createOutside(),
    clock,
    functions: infos,
    metrics,
    stopping,
  });
}

interface ListenOptions {
  readonly broker: ProcessBroker;
  readonly health: Health | undefined;
  readonly bindings: Bindings;
  readonly view: LocalViewer;
}

function listen(shared: Shared, { broker, health, bindings, view }: ListenOptions): Promise<Host> {
  const { args, settings, log, metrics, dispatcher, clock } = shared;
  return startHost({
    ...bindings,
    dispatcher,
    settings,
    log,
    metrics,
    clock,
    hostname: '127.0.0.1',
    port: args.port ?? settings.PORT,
    checkOrigin: checkOwnAddress,
    notReady: () => health?.reason(),
    view: { viewerFor: async () => view.viewer(), signIn: '' },
    async route(event, signal) {
      const count = await broker.route(event, signal);
      if (count > 0) return;
      metrics.countUnwanted();
      log.debug({ operation: 'route', correlation_id: event.id }, 'no function wants this event');
    },
  });
}

function announce(shared: Shared, functions: readonly FunctionInfo[], url: string): void {
  const { args, log, screen, toolFiles } = shared;
  if (screen) screen.write(firstScreen({ args, url, functions, importable: toolFiles.sources }));
  else log.announce({ operation: 'start' }, `listening on ${url}`);
}
