import type { Store, StoredRef } from '../function/stores.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import type { ApiClient } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import { metadataOfOne } from './metadata-list.ts';
import { createObservationCreates } from './observation-creates.ts';
import { listExpired, listNames, type ObservationListsOptions } from './observation-lists.ts';
import { observationPath } from './observation-path.ts';
import { createObservationReads } from './observation-reads.ts';

/** Sends the change of an Observation. `false`: it is gone or has changed since it was read. */
async function change(
  client: ApiClient,
  { namespace, name }: StoredRef,
  method: 'PATCH' | 'DELETE',
  body: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  const response = await client.request({
    method,
    path: observationPath(namespace, name),
    body,
    contentType: method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    accept: metadataOfOne,
    signal,
  });
  if (response.status < 300) return true;
  if (response.status === 404 || response.status === 409) return false;
  throw setUpFault(method === 'PATCH' ? 'labelling Observations' : 'deleting Observations', response);
}

/** Observations as Kubernetes objects. */
export function createKubernetesStore(options: ObservationListsOptions): Store & ObservationReader {
  const { client } = options;
  return {
    create: createObservationCreates(client),
    names: (query, signal) => listNames(options, query, signal),
    expired: (now, signal) => listExpired(options, now, signal),
    relabel(ref, labels, signal) {
      const metadata = { uid: ref.uid, resourceVersion: ref.version, labels };
      return change(client, ref, 'PATCH', { metadata }, signal);
    },
    delete(ref, signal) {
      const preconditions = { uid: ref.uid, resourceVersion: ref.version };
      return change(client, ref, 'DELETE', { kind: 'DeleteOptions', apiVersion: 'v1', preconditions }, signal);
    },
    ...createObservationReads(options),
  };
}
