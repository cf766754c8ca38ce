import { leaseRef, leases, type SignOfLife, signIn } from '../../shared/api/lease.ts';
import type { Context } from '../../shared/function/context.ts';
import type { Heard } from '../../shared/function/tally.ts';
import type { OperationsReport } from '../../shared/pipeline/operations.ts';
import { operationsSlot, settleOperations } from '../../shared/pipeline/settle-operations.ts';

export const collector = 'gc';

/** What the Observation about a silent source is about: the Lease that says when it was last heard of. */
function aboutOf(source: string, { settings }: Context) {
  return leaseRef(settings.SYSTEM_NAMESPACE, source);
}

/** The slot of what is said about a source's silence. */
function silenceSlot(source: string, context: Context): string {
  return operationsSlot(collector, aboutOf(source, context));
}

function silence({ source, at, minutes }: SignOfLife, context: Context): OperationsReport {
  const lastHeard = new Date(at).toISOString();
  return {
    eventType: 'source-silent',
    summary: `nothing has come from ${source} since ${lastHeard}: is it still running, and does it reach zen-watcher?`,
    resource: aboutOf(source, context),
    identity: { source },
    details: { source, lastHeard, silentMinutes: minutes },
    detectedAt: new Date(context.clock.now()).toISOString(),
  };
}

/** The latest sign of each of our sources. */
async function signsOf({ cluster, functions, settings, event }: Context): Promise<ReadonlyMap<string, SignOfLife>> {
  const signs = new Map<string, SignOfLife>();
  if (!cluster.kinds) return signs;
  const names = new Set(functions.map(({ name }) => name));
  for await (const object of cluster.objects.list(leases, settings.SYSTEM_NAMESPACE, event.signal)) {
    const sign = signIn(object);
    if (sign && names.has(sign.source)) signs.set(sign.source, sign);
  }
  return signs;
}

/**
 * Tells which sources have been silent for too long, and takes that back when they have spoken again. A source that was
 * never heard of has no Lease, and is not missed. `isTold` says whether there is something to take back.
 */
export async function judgeSilence(isTold: (slot: string) => boolean, context: Context): Promise<Heard[]> {
  const signs = await signsOf(context);
  const heard = [...signs.values()].map(({ source, at, minutes }) => ({
    ...{ source, at },
    isSilent: context.clock.earliest() > at + minutes * 60_000,
  }));
  const silent = new Set(heard.filter(({ isSilent }) => isSilent).map(({ source }) => source));
  for (const { name } of context.functions) {
    const sign = silent.has(name) ? signs.get(name) : undefined;
    if (sign || isTold(silenceSlot(name, context)))
      await settleOperations(collector, aboutOf(name, context), sign ? [silence(sign, context)] : [], context);
  }
  return heard;
}
