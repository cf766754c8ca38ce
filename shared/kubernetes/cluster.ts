import * as z from 'zod';
import { group } from '../api/group.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import { createBoundedObjects, createObjectSet } from '../function/bounded-objects.ts';
import type { Cluster, Discovery, Objects, Owners, Store } from '../function/stores.ts';
import type { ObservationFeed } from '../view/live-view.ts';
import type { ObservationReader } from '../view/observation-reader.ts';
import { createApiClient } from './api-client.ts';
import { setUpFault } from './api-status.ts';
import type { Credentials } from './credentials.ts';
import { createDiscovery } from './discovery.ts';
import { createExceptions, type Exceptions } from './exceptions.ts';
import { type Following, type FollowOptions, followChanges } from './follow-changes.ts';
import { createKubernetesObjects } from './kubernetes-objects.ts';
import { createKubernetesOwners } from './kubernetes-owners.ts';
import { createKubernetesStore } from './kubernetes-store.ts';
import { createObservationFeed } from './observation-feed.ts';
import { startWatch, type Watch, type WatchOptions } from './watch.ts';

export interface ClusterOptions {
  readonly credentials: Credentials;
  readonly watchNamespace: string | undefined;
  /** Only there may be any number of objects of our kinds. */
  readonly systemNamespace?: string;
  /** Seconds. */
  readonly defaultTtl: number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** How long one attempt of an API call may take. */
  readonly attemptSeconds: number;
  /** Called with the API server's time, in milliseconds since 1970, whenever an answer says another one. */
  readonly onTime?: (time: number) => void;
  /** How many watches there may be, where that may be many. */
  readonly watches?: number;
}

const reviewSchema = z.object({ status: z.object({ userInfo: z.object({ username: z.string() }) }) });

/** A cluster's Observations and objects, over one client. */
export function connectCluster({
  credentials,
  sleep,
  attemptSeconds,
  systemNamespace,
  onTime,
  watches,
  ...options
}: ClusterOptions): {
  readonly store: Store & ObservationReader;
  readonly objects: Objects;
  readonly owners: Owners;
  readonly discovery: Discovery;
  /** Holds the current objects of a kind, in one namespace or in all, until `signal` aborts. */
  watch(
    resource: KindSelector,
    namespace: string | undefined,
    listeners: Pick<WatchOptions, 'onFault' | 'onChange'>,
    signal: AbortSignal,
  ): Watch;
  /** Tells of each change of a kind's objects until `signal` aborts, and holds none of them. */
  follow(
    resource: KindSelector,
    listeners: Pick<FollowOptions, 'onStart' | 'onChange' | 'onFault'>,
    signal: AbortSignal,
  ): Following;
  /** Asks the API server for something that it need not look for. Throws a Refusal 503 if there is no answer. */
  touch(signal: AbortSignal): Promise<void>;
  /** Observations and their changes, in one namespace or in all. */
  feed(namespace: string | undefined): ObservationFeed;
  readonly exceptions: Exceptions;
  /** The user name that the API server knows us by. Throws a Refusal 503. */
  whoAmI(signal: AbortSignal): Promise<string>;
  close(): void;
} {
  const client = createApiClient({
    credentials,
    sleep,
    random: Math.random,
    attemptMilliseconds: attemptSeconds * 1000,
    ...(onTime && { onTime }),
    ...(watches !== undefined && { streams: watches }),
  });
  const elapsed = (): number => performance.now();
  const store = createKubernetesStore({ client, sleep, ...options });
  return {
    store,
    objects: createKubernetesObjects(client),
    owners: createKubernetesOwners(client),
    discovery: createDiscovery(client),
    watch: (resource, namespace, listeners, signal) =>
      startWatch(
        {
          ...{ client, resource, namespace, sleep, random: Math.random, elapsed, ...listeners },
          // Whoever has a namespace may write our kinds.
          createSet: resource.group === group ? () => createBoundedObjects(systemNamespace) : createObjectSet,
        },
        signal,
      ),
    follow: (resource, listeners, signal) =>
      followChanges({ client, resource, sleep, random: Math.random, ...listeners }, signal),
    feed: (namespace) => createObservationFeed({ client, namespace, sleep }),
    exceptions: createExceptions(client),
    async touch(signal) {
      await client.request({ method: 'GET', path: '/version', signal });
    },
    async whoAmI(signal) {
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const response = await client.request({ method: 'POST', path, body, signal });
      if (response.status !== 201) throw setUpFault('asking for our own user name', response);
      return reviewSchema.parse(response.body).status.userInfo.username;
    },
    close: () => client.close(),
  };
}

/** What functions see of a cluster that is connected. */
export function clusterOf(
  { objects, owners, discovery }: Pick<ReturnType<typeof connectCluster>, 'objects' | 'owners' | 'discovery'>,
  { watched, hasApiServerSources }: Pick<Cluster, 'watched' | 'hasApiServerSources'>,
): Cluster {
  return { objects, owners, kinds: discovery, watched, hasApiServerSources };
}
