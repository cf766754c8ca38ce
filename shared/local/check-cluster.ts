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

/** Long enough for a slow API server, and soon enough for somebody who waits for a start. */
const answerMilliseconds = 5000;

async function systemNamespaceExists(objects: Objects, name: string): Promise<boolean> {
  const signal = AbortSignal.timeout(answerMilliseconds);
  return (await objects.get(namespaces, { apiVersion: 'v1', kind: 'Namespace', name }, signal)) !== undefined;
}

/**
 * Whether a cluster has what zen-watcher needs of it, asked at the start, when somebody is there to mend it. Throws a
 * UserError that says how.
 */
export async function checkCluster(
  { objects, discovery }: { readonly objects: Objects; readonly discovery: Discovery },
  { server, systemNamespace }: { readonly server: string; readonly systemNamespace: string },
): Promise<void> {
  try {
    const groups = await discovery.groups(AbortSignal.timeout(answerMilliseconds));
    if (!groups.has(group)) {
      throw new UserError(`--kubeconfig: ${server} does not know our kinds: kubectl apply -k crds/`);
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    throw new UserError(`--kubeconfig: ${server} does not answer: ${error.message}${cause}`, { cause: error });
  }
  // Whoever may not read namespaces may write into this one all the same.
  const exists = await systemNamespaceExists(objects, systemNamespace).catch(() => true);
  if (exists) return;
  const command = `kubectl create namespace ${systemNamespace}`;
  throw new UserError(`--kubeconfig: ${server} has no namespace ${systemNamespace}: ${command}`);
}
