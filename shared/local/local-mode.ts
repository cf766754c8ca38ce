import { randomUUID } from 'node:crypto';
import type { KindSelector } from '../api/kind-selector.ts';
import { knativeTriggers } from '../api/knative-kinds.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { Clock } from '../function/context.ts';
import type { FunctionDefinition } from '../function/definitions.ts';
import { type Environment, parseSettings } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { type BoundHandler, bindFunctions, isHandler } from '../host/context.ts';
import { createDispatcher } from '../host/dispatch.ts';
import { wants } from '../host/event-routing.ts';
import { functionInfoOf } from '../host/function-info.ts';
import { checkSettings, startHost } from '../host/host.ts';
import type { ProcessLog } from '../host/log.ts';
import { createMetrics } from '../host/metrics.ts';
import { sleep } from '../host/sleep.ts';
import { observationList } from '../view/list.ts';
import type { LocalArguments } from './arguments.ts';
import { createLocalBroker } from './broker.ts';
import { startTimers } from './clock.ts';
import type { ObjectChange } from './folders.ts';
import { playSamples } from './samples.ts';
import { openLocalStores } from './stores.ts';

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
}

/**
 * Hosts every function in one process, on an embedded store and folders of objects or on a cluster, and plays
 * the Broker, the PingSources and the ApiServerSources. Throws a SettingsError, or an Error for a bad folder.
 */
export async function startLocalMode({ args, definitions, environment, log }: LocalModeOptions): Promise<LocalMode> {
  const settings = checkSettings(definitions, environment);
  const { SYSTEM_NAMESPACE: systemNamespace } = settings;
  const clock: Clock = { now: Date.now, sleep };
  const metrics = createMetrics();
  const dispatcher = createDispatcher(log, metrics);
  const stores = await openLocalStores(args, settings, { log, metrics, kinds: watchedKinds(definitions, environment) });
  const { store, cluster, ownUsers } = stores;
  const stopping = new AbortController();
  const handlers: BoundHandler[] = [];
  const broker = createLocalBroker({ functions: handlers, dispatcher, systemNamespace, clock });
  const infos = definitions.map((definition) => functionInfoOf(definition, environment, ownUsers));
  const functions = bindFunctions(definitions, {
    environment,
    settings,
    ownUsers,
    store,
    cluster,
    broker,
    clock,
    functions: infos,
    metrics,
    stopping: stopping.signal,
  });
  handlers.push(...functions.filter(isHandler));

  const host = await startHost({
    functions,
    dispatcher,
    settings,
    log,
    metrics,
    now: clock.now,
    hostname: '127.0.0.1',
    port: args.port ?? settings.PORT,
    notReady: () => undefined,
    observations: (query) => observationList(store, query),
    async route(event, signal) {
      const count = await broker.route(event, signal);
      if (count > 0) return;
      metrics.countUnwanted();
      log.debug({ operation: 'route', correlation_id: event.id }, 'no function wants this event');
    },
  });

  /** Nothing sends an event again here; what fails for good, the next completeness pass makes up for. */
  async function send(handler: BoundHandler, event: CloudEvent): Promise<void> {
    const signal = AbortSignal.any([host.deadlineFor(event), stopping.signal]);
    await broker.send(handler, event, signal).catch(() => undefined);
  }

  async function observe(change: ObjectChange): Promise<void> {
    const event = referenceEvent(change, clock.now());
    for (const handler of handlers) if (wants(handler, event)) await send(handler, event);
  }

  stores.start((change) => void observe(change));
  log.announce({ operation: 'start' }, `listening on ${host.url}`);
  const firstRound = startTimers({
    functions: handlers,
    systemNamespace,
    clock,
    ping: send,
    signal: stopping.signal,
  });
  if (args.samples) {
    await Promise.all([firstRound, playSamples(host.url, infos)]);
    log.info(
      { operation: 'samples' },
      `samples played: see them with "npm run observations", or ${host.url}/observations`,
    );
  }
  return {
    url: host.url,
    async stop() {
      stopping.abort();
      await host.stop();
      stores.stop();
    },
  };
}

/** The kinds that the functions watch. Local mode plays the Broker itself, so there are no Triggers to be watched. */
function watchedKinds(definitions: readonly FunctionDefinition[], environment: Environment): KindSelector[] {
  return definitions
    .flatMap(({ watches, settings }) => watches?.(Object.assign({}, parseSettings(environment, settings, []))) ?? [])
    .filter(({ group }) => group !== knativeTriggers.group);
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
