import * as z from 'zod';
import { groupVersionOf, type KindSelector } from '../../shared/api/kind-selector.ts';
import { guessedPlural } from '../../shared/api/knative-kinds.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Broker, Clock, Context, Outside } from '../../shared/function/context.ts';
import type { FunctionDefinition, HandlerDefinition } from '../../shared/function/definitions.ts';
import type { Filter } from '../../shared/function/filter.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type Environment, parseSettings } from '../../shared/function/settings.ts';
import type { Cluster, KubernetesObject, Objects, Owners, Store } from '../../shared/function/stores.ts';
import { createTally, type Summary } from '../../shared/function/tally.ts';
import { bindFunctions } from '../../shared/host/context.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { deadline as realDeadline } from '../../shared/host/sleep.ts';
import { createEmbeddedStore, type EmbeddedStore } from '../../shared/local/embedded-store.ts';

/** A filter that keeps everything. */
export const allowAll: Filter = (finding) => finding;

/** Objects in memory, and a switch that makes lists fail. */
export interface TestObjects extends Objects, Owners {
  readonly all: KubernetesObject[];
  failing: boolean;
}

export function createTestObjects(): TestObjects {
  const all: KubernetesObject[] = [];
  const matches = ({ group, kind, plural }: KindSelector, object: KubernetesObject): boolean =>
    (kind === '' ? guessedPlural(object.kind) === plural : object.kind === kind) &&
    groupVersionOf(object.apiVersion).group === group;
  const remove = (resource: KindSelector, { metadata: { name, namespace } }: KubernetesObject): void => {
    const index = all.findIndex((object) => {
      const { metadata } = object;
      return metadata.name === name && metadata.namespace === namespace && matches(resource, object);
    });
    if (index >= 0) all.splice(index, 1);
  };
  const objects: TestObjects = {
    all,
    failing: false,
    async get(resource, ref) {
      return all.find(({ metadata, ...object }) => {
        const isNamed = metadata.name === ref.name && metadata.namespace === ref.namespace;
        return isNamed && matches(resource, { metadata, ...object });
      });
    },
    async controllerOf(resource, namespace, name) {
      const found = all.find(
        ({ metadata, ...object }) =>
          metadata.name === name && metadata.namespace === namespace && matches(resource, { metadata, ...object }),
      );
      return found && { controller: found.metadata.ownerReferences?.find(({ controller }) => controller) };
    },
    async *list(resource, namespace) {
      const sortKey = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ''}/`;
      const found = all.filter(
        (object) => matches(resource, object) && (namespace === undefined || object.metadata.namespace === namespace),
      );
      yield* found.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
      if (objects.failing) throw new Refusal(503, 'the list failed');
    },
    async *listMetadata(resource, namespace, signal) {
      for await (const object of objects.list(resource, namespace, signal)) {
        const { apiVersion, kind, metadata } = object;
        // An object without a version is whole, as in a folder.
        yield metadata.resourceVersion === undefined ? object : { apiVersion, kind, metadata };
      }
    },
    async apply(resource, object) {
      remove(resource, object);
      all.push(object);
    },
    async delete(resource, object) {
      remove(resource, object);
    },
    async setStatus(resource, { metadata }, status) {
      const object = await objects.get(
        resource,
        { ...resource, apiVersion: '', ...metadata },
        new AbortController().signal,
      );
      if (object) Object.assign(object, { status });
    },
  };
  return objects;
}

export interface TestContext {
  readonly context: Context;
  readonly store: EmbeddedStore;
  readonly objects: TestObjects;
  readonly clock: { now: number };
}

/** What differs from the default: no other functions, a Broker that takes everything, a clock that stands still. */
export interface Overrides
  extends Partial<
      Pick<Context, 'store' | 'functions' | 'filter' | 'known' | 'repeats' | 'limit' | 'life' | 'acquire' | 'coalesce'>
    >,
    Partial<Cluster>,
    Partial<Broker>,
    Partial<Outside>,
    Partial<Clock> {
  readonly signal?: AbortSignal;
}

export interface TestContextOptions {
  readonly environment?: Environment;
  /** Wraps the store, to make it fail or count. */
  readonly wrap?: (store: Store) => Partial<Store>;
  readonly context?: Overrides;
}

export function createTestContext(definition: FunctionDefinition, options: TestContextOptions = {}): TestContext {
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') };
  const { environment = {}, context: overrides = {} } = options;
  const { now = () => clock.now, sleep = async () => undefined, elapsed = now } = overrides;
  const { earliest = now, latest = now, deadline = realDeadline } = overrides;
  const store = createEmbeddedStore({ data: ':memory:', now });
  const objects = createTestObjects();
  const signal = overrides.signal ?? new AbortController().signal;
  const { functions } = bindFunctions([definition], {
    environment,
    settings: parseSettings(environment, z.object({}), []),
    ownUsers: [],
    store: { ...store, ...options.wrap?.(store), ...overrides.store },
    cluster: {
      objects: overrides.objects ?? objects,
      owners: overrides.owners ?? objects,
      kinds: overrides.kinds,
      watched: overrides.watched ?? (() => []),
      hasApiServerSources: overrides.hasApiServerSources ?? overrides.kinds !== undefined,
    },
    broker: {
      publish: overrides.publish ?? (async () => undefined),
      sendTo: overrides.sendTo ?? (async () => 204),
      isRouted: overrides.isRouted ?? (() => true),
    },
    outside: { post: overrides.post ?? (async () => ({ status: 200, retryAfter: undefined, words: '' })) },
    clock: { now, earliest, latest, elapsed, sleep, deadline },
    functions: overrides.functions ?? [],
    metrics: createMetrics(),
    stopping: signal,
  });
  const [bound] = functions;
  if (!bound) throw new Error('not bound');
  const context: Context = {
    ...bound.context,
    filter: overrides.filter ?? allowAll,
    known: overrides.known ?? bound.context.known,
    repeats: overrides.repeats ?? bound.context.repeats,
    limit: overrides.limit ?? bound.context.limit,
    life: overrides.life ?? bound.context.life,
    acquire: overrides.acquire ?? bound.context.acquire,
    coalesce: overrides.coalesce ?? ((_milliseconds, work) => work()),
    event: { signal, correlationId: 'test', tally: createTally() },
  };
  return { context, store, objects, clock };
}

/** Handles an event as the dispatcher does. Resolves to its summary; a Refusal that is thrown has it as `summary`. */
export function handled(
  { handle }: Pick<HandlerDefinition, 'handle'>,
  event: CloudEvent,
  context: Context,
): Promise<Summary> {
  return tallied(context, (own) => handle(event, own));
}

/** Does some work in the context of an event. Resolves to the summary, or throws, like `handled`. */
export async function tallied(context: Context, work: (context: Context) => Promise<unknown>): Promise<Summary> {
  const tally = createTally();
  try {
    await work({ ...context, event: { ...context.event, tally } });
  } catch (error) {
    throw Object.assign(Refusal.from(error), { summary: tally.read() });
  }
  return tally.read();
}

export function eventOf(type: string, data: unknown, extensions: Record<string, string> = {}): CloudEvent {
  return { id: 'e-1', source: '/tests', type, time: '2026-03-01T12:00:00Z', extensions, data };
}

export const ping = eventOf('dev.knative.sources.ping', undefined);

export function referenceTo({ apiVersion, kind, metadata: { name, namespace } }: KubernetesObject): CloudEvent {
  return eventOf('dev.knative.apiserver.ref.update', { apiVersion, kind, name, namespace });
}

/** A policy report about a Deployment, with a failed result for each rule. */
export function aReport(name: string, rules: readonly string[], namespace = 'shop') {
  return {
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name, namespace, creationTimestamp: '2026-03-01T11:00:00Z' },
    scope: { apiVersion: 'apps/v1', kind: 'Deployment', name, namespace },
    results: rules.map((rule) => ({ policy: 'p', rule, result: 'fail', source: 'kyverno', message: rule })),
  };
}
