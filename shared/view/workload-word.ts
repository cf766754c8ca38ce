import type { ResourceRef } from '../finding/finding.ts';
import { kindOf } from '../finding/kubernetes-kinds.ts';
import { workloadHash } from '../finding/name.ts';
import { workloadKey, workloadKinds } from '../finding/workload.ts';

/** As kubectl abbreviates them. */
const shortNames: ReadonlyMap<string, string> = new Map([
  ['po', 'Pod'],
  ['deploy', 'Deployment'],
  ['rs', 'ReplicaSet'],
  ['rc', 'ReplicationController'],
  ['ds', 'DaemonSet'],
  ['sts', 'StatefulSet'],
  ['cj', 'CronJob'],
]);

const byLowerCase: ReadonlyMap<string, string> = new Map(workloadKinds.map((kind) => [kind.toLowerCase(), kind]));

/** The kind that has Pods which a word means, as kubectl takes it: `Deployment` for `deployments` and `deploy`. */
function workloadKindOf(word: string): string | undefined {
  const lower = word.toLowerCase();
  return shortNames.get(lower) ?? byLowerCase.get(lower.replace(/s$/, ''));
}

type Test = (resource: ResourceRef) => boolean;

/** Whether the resource is filed under the same workload as `kind` `name` would be in the same namespace. */
function isFiledAs(kind: string, name: string): Test {
  return (resource) => {
    const key = workloadKey(resource);
    const wanted = workloadKey({ kind, namespace: resource.namespace, name });
    return key.kind === wanted.kind && key.name === wanted.name;
  };
}

function isNamed(name: string): Test {
  const isFiledAsPod = isFiledAs('Pod', name);
  return (resource) => workloadKey(resource).name === name || isFiledAsPod(resource);
}

function isOfKind(word: string, name: string): Test {
  const kind = workloadKindOf(word);
  if (kind !== undefined) return isFiledAs(kind, name);
  const wanted = kindOf(word.toLowerCase()).toLowerCase();
  return (resource) => resource.kind.toLowerCase() === wanted && resource.name === name;
}

function isIn(namespace: string, test: Test): Test {
  return (resource) => resource.namespace === namespace && test(resource);
}

function testOfParts([name, kind, namespace, ...more]: readonly string[]): Test {
  if (name === undefined || more.length > 0) return () => false;
  if (kind === undefined) return isNamed(name);
  if (namespace !== undefined) return isIn(namespace, isOfKind(kind, name));
  const [ofKind, inNamespace] = [isOfKind(kind, name), isIn(kind, isNamed(name))];
  return (resource) => ofKind(resource) || inNamespace(resource);
}

/**
 * A test for resources that belong to a workload: `web`, `deployment/web`, `shop/web` or `shop/deployment/web`. The Pods
 * and ReplicaSets of a workload belong to it, and the name of one of them stands for the workload. Every other resource
 * is its own workload: `secret/db-password`.
 */
export function workloadTest(word: string): Test {
  const test = testOfParts(word.split('/').toReversed());
  // Some tools' names have slashes themselves.
  return (resource) => test(resource) || resource.name === word || workloadWord(resource) === word;
}

/** Whether a resource belongs to any of some workloads. */
export function anyWorkloadTest(words: string | readonly string[]): Test {
  const tests = (typeof words === 'string' ? [words] : words).map(workloadTest);
  return (resource) => tests.some((test) => test(resource));
}

/** The value of the label `workload` that `kind/name` stands for in a namespace; `undefined` if it can't be told. */
export function workloadLabelOf(word: string, namespace: string): string | undefined {
  const [kindWord = '', name, ...more] = word.split('/');
  const kind = workloadKindOf(kindWord);
  if (kind === undefined || !name || more.length > 0) return undefined;
  return workloadHash({ kind, namespace, name });
}

/** How a resource's workload is called in a list of many; `workloadTest` takes it for the same. */
export function workloadWord(resource: ResourceRef): string {
  const { namespace, kind, name = '' } = workloadKey(resource);
  const isWorkload = workloadKinds.includes(resource.kind);
  return [namespace, ...(isWorkload ? [] : [kind]), name].filter((part) => part !== undefined).join('/');
}
