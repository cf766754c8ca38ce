import type { ResourceRef } from './finding.ts';
import { isBuiltIn, isClusterScoped } from './kubernetes-kinds.ts';

/**
 * What a finding is filed under, so that a rollout or a restart makes no finding new. `kind` is `rollout`, `set`, `cron`
 * or `stateful` for what a controller runs, else the resource's own kind. Absent members are left out.
 */
export interface WorkloadKey {
  readonly kind: string;
  /** The API group, without a version, of kinds that Kubernetes doesn't have itself. */
  readonly group?: string;
  readonly namespace?: string;
  readonly name?: string;
}

interface NamedKind {
  readonly kind: string;
  readonly name: string;
}

/** The last part of a name, and what stands before its hyphen. */
interface Split {
  readonly base: string;
  readonly tail: string;
}

/** A template hash: a decimal number, each digit written as one of ten characters. */
const hash = /^[456789bcdf]{6,10}$/;
/** What the API server appends to a `generateName`. */
const random = /^[bcdfghjklmnpqrstvwxz2456789]{5}$/;
const index = /^(?:0|[1-9][0-9]{0,3})$/;
const jobNumber = /^(?:[0-9]{8}|[0-9]{10})$/;
const revision = /^[0-9]{5}$/;

/** A name that the API server made of a longer one: it cuts that after 58 characters and appends five. */
const cutLength = 63;
const randomLength = 5;
const cutHash = /^[456789bcdf]{1,10}$/;
const cutJobNumber = /^[23][0-9]{0,8}$/;

const controlPlane = ['kube-apiserver-', 'etcd-', 'kube-scheduler-', 'kube-controller-manager-', 'kube-vip-'];

/** A name at its last hyphen; `undefined` if nothing stands before one. */
function splitName(name: string): Split | undefined {
  const at = name.lastIndexOf('-');
  return at > 0 ? { base: name.slice(0, at), tail: name.slice(at + 1) } : undefined;
}

/** Minutes since 1970, between 2021 and 2046, or seconds since 1970, as older Kubernetes had it. */
function isJobNumber(tail: string): boolean {
  if (!jobNumber.test(tail)) return false;
  const number = Number(tail);
  return tail.length === 8 ? number >= 27_000_000 && number <= 40_000_000 : number >= 1_600_000_000;
}

/** A Deployment or Rollout; that of a Knative Revision, `<base>-00007-deployment`, stands for all of its Revisions. */
function rollout(name: string): NamedKind {
  const ending = '-deployment';
  const revised = name.endsWith(ending) ? splitName(name.slice(0, -ending.length)) : undefined;
  return { kind: 'rollout', name: revised && revision.test(revised.tail) ? revised.base : name };
}

/** What has Pods with generated names, by the form of its own name. */
function generator(name: string): NamedKind {
  const split = splitName(name);
  if (split === undefined) return { kind: 'set', name };
  const { base, tail } = split;
  if (hash.test(tail)) return rollout(base);
  if (isJobNumber(tail)) return { kind: 'cron', name: base };
  if (!index.test(tail)) return { kind: 'set', name };
  // A Pod of an indexed Job. If the Job's long name was cut at a hyphen, there are two.
  return { kind: 'set', name: base.endsWith('-') && base.length > 1 ? base.slice(0, -1) : base };
}

/** Static Pods are named for their node, which may look like anything. */
function isControlPlane(name: string, namespace: string | undefined): boolean {
  const isSystem = namespace === 'kube-system' || namespace?.startsWith('openshift-') === true;
  return isSystem && controlPlane.some((start) => name.startsWith(start));
}

/** Of a Pod whose name was cut: the controller that it can still be told from. */
function cutPod({ base, tail }: Split): NamedKind | undefined {
  if (!random.test(tail.slice(-randomLength))) return undefined;
  const rest = tail.slice(0, -randomLength);
  if (cutHash.test(rest)) return rollout(base);
  return cutJobNumber.test(rest) ? { kind: 'cron', name: base } : undefined;
}

function pod(name: string, namespace: string | undefined): NamedKind {
  const split = isControlPlane(name, namespace) ? undefined : splitName(name);
  const cut = split && name.length === cutLength ? cutPod(split) : undefined;
  if (cut) return cut;
  if (split && random.test(split.tail)) return generator(split.base);
  return split && index.test(split.tail) ? { kind: 'stateful', name: split.base } : { kind: 'Pod', name };
}

/** How the kinds that have Pods are filed. A Map, since a kind may be any text that a tool says. */
const workloads: ReadonlyMap<string, (name: string, namespace: string | undefined) => NamedKind> = new Map([
  ['Deployment', rollout],
  ['Rollout', rollout],
  ['ReplicaSet', generator],
  ['ReplicationController', generator],
  ['DaemonSet', generator],
  ['Job', generator],
  ['DeploymentConfig', (name) => ({ kind: 'set', name })],
  ['CronJob', (name) => ({ kind: 'cron', name })],
  ['StatefulSet', (name) => ({ kind: 'stateful', name })],
  ['Pod', pod],
]);

/** The kinds that have Pods: what is filed under the controller that people know. */
export const workloadKinds: readonly string[] = [...workloads.keys()];

/** Kubernetes' own groups; a CustomResourceDefinition may have a kind of the same name in another, as Knative has. */
function isKubernetesGroup(group: string): boolean {
  return !group.includes('.') || group.endsWith('.k8s.io');
}

let last: { readonly resource: ResourceRef; readonly key: WorkloadKey } | undefined;

/**
 * The key of a resource: by its kind, namespace and name alone, so that every process has the same at any time. It can't
 * be right for every name (a bare Pod `web-2` is filed as a StatefulSet's). The last one is remembered, since whoever
 * makes a finding asks several times.
 */
export function workloadKey(resource: ResourceRef): WorkloadKey {
  if (last?.resource !== resource) last = { resource, key: keyOf(resource) };
  return last.key;
}

function keyOf({ apiVersion, kind, namespace, name }: ResourceRef): WorkloadKey {
  const place = namespace ? { namespace } : {};
  const workload = workloads.get(kind);
  if (workload) {
    const key = name ? workload(name, namespace) : { kind };
    return { ...key, ...place };
  }
  const group = apiVersion?.includes('/') ? apiVersion.slice(0, apiVersion.lastIndexOf('/')) : '';
  // Tools don't always know the group of a kind that everybody knows, and some kinds have been in two.
  const isOwn = isBuiltIn(kind) && isKubernetesGroup(group);
  return {
    ...(group && !isOwn && { group }),
    kind,
    ...(name && { name }),
    ...(!(isOwn && isClusterScoped(kind)) && place),
  };
}

/** The name of a resource's workload, as people know it: `web` for the ReplicaSet `web-7d9c5b6f4d` and its Pods. */
export function workloadName(resource: ResourceRef): string | undefined {
  return workloadKey(resource).name;
}

/** What the names of all Pods of the same controller begin with, if it generates them; else the resource's own name. */
function stemOf(kind: string, name: string): string {
  const split = kind === 'Pod' ? splitName(name) : undefined;
  return split && random.test(split.tail) ? split.base : name;
}

const word = /[A-Za-z0-9-]+/g;
const dottedWord = /[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*/g;

/**
 * A text in which the whole name of a reported Pod or ReplicaSet is that of its workload, so that the text stays as it
 * is after a rollout: `web` for `web-7d9c5b6f4d`, for `replicaset-web-7d9c5b6f4d`, and for the Pods of that ReplicaSet.
 */
export function withoutPodNames(text: string, resource: ResourceRef | undefined): string {
  const base = resource && workloadName(resource);
  if (!resource?.name || base === undefined || base === resource.name) return text;
  const stem = stemOf(resource.kind, resource.name);
  const prefix = `${resource.kind.toLowerCase()}-`;
  const changes = (name: string): boolean =>
    name !== base && (name === stem || (name.startsWith(`${stem}-`) && random.test(name.slice(stem.length + 1))));
  return text.replace(stem.includes('.') ? dottedWord : word, (found) => {
    const name = found.startsWith(prefix) ? found.slice(prefix.length) : found;
    return changes(found) || changes(name) ? base : found;
  });
}
