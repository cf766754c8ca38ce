import type { Acceptance } from '../api/acceptance.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import type { Facts, Observation } from '../api/observation.ts';
import type { Repeats } from '../api/series.ts';
import type { Severity } from '../finding/severity.ts';
import { Refusal } from './refusal.ts';

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean | undefined;
}

/** Any Kubernetes object. Only the fields that are declared here have been checked. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
    readonly generation?: number | undefined;
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
    readonly ownerReferences?: readonly OwnerReference[] | undefined;
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

/** That an object was added, changed or deleted. */
export interface Change {
  readonly type: 'add' | 'update' | 'delete';
  readonly ref: ObjectRef;
  /** The object's path in the API, where that is known. */
  readonly path?: string;
}

/** Kubernetes objects other than Observations, from an API server or from a folder that stands in for one. */
export interface Objects {
  /** Resolves to `undefined` if the object does not exist. Throws a Refusal 503 if that can't be determined. */
  get(resource: KindSelector, ref: ObjectRef, signal: AbortSignal): Promise<KubernetesObject | undefined>;
  /**
   * Lists the objects of a kind, in one namespace or in all, ordered by `<namespace>/` as the API server does. Throws a
   * NotServed if the kind is not served, or another Refusal 503 if the list can't be read to its end.
   */
  list(resource: KindSelector, namespace: string | undefined, signal: AbortSignal): AsyncIterable<KubernetesObject>;
  /** The same, of which only the metadata need be there. */
  listMetadata(
    resource: KindSelector,
    namespace: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<KubernetesObject>;
  /**
   * Creates the object, or sets the fields that are given and leaves the others alone (server-side apply). Throws a
   * Refusal 422 if the object is invalid, or 503 for anything that a retry or a better Role may fix.
   */
  apply(resource: KindSelector, object: KubernetesObject, signal: AbortSignal): Promise<void>;
  /** Deletes exactly this object. It is not an error if it is gone, or has been replaced, in the meantime. */
  delete(resource: KindSelector, object: KubernetesObject, signal: AbortSignal): Promise<void>;
  /**
   * Sets the fields of the status that are given. It is not an error if the object is gone. Throws as `apply` does, and a
   * NamespaceRefusal if the object's namespace denies that.
   */
  setStatus(resource: KindSelector, object: KubernetesObject, status: object, signal: AbortSignal): Promise<void>;
}

/** Who made an object, from its metadata alone. */
export interface Owners {
  /**
   * The owner that an object calls its controller; it is in the same namespace. Resolves to `undefined` if there is no
   * such object, or none that we may read. Throws a Refusal 503 if there is no answer.
   */
  controllerOf(
    resource: KindSelector,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<{ readonly controller: OwnerReference | undefined } | undefined>;
}

/** A kind that an API server serves. */
export interface ServedKind {
  readonly kind: string;
  /** Lower-case plural, as in URLs. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Which kinds an API server serves. */
export interface Discovery {
  /** The versions of each API group, best first, including groups whose server is down. Throws a Refusal 503. */
  groups(signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>>;
  /** The kinds of a group and version; `undefined` if that can't be determined at the moment. */
  kinds(group: string, version: string, signal: AbortSignal): Promise<readonly ServedKind[] | undefined>;
  /**
   * Whether a ServiceAccount of a namespace may get, list and watch a kind in all namespaces. Throws a Refusal 503 if that
   * can't be determined.
   */
  mayWatch(
    account: Pick<ObjectRef, 'namespace' | 'name'>,
    kind: { readonly group: string; readonly plural: string },
    signal: AbortSignal,
  ): Promise<boolean>;
}

/** Identifies a stored object and its version. Deletes and label changes apply to exactly that version. */
export interface StoredRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Changes with every write. */
  readonly version: string;
}

/** A stored Observation without its spec. */
export interface Stored {
  readonly ref: StoredRef;
  readonly labels: Readonly<Record<string, string>>;
  /** The value of the annotation `history`. */
  readonly history?: string | undefined;
  /** The value of the annotation `reported-by`. */
  readonly reportedBy?: string | undefined;
  /** What its annotations say about its acceptance. */
  readonly acceptance?: Acceptance | undefined;
  /** The value of the annotation `told`. */
  readonly told?: string | undefined;
  readonly hasAnnotations: boolean;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Whether somebody has deleted it, but a finalizer keeps it. */
  readonly isBeingDeleted?: boolean;
}

/** What to change of an Observation. */
export interface ObservationPatch {
  /** What is null is removed. */
  readonly labels: Readonly<Record<string, string | null>>;
  /** The new value of the annotation `history`. */
  readonly history?: string | undefined;
  /** What to say about its acceptance; `null` removes that. */
  readonly acceptance?: Acceptance | null | undefined;
  /** The new value of the annotation `reported-by`. */
  readonly reportedBy?: string | undefined;
  /** The new value of the annotation `told`. */
  readonly told?: string | undefined;
  /**
   * Replaces all that may change of the spec, except a resource that is not given, and sets `rule`. Without it, the spec
   * stays as it is.
   */
  readonly facts?: Facts & { readonly rule?: string };
}

/** Repeats of an event to be added to what its Observation says. */
export interface SeriesAddition extends Repeats {
  /** A value for the label `expires`, which is raised to it if it is earlier. */
  readonly expires?: string | undefined;
}

/** An expired Observation. Its labels need not name the source, if a person or another program wrote it. */
export interface Expired extends Stored {
  readonly source: string;
}

/** What the spec of an Observation says, if its label is not valid. */
export interface SpecEnd {
  readonly source: string;
  /** Milliseconds since 1970. */
  readonly endsAt: number;
}

/** A stored Observation, whole, with what it takes to change it. */
export interface StoredObservation extends Stored {
  readonly observation: Observation;
}

/** Everything that is given must hold. */
export interface ObservationsQuery {
  /** `undefined`: in all of them. */
  readonly namespace?: string | undefined;
  /** The one of this name, for who may list and not get. */
  readonly name?: string;
  /** Whether it bears the label `accepted`, be it over or not. */
  readonly isMarked?: boolean;
  /** Any of these. */
  readonly severities?: readonly Severity[];
  /** Those that are open or have no state, whether they are accepted or not. */
  readonly isOpen?: true;
}

/** An Observation without a state. */
export interface StoredEvent extends Stored {
  /** Empty if it has none. */
  readonly rule: string;
}

export interface NamesQuery {
  readonly source?: string;
  /** Observations whose label `report` has any of these values. */
  readonly slots?: readonly string[];
  /** `undefined`: in all of them. */
  readonly namespace?: string | undefined;
  /** Those that are about something in this namespace, and are kept in another one. */
  readonly affected?: string;
  /** Those of which something is to be told. */
  readonly isDue?: true;
}

/** Stores Observations. There are two implementations, and one contract test for both. */
export interface Store {
  /**
   * Resolves once the object is durable, or to `exists` if the name is taken, and not by what is being deleted. Throws a
   * NamespaceRefusal if another namespace may take the object, a Refusal 422 if it is invalid, or a Refusal 503 for
   * anything that a retry may fix.
   */
  create(observation: Observation, signal: AbortSignal): Promise<'created' | 'exists'>;
  /** Lists Observations without their spec, ordered by `<namespace>/`; none that is being deleted. */
  names(query: NamesQuery, signal: AbortSignal): AsyncIterable<Stored>;
  /**
   * The open findings of a source that have a state, but no rule: an older CRD, in use for a while, took that away, and
   * the summary with it.
   */
  stripped(source: string, namespace: string | undefined, signal: AbortSignal): AsyncIterable<Stored>;
  /**
   * How many Observations there are, in one namespace or in all, at this moment. Costs little, however many there are.
   */
  count(namespace: string | undefined, signal: AbortSignal): Promise<number>;
  /** Lists whole Observations, ordered by `<namespace>/`; none that is being deleted. */
  observations(query: ObservationsQuery, signal: AbortSignal): AsyncIterable<StoredObservation>;
  /** Lists Observations that have no state, with their rules. */
  events(signal: AbortSignal): AsyncIterable<StoredEvent>;
  /** Lists what has expired at `now` (milliseconds since 1970), by its label or, without one, by its spec. */
  expired(now: number, signal: AbortSignal): AsyncIterable<Expired>;
  /** When one expires by its spec, whatever its label says; `undefined` if it is gone. */
  endOf(ref: StoredRef, signal: AbortSignal): Promise<SpecEnd | undefined>;
  /** One Observation without its spec; `undefined` if there is none of that name, or it is being deleted. */
  find(namespace: string, name: string, signal: AbortSignal): Promise<Stored | undefined>;
  /** The same, whole. */
  findWhole(namespace: string, name: string, signal: AbortSignal): Promise<StoredObservation | undefined>;
  /**
   * Changes an Observation in one write. Resolves to `false` if it is gone, or has changed since it was read. Throws a
   * NamespaceRefusal if its namespace denies that, or a Refusal 422 if it would be invalid.
   */
  patch(stored: Stored, patch: ObservationPatch, signal: AbortSignal): Promise<boolean>;
  /**
   * Adds repeats to the series in the status, and leaves everything else in it alone. Resolves to `changed`, having added
   * nothing, if somebody else has written at the same time, and to `gone` if there is no such Observation, or it is being
   * deleted.
   */
  addSeries(
    ref: Pick<StoredRef, 'namespace' | 'name'>,
    addition: SeriesAddition,
    signal: AbortSignal,
  ): Promise<'added' | 'changed' | 'gone'>;
  /**
   * Resolves to `false` if the object is gone, or has changed since it was read. Throws a NamespaceRefusal if its
   * namespace denies that.
   */
  delete(ref: StoredRef, signal: AbortSignal): Promise<boolean>;
}

/** Kubernetes objects other than Observations, and the kinds that exist. */
export interface Cluster {
  readonly objects: Objects;
  readonly owners: Owners;
  /** `undefined` if folders stand in for the cluster: a folder has no kinds, it serves whatever is in it. */
  readonly kinds: Discovery | undefined;
  /**
   * The current objects of a kind that the function watches: the same array until one of them changes. Throws a Refusal
   * 503 until they have been read once.
   */
  watched(kind: KindSelector): readonly KubernetesObject[];
  /** Whether Knative's ApiServerSources report changes. If not, folders are watched, or passes find the changes. */
  readonly hasApiServerSources: boolean;
}

/** A kind is not served now, which says nothing about its objects: they may be there again in a minute. */
export class NotServed extends Refusal {
  constructor({ group, plural }: Pick<KindSelector, 'group' | 'plural'>) {
    super(503, `${plural}${group === '' ? '' : `.${group}`} is not served: is its CRD installed?`, { retryAfter: 5 });
    this.name = 'NotServed';
  }
}

/**
 * A namespace can't take an object: it does not exist, is being deleted, or is over its quota; or a webhook or policy for
 * it, which is the cause, denies what is written there; or a finalizer keeps what has the same name and was deleted.
 */
export class NamespaceRefusal extends Error {
  readonly reason: 'missing' | 'closing' | 'full' | 'denying' | 'blocked';

  constructor(reason: NamespaceRefusal['reason'], cause?: unknown) {
    super(`the namespace is ${reason === 'denying' ? 'denying it' : reason}`, { cause });
    this.name = 'NamespaceRefusal';
    this.reason = reason;
  }
}
