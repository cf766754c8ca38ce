import * as z from 'zod';
import { knativeTriggers } from '../api/knative-kinds.ts';
import { retry } from '../function/backoff.ts';
import { pingOf } from '../function/cloud-event.ts';
import type { Broker, Clock, FunctionInfo } from '../function/context.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import { type CommonSettings, type Environment, parseSettings } from '../function/settings.ts';
import { connectCluster } from '../kubernetes/cluster.ts';
import { serviceAccountCredentials } from '../kubernetes/credentials.ts';
import { createPublisher, createSender } from '../transport/event-sender.ts';
import { type BoundHandler, bindFunctions, isHandler } from './context.ts';
import { createDispatcher } from './dispatch.ts';
import { wants } from './event-routing.ts';
import { functionInfoOf } from './function-info.ts';
import { loadFunction, loadFunctions } from './function-list.ts';
import { checkSettings, type Host, startHost } from './host.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { isRoutedBy } from './ready-triggers.ts';
import { sleep } from './sleep.ts';
import { startWatches, type Watches } from './watches.ts';

export interface FunctionMode {
  readonly url: string;
  stop(): Promise<void>;
}

export interface FunctionModeOptions {
  readonly name: string;
  readonly environment: Environment;
  readonly log: Log;
}

const overridesSchema = z.object({ extensions: z.record(z.string(), z.string()).optional() });

function overridesOf(text: string | undefined): Readonly<Record<string, string>> {
  return text === undefined ? {} : (overridesSchema.parse(JSON.parse(text)).extensions ?? {});
}

/** Most functions know of no other; those that do need the triggers of all of them. */
async function othersFor({ seesOthers }: FunctionDefinition, environment: Environment): Promise<FunctionInfo[]> {
  if (!seesOthers) return [];
  return (await loadFunctions()).map((definition) => functionInfoOf(definition, environment, []));
}

function connect(settings: CommonSettings, { now }: Clock): ReturnType<typeof connectCluster> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = settings;
  return connectCluster({
    credentials: serviceAccountCredentials({ server: `${host}:${port}`, folder: settings.SERVICE_ACCOUNT_DIR, now }),
    sleep,
    watchNamespace: settings.WATCH_NAMESPACE,
    defaultTtl: settings.OBSERVATION_TTL_SECONDS,
    attemptSeconds: settings.API_TIMEOUT_SECONDS,
  });
}

/** The Broker whose address Knative puts into the environment. */
function brokerOf(settings: CommonSettings, { watched, unread }: Watches): Broker {
  const sender = createSender(settings.K_CA_CERTS);
  return {
    publish: createPublisher({
      sender,
      sink: settings.K_SINK,
      extensions: overridesOf(settings.K_CE_OVERRIDES),
      tokenFile: settings.OIDC_TOKEN_FILE,
    }),
    sendTo: sender.sendTo,
    isRouted(functionName, eventType) {
      if (unread().length > 0) return undefined;
      return isRoutedBy(watched(knativeTriggers), functionName, eventType);
    },
  };
}

/** Serves one function, as a container of a Knative Service. Throws a SettingsError. */
export async function startFunctionMode({ name, environment, log }: FunctionModeOptions): Promise<FunctionMode> {
  const definition = await loadFunction(name);
  const settings = checkSettings([definition], environment);
  const clock: Clock = { now: Date.now, sleep };
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  const connection = connect(settings, clock);
  const stopping = new AbortController();
  const watches = startWatches({
    cluster: connection,
    kinds: definition.watches?.(Object.assign({}, parseSettings(environment, definition.settings, []))) ?? [],
    log,
    metrics,
    signal: stopping.signal,
  });
  const [bound] = bindFunctions([definition], {
    environment,
    settings,
    ownUsers: [],
    store: connection.store,
    cluster: {
      objects: connection.objects,
      kinds: connection.discovery,
      watched: watches.watched,
      hasApiServerSources: true,
    },
    broker: brokerOf(settings, watches),
    clock,
    functions: await othersFor(definition, environment),
    metrics,
    stopping: stopping.signal,
  });
  if (!bound) throw new Error(`${name} was not bound`);
  const handler = isHandler(bound) ? bound : undefined;
  const host = await startHost({
    functions: [bound],
    dispatcher,
    settings,
    log,
    metrics,
    now: clock.now,
    hostname: undefined,
    port: settings.PORT,
    notReady() {
      const reasons = watches.unread();
      return reasons.length > 0 ? reasons.join('; ') : undefined;
    },
    async route(event, signal) {
      const isForUs = handler && (handler.definition.kind === 'dead-letter-sink' || wants(handler, event));
      if (isForUs) await dispatcher.handle(handler, event, signal);
      else metrics.countUnwanted();
    },
  });
  if (handler?.triggers.some(({ type }) => type === 'Start')) {
    void handleStart(handler, (event, signal) => dispatcher.handle(handler, event, signal), host, stopping.signal);
  }
  return {
    url: host.url,
    async stop() {
      stopping.abort();
      await host.stop();
      connection.close();
    },
  };
}

/** Gives a function the event of its own start, again and again until it has dealt with it. */
async function handleStart(
  { definition, context }: BoundHandler,
  handle: (event: ReturnType<typeof pingOf>, signal: AbortSignal) => Promise<void>,
  host: Host,
  stopping: AbortSignal,
): Promise<void> {
  const { settings, clock } = context;
  const attempt = (): Promise<void> => {
    const event = pingOf(definition.name, settings.SYSTEM_NAMESPACE, clock.now());
    return handle(event, AbortSignal.any([host.deadlineFor(event), stopping]));
  };
  // The dispatcher logs each failure; only the end of the process ends the attempts.
  await retry(attempt, { first: 1000, longest: 30_000, sleep: clock.sleep, signal: stopping }).catch(() => undefined);
}
