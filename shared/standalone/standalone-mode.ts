import type { KindSelector } from '../api/kind-selector.ts';
import type { FunctionInfo } from '../function/context.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import { type CommonSettings, type Environment, SettingsError } from '../function/settings.ts';
import type { Change, Store } from '../function/stores.ts';
import { type HostClock, processClock } from '../host/clock.ts';
import { type Bindings, type BoundHandler, bindFunctions, isHandler } from '../host/context.ts';
import { createDispatcher, type Dispatcher } from '../host/dispatch.ts';
import { comesFromBroker } from '../host/event-routing.ts';
import { functionInfoOf } from '../host/function-info.ts';
import { checkSettings, type Host, startHost } from '../host/host.ts';
import type { SecureOptions } from '../host/listen.ts';
import type { Log } from '../host/log.ts';
import { createMetrics, type Metrics } from '../host/metrics.ts';
import { sleep } from '../host/sleep.ts';
import { warnOfUnknownSettings } from '../host/unknown-settings.ts';
import { startWatches, type Watches } from '../host/watches.ts';
import { clusterOf, connectCluster } from '../kubernetes/cluster.ts';
import { serviceAccountCredentials } from '../kubernetes/credentials.ts';
import { mappingIndex, mappingKinds } from '../rules/accepted-mappings.ts';
import { createOutside } from '../transport/outside.ts';
import { createProcessBroker, type ProcessBroker } from './broker.ts';
import { type KindWatches, startKindWatches } from './kind-watches.ts';
import { createPassRequests } from './pass-requests.ts';
import { createReferences } from './references.ts';
import { createRuns } from './runs.ts';
import { secureOptions } from './settings.ts';
import { withTelling } from './telling.ts';
import { startTimers } from './timers.ts';
import { watchedKinds } from './watched-kinds.ts';

export interface StandaloneMode extends Pick<Host, 'url' | 'secureUrl'> {
  /** Finishes what is in flight, within `drainMilliseconds` and a few seconds. */
  stop(): Promise<void>;
}

export interface StandaloneOptions {
  readonly definitions: readonly FunctionDefinition[];
  readonly environment: Environment;
  readonly log: Log;
  /** How it reaches its cluster; without it, as a Pod does. */
  readonly connect?: (settings: CommonSettings, clock: HostClock) => Connection;
}

/** A connection for each kind that is watched: as many kinds as anybody maps. */
const mostWatches = 500;

/** Falco does not send again, and an API server that is restarted takes half a minute: as long as that is waited for. */
const drainMilliseconds = 40_000;

/** As long as a function may take for a reference, as with Knative. */
const referenceMilliseconds = 60_000;

/** How often to see whether it has been read what the functions need. */
const readPollMilliseconds = 50;

/** The changes that may mean that other kinds are served, or wanted. */
const discoveryGroups: ReadonlySet<string> = new Set(['apiextensions.k8s.io', 'apiregistration.k8s.io']);

/** What of a cluster it uses. */
export interface Connection
  extends Pick<ReturnType<typeof connectCluster>, 'objects' | 'owners' | 'discovery' | 'watch' | 'follow' | 'close'> {
  readonly store: Store;
}

/** What the parts of standalone mode share. The page has a door of its own on Knative, with who looks signed in there. */
interface Shared extends StandaloneOptions {
  readonly settings: CommonSettings;
  readonly clock: HostClock;
  readonly metrics: Metrics;
  readonly dispatcher: Dispatcher;
  readonly connection: Connection;
  readonly infos: readonly FunctionInfo[];
  readonly secure: SecureOptions | undefined;
  readonly stopping: AbortSignal;
}

function prepare(options: StandaloneOptions, stopping: AbortSignal): Shared {
  const { log, connect: reach = connect } = options;
  const all = options.definitions.filter(({ kind }) => kind !== 'page');
  checkSettings(all, options.environment);
  warnOfUnknownSettings(options);
  const { definitions, environment } = withTelling(all, options.environment);
  const settings = checkSettings(definitions, environment);
  const clock = processClock(log);
  const metrics = createMetrics();
  metrics.watchClockOffset(clock.offset);
  return {
    ...{ definitions, environment, log, settings, clock, metrics },
    dispatcher: createDispatcher(log, metrics),
    connection: reach(settings, clock),
    secure: secureOptions(environment),
    infos: definitions.map((definition) => functionInfoOf(definition, environment, [])),
    stopping,
  };
}

function connect(settings: CommonSettings, { elapsed, noteServerTime }: HostClock): Connection {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = settings;
  return connectCluster({
    credentials: serviceAccountCredentials({
      server: `${host}:${port}`,
      folder: settings.SERVICE_ACCOUNT_DIR,
      elapsed,
    }),
    sleep,
    watchNamespace: settings.WATCH_NAMESPACE,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
    onTime: noteServerTime,
    watches: mostWatches,
  });
}

function bind(shared: Shared, broker: ProcessBroker, { watched }: Watches): Bindings {
  const { definitions, connection, infos } = shared;
  return bindFunctions(definitions, {
    ...shared,
    ownUsers: [],
    store: connection.store,
    cluster: clusterOf(connection, { watched, hasApiServerSources: false }),
    broker,
    outside: createOutside(),
    functions: infos,
  });
}

/** Whoever can reach the Service could write any finding: nobody else's gateway asks for a token here. */
function requireToken({ functions }: Bindings): void {
  for (const { definition, context } of functions) {
    if (definition.kind !== 'gateway') continue;
    const { tokens, tokenFile } = definition.access(context.settings);
    if (tokens.length > 0 || tokenFile !== undefined) continue;
    throw new SettingsError([
      'WEBHOOK_AUTH_TOKEN_FILE must be set: standalone takes nothing from outside without a token',
    ]);
  }
}

function listen(shared: Shared, broker: ProcessBroker, bindings: Bindings, { unread }: Watches): Promise<Host> {
  const { settings, metrics } = shared;
  return startHost({
    ...bindings,
    ...shared,
    hostname: undefined,
    port: settings.PORT,
    guardsEvents: true,
    drainMilliseconds,
    notReady: () => unread().join('; ') || undefined,
    async route(event, signal) {
      // As at a Broker's door, but answered once it is stored.
      if (comesFromBroker(event) && !event.fault) await broker.publish(event, signal);
      else if ((await broker.route(event, signal)) === 0) metrics.countUnwanted();
    },
  });
}

interface WatchingOptions {
  readonly watches: Watches;
  readonly handlers: readonly BoundHandler[];
  readonly broker: ProcessBroker;
  readonly requestPass: (handler: BoundHandler) => void;
}

/** Has each function told of the changes that it wants to know. Returns what takes those of the kinds that are kept. */
function startWatching(shared: Shared, { watches, handlers, broker, requestPass }: WatchingOptions) {
  const { connection, settings, clock, infos, stopping: signal } = shared;
  const references = new Map(
    handlers.map((handler) => [
      handler,
      createReferences({ handler, broker, requestPass, clock, milliseconds: referenceMilliseconds, signal }),
    ]),
  );
  const kept = watchedKinds(shared.definitions, shared.environment);
  const isSame = (a: Pick<KindSelector, 'group' | 'kind'>, b: Pick<KindSelector, 'group' | 'kind'>): boolean =>
    a.group === b.group && a.kind === b.kind;
  const kindWatches: KindWatches = startKindWatches({
    ...shared,
    handlers,
    mappings() {
      const [mappings = [], ingesters = []] = mappingKinds.map(watches.watched);
      const functionNames = infos.map(({ name }) => name);
      return mappingIndex({ mappings, ingesters, systemNamespace: settings.SYSTEM_NAMESPACE, functionNames }).all;
    },
    isToldOtherwise: (kind) => kept.some((one) => isSame(one, kind)),
    discovery: connection.discovery,
    objects: connection.objects,
    follow: connection.follow,
    onChange(handler, change) {
      references.get(handler)?.(change);
      const [group = ''] = change.ref.apiVersion.split('/');
      if (discoveryGroups.has(group)) kindWatches.wake();
    },
    requestPass,
    signal,
  });

  function onKeptChange(kind: KindSelector, change: Change): void {
    const isWanting = ({ triggers }: BoundHandler): boolean =>
      triggers.some((trigger) => trigger.type === 'ApiServerSource' && trigger.kinds.some((one) => isSame(one, kind)));
    for (const handler of handlers.filter(isWanting)) references.get(handler)?.(change);
    if (mappingKinds.some((one) => isSame(one, kind))) kindWatches.wake();
  }

  return { begun: kindWatches.begun, onKeptChange };
}

/** Resolves when the functions know what they need: which kinds are mapped is part of it. */
async function untilRead({ clock, stopping }: Shared, { unread }: Watches): Promise<void> {
  while (unread().length > 0 && !stopping.aborted) await clock.sleep(readPollMilliseconds, stopping);
}

/**
 * Hosts every function in one process of a cluster, and stands in for Knative: the Broker, the PingSources and the
 * ApiServerSources. Several such processes may run side by side. Throws a SettingsError.
 */
export async function startStandaloneMode(options: StandaloneOptions): Promise<StandaloneMode> {
  const stopping = new AbortController();
  const shared = prepare(options, stopping.signal);
  const { definitions, environment, log, metrics, settings, connection, clock } = shared;
  const { SYSTEM_NAMESPACE: systemNamespace } = settings;
  let onChange: (kind: KindSelector, change: Change) => void = () => undefined;
  const watches = startWatches({
    cluster: connection,
    kinds: watchedKinds(definitions, environment),
    log,
    metrics,
    signal: stopping.signal,
    onChange: (kind, change) => onChange(kind, change),
  });
  // The Broker delivers to the functions, and they publish to it, so its list is filled once they exist.
  const handlers: BoundHandler[] = [];
  const broker = createProcessBroker({ functions: handlers, dispatcher: shared.dispatcher, systemNamespace, clock });
  const bindings = bind(shared, broker, watches);
  requireToken(bindings);
  handlers.push(...bindings.functions.filter(isHandler));
  const host = await listen(shared, broker, bindings, watches);
  const ping = createRuns({ ...shared, systemNamespace });
  const passes = createPassRequests(ping);
  void untilRead(shared, watches).then(async () => {
    const watching = startWatching(shared, { watches, handlers, broker, requestPass: passes.request });
    onChange = watching.onKeptChange;
    // What changes while a pass reads is seen, so that nothing is missed between the two.
    await watching.begun;
    if (!stopping.signal.aborted)
      await startTimers({ functions: handlers, systemNamespace, clock, ping, signal: stopping.signal });
  });
  const { url, secureUrl } = host;
  return {
    url,
    ...(secureUrl !== undefined && { secureUrl }),
    async stop() {
      stopping.abort();
      passes.stop();
      await host.stop();
      connection.close();
    },
  };
}
