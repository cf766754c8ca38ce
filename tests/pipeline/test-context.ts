import type { CloudEvent } from '../../shared/function/cloud-event.ts';
import type { Context } from '../../shared/function/context.ts';
import { allowAll } from '../../shared/function/filter.ts';
import type { FunctionDefinition } from '../../shared/function/function-definition.ts';
import { groupVersionOf } from '../../shared/function/group-version.ts';
import { Refusal } from '../../shared/function/refusal.ts';
import { guessedPlural, type Resource } from '../../shared/function/resource.ts';
import { type Environment, parseSettings } from '../../shared/function/settings.ts';
import type { KubernetesObject, Objects, Store } from '../../shared/function/stores.ts';
import { createAdmission } from '../../shared/host/admission.ts';
import { createEmbeddedStore, type EmbeddedStore } from '../../shared/local/embedded-store.ts';
import { createKnownNames } from '../../shared/pipeline/known-names.ts';

/** Objects in memory, and a switch to make their lists fail. */
export interface TestObjects extends Objects {
  readonly all: KubernetesObject[];
  failing: boolean;
}

export function createTestObjects(): TestObjects {
  const all: KubernetesObject[] = [];
  const matches = ({ group, kind, plural }: Resource, object: KubernetesObject): boolean =>
    (kind === '' ? guessedPlural(object.kind) === plural : object.kind === kind) &&
    groupVersionOf(object.apiVersion).group === group;
  const remove = (resource: Resource, { metadata: { name, namespace } }: KubernetesObject): void => {
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

export interface TestContextOptions {
  readonly environment?: Environment;
  /** Wraps the store, to make it fail or count. */
  readonly wrap?: (store: Store) => Partial<Store>;
  readonly context?: Partial<Context>;
}

export function createTestContext(definition: FunctionDefinition, options: TestContextOptions = {}): TestContext {
  const clock = { now: Date.parse('2026-03-01T12:00:00Z') };
  const now = (): number => clock.now;
  const store = createEmbeddedStore({ data: ':memory:', now });
  const objects = createTestObjects();
  const context: Context = {
    store: { ...store, ...options.wrap?.(store) },
    objects,
    discovery: undefined,
    watched: () => [],
    filter: allowAll,
    known: createKnownNames({ size: 5000, now }),
    settings: Object.assign({}, parseSettings(options.environment ?? {}, definition.settings, [])),
    functions: [],
    admit: createAdmission(),
    coalesce: (_milliseconds, work) => work(),
    isRouted: () => true,
    publish: async () => undefined,
    deliver: async () => 204,
    now,
    sleep: async () => undefined,
    signal: new AbortController().signal,
    correlationId: 'test',
    ...options.context,
  };
  return { context, store, objects, clock };
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
