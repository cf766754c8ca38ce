import * as z from 'zod';
import { groupVersionOf } from '../function/group-version.ts';
import type { KubernetesObject, Objects } from '../function/stores.ts';
import type { Resource } from '../function/triggers.ts';
import { type ApiClient, setUpFault } from './api-client.ts';
import { listPages } from './list-pages.ts';

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
});

/** Reports differ a thousandfold in size: a page is as long as makes about this many bytes. */
const pageBytes = 1_048_576;
const firstPage = 20;
const longestPage = 500;

function pathOf({ group, plural }: Resource, version: string, namespace: string | undefined, name?: string): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

function what(verb: string, { plural, group }: Resource): string {
  return `${verb} ${plural}${group === '' ? '' : `.${group}`}`;
}

/** The objects of an API server. */
export function createKubernetesObjects(client: ApiClient): Objects {
  async function* listVersion(resource: Resource, version: string, namespace: string | undefined, signal: AbortSignal) {
    let limit = firstPage;
    const selector = Object.entries(resource.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    const pages = listPages(client, {
      path: pathOf(resource, version, resource.namespaced ? namespace : undefined),
      query: { labelSelector: selector.join(',') || undefined },
      limit: () => limit,
      what: what('listing', resource),
      isOptional: true,
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

    async *list(resource, namespace, signal) {
      for (const version of resource.versions) {
        let isServed = false;
        for await (const items of listVersion(resource, version, namespace, signal)) {
          isServed = true;
          // The items of a list bear neither apiVersion nor kind.
          const typed = {
            apiVersion: resource.group === '' ? version : `${resource.group}/${version}`,
            kind: resource.kind,
          };
          for (const item of items)
            yield {
              ...typed,
              ...objectSchema.omit({ apiVersion: true, kind: true }).parse(item),
            } satisfies KubernetesObject;
        }
        if (isServed) return;
      }
    },
  };
}
