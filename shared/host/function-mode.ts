import * as z from 'zod';
import { pingOf } from '../function/cloud-event.ts';
import type { Peer } from '../function/context.ts';
import type { FunctionDefinition } from '../function/function-definition.ts';
import { knativeTriggers } from '../function/resource.ts';
import { type Environment, parseSettings } from '../function/settings.ts';
import { connectCluster } from '../kubernetes/cluster.ts';
import { serviceAccountCredentials } from '../kubernetes/credentials.ts';
import { createKnownNames } from '../pipeline/known-names.ts';
import { createAdmission } from './admission.ts';
import { createCoalescer } from './coalesce.ts';
import { createDispatcher, type Dispatcher, type Hosted } from './dispatch.ts';
import { checkSettings, type Host, startHost } from './host.ts';
import { createLiveFilter } from './live-filter.ts';
import { loadFunction, loadFunctions } from './load-functions.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { peerOf } from './peers.ts';
import { takesDeadLetters, wants } from './routes.ts';
import { isRoutedBy } from './routing.ts';
import { createPublisher, createSender } from './sender.ts';
import { sleep } from './sleep.ts';
import { startWatches } from './watches.ts';

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
async function peersFor({ seesOthers }: FunctionDefinition, environment: Environment): Promise<Peer[]> {
  if (!seesOthers) return [];
  return (await loadFunctions()).map((peer) => peerOf(peer, environment, []));
}

/** Serves one function, as a container of a Knative Service. Throws a SettingsError. */
export async function startFunctionMode({ name, environment, log }: FunctionModeOptions): Promise<FunctionMode> {
  const definition = await loadFunction(name);
  const common = checkSettings([definition], environment);
  const own = Object.assign({}, parseSettings(environment, definition.settings, []));
  const now = Date.now;
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  const cluster = connectCluster({
    credentials: serviceAccountCredentials({
      server: `${common.KUBERNETES_SERVICE_HOST}:${common.KUBERNETES_SERVICE_PORT}`,
      folder: common.SERVICE_ACCOUNT_DIR,
      now,
    }),
    sleep,
    watchNamespace: common.WATCH_NAMESPACE,
    defaultTtl: common.OBSERVATION_TTL_SECONDS,
    attemptSeconds: common.API_TIMEOUT_SECONDS,
  });
  const stopping = new AbortController();
  const { watched, unread } = startWatches({
    ...{ cluster, resources: definition.watches ?? [], settings: own, log, metrics, signal: stopping.signal },
  });
  const known = createKnownNames({ size: common.DEDUP_CACHE_SIZE, now, onEvict: () => metrics.countEviction() });
  if (definition.triggers.some(({ type }) => type === 'Broker')) metrics.watchKnownNames(() => known.count());
  const sender = createSender(common.K_CA_CERTS);
  const hosted: Hosted = {
    definition,
    context: {
      ...{ store: cluster.store, objects: cluster.objects, discovery: cluster.discovery, watched },
      ...{
        filter: createLiveFilter(watched, own.SYSTEM_NAMESPACE, metrics.countFilterReload),
        known,
        settings: own,
        now,
        sleep,
      },
      functions: await peersFor(definition, environment),
      admit: createAdmission(),
      coalesce: createCoalescer({ now, sleep, signal: stopping.signal }),
      isRouted(functionName, eventType) {
        if (unread().length > 0) return undefined;
        return isRoutedBy(watched(knativeTriggers), functionName, eventType);
      },
      publish: createPublisher({
        ...{ sender, sink: common.K_SINK, extensions: overridesOf(common.K_CE_OVERRIDES) },
        tokenFile: common.OIDC_TOKEN_FILE,
      }),
      deliver: sender.deliver,
    },
  };
  const host = await startHost({
    ...{ functions: [hosted], dispatcher, settings: common, log, metrics, now },
    hostname: undefined,
    port: common.PORT,
    notReady() {
      const reasons = unread();
      return reasons.length > 0 ? reasons.join('; ') : undefined;
    },
    async route(event, signal) {
      if (wants(definition, event) || takesDeadLetters(definition)) await dispatcher.handle(hosted, event, signal);
      else metrics.countUnwanted();
    },
  });
  if (definition.triggers.some(({ type }) => type === 'Start')) {
    void handleStart({ hosted, host, dispatcher, now, signal: stopping.signal });
  }
  return {
    url: host.url,
    async stop() {
      stopping.abort();
      await host.stop();
      cluster.close();
    },
  };
}

const longestPauseMilliseconds = 30_000;

interface StartOptions {
  readonly hosted: Hosted;
  readonly host: Host;
  readonly dispatcher: Dispatcher;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Gives a function the event of its own start, again and again until it has dealt with it. */
async function handleStart({ hosted, host, dispatcher, now, signal }: StartOptions): Promise<void> {
  const { name } = hosted.definition;
  for (let pause = 1000; !signal.aborted; pause = Math.min(pause * 2, longestPauseMilliseconds)) {
    const event = pingOf(name, hosted.context.settings.SYSTEM_NAMESPACE, now());
    try {
      return await dispatcher.handle(hosted, event, AbortSignal.any([host.deadlineFor(event), signal]));
    } catch {
      // The dispatcher has logged why.
      await sleep(pause, signal);
    }
  }
}
