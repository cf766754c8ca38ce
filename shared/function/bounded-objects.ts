import { type Condition, refused } from '../api/condition.ts';
import type { KubernetesObject } from './stores.ts';

/** How many objects of a kind a namespace may have. The others are known by name only. */
const maxPerNamespace = 50;

/** How many characters the spec of an object may have as JSON. */
const maxSpecLength = 131_072;

/** Why an object is known by name only. */
type LeftOut = 'TooMany' | 'TooLarge';

const leftOut = new WeakMap<KubernetesObject, LeftOut>();

const messages: Readonly<Record<LeftOut, string>> = {
  TooMany: `a namespace may have ${maxPerNamespace} of these, and has that many older ones`,
  TooLarge: `spec: is longer than ${maxSpecLength} characters`,
};

/** Why an object is not used, if it is known by name only, as its condition Accepted. */
export function leftOutCondition(object: KubernetesObject): Condition | undefined {
  const reason = leftOut.get(object);
  return reason && refused(reason, messages[reason]);
}

/** Without what nobody reads, which may be larger than all the rest: annotations, and who manages which field. */
function slim(object: KubernetesObject): KubernetesObject {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = object.metadata;
  const metadata = { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp };
  return { ...object, metadata };
}

function withoutSpec(object: KubernetesObject, reason: LeftOut): KubernetesObject {
  const stub = Object.assign({}, object, { spec: undefined });
  leftOut.set(stub, reason);
  return stub;
}

function isTooLarge(object: KubernetesObject): boolean {
  return 'spec' in object && JSON.stringify(object.spec).length > maxSpecLength;
}

/** Oldest first; of one second, by name. */
function isNewer(a: KubernetesObject, b: KubernetesObject): boolean {
  const key = ({ metadata }: KubernetesObject): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  return key(a) > key(b);
}

/** Objects of one kind. */
export interface ObjectSet {
  set(object: KubernetesObject): void;
  delete(object: KubernetesObject): void;
  all(): readonly KubernetesObject[];
}

/** The objects of a namespace, by name: those that are kept, and those of which nothing is but that they exist. */
interface Here {
  readonly kept: Map<string, KubernetesObject>;
  readonly others: Map<string, KubernetesObject>;
}

/** Leaves out the newest, which leaves room for the others. */
function leaveOutNewest({ kept, others }: Here): void {
  const newest = [...kept.values()].reduce((a, b) => (isNewer(b, a) ? b : a));
  kept.delete(newest.metadata.name);
  others.set(newest.metadata.name, withoutSpec(newest, 'TooMany'));
}

/**
 * For objects that anybody may write who has a namespace, so that a single one can't fill the memory: keeps the oldest of
 * each namespace, and of further ones that they exist. The system namespace may have any number of any size. What has been
 * left out is not looked at again before it changes, or all are listed again.
 */
export function createBoundedObjects(systemNamespace: string | undefined): ObjectSet {
  const namespaces = new Map<string, Here>();
  return {
    set(object) {
      const { namespace = '', name } = object.metadata;
      const here = namespaces.get(namespace) ?? { kept: new Map(), others: new Map() };
      namespaces.set(namespace, here);
      const { kept, others } = here;
      const slimmed = slim(object);
      for (const all of [kept, others]) all.delete(name);
      if (namespace !== systemNamespace && isTooLarge(slimmed)) others.set(name, withoutSpec(slimmed, 'TooLarge'));
      else kept.set(name, slimmed);
      if (namespace !== systemNamespace && kept.size > maxPerNamespace) leaveOutNewest(here);
    },
    delete({ metadata: { namespace = '', name } }) {
      const here = namespaces.get(namespace);
      here?.kept.delete(name);
      here?.others.delete(name);
    },
    all: () => [...namespaces.values()].flatMap(({ kept, others }) => [...kept.values(), ...others.values()]),
  };
}

/** For objects that only administrators write. */
export function createObjectSet(): ObjectSet {
  const objects = new Map<string, KubernetesObject>();
  const keyOf = ({ metadata: { namespace = '', name } }: KubernetesObject): string => `${namespace}/${name}`;
  return {
    set: (object) => void objects.set(keyOf(object), object),
    delete: (object) => void objects.delete(keyOf(object)),
    all: () => [...objects.values()],
  };
}
