import { group } from '../../shared/api/group.ts';
import { leaseRef, leases } from '../../shared/api/lease.ts';
import type { Context } from '../../shared/function/context.ts';

const annotation = `${group}/announces-existing`;

function refOf({ settings }: Context) {
  return leaseRef(settings.SYSTEM_NAMESPACE, 'announce');
}

/** Whether announcing has begun, with what was there before if that is asked for: a Lease says so, once and for all. */
export async function hasBegun(withExisting: boolean, context: Context): Promise<boolean> {
  const { objects } = context.cluster;
  const lease = await objects.get(leases, refOf(context), context.event.signal);
  const done = lease?.metadata.annotations?.[annotation];
  return lease !== undefined && (!withExisting || done === 'true');
}

export async function noteBeginning(withExisting: boolean, context: Context): Promise<void> {
  const { apiVersion, kind, namespace, name } = refOf(context);
  const metadata = {
    name,
    namespace,
    // Without the label of signs of life: it is none.
    labels: { 'app.kubernetes.io/part-of': 'zen-watcher' },
    annotations: { [annotation]: String(withExisting) },
  };
  const lease = { apiVersion, kind, metadata, spec: { holderIdentity: 'announce' } };
  await context.cluster.objects.apply(leases, lease, context.event.signal);
}
