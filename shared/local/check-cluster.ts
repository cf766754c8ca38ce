import { group } from '../api/group.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import { Refusal } from '../function/refusal.ts';
import type { Discovery, Objects } from '../function/stores.ts';
import { UserError } from '../function/user-error.ts';

const namespaces: KindSelector = {
  group: '',
  versions: ['v1'],
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
};

/** Long enough for a slow API server, short enough for someone who is waiting for the program to start. */
const answerMilliseconds = 5000;

async function systemNamespaceExists(objects: Objects, name: string): Promise<boolean> {
  const signal = AbortSignal.timeout(answerMilliseconds);
  return (await objects.get(namespaces, { apiVersion: 'v1', kind: 'Namespace', name }, signal)) !== undefined;
}

/**
 * Checks at start, while someone is there to fix it, that a cluster has what zen-watcher needs. Throws a UserError that
 * says how to fix it.
 */
export async function checkCluster(
  { objects, discovery }: { readonly objects: Objects; readonly discovery: Discovery },
  { server, systemNamespace }: { readonly server: string; readonly systemNamespace: string },
): Promise<void> {
  try {
    const groups = await discovery.groups(AbortSignal.timeout(answerMilliseconds));
    if (!groups.has(group)) {
      throw new UserError(`--kubeconfig: ${server} has no CRDs of zen-watcher: kubectl apply -k crds/`);
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    throw new UserError(`--kubeconfig: ${server} does not answer: ${error.message}${cause}`, { cause: error });
  }
  // A user who may not read namespaces may still be allowed to write to this one.
  const exists = await systemNamespaceExists(objects, systemNamespace).catch(() => true);
  if (exists) return;
  const command = `kubectl create namespace ${systemNamespace}`;
  throw new UserError(`--kubeconfig: ${server} has no namespace ${systemNamespace}: ${command}`);
}
