import { groupVersionOf, type KindSelector } from './kind-selector.ts';

function builtIn(group: string, kind: string, plural: string): KindSelector {
  return { group, versions: ['v1'], kind, plural, namespaced: true };
}

/**
 * The kinds whose objects a controller may have made, and the kinds of the controllers that people know them by, each
 * after its API group. What is controlled comes after its controllers, so that no chain of owners is a circle.
 */
const controlled: readonly { readonly kind: KindSelector; readonly by: readonly string[] }[] = [
  { kind: builtIn('batch', 'Job', 'jobs'), by: ['batch/CronJob'] },
  { kind: builtIn('', 'ReplicationController', 'replicationcontrollers'), by: ['apps.openshift.io/DeploymentConfig'] },
  { kind: builtIn('apps', 'ReplicaSet', 'replicasets'), by: ['apps/Deployment', 'argoproj.io/Rollout'] },
  {
    kind: builtIn('', 'Pod', 'pods'),
    by: ['batch/Job', '/ReplicationController', 'apps/ReplicaSet', 'apps/StatefulSet', 'apps/DaemonSet'],
  },
];

export const controlledKinds: readonly KindSelector[] = controlled.map(({ kind }) => kind);

/** The kind to ask for the controller of such a resource; `undefined` if it has none. Tools may leave out the apiVersion. */
export function controlledKind(kind: string, apiVersion: string | undefined): KindSelector | undefined {
  const found = controlledKinds.find((one) => one.kind === kind);
  return !apiVersion || found?.group === groupVersionOf(apiVersion).group ? found : undefined;
}

/** Whether an owner is a controller that people know objects of that kind by. A Node, which owns static Pods, is not. */
export function controls(owner: { readonly apiVersion: string; readonly kind: string }, kind: KindSelector): boolean {
  const controllers = controlled.find((one) => one.kind === kind)?.by ?? [];
  return controllers.includes(`${groupVersionOf(owner.apiVersion).group}/${owner.kind}`);
}
