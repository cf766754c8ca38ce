import * as z from 'zod';
import type { Condition } from '../api/condition.ts';
import { type KindSelector, selectIn } from '../api/kind-selector.ts';
import {
  apiServerSourceName,
  apiServerSources,
  guessedPlural,
  tenantsSourceName,
  whyPassOnly,
} from '../api/knative-kinds.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import { NotServed, type ServedKind } from '../function/stores.ts';
import type { AcceptedMapping, MappedKind } from '../rules/accepted-mappings.ts';

export function readyCondition(status: 'True' | 'False', reason: string, message: string): Condition {
  return { type: 'Ready', status, reason, message };
}

/** The condition Ready of an object that is disabled or not accepted. */
export function notReadyCondition({ status }: Condition): Condition {
  return status === 'True'
    ? readyCondition('False', 'Disabled', 'spec.enabled is false')
    : readyCondition('False', 'NotAccepted', 'see the condition Accepted');
}

/** One of what is in the cluster, not of what is posted. */
type MappingOfKind = AcceptedMapping & { readonly kind: MappedKind };

/**
 * The objects that a mapping reads, with the kind as the cluster serves it; or, as a condition, why it can't read any.
 */
export async function resolveKind(mapping: MappingOfKind, context: Context): Promise<KindSelector | Condition> {
  const { kind } = mapping;
  const served = await servedKind(kind, context);
  if ('type' in served) return served;
  if (!served.namespaced && mapping.tenant !== undefined) {
    const message = `${describeKind(kind)} is cluster-scoped: only a mapping in the system namespace can use it`;
    return readyCondition('False', 'NamespaceNotAllowed', message);
  }
  const selector = selectIn(
    {
      ...served,
      group: kind.group,
      versions: [kind.version],
      ...(kind.labelSelector !== undefined && { labelSelector: kind.labelSelector }),
    },
    context.settings,
    kind.namespace,
  );
  const fault = context.cluster.kinds && (await whyUnreadable(selector, context));
  return fault ?? selector;
}

function describeKind({ group, version, kind, plural }: MappedKind): string {
  return `${kind ?? plural} of ${group === '' ? version : `${group}/${version}`}`;
}

/** Kind and plural as the cluster serves them; if folders stand in for it, as the mapping names them. */
async function servedKind(wanted: MappedKind, { cluster, event }: Context): Promise<ServedKind | Condition> {
  const { group, version, kind, plural } = wanted;
  if (!cluster.kinds) {
    return { kind: kind ?? '', plural: plural ?? guessedPlural(kind ?? ''), namespaced: true };
  }
  const notServed = readyCondition('False', 'KindNotServed', `the cluster does not serve ${describeKind(wanted)}`);
  if (!(await cluster.kinds.groups(event.signal)).get(group)?.includes(version)) return notServed;
  const kinds = await cluster.kinds.kinds(group, version, event.signal);
  if (!kinds) return readyCondition('False', 'NotDiscovered', `the server of ${describeKind(wanted)} does not respond`);
  const isWanted = (one: ServedKind): boolean =>
    (kind === undefined || one.kind === kind) && (plural === undefined || one.plural === plural);
  return kinds.find(isWanted) ?? notServed;
}

/** Tries to list one object, to find out whether that is permitted. */
async function whyUnreadable(selector: KindSelector, { cluster, event }: Context): Promise<Condition | undefined> {
  try {
    for await (const _one of cluster.objects.list(selector, selector.namespace, event.signal)) break;
    return undefined;
  } catch (error) {
    if (!(error instanceof Refusal) || event.signal.aborted) throw error;
    if (error instanceof NotServed) return readyCondition('False', 'KindNotServed', error.message);
    const rule = `get, list and watch on ${selector.plural}${selector.group === '' ? '' : `.${selector.group}`}`;
    const message = `${error.message}. Allow ${rule} in a ClusterRole with the label zen.kube-zen.io/aggregate-to-ingest: "true"`;
    return readyCondition('False', 'NotReadable', message);
  }
}

const conditionSchema = z.object({ type: z.string(), status: z.string(), message: z.string().optional() });

const sourceSchema = z.object({
  spec: z.object({ resources: z.array(z.object({ kind: z.string() })).default([]) }).default({ resources: [] }),
  status: z.object({ conditions: z.array(conditionSchema).default([]) }).default({ conditions: [] }),
});

/** Where a kind is watched: with the kinds of the system namespace's mappings or, if it is none, with those of tenants. */
async function sourceOf(
  { kind, tenant }: MappingOfKind,
  servedAs: string,
  { cluster, settings: { SYSTEM_NAMESPACE: namespace }, event }: Context,
): Promise<{ readonly name: string; readonly source: z.infer<typeof sourceSchema> | undefined }> {
  const read = async (name: string) => {
    const ref = { apiVersion: 'sources.knative.dev/v1', kind: apiServerSources.kind, namespace, name };
    const object = await cluster.objects.get(apiServerSources, ref, event.signal);
    return { name, source: sourceSchema.safeParse(object).data };
  };
  const own = await read(apiServerSourceName('ingest', kind.group));
  const isThere = own.source?.spec.resources.some((one) => one.kind === servedAs) ?? false;
  return tenant === undefined || isThere ? own : read(tenantsSourceName('ingest', kind.group));
}

/** The condition Ready of a mapping by its ApiServerSource, without which only the completeness pass sees changes. */
export async function apiServerSourceCondition(
  mapping: MappingOfKind,
  served: KindSelector,
  context: Context,
): Promise<Condition> {
  if (!context.cluster.hasApiServerSources) return readyCondition('True', 'Ready', '');
  const why = whyPassOnly(served);
  if (why !== undefined) return readyCondition('True', 'PassOnly', `only the completeness pass sees changes: ${why}`);
  const { name, source } = await sourceOf(mapping, served.kind, context);
  const condition = source?.status.conditions.find(({ type }) => type === 'Ready');
  if (condition?.status === 'True') return readyCondition('True', 'Ready', '');
  return readyCondition(
    'False',
    'SourceNotReady',
    `ApiServerSource ${name}: ${condition?.message ?? 'does not exist yet'}`,
  );
}
