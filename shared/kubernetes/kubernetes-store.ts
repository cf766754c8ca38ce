import * as z from 'zod';
import { group } from '../api/group.ts';
import { labels as labelNames } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';
import { Refusal } from '../function/refusal.ts';
import {
  type Expired,
  NamespaceRefusal,
  type NamesQuery,
  type Store,
  type Stored,
  type StoredRef,
} from '../function/stores.ts';
import type { ObservationList, ObservationReader, ReadQuery } from '../view/observation-reader.ts';
import { type ApiClient, type ApiResponse, type Status, setUpFault, statusOf } from './api-client.ts';
import { type ListOptions, listPages, readJson } from './list-pages.ts';
import { decodeMetadataList, type Metadata, metadataOfMany, metadataOfOne } from './metadata-list.ts';

export interface KubernetesStoreOptions {
  readonly client: ApiClient;
  /** The one namespace to look in; `undefined` is the whole cluster. */
  readonly watchNamespace: string | undefined;
  /** Seconds that an Observation lives whose spec does not say. */
  readonly defaultTtl: number;
}

const hour = 3_600_000;
/** What is read of a page dies young, and costs a small pod no memory; of 1,000 it would live on until it is full. */
const itemsAPage = 500;
const readMilliseconds = 30_000;

/** After so many names in a row that were taken it is a redelivery: asking costs the API server half of a create. */
const takenInARow = 8;

/** How metadata alone is asked for, and read. */
const metadataOnly = {
  accept: metadataOfMany,
  read(body: unknown) {
    if (!Buffer.isBuffer(body))
      throw new Refusal(503, 'the API server lists no metadata in protobuf', { retryAfter: 5 });
    return decodeMetadataList(body);
  },
};

const stringMap = z.record(z.string(), z.string());

const metadataSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  creationTimestamp: z.string(),
  labels: stringMap.default({}),
});

/** Anybody may have written it, another program too: only what gc judges by must be there. */
const unlabelledSchema = z.object({
  metadata: metadataSchema.transform(({ creationTimestamp, ...rest }) => ({
    ...rest,
    createdAt: Date.parse(creationTimestamp),
  })),
  spec: z.object({
    source: z.string().catch('unknown'),
    ttlSecondsAfterCreation: z.number().optional().catch(undefined),
  }),
});

const readSchema = z.looseObject({
  metadata: metadataSchema.extend({ annotations: stringMap.default({}) }),
  spec: z.looseObject({
    source: z.string(),
    category: z.string(),
    severity: z.string().transform((word) => severities.find((one) => one === word.toUpperCase()) ?? 'UNKNOWN'),
    eventType: z.string(),
    resource: z
      .object({
        apiVersion: z.string().optional(),
        kind: z.string().default(''),
        name: z.string().optional(),
        namespace: z.string().optional(),
      })
      .exactOptional(),
    details: z.record(z.string(), z.unknown()).default({}),
    detectedAt: z.string().default(''),
    ttlSecondsAfterCreation: z.number().default(0),
  }),
});

const listSchema = z.object({ items: z.array(readSchema), metadata: z.object({ continue: z.string().optional() }) });

function pathOf(namespace: string | undefined, name?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${group}/v1${scope}/observations${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

function storedOf({ namespace, name, uid, resourceVersion, labels, createdAt }: Metadata): Stored {
  return { ref: { namespace, name, uid, version: resourceVersion }, labels, createdAt };
}

function invalid(status: Status | undefined): Refusal {
  const cause = new Error(status?.message?.slice(0, 1024) ?? 'no reason given');
  return new Refusal(422, 'the API server calls the Observation invalid', { path: 'spec', cause });
}

function isClosing(status: Status | undefined): boolean {
  return status?.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false;
}

function isOverQuota(status: Status | undefined): boolean {
  return status?.message?.includes('exceeded quota') ?? false;
}

/** What a refused create means: DESIGN.md's table. */
function refusalOf(response: ApiResponse): 'exists' | Refusal | NamespaceRefusal {
  const status = statusOf(response.body);
  if (response.status === 409 && status?.reason === 'AlreadyExists') return 'exists';
  if (response.status === 422 || response.status === 400) return invalid(status);
  if (response.status === 403 && isClosing(status)) return new NamespaceRefusal('closing');
  if (response.status === 403 && isOverQuota(status)) return new NamespaceRefusal('full');
  if (response.status === 404 && status?.details?.kind === 'namespaces') return new NamespaceRefusal('missing');
  return setUpFault('creating Observations', response);
}

/** Observations as Kubernetes objects. */
export function createKubernetesStore(options: KubernetesStoreOptions): Store & ObservationReader {
  const { client, watchNamespace, defaultTtl } = options;

  /** How many of the last names were taken, one after the other. */
  let taken = 0;

  async function exists(namespace: string, name: string, signal: AbortSignal): Promise<boolean> {
    const request = { method: 'GET', path: pathOf(namespace, name), accept: metadataOfOne, signal } as const;
    const response = await client.request(request);
    if (response.status === 200) return true;
    if (response.status === 404) return false;
    throw setUpFault('reading Observations', response);
  }

  /** The namespace is over its quota, which is asked before the name: what is there is a duplicate all the same. */
  async function overQuota({ metadata }: Observation, signal: AbortSignal): Promise<'exists'> {
    if (await exists(metadata.namespace, metadata.name, signal)) return 'exists';
    throw new NamespaceRefusal('full');
  }

  async function change(
    ref: StoredRef,
    request: { readonly method: 'PATCH' | 'DELETE'; readonly body: unknown },
    signal: AbortSignal,
  ) {
    const response = await client.request({
      ...request,
      path: pathOf(ref.namespace, ref.name),
      contentType: request.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      accept: metadataOfOne,
      signal,
    });
    if (response.status < 300) return true;
    if (response.status === 404 || response.status === 409) return false;
    throw setUpFault(request.method === 'PATCH' ? 'labelling Observations' : 'deleting Observations', response);
  }

  function pagesOf<Item>(options: Pick<ListOptions<Item>, 'query' | 'read' | 'signal'> & Partial<ListOptions<Item>>) {
    const defaults = { path: pathOf(watchNamespace), limit: itemsAPage, what: 'listing Observations' };
    return listPages(client, { ...defaults, ...options });
  }

  async function* expiredByLabel(now: number, signal: AbortSignal): AsyncGenerator<Expired> {
    const query = { labelSelector: `${labelNames.expires}<${Math.ceil(now / hour)}` };
    for await (const { items } of pagesOf({ query, ...metadataOnly, signal })) {
      for (const item of items) yield { ...storedOf(item), source: item.labels[labelNames.source] ?? 'unknown' };
    }
  }

  async function* expiredBySpec(now: number, signal: AbortSignal): AsyncGenerator<Expired> {
    const query = { labelSelector: `!${labelNames.expires}` };
    for await (const { items } of pagesOf({ query, read: readJson, signal })) {
      for (const item of items) {
        const { metadata, spec } = unlabelledSchema.parse(item);
        const ends = metadata.createdAt + (spec.ttlSecondsAfterCreation ?? defaultTtl) * 1000;
        if (ends < now) yield { ...storedOf(metadata), source: spec.source };
      }
    }
  }

  return {
    async create(object, signal) {
      const { namespace, name } = object.metadata;
      if (taken >= takenInARow && (await exists(namespace, name, signal))) return 'exists';
      const path = pathOf(namespace);
      const response = await client.request({ method: 'POST', path, body: object, accept: metadataOfOne, signal });
      const refusal = response.status < 300 ? undefined : refusalOf(response);
      taken = refusal === 'exists' ? taken + 1 : 0;
      if (!refusal) return 'created';
      if (refusal === 'exists') return 'exists';
      if (refusal instanceof NamespaceRefusal && refusal.reason === 'full') return overQuota(object, signal);
      throw refusal;
    },

    async *names({ source, subjects, namespace }: NamesQuery, signal) {
      const selectors = [
        ...(source === undefined ? [] : [`${labelNames.source}=${source}`]),
        ...(subjects ? [`${labelNames.subject} in (${subjects.join(',')})`] : []),
      ];
      const query = { labelSelector: selectors.join(',') || undefined };
      // Of one resource little is known, so one call is enough; of a whole source there may be any number.
      const limit = subjects ? undefined : itemsAPage;
      const path = pathOf(namespace ?? watchNamespace);
      for await (const { items } of pagesOf({ path, query, limit, ...metadataOnly, signal })) {
        for (const item of items) yield storedOf(item);
      }
    },

    async *expired(now, signal) {
      yield* expiredByLabel(now, signal);
      yield* expiredBySpec(now, signal);
    },

    relabel(ref, changed, signal) {
      const metadata = { uid: ref.uid, resourceVersion: ref.version, labels: changed };
      return change(ref, { method: 'PATCH', body: { metadata } }, signal);
    },

    delete(ref, signal) {
      const preconditions = { uid: ref.uid, resourceVersion: ref.version };
      return change(
        ref,
        { method: 'DELETE', body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions } },
        signal,
      );
    },

    async read(query: ReadQuery): Promise<ObservationList> {
      const response = await client.request({
        method: 'GET',
        path: pathOf(query.namespace ?? watchNamespace),
        query: { fieldSelector: fieldsOf(query), limit: String(query.limit), continue: query.continue },
        signal: AbortSignal.timeout(readMilliseconds),
      });
      if (response.status === 400 || response.status === 410) {
        throw new Refusal(400, 'a bad query', { path: 'continue' });
      }
      if (response.status !== 200) throw setUpFault('listing Observations', response);
      const { items, metadata } = listSchema.parse(response.body);
      const typed = { apiVersion: `${group}/v1`, kind: 'Observation' } as const;
      const whole = items.map((item) => ({ ...typed, ...item, ...typed }));
      return metadata.continue ? { items: whole, continue: metadata.continue } : { items: whole };
    },
  };
}

function fieldsOf({ source, severity }: ReadQuery): string | undefined {
  const fields = Object.entries({ 'spec.source': source, 'spec.severity': severity });
  const wanted = fields.filter(([, value]) => value !== undefined).map(([field, value]) => `${field}=${value}`);
  return wanted.length > 0 ? wanted.join(',') : undefined;
}
