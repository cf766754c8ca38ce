import type { Observation } from '../api/observation.ts';
import { Refusal } from '../function/refusal.ts';
import { NamespaceRefusal, type Store } from '../function/stores.ts';
import type { ApiClient, ApiResponse } from './api-client.ts';
import { deniedBy, type Status, setUpFault, statusMessage, statusOf } from './api-status.ts';
import { decodeMetadata, metadataOfOne } from './metadata-list.ts';
import { observationPath } from './observation-path.ts';

/**
 * After this many taken names in a row the events are being redelivered. From then on each name is looked up first,
 * which costs the API server half as much as a create.
 */
const takenInARow = 8;

/** The answer says that an Observation is, or would become, invalid. */
export function invalid({ body }: Pick<ApiResponse, 'body'>): Refusal {
  const cause = new Error(statusMessage(statusOf(body)) ?? 'no reason given');
  return new Refusal(422, 'the API server calls the Observation invalid', { path: 'spec', cause });
}

function isClosing(status: Status | undefined): boolean {
  return status?.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false;
}

function isOverQuota(status: Status | undefined): boolean {
  return status?.message?.includes('exceeded quota') ?? false;
}

/** Whether what has the name was deleted, and has it until its finalizers are gone. */
function isDying(status: Status | undefined): boolean {
  return status?.message?.startsWith('object is being deleted') ?? false;
}

/** Why a create was refused. */
function refusalOf(response: ApiResponse): 'exists' | 'blocked' | Refusal | NamespaceRefusal {
  const status = statusOf(response.body);
  const denier = deniedBy(response);
  if (denier !== undefined) return new NamespaceRefusal('denying', denier);
  if (response.status === 409 && status?.reason === 'AlreadyExists') return isDying(status) ? 'blocked' : 'exists';
  if (response.status === 422 || response.status === 400) return invalid(response);
  if (response.status === 403 && isClosing(status)) return new NamespaceRefusal('closing');
  if (response.status === 403 && isOverQuota(status)) return new NamespaceRefusal('full');
  if (response.status === 404 && status?.details?.kind === 'namespaces') return new NamespaceRefusal('missing');
  return setUpFault('creating Observations', response);
}

/** Whether an Observation of that name is stored, and not being deleted. */
async function isStored(client: ApiClient, { metadata }: Observation, signal: AbortSignal): Promise<boolean> {
  const path = observationPath(metadata.namespace, metadata.name);
  const response = await client.request({ method: 'GET', path, accept: metadataOfOne, signal });
  if (response.status === 404) return false;
  if (response.status !== 200 || !Buffer.isBuffer(response.body)) throw setUpFault('reading Observations', response);
  return decodeMetadata(response.body, () => false).deletedAt === undefined;
}

async function post(
  client: ApiClient,
  observation: Observation,
  signal: AbortSignal,
): Promise<'created' | 'exists' | 'blocked' | Refusal | NamespaceRefusal> {
  const response = await client.request({
    method: 'POST',
    path: observationPath(observation.metadata.namespace),
    body: observation,
    accept: metadataOfOne,
    signal,
  });
  return response.status < 300 ? 'created' : refusalOf(response);
}

/** How often, and with which pauses, a create is tried while something that was deleted keeps the name. */
const attempts = 5;
const pauseMilliseconds = 200;

export interface ObservationCreatesOptions {
  readonly client: ApiClient;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Creates Observations, each as one request unless names are taken. */
export function createObservationCreates({ client, sleep }: ObservationCreatesOptions): Store['create'] {
  let taken = 0;

  /** Resolves to `blocked` if what has the name is being deleted. */
  async function createOnce(observation: Observation, signal: AbortSignal): Promise<'created' | 'exists' | 'blocked'> {
    if (taken >= takenInARow && (await isStored(client, observation, signal))) return 'exists';
    const outcome = await post(client, observation, signal);
    taken = outcome === 'exists' ? taken + 1 : 0;
    if (outcome === 'created' || outcome === 'exists' || outcome === 'blocked') return outcome;
    // The API server checks the quota before the name, so the refusal of a full namespace may hide a duplicate.
    const isFull = outcome instanceof NamespaceRefusal && outcome.reason === 'full';
    if (isFull && (await isStored(client, observation, signal))) return 'exists';
    throw outcome;
  }

  return async (observation, signal) => {
    for (let made = 1; ; made += 1) {
      const outcome = await createOnce(observation, signal);
      if (outcome !== 'blocked') return outcome;
      if (made === attempts)
        throw new NamespaceRefusal('blocked', 'a finalizer keeps a deleted Observation of that name');
      await sleep(pauseMilliseconds, signal);
    }
  };
}
