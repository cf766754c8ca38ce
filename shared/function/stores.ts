import type { KindSelector } from '../api/kind-selector.ts';
import type { Observation } from '../api/observation.ts';

/** Any Kubernetes object, checked only as far as its address goes. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid?: string | undefined;
    readonly generation?: number | undefined;
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly creationTimestamp?: string | null | undefined;
    readonly deletionTimestamp?: string | null | undefined;
  };
}

export interface ObjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** Kubernetes objects beside Observations: an API server's, or those of a folder that plays its part. */
export interface Objects {
  /** `undefined`: there is no such object (any more). Throws a Refusal 503 when that can't be told. */
  get(resource: KindSelector, ref: ObjectRef, signal: AbortSignal): Promise<KubernetesObject | undefined>;
  /**
   * All objects of a kind in the order of their namespaces, as the API server has it (by `<namespace>/`), in the one
   * namespace or in all; none if the kind is not served. Throws a Refusal 503 when the list can't be read to its end.
   */
  list(resource: KindSelector, namespace: string | undefined, signal: AbortSignal): AsyncIterable<KubernetesObject>;
  /**
   * Creates the object, or makes the fields that it has so and leaves the others (server-side apply). Throws a Refusal
   * 422 if it is invalid, 503 for everything that a retry or a Role may mend.
   */
  apply(resource: KindSelector, object: KubernetesObject, signal: AbortSignal): Promise<void>;
  /** Deletes this very object; that it is gone already, or another one by now, is no fault. */
  delete(resource: KindSelector, object: KubernetesObject, signal: AbortSignal): Promise<void>;
  /** Changes the fields of the status that are given; that the object is gone is no fault. */
  setStatus(resource: KindSelector, object: KubernetesObject, status: object, signal: AbortSignal): Promise<void>;
}

/** A kind as an API server serves it. */
export interface ServedKind {
  readonly kind: string;
  /** Lower-case plural, as in URLs. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Which kinds an API server serves. */
export interface Discovery {
  /** The versions of each API group, best first; a group whose server is down is among them. Throws a Refusal 503. */
  groups(signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>>;
  /** The kinds of a group and version; `undefined` where that can't be told now. */
  kinds(group: string, version: string, signal: AbortSignal): Promise<readonly ServedKind[] | undefined>;
}

/** Which stored object, and which state of it: deletes and label changes hold for exactly this one. */
export interface StoredRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Changes with every write; a delete of an older version is refused. */
  readonly version: string;
}

/** A stored Observation without its spec. */
export interface Stored {
  readonly ref: StoredRef;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** What gc needs to know of an Observation whose labels don't tell (written by hand, or by another program). */
export interface Expired extends Stored {
  readonly source: string;
}

export interface NamesQuery {
  readonly source?: string;
  /** Any of these values of the label `subject`. */
  readonly subjects?: readonly string[];
  /** `undefined`: in all of them. */
  readonly namespace?: string | undefined;
}

/** Where Observations are kept. Two implementations, one contract test. */
export interface Store {
  /**
   * Durable when it resolves. `exists`: the name is taken. Throws a StoreRefusal where another namespace may help, a
   * Refusal 422 if the object is invalid, a Refusal 503 for everything that a retry may mend.
   */
  create(observation: Observation, signal: AbortSignal): Promise<'created' | 'exists'>;
  /** In the order of namespaces, by `<namespace>/`. */
  names(query: NamesQuery, signal: AbortSignal): AsyncIterable<Stored>;
  /** What has outlived its TTL at `now` (milliseconds since 1970), by its label or, without one, by its spec. */
  expired(now: number, signal: AbortSignal): AsyncIterable<Expired>;
  /** `false`: it is gone or has changed since it was read. */
  relabel(ref: StoredRef, labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<boolean>;
  /** `false`: it is gone or has changed since it was read. */
  delete(ref: StoredRef, signal: AbortSignal): Promise<boolean>;
}

/** The namespace can't take it (gone, closing or full): evidence must not die with it, so it goes elsewhere. */
export class NamespaceRefusal extends Error {
  readonly reason: 'missing' | 'closing' | 'full';

  constructor(reason: 'missing' | 'closing' | 'full', cause?: unknown) {
    super(`the namespace is ${reason}`, { cause });
    this.name = 'NamespaceRefusal';
    this.reason = reason;
  }
}
