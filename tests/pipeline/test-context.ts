import * as z from 'zod';
import { groupVersionOf, type KindSelector } from '../../shared/api/kind-selector.ts';
import { guessedPlural } from '../../shared/api/knative-kinds.ts';
import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Broker, Clock, Cluster, Context } from '../../shared/function/context.ts';
import type { FunctionDefinition, HandlerDefinition } from '../../shared/function/definitions.ts';
import type { Filter } from '../../shared/function/filter.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { type Environment, parseSettings } from '../../shared/function/settings.ts';
import type { KubernetesObject, Objects, Store } from '../../shared/function/stores.ts';
import { createTally, type Summary } from '../../shared/function/tally.ts';
import { bindFunctions } from '../../shared/host/context.ts';
import { createMetrics } from '../../shared/host/metrics.ts';
import { createEmbeddedStore, type EmbeddedStore } from '../../shared/local/embedded-store.ts';

/** Keeps everything. */
export const allowAll: Filter = () => undefined;

/** Objects in memory, and a switch to make their lists fail. */
export interface TestObjects extends Objects {
  readonly all: KubernetesObject[];
  failing: boolean;
}

export function createTestObjects(): TestObjects {
  const all: KubernetesObject[] = [];
  const matches = ({ group, kind, plural }: KindSelector, object: KubernetesObject): boolean =>
    (kind === '' ? guessedPlural(object.kind) === plural : object.kind === kind) &&
    groupVersionOf(object.apiVersion).group === group;
  const remove = (resource: KindSelector, { metadata: { name, namespace } }: KubernetesObject): void => {
    const at = all.findIndex((object) => {
      const { metadata } = object;
      return metadata.name === name && metadata.namespace === namespace && matches(resource, object);
    });
    if (at >= 0) all.splice(at, 1);
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
    async *list(resource, namespace) {
      const place = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ''}/`;
      const found = all.filter(
        (object) => matches(resource, object) && (namespace === undefined || object.metadata.namespace === namespace),
      );
      yield* found.sort((a, b) => (place(a) < place(b) ? -1 : 1));
      if (objects.failing) throw new Refusal(503, 'the list failed');
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

/** What a test has otherwise than it is by default: nobody else there, a Broker that takes everything, time that stands still. */
export interface Overrides
  extends Partial<Pick<Context, 'store' | 'functions' | 'filter' | 'known' | 'acquire' | 'coalesce'>>,
    Partial<Cluster>,
    Partial<Broker>,
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
  const { environment = {}, context: given = {} } = options;
  const { now = () => clock.now, sleep = async () => undefined } = given;
  const store = createEmbeddedStore({ data: ':memory:', now });
  const objects = createTestObjects();
  const signal = given.signal ?? new AbortController().signal;
  const [bound] = bindFunctions([definition], {
    environment,
    settings: parseSettings(environment, z.object({}), []),
    ownUsers: [],
    store: { ...store, ...options.wrap?.(store), ...given.store },
    cluster: {
      objects: given.objects ?? objects,
      kinds: given.kinds,
      watched: given.watched ?? (() => []),
      hasApiServerSources: given.hasApiServerSources ?? given.kinds !== undefined,
    },
    broker: {
      publish: given.publish ?? (async () => undefined),
      sendTo: given.sendTo ?? (async () => 204),
      isRouted: given.isRouted ?? (() => true),
    },
    clock: { now, sleep },
    functions: given.functions ?? [],
    metrics: createMetrics(),
    stopping: signal,
  });
  if (!bound) throw new Error('not bound');
  const context: Context = {
    ...bound.context,
    filter: given.filter ?? allowAll,
    known: given.known ?? bound.context.known,
    acquire: given.acquire ?? bound.context.acquire,
    coalesce: given.coalesce ?? ((_milliseconds, work) => work()),
    event: { signal, correlationId: 'test', tally: createTally() },
  };
  return { context, store, objects, clock };
}

/** Has a function handle an event, as the dispatcher does; resolves to what it has done, which a Refusal has as its `summary`. */
export function handled(
  { handle }: Pick<HandlerDefinition, 'handle'>,
  event: CloudEvent,
  context: Context,
): Promise<Summary> {
  return tallied(context, (own) => handle(event, own));
}

/** Does some work in the context of an event, and resolves to what it has done. */
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

/** A policy report about one Deployment, with one failed result for each rule. */
export function aReport(name: string, rules: readonly string[], namespace = 'shop') {
  return {
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name, namespace, creationTimestamp: '2026-03-01T11:00:00Z' },
    scope: { apiVersion: 'apps/v1', kind: 'Deployment', name, namespace },
    results: rules.map((rule) => ({ policy: 'p', rule, result: 'fail', source: 'kyverno', message: rule })),
  };
}
