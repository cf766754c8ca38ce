import * as z from 'zod';
import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import { Refusal } from '../function/refusal.ts';
import {
  type KubernetesObject,
  NamespaceRefusal,
  NotServed,
  type ObjectRef,
  type Objects,
} from '../function/stores.ts';
import type { ApiClient, ApiRequest, ApiResponse } from './api-client.ts';
import { deniedBy, setUpFault, statusMessage, statusOf } from './api-status.ts';
import { listMetadata as listMetadataOf } from './list-metadata.ts';
import { createPageSize, listPages, readJson } from './list-pages.ts';
import type { Metadata } from './metadata-list.ts';
import { callOf, pathOf, selectorsOf } from './resource-path.ts';

const ownerReference = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  controller: z.boolean().optional(),
});

const texts = z
  .record(z.string(), z.string())
  .nullish()
  .catch(undefined)
  .transform((all) => all ?? undefined);

export const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
    generation: z.number().optional(),
    labels: texts,
    annotations: texts,
    ownerReferences: z
      .array(ownerReference)
      .nullish()
      .catch(undefined)
      .transform((all) => all ?? undefined),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
});

/** Made once: a schema is compiled for its first object. */
const itemSchema = objectSchema.omit({ apiVersion: true, kind: true });

/** The owner of the fields that we apply. */
const fieldManager = 'zen-watcher';

/** An item of a list, which carries neither apiVersion nor kind, as an object. */
export function listedObject({ group, kind }: KindSelector, version: string, item: unknown): KubernetesObject {
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return { ...itemSchema.parse(item), apiVersion, kind };
}

function objectPath(resource: KindSelector, apiVersion: string, namespace: string | undefined, name: string): string {
  return pathOf(resource, groupVersionOf(apiVersion).version, resource.namespaced ? namespace : undefined, name);
}

function pathOfObject(resource: KindSelector, { apiVersion, metadata }: KubernetesObject): string {
  return objectPath(resource, apiVersion, metadata.namespace, metadata.name);
}

function writeFault(resource: KindSelector, response: ApiResponse): Refusal {
  const denier = deniedBy(response);
  if (denier !== undefined) return new Refusal(503, `${callOf('writing', resource)} was denied`, { cause: denier });
  if (response.status !== 400 && response.status !== 422) return setUpFault(callOf('writing', resource), response);
  const cause = statusMessage(statusOf(response.body));
  return new Refusal(422, `the API server calls the ${resource.kind} invalid`, { cause });
}

/** The pages of a list in one version of the kind; none if that version is not served. */
async function* pagesOf(
  client: ApiClient,
  resource: KindSelector,
  version: string,
  namespace: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly unknown[]> {
  const pages = listPages(client, {
    path: pathOf(resource, version, resource.namespaced ? namespace : undefined),
    query: selectorsOf(resource),
    limit: createPageSize(),
    what: callOf('listing', resource),
    emptyStatus: 404,
    read: readJson,
    signal,
  });
  for await (const { items } of pages) yield items;
}

/** The objects of a kind, in the first of its versions that is served. */
async function* list(
  client: ApiClient,
  resource: KindSelector,
  namespace: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<KubernetesObject> {
  for (const version of resource.versions) {
    let isServed = false;
    for await (const items of pagesOf(client, resource, version, namespace, signal)) {
      isServed = true;
      for (const item of items) yield listedObject(resource, version, item);
    }
    if (isServed) return;
  }
  throw new NotServed(resource);
}

/** What `kubectl apply` leaves behind is as large as the object itself. */
function isUseful(annotation: string): boolean {
  return annotation !== 'kubectl.kubernetes.io/last-applied-configuration';
}

function timeOf(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();
}

function objectOf({ group, kind }: KindSelector, version: string, item: Metadata): KubernetesObject {
  const { createdAt, deletedAt, hasAnnotations: _hasAnnotations, namespace, ...metadata } = item;
  return {
    apiVersion: group === '' ? version : `${group}/${version}`,
    kind,
    metadata: {
      ...metadata,
      namespace: namespace === '' ? undefined : namespace,
      creationTimestamp: timeOf(createdAt),
      deletionTimestamp: timeOf(deletedAt),
    },
  };
}

/** How long events don't ask again for a kind that was not served, in milliseconds; passes always do. */
const unservedMilliseconds = 60_000;

/** The metadata of the objects of a kind, in the first of its versions that is served. */
async function* listMetadata(
  client: ApiClient,
  resource: KindSelector,
  namespace: string | undefined,
  signal: AbortSignal,
  unserved: Map<string, number>,
): AsyncGenerator<KubernetesObject> {
  for (const version of resource.versions) {
    const key = pathOf(resource, version, undefined);
    const since = performance.now() - (unserved.get(key) ?? Number.NEGATIVE_INFINITY);
    if (namespace !== undefined && since < unservedMilliseconds) continue;
    let isServed = false;
    const lists = listMetadataOf(client, {
      path: pathOf(resource, version, resource.namespaced ? namespace : undefined),
      query: selectorsOf(resource),
      what: callOf('listing', resource),
      emptyStatus: 404,
      isLong: namespace === undefined,
      isWanted: isUseful,
      signal,
    });
    for await (const items of lists) {
      isServed = true;
      for (const item of items) yield objectOf(resource, version, item);
    }
    if (isServed) return void unserved.delete(key);
    unserved.set(key, performance.now());
  }
  throw new NotServed(resource);
}

/** Whether a text may be a part of a path: no object has another name, and it could lead to another object. */
function isPathPart(text: string): boolean {
  return text !== '.' && text !== '..' && !/[/%]/.test(text);
}

async function get(
  client: ApiClient,
  resource: KindSelector,
  { apiVersion, namespace, name }: ObjectRef,
  signal: AbortSignal,
): Promise<KubernetesObject | undefined> {
  if (!isPathPart(name) || !isPathPart(namespace ?? '')) return undefined;
  const path = objectPath(resource, apiVersion, namespace, name);
  const response = await client.request({ method: 'GET', path, signal });
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw setUpFault(callOf('reading', resource), response);
  return objectSchema.parse(response.body);
}

/** Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
function applyRequest(path: string, object: KubernetesObject, signal: AbortSignal): ApiRequest {
  return {
    method: 'PATCH',
    path,
    query: { fieldManager, force: 'true' },
    body: object,
    contentType: 'application/apply-patch+yaml',
    signal,
  };
}

/** The objects of an API server. */
export function createKubernetesObjects(client: ApiClient): Objects {
  const unserved = new Map<string, number>();
  return {
    get: (resource, ref, signal) => get(client, resource, ref, signal),

    list: (resource, namespace, signal) => list(client, resource, namespace, signal),

    listMetadata: (resource, namespace, signal) => listMetadata(client, resource, namespace, signal, unserved),

    async apply(resource, object, signal) {
      const response = await client.request(applyRequest(pathOfObject(resource, object), object, signal));
      if (response.status >= 300) throw writeFault(resource, response);
    },

    async delete(resource, object, signal) {
      const preconditions = { uid: object.metadata.uid };
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
      const response = await client.request({ method: 'DELETE', path: pathOfObject(resource, object), body, signal });
      if (response.status < 300 || response.status === 404 || response.status === 409) return;
      throw setUpFault(callOf('deleting', resource), response);
    },

    async setStatus(resource, object, status, signal) {
      const response = await client.request({
        method: 'PATCH',
        path: `${pathOfObject(resource, object)}/status`,
        body: { status },
        contentType: 'application/merge-patch+json',
        signal,
      });
      if (response.status < 300) return;
      const denier = deniedBy(response);
      if (denier !== undefined) throw new NamespaceRefusal('denying', denier);
      if (response.status === 404) return;
      throw writeFault(resource, response);
    },
  };
}
