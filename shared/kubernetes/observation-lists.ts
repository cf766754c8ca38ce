import * as z from 'zod';
import { historyAnnotation, labels as labelNames, reportedByAnnotation } from '../api/labels.ts';
import { Refusal } from '../function/refusal.ts';
import type { Expired, NamesQuery, SpecEnd, Stored, StoredEvent, StoredRef } from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import { type List, type ListOptions, listPages, type Page, readJson } from './list-pages.ts';
import { decodeMetadata, decodeMetadataList, type Metadata, metadataOfMany, metadataOfOne } from './metadata-list.ts';
import { observationPath } from './observation-path.ts';

export interface ObservationListsOptions {
  readonly client: ApiClient;
  /** The one namespace to look in; `undefined` is the whole cluster. */
  readonly watchNamespace: string | undefined;
  /** Seconds that an Observation lives if its spec does not say. */
  readonly defaultTtl: number;
}

const hour = 3_600_000;

/** What is read from a page of 500 is freed early; from one of 1,000 it would live on until a small pod is full. */
const itemsPerPage = 500;

const metadataSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  creationTimestamp: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  deletionTimestamp: z.string().optional(),
});

/** Anybody may have written it, another program too, so only what gc needs is required. */
const objectSchema = z.object({
  metadata: metadataSchema.transform(({ creationTimestamp, deletionTimestamp, ...rest }) => ({
    ...rest,
    createdAt: Date.parse(creationTimestamp),
    deletedAt: deletionTimestamp === undefined ? undefined : Date.parse(deletionTimestamp),
    hasAnnotations: Object.keys(rest.annotations).length > 0,
  })),
  spec: z
    .object({
      source: z.string().catch('unknown'),
      rule: z.string().catch(''),
      ttlSecondsAfterCreation: z.number().optional().catch(undefined),
    })
    .catch({ source: 'unknown', rule: '', ttlSecondsAfterCreation: undefined }),
});

function isRead(annotation: string): boolean {
  return annotation === historyAnnotation || annotation === reportedByAnnotation;
}

function readMetadata(body: unknown): List<Metadata> {
  if (Buffer.isBuffer(body)) return decodeMetadataList(body, isRead);
  throw new Refusal(503, 'the API server lists no metadata in protobuf', { retryAfter: 5 });
}

type ListedMetadata = Pick<
  Metadata,
  | 'namespace'
  | 'name'
  | 'uid'
  | 'resourceVersion'
  | 'labels'
  | 'createdAt'
  | 'deletedAt'
  | 'annotations'
  | 'hasAnnotations'
>;

function storedOf({ namespace, name, uid, resourceVersion, ...rest }: ListedMetadata): Stored {
  const { labels, annotations, hasAnnotations, createdAt, deletedAt } = rest;
  return {
    ref: { namespace, name, uid, version: resourceVersion },
    labels,
    history: annotations[historyAnnotation],
    reportedBy: annotations[reportedByAnnotation],
    hasAnnotations,
    createdAt,
    isBeingDeleted: deletedAt !== undefined,
  };
}

/** The one Observation of a namespace that has this name, without its spec. */
export async function findStored(
  client: ApiClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Stored | undefined> {
  const path = observationPath(namespace, name);
  const response = await client.request({ method: 'GET', path, accept: metadataOfOne, signal });
  if (response.status === 404) return undefined;
  if (response.status !== 200 || !Buffer.isBuffer(response.body)) throw setUpFault('reading Observations', response);
  const stored = storedOf(decodeMetadata(response.body, isRead));
  return stored.isBeingDeleted ? undefined : stored;
}

type Query = Pick<ListOptions<unknown>, 'path' | 'limit' | 'signal'> & {
  readonly labelSelector: string | undefined;
  readonly fieldSelector?: string;
  readonly emptyStatus?: number;
};

function metadataPages(
  client: ApiClient,
  { labelSelector, fieldSelector, emptyStatus, path, limit, signal }: Query,
): AsyncGenerator<Page<Metadata>> {
  return listPages(client, {
    path,
    query: { labelSelector, fieldSelector },
    ...(emptyStatus !== undefined && { emptyStatus }),
    limit,
    what: 'listing Observations',
    accept: metadataOfMany,
    read: readMetadata,
    signal,
  });
}

function objectPages(client: ApiClient, { labelSelector, path, limit, signal }: Query): AsyncGenerator<Page<unknown>> {
  return listPages(client, {
    path,
    query: { labelSelector },
    limit,
    what: 'listing Observations',
    read: readJson,
    signal,
  });
}

function selectorOf({ source, slots, affected }: NamesQuery): string | undefined {
  const selectors = [
    ...(affected === undefined ? [] : [`${labelNames.namespace}=${affected}`]),
    ...(source === undefined ? [] : [`${labelNames.source}=${source}`]),
    ...(slots ? [`${labelNames.report} in (${slots.join(',')})`] : []),
  ];
  return selectors.join(',') || undefined;
}

/** The Observations that a query selects, without their specs. */
export async function* listNames(
  { client, watchNamespace }: ObservationListsOptions,
  query: NamesQuery,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  const pages = metadataPages(client, {
    path: observationPath(query.namespace ?? watchNamespace),
    labelSelector: selectorOf(query),
    // A slot has few Observations, so one call is enough; a whole source may have any number.
    limit: query.slots ? undefined : itemsPerPage,
    signal,
  });
  for await (const { items } of pages) {
    for (const item of items) if (item.deletedAt === undefined) yield storedOf(item);
  }
}

/** The open findings of a source, without their specs, that have lost their rule. */
export async function* listStripped(
  { client, watchNamespace }: ObservationListsOptions,
  source: string,
  namespace: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  const pages = metadataPages(client, {
    path: observationPath(namespace ?? watchNamespace),
    labelSelector: `${labelNames.source}=${source},${labelNames.state}=open,${labelNames.report}`,
    fieldSelector: 'spec.rule=',
    // An older CRD knows no rule to select by, and would take it away again.
    emptyStatus: 400,
    limit: itemsPerPage,
    signal,
  });
  for await (const { items } of pages) for (const item of items) yield storedOf(item);
}

async function* expiredByLabel(
  { client, watchNamespace }: ObservationListsOptions,
  now: number,
  signal: AbortSignal,
): AsyncGenerator<Expired> {
  const pages = metadataPages(client, {
    path: observationPath(watchNamespace),
    labelSelector: `${labelNames.expires}<${Math.ceil(now / hour)}`,
    limit: itemsPerPage,
    signal,
  });
  for await (const { items } of pages) {
    for (const item of items) yield { ...storedOf(item), source: item.labels[labelNames.source] ?? 'unknown' };
  }
}

function endBySpec({ metadata, spec }: z.infer<typeof objectSchema>, defaultTtl: number): SpecEnd {
  const endsAt = metadata.createdAt + (spec.ttlSecondsAfterCreation ?? defaultTtl) * 1000;
  return { source: spec.source, endsAt };
}

async function* expiredBySpec(
  { client, watchNamespace, defaultTtl }: ObservationListsOptions,
  now: number,
  signal: AbortSignal,
): AsyncGenerator<Expired> {
  const pages = objectPages(client, {
    path: observationPath(watchNamespace),
    labelSelector: `!${labelNames.expires}`,
    limit: itemsPerPage,
    signal,
  });
  for await (const { items } of pages) {
    for (const item of items) {
      const object = objectSchema.parse(item);
      const { source, endsAt } = endBySpec(object, defaultTtl);
      if (endsAt < now) yield { ...storedOf(object.metadata), source };
    }
  }
}

/** When an Observation expires by its spec; `undefined` if it is gone. */
export async function findEnd(
  { client, defaultTtl }: ObservationListsOptions,
  { namespace, name }: StoredRef,
  signal: AbortSignal,
): Promise<SpecEnd | undefined> {
  const response = await client.request({ method: 'GET', path: observationPath(namespace, name), signal });
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw setUpFault('reading Observations', response);
  return endBySpec(objectSchema.parse(response.body), defaultTtl);
}

/** The Observations that have no state. Whole, since only the spec has the rule. */
export async function* listEvents(
  { client, watchNamespace }: ObservationListsOptions,
  signal: AbortSignal,
): AsyncGenerator<StoredEvent> {
  const pages = objectPages(client, {
    path: observationPath(watchNamespace),
    labelSelector: `!${labelNames.state}`,
    limit: itemsPerPage,
    signal,
  });
  for await (const { items } of pages) {
    for (const item of items) {
      const { metadata, spec } = objectSchema.parse(item);
      yield { ...storedOf(metadata), rule: spec.rule };
    }
  }
}

/**
 * How many Observations there are, from a list that stops after the first. The API server counts the rest only in a list
 * without a selector, and at its present state only if no resourceVersion is asked for.
 */
export async function countObservations(
  { client, watchNamespace }: ObservationListsOptions,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<number> {
  const response = await client.request({
    method: 'GET',
    path: observationPath(namespace ?? watchNamespace),
    query: { limit: '1' },
    accept: metadataOfMany,
    signal,
  });
  if (response.status !== 200) throw setUpFault('counting Observations', response);
  const list = readMetadata(response.body);
  if (list.continue === '') return list.items.length;
  if (list.remaining === undefined)
    throw new Refusal(503, 'the API server does not say how many Observations there are');
  return list.items.length + list.remaining;
}

/**
 * The Observations that have outlived their TTL: those with a label that says so, then those without it by their specs.
 */
export async function* listExpired(
  options: ObservationListsOptions,
  now: number,
  signal: AbortSignal,
): AsyncGenerator<Expired> {
  yield* expiredByLabel(options, now, signal);
  yield* expiredBySpec(options, now, signal);
}
