import { observationExceptions } from '../api/observation-exception.ts';
import { observationFilters } from '../api/observation-filter.ts';
import { createInFlight } from '../edge/in-flight.ts';
import type {
  Broker,
  Clock,
  FunctionContext,
  FunctionInfo,
  ObservationLimit,
  Outside,
  SignsOfLife,
} from '../function/context.ts';
import {
  announcementFloor,
  type FunctionDefinition,
  type HandlerDefinition,
  triggersOf,
} from '../function/definitions.ts';
import { type CommonSettings, type Environment, parseSettings } from '../function/settings.ts';
import { environmentOf } from '../function/sink-environment.ts';
import type { Cluster, Store } from '../function/stores.ts';
import type { Trigger } from '../function/triggers.ts';
import { createControllers } from '../pipeline/controllers.ts';
import { createExpressionErrors } from '../pipeline/expression-errors.ts';
import { createKnownNames } from '../pipeline/known-names.ts';
import { createObservationLimit } from '../pipeline/observation-limit.ts';
import { createRepeats, type Repeats } from '../pipeline/repeats.ts';
import { createSignsOfLife } from '../pipeline/signs-of-life.ts';
import { createCoalescer } from './coalesce.ts';
import { createHints } from './hints.ts';
import { createLiveExceptions } from './live-exceptions.ts';
import { createLiveFilter } from './live-filter.ts';
import type { Metrics } from './metrics.ts';
import { idleSleep } from './sleep.ts';
import { withTimeLimit } from './time-limit.ts';

/** How long a write waits to know what to show. */
const controllerMilliseconds = 2000;

/** What a process gives to the functions that it hosts. */
export interface Ports {
  readonly environment: Environment;
  /** The settings that all functions share. */
  readonly settings: CommonSettings;
  /** The user names under which zen-watcher itself calls the API. */
  readonly ownUsers: readonly string[];
  readonly store: Store;
  readonly cluster: Cluster;
  readonly broker: Broker;
  readonly outside: Outside;
  readonly clock: Clock;
  readonly functions: readonly FunctionInfo[];
  readonly metrics: Metrics;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
}

/** A function with all that it needs from outside, except what belongs to one event. */
export interface BoundFunction<Definition extends FunctionDefinition = FunctionDefinition> {
  readonly definition: Definition;
  /** According to its settings. */
  readonly triggers: readonly Trigger[];
  readonly context: FunctionContext;
  /** Tells, as far as that works out, that what it has written is to be told to others. */
  readonly hint: () => void;
}

export type BoundHandler = BoundFunction<HandlerDefinition>;

/** Whether it takes events, as all functions but the gateway and the page do. */
export function isHandler(bound: BoundFunction): bound is BoundHandler {
  return bound.definition.kind !== 'gateway' && bound.definition.kind !== 'page';
}

/** The functions of a process, and what they leave to be done when the last event has been handled. */
export interface Bindings extends Pick<Repeats, 'finish'> {
  readonly functions: readonly BoundFunction[];
}

/** A scanner runs once a day, and may be two hours late. */
const usualSilence = 26 * 60;

/** How long a source may be silent; of what other functions read, nobody knows. */
function silentMinutes(definition: FunctionDefinition): number | undefined {
  return definition.kind === 'source' ? (definition.source.silentMinutes ?? usualSilence) : undefined;
}

function lifeOf(definition: FunctionDefinition, settings: CommonSettings, { cluster, clock }: Ports): SignsOfLife {
  return createSignsOfLife({
    source: definition.name,
    minutes: settings.SOURCE_SILENT_MINUTES ?? silentMinutes(definition),
    objects: cluster.kinds && cluster.objects,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    elapsed: clock.elapsed,
    now: clock.earliest,
  });
}

function limitOf({ settings, store, clock }: Ports): ObservationLimit {
  return createObservationLimit({
    store,
    limit: settings.MAX_OBSERVATIONS,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
    elapsed: clock.elapsed,
  });
}

/** What users have configured, compiled anew when it changes. */
function liveRules({
  cluster: { watched },
  settings,
  metrics,
}: Ports): Pick<FunctionContext, 'filter' | 'exceptions' | 'expressionErrors'> {
  const expressionErrors = createExpressionErrors(metrics.countExpressionError);
  const filter = createLiveFilter(watched, settings, {
    onReload: metrics.countFilterReload,
    onFailure: (object, message) => expressionErrors.note(observationFilters, object, message),
  });
  const exceptions = createLiveExceptions(watched, settings, () => expressionErrors.count(observationExceptions));
  return { filter, exceptions, expressionErrors };
}

/** Makes the contexts of all functions of a process; nothing else makes one. Throws a SettingsError. */
export function bindFunctions(definitions: readonly FunctionDefinition[], ports: Ports): Bindings {
  const { environment, ownUsers, store, cluster, broker, outside, clock, functions, metrics, stopping } = ports;
  const { DEDUP_CACHE_SIZE: size } = ports.settings;
  const known = createKnownNames({ size, elapsed: clock.elapsed, onEvict: metrics.countEviction });
  const repeats = createRepeats({
    store,
    onThere: known.add,
    onGone: known.delete,
    now: clock.latest,
    sleep: idleSleep,
    deadline: clock.deadline,
  });
  const limit = limitOf(ports);
  const controllers = createControllers({
    owners: cluster.owners,
    elapsed: clock.elapsed,
    limited: (work) => withTimeLimit(controllerMilliseconds, work),
  });
  const rules = liveRules(ports);
  const acquire = createInFlight();
  const hints = createHints({ broker, clock, systemNamespace: ports.settings.SYSTEM_NAMESPACE, stopping });
  const bound = definitions.map((definition) => {
    const own = environmentOf(definition, environment);
    const settings = Object.assign({}, parseSettings(own, definition.settings, ownUsers));
    return {
      definition,
      triggers: triggersOf(definition, settings),
      hint: hints.hint,
      context: {
        settings,
        store,
        cluster,
        broker,
        outside,
        functions: definition.seesOthers ? functions : [],
        ...rules,
        known,
        repeats,
        limit,
        controllers,
        announcedFrom: settings.ANNOUNCE ? announcementFloor(definition, settings) : undefined,
        life: lifeOf(definition, settings, ports),
        clock,
        acquire,
        coalesce: createCoalescer({ elapsed: clock.elapsed, sleep: clock.sleep, signal: stopping }),
      },
    };
  });
  // Only events from the Broker are looked up in the cache.
  if (bound.some(({ triggers }) => triggers.some(({ type }) => type === 'Broker'))) {
    metrics.watchKnownNames(() => known.count());
  }
  const finish = async (signal: AbortSignal): Promise<void> => {
    await Promise.all([repeats.finish(signal), hints.finish()]);
  };
  return { functions: bound, finish };
}
