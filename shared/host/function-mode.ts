import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { knativeBrokers, knativeTriggers } from '../api/knative-kinds.ts';
import { retry } from '../function/backoff.ts';
import { pingOf } from '../function/cloud-event.ts';
import type { Broker, FunctionInfo } from '../function/context.ts';
import { type FunctionDefinition, watchesOf } from '../function/definitions.ts';
import { type CommonSettings, type Environment, parseSettings } from '../function/settings.ts';
import { clusterOf, connectCluster } from '../kubernetes/cluster.ts';
import { type Credentials, serviceAccountCredentials } from '../kubernetes/credentials.ts';
import { createPublisher, createSender, type Destination } from '../transport/event-sender.ts';
import { createOutside } from '../transport/outside.ts';
import { wake } from '../transport/wake.ts';
import { brokerAddressIn } from './broker-address.ts';
import { type HostClock, processClock } from './clock.ts';
import { clusterDomainIn } from './cluster-domain.ts';
import { type BoundFunction, type BoundHandler, bindFunctions, isHandler } from './context.ts';
import { createDispatcher, type Dispatcher } from './dispatch.ts';
import { wants } from './event-routing.ts';
import { functionInfoOf } from './function-info.ts';
import { loadFunction, loadFunctions } from './function-list.ts';
import { checkSettings, type Host, type HostOptions, startHost } from './host.ts';
import type { Log } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { isRoutedBy } from './ready-triggers.ts';
import { sleep } from './sleep.ts';
import { warnOfUnknownSettings } from './unknown-settings.ts';
import { createViewers, type Viewers } from './viewers.ts';
import { startWatches, type Watches } from './watches.ts';

export interface FunctionMode {
  readonly url: string;
  stop(): Promise<void>;
}

export interface FunctionModeOptions {
  readonly name: string;
  readonly environment: Environment;
  readonly log: Log;
  /** Has the functions at these addresses start. Never throws. */
  readonly wake?: (addresses: readonly string[], signal: AbortSignal) => Promise<void>;
}

const overridesSchema = z.object({ extensions: z.record(z.string(), z.string()).optional() });

function overridesOf(text: string | undefined): Readonly<Record<string, string>> {
  return text === undefined ? {} : (overridesSchema.parse(JSON.parse(text)).extensions ?? {});
}

/** Most functions know no others; those that do need the triggers of all of them. */
function othersFor(definitions: readonly FunctionDefinition[], environment: Environment): FunctionInfo[] {
  const file = '/etc/resolv.conf';
  const clusterDomain = clusterDomainIn(existsSync(file) ? readFileSync(file, 'utf8') : '');
  return definitions.map((definition) => functionInfoOf(definition, environment, [], clusterDomain));
}

/**
 * The functions that a gateway's events go to next, and whose senders send nothing again: such a sender waits for two
 * starts in a row, unless both start at once.
 */
function nextAfter({ kind }: FunctionDefinition, others: readonly FunctionInfo[]): string[] {
  if (kind !== 'gateway') return [];
  const isUrgent = ({ webhooks }: FunctionInfo): boolean => webhooks.some(({ senderRetries }) => !senderRetries);
  return others.filter(isUrgent).map(({ url }) => url);
}

type Connection = ReturnType<typeof connectCluster>;

function credentialsFor(settings: CommonSettings, { elapsed }: HostClock): Credentials {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, SERVICE_ACCOUNT_DIR: folder } = settings;
  return serviceAccountCredentials({ server: `${host}:${port}`, folder, elapsed });
}

/** What the page shows, if that is what the function is. */
function viewersFor(definition: FunctionDefinition, settings: CommonSettings, clock: HostClock): Viewers | undefined {
  if (definition.kind !== 'page') return undefined;
  const { now, elapsed } = clock;
  return createViewers({ definition, settings, credentials: credentialsFor(settings, clock), now, elapsed });
}

function connect(settings: CommonSettings, clock: HostClock): Connection {
  return connectCluster({
    credentials: credentialsFor(settings, clock),
    sleep,
    watchNamespace: settings.WATCH_NAMESPACE,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
    onTime: clock.noteServerTime,
  });
}

/** Where the Broker is now: where K_SINK says, if that is set, otherwise where its status says. */
function destinationOf(settings: CommonSettings, { watched }: Watches): () => Destination | undefined {
  const { K_SINK: url, K_CA_CERTS: caCerts, OIDC_TOKEN_FILE: tokenFile, BROKER_TOKEN_FILE: brokerTokenFile } = settings;
  const extensions = overridesOf(settings.K_CE_OVERRIDES);
  if (url !== undefined) return () => ({ url, caCerts, tokenFile, extensions });
  return () => {
    const address = brokerAddressIn(watched(knativeBrokers));
    if (!address) return undefined;
    const { audience, ...where } = address;
    return { ...where, tokenFile: audience === undefined ? undefined : brokerTokenFile, extensions };
  };
}

function brokerOf(settings: CommonSettings, watches: Watches): Broker {
  const { watched, unread } = watches;
  const sender = createSender();
  // Where K_SINK is set, which Broker that is can't be told.
  const brokerName = settings.K_SINK === undefined ? settings.BROKER_NAME : undefined;
  return {
    publish: createPublisher(sender, destinationOf(settings, watches)),
    sendTo: (url, event, signal, limit) => sender.sendTo(url, event, { signal, limit }),
    isRouted(functionName, eventType) {
      if (unread().length > 0) return undefined;
      return isRoutedBy(watched(knativeTriggers), { functionName, eventType, brokerName });
    },
  };
}

/** What the parts of a process share. */
interface Shared {
  readonly environment: Environment;
  readonly settings: CommonSettings;
  readonly clock: HostClock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
}

/** Watches what the function, by its settings, needs to know before it can answer. */
function watchesFor(
  definition: FunctionDefinition,
  cluster: Connection,
  { environment, log, metrics, stopping: signal }: Shared,
): Watches {
  const settings = Object.assign({}, parseSettings(environment, definition.settings, []));
  return startWatches({ cluster, kinds: watchesOf(definition, settings), log, metrics, signal });
}

function bind(
  definition: FunctionDefinition,
  connection: Connection,
  watches: Watches,
  shared: Shared,
  others: readonly FunctionInfo[],
): { readonly bound: BoundFunction; readonly finish: HostOptions['finish'] } {
  const { functions, finish } = bindFunctions([definition], {
    ...shared,
    ownUsers: [],
    store: connection.store,
    cluster: clusterOf(connection, { watched: watches.watched, hasApiServerSources: true }),
    broker: brokerOf(shared.settings, watches),
    outside: createOutside(),
    functions: others,
  });
  const [bound] = functions;
  if (!bound) throw new Error(`${definition.name} was not bound`);
  return { bound, finish };
}

function whyNotReady({ unread }: Watches): string | undefined {
  const reasons = unread();
  return reasons.length > 0 ? reasons.join('; ') : undefined;
}

/**
 * Has a function that watches nothing, and so can't tell yet what time it is for the API server, ask for that before its
 * first event: it might go by a wrong clock.
 */
function knowingTime(definition: FunctionDefinition, { touch }: Connection, { offset }: HostClock): FunctionDefinition {
  if (definition.kind === 'gateway' || definition.kind === 'page' || definition.watches) return definition;
  return {
    ...definition,
    async handle(event, context) {
      if (offset() === undefined) await touch(context.event.signal);
      await definition.handle(event, context);
    },
  };
}

/** Hands the function the events that its triggers ask for; a dead-letter sink gets whatever there is. */
function routeTo(handler: BoundHandler | undefined, dispatcher: Dispatcher, metrics: Metrics): HostOptions['route'] {
  return async (event, signal) => {
    const isForUs = handler && (handler.definition.kind === 'dead-letter-sink' || wants(handler, event));
    if (isForUs) await dispatcher.handle(handler, event, signal);
    else metrics.countUnwanted();
  };
}

/** Serves one function, as a container of a Knative Service. Throws a SettingsError. */
export async function startFunctionMode(options: FunctionModeOptions): Promise<FunctionMode> {
  const { name, environment, log, wake: wakeAll = wake } = options;
  const definition = await loadFunction(name);
  const settings = checkSettings([definition], environment);
  const stopping = new AbortController();
  const all = definition.seesOthers ? await loadFunctions() : [];
  const others = othersFor(all, environment);
  void wakeAll(nextAfter(definition, others), stopping.signal);
  const clock = processClock(log);
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  const connection = connect(settings, clock);
  metrics.watchClockOffset(clock.offset);
  const shared = { environment, settings, clock, log, metrics, stopping: stopping.signal };
  const watches = watchesFor(definition, connection, shared);
  const timed = knowingTime(definition, connection, clock);
  const { bound, finish } = bind(timed, connection, watches, shared, others);
  const handler = isHandler(bound) ? bound : undefined;
  const viewers = viewersFor(definition, settings, clock);
  const host = await startHost({
    functions: [bound],
    dispatcher,
    settings,
    log,
    metrics,
    clock,
    hostname: undefined,
    port: settings.PORT,
    notReady: () => whyNotReady(watches),
    finish,
    route: routeTo(handler, dispatcher, metrics),
    ...(viewers && definition.kind === 'page' && { view: { viewerFor: viewers.viewerFor, signIn: definition.signIn } }),
  });
  // No event waits for this.
  warnOfUnknownSettings({ environment, definitions: [definition, ...all], log });
  if (handler?.triggers.some(({ type }) => type === 'Start')) {
    void handleStart(handler, dispatcher, host, stopping.signal);
  }
  return {
    url: host.url,
    async stop() {
      stopping.abort();
      viewers?.stop();
      await host.stop();
      connection.close();
    },
  };
}

/** Hands a function the event of its own start, again and again until it has dealt with it. */
async function handleStart(
  handler: BoundHandler,
  dispatcher: Dispatcher,
  host: Host,
  stopping: AbortSignal,
): Promise<void> {
  const { definition, context } = handler;
  const { settings, clock } = context;
  const attempt = (): Promise<void> => {
    const event = pingOf(definition.name, settings.SYSTEM_NAMESPACE, clock.now());
    return dispatcher.handle(handler, event, AbortSignal.any([host.deadlineFor(event), stopping]));
  };
  // The dispatcher logs each failure; only the end of the process ends the attempts.
  await retry(attempt, { first: 1000, longest: 30_000, sleep: clock.sleep, signal: stopping }).catch(() => undefined);
}
