import type { Store, StoredRef } from '../function/stores.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import type { ApiClient } from './api-client.ts';
import { metadataOfOne } from './metadata-list.ts';
import { createObservationCreates, type ObservationCreatesOptions } from './observation-creates.ts';
import {
  countObservations,
  findEnd,
  findStored,
  findWhole,
  listEvents,
  listExpired,
  listNames,
  listObservations,
  listStripped,
  type ObservationListsOptions,
} from './observation-lists.ts';
import { isDone, patchObservation } from './observation-patches.ts';
import { observationPath } from './observation-path.ts';
import { createObservationReads } from './observation-reads.ts';
import { addSeries } from './observation-series.ts';

async function deleteObservation(client: ApiClient, ref: StoredRef, signal: AbortSignal): Promise<boolean> {
  const preconditions = { uid: ref.uid, resourceVersion: ref.version };
  const response = await client.request({
    method: 'DELETE',
    path: observationPath(ref.namespace, ref.name),
    body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions },
    contentType: 'application/json',
    accept: metadataOfOne,
    signal,
  });
  return isDone(response, 'deleting Observations');
}

/** Observations as Kubernetes objects. */
export function createKubernetesStore(
  options: ObservationListsOptions & ObservationCreatesOptions,
): Store & ObservationReader {
  const { client } = options;
  return {
    create: createObservationCreates(options),
    names: (query, signal) => listNames(options, query, signal),
    stripped: (source, namespace, signal) => listStripped(options, source, namespace, signal),
    count: (namespace, signal) => countObservations(options, namespace, signal),
    observations: (query, signal) => listObservations(options, query, signal),
    events: (signal) => listEvents(options, signal),
    expired: (now, signal) => listExpired(options, now, signal),
    endOf: (ref, signal) => findEnd(options, ref, signal),
    find: (namespace, name, signal) => findStored(client, namespace, name, signal),
    findWhole: (namespace, name, signal) => findWhole(client, namespace, name, signal),
    patch: (stored, patch, signal) => patchObservation(client, stored, patch, signal),
    addSeries: (ref, addition, signal) => addSeries(client, ref, addition, signal),
    delete: (ref, signal) => deleteObservation(client, ref, signal),
    ...createObservationReads(options),
  };
}
