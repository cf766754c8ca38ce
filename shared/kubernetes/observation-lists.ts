import * as z from 'zod';
import { acceptanceIn, isOfAcceptance } from '../api/acceptance.ts';
import {
  due,
  historyAnnotation,
  labels as labelNames,
  outboxLabel,
  reportedByAnnotation,
  toldAnnotation,
} from '../api/labels.ts';
import { readObservation } from '../api/read-observation.ts';
import { Refusal } from '../function/refusal.ts';
import type {
  Expired,
  NamesQuery,
  ObservationsQuery,
  SpecEnd,
  Stored,
  StoredEvent,
  StoredObservation,
  StoredRef,
} from '../function/stores.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import { listMetadata } from './list-metadata.ts';
import { listPages, type Page, readJson } from './list-pages.ts';
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

const readAnnotations = new Set([historyAnnotation, reportedByAnnotation, toldAnnotation]);

function isRead(annotation: string): boolean {
  return readAnnotations.has(annotation) || isOfAcceptance(annotation);
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
    acceptance: acceptanceIn(annotations),
    told: annotations[toldAnnotation],
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

/** The same, whole. */
export async function findWhole(
  client: ApiClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<StoredObservation | undefined> {
  const response = await client.request({ method: 'GET', path: observationPath(namespace, name), signal });
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw setUpFault('reading Observations', response);
  const stored = storedOf(objectSchema.parse(response.body).metadata);
  return stored.isBeingDeleted ? undefined : { ...stored, observation: readObservation(response.body) };
}

interface Selectors {
  readonly labelSelector: string | undefined;
  readonly fieldSelector?: string;
  readonly emptyStatus?: number;
  /** Whether there are few. */
  readonly isShort?: boolean;
}

/** What Observations of a namespace, or of all, are selected, without their specs. */
async function* metadata(
  { client, watchNamespace }: ObservationListsOptions,
  namespace: string | undefined,
  { labelSelector, fieldSelector, emptyStatus, isShort = false }: Selectors,
  signal: AbortSignal,
): AsyncGenerator<Metadata> {
  const lists = listMetadata(client, {
    path: observationPath(namespace ?? watchNamespace),
    query: { labelSelector, fieldSelector },
    ...(emptyStatus !== undefined && { emptyStatus }),
    what: 'listing Observations',
    isLong: !isShort,
    isWanted: isRead,
    signal,
  });
  for await (const items of lists) yield* items;
}

interface PageSelectors {
  readonly namespace?: string | undefined;
  readonly labelSelector: string | undefined;
  readonly fieldSelector?: string | undefined;
}

function objectPages(
  { client, watchNamespace }: ObservationListsOptions,
  { namespace, labelSelector, fieldSelector }: PageSelectors,
  signal: AbortSignal,
): AsyncGenerator<Page<unknown>> {
  return listPages(client, {
    path: observationPath(namespace ?? watchNamespace),
    query: { labelSelector, fieldSelector },
    limit: itemsPerPage,
    what: 'listing Observations',
    read: readJson,
    signal,
  });
}

function selectorOf({ source, slots, affected, isDue }: NamesQuery): string | undefined {
  const selectors = [
    ...(affected === undefined ? [] : [`${labelNames.namespace}=${affected}`]),
    ...(source === undefined ? [] : [`${labelNames.source}=${source}`]),
    ...(isDue ? [`${outboxLabel}=${due}`] : []),
    ...(slots ? [`${labelNames.report} in (${slots.join(',')})`] : []),
  ];
  return selectors.join(',') || undefined;
}

/** The Observations that a query selects, without their specs. */
export async function* listNames(
  options: ObservationListsOptions,
  query: NamesQuery,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  const selectors = { labelSelector: selectorOf(query), isShort: query.slots !== undefined };
  for await (const item of metadata(options, query.namespace, selectors, signal)) {
    if (item.deletedAt === undefined) yield storedOf(item);
  }
}

/** The open findings of a source, without their specs, that have lost their rule. */
export async function* listStripped(
  options: ObservationListsOptions,
  source: string,
  namespace: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Stored> {
  const selectors = {
    labelSelector: `${labelNames.source}=${source},${labelNames.state}=open,${labelNames.report}`,
    fieldSelector: 'spec.rule=',
    // An older CRD knows no rule to select by, and would take it away again.
    emptyStatus: 400,
  };
  for await (const item of metadata(options, namespace, selectors, signal)) yield storedOf(item);
}

async function* expiredByLabel(
  options: ObservationListsOptions,
  now: number,
  signal: AbortSignal,
): AsyncGenerator<Expired> {
  const selectors = { labelSelector: `${labelNames.expires}<${Math.ceil(now / hour)}` };
  for await (const item of metadata(options, undefined, selectors, signal)) {
    yield { ...storedOf(item), source: item.labels[labelNames.source] ?? 'unknown' };
  }
}

function endBySpec({ metadata, spec }: z.infer<typeof objectSchema>, defaultTtl: number): SpecEnd {
  const endsAt = metadata.createdAt + (spec.ttlSecondsAfterCreation ?? defaultTtl) * 1000;
  return { source: spec.source, endsAt };
}

async function* expiredBySpec(
  options: ObservationListsOptions,
  now: number,
  signal: AbortSignal,
): AsyncGenerator<Expired> {
  for await (const { items } of objectPages(options, { labelSelector: `!${labelNames.expires}` }, signal)) {
    for (const item of items) {
      const object = objectSchema.parse(item);
      const { source, endsAt } = endBySpec(object, options.defaultTtl);
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

/** The Observations that a query selects, whole. */
export async function* listObservations(
  options: ObservationListsOptions,
  { namespace, name, isMarked, severities, isOpen }: ObservationsQuery,
  signal: AbortSignal,
): AsyncGenerator<StoredObservation> {
  const selectors = [
    ...(isMarked === undefined ? [] : [`${isMarked ? '' : '!'}${labelNames.accepted}`]),
    ...(severities ? [`${labelNames.severity} in (${severities.join(',')})`] : []),
    ...(isOpen ? [`${labelNames.state} notin (missing,resolved)`] : []),
  ];
  const labelSelector = selectors.join(',') || undefined;
  const fieldSelector = name === undefined ? undefined : `metadata.name=${name}`;
  for await (const { items } of objectPages(options, { namespace, labelSelector, fieldSelector }, signal)) {
    for (const item of items) {
      const { metadata } = objectSchema.parse(item);
      if (metadata.deletedAt === undefined) yield { ...storedOf(metadata), observation: readObservation(item) };
    }
  }
}

/** The Observations that have no state. Whole, since only the spec has the rule. */
export async function* listEvents(options: ObservationListsOptions, signal: AbortSignal): AsyncGenerator<StoredEvent> {
  for await (const { items } of objectPages(options, { labelSelector: `!${labelNames.state}` }, signal)) {
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
  if (response.status !== 200 || !Buffer.isBuffer(response.body)) throw setUpFault('counting Observations', response);
  const list = decodeMetadataList(response.body, isRead);
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
