import * as z from 'zod';
import type { KindSelector } from '../api/kind-selector.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject, Objects } from '../function/stores.ts';
import { type ApiClient, type ApiResponse, setUpFault, statusOf } from './api-client.ts';
import { listPages, readJson } from './list-pages.ts';

export const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
    generation: z.number().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
});

/** Reports differ a thousandfold in size: a page is as long as makes about this many bytes. */
const pageBytes = 262_144;
const firstPage = 20;
const longestPage = 500;

export function pathOf(
  { group, plural }: KindSelector,
  version: string,
  namespace: string | undefined,
  name?: string,
): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** The selector of a kind's objects, `undefined` for all. */
export function selectorOf({ labels = {}, labelSelector }: KindSelector): string | undefined {
  const parts = [
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    ...(labelSelector ? [labelSelector] : []),
  ];
  return parts.join(',') || undefined;
}

/** What a call is for, as an operator would say. */
export function what(verb: string, { plural, group }: KindSelector): string {
  return `${verb} ${plural}${group === '' ? '' : `.${group}`}`;
}

/** An item of a list, which bears neither apiVersion nor kind. */
export function listedObject({ group, kind }: KindSelector, version: string, item: unknown): KubernetesObject {
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return { ...objectSchema.omit({ apiVersion: true, kind: true }).parse(item), apiVersion, kind };
}

/** The owner of the fields that we apply. */
const fieldManager = 'zen-watcher';

function addressOf(resource: KindSelector, { apiVersion, metadata: { namespace, name } }: KubernetesObject): string {
  return pathOf(resource, groupVersionOf(apiVersion).version, resource.namespaced ? namespace : undefined, name);
}

function applyFault(resource: KindSelector, response: ApiResponse): Refusal {
  if (response.status !== 400 && response.status !== 422) return setUpFault(what('writing', resource), response);
  const cause = statusOf(response.body)?.message?.slice(0, 1024);
  return new Refusal(422, `the API server calls the ${resource.kind} invalid`, { cause });
}

/** The objects of an API server. */
export function createKubernetesObjects(client: ApiClient): Objects {
  async function* listVersion(
    resource: KindSelector,
    version: string,
    namespace: string | undefined,
    signal: AbortSignal,
  ) {
    let limit = firstPage;
    const selector = selectorOf(resource);
    const pages = listPages(client, {
      path: pathOf(resource, version, resource.namespaced ? namespace : undefined),
      query: { labelSelector: selector },
      limit: () => limit,
      what: what('listing', resource),
      isOptional: true,
      read: readJson,
      signal,
    });
    for await (const { items, bytes } of pages) {
      yield items;
      const fitting = Math.floor((pageBytes / Math.max(bytes, 1)) * items.length);
      limit = Math.max(1, Math.min(longestPage, limit * 4, fitting || 1));
    }
  }

  return {
    async get(resource, ref, signal) {
      const { version } = groupVersionOf(ref.apiVersion);
      const namespace = resource.namespaced ? ref.namespace : undefined;
      const response = await client.request({
        method: 'GET',
        path: pathOf(resource, version, namespace, ref.name),
        signal,
      });
      if (response.status === 404) return undefined;
      if (response.status !== 200) throw setUpFault(what('reading', resource), response);
      return objectSchema.parse(response.body);
    },

    async apply(resource, object, signal) {
      const response = await client.request({
        ...{ method: 'PATCH', path: addressOf(resource, object), query: { fieldManager, force: 'true' }, body: object },
        ...{ contentType: 'application/apply-patch+yaml', signal },
      });
      if (response.status >= 300) throw applyFault(resource, response);
    },

    async delete(resource, object, signal) {
      const preconditions = { uid: object.metadata.uid };
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
      const response = await client.request({ method: 'DELETE', path: addressOf(resource, object), body, signal });
      if (response.status < 300 || response.status === 404 || response.status === 409) return;
      throw setUpFault(what('deleting', resource), response);
    },

    async setStatus(resource, object, status, signal) {
      const response = await client.request({
        ...{ method: 'PATCH', path: `${addressOf(resource, object)}/status`, body: { status } },
        ...{ contentType: 'application/merge-patch+json', signal },
      });
      if (response.status < 300 || response.status === 404) return;
      throw applyFault(resource, response);
    },

    async *list(resource, namespace, signal) {
      for (const version of resource.versions) {
        let isServed = false;
        for await (const items of listVersion(resource, version, namespace, signal)) {
          isServed = true;
          for (const item of items) yield listedObject(resource, version, item);
        }
        if (isServed) return;
      }
    },
  };
}
