import type { KindSelector } from '../api/kind-selector.ts';
import { createBoundedObjects } from '../function/bounded-objects.ts';
import type { Context } from '../function/context.ts';
import type { KubernetesObject } from '../function/stores.ts';

/** All objects of a kind that configures zen-watcher; of a namespace with too many, the newest without their specs. */
export async function listConfiguration(
  kind: KindSelector,
  { cluster, settings, event }: Context,
): Promise<readonly KubernetesObject[]> {
  const objects = createBoundedObjects(settings.SYSTEM_NAMESPACE);
  for await (const object of cluster.objects.list(kind, settings.WATCH_NAMESPACE, event.signal)) objects.set(object);
  return objects.all();
}
