import * as z from 'zod';
import type { Condition } from '../api/condition.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import { apiServerSourceName, apiServerSources, guessedPlural } from '../api/knative-kinds.ts';
import type { Context } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { AcceptedMapping } from '../rules/accepted-mappings.ts';

export function readyCondition(status: 'True' | 'False', reason: string, message: string): Condition {
  return { type: 'Ready', status, reason, message };
}

/** Whether there may be more of a kind than could be read: then nothing may be taken for gone. */
export function mayBeMore({ reason }: Condition): boolean {
  return reason === 'NotReadable' || reason === 'NotDiscovered';
}

export function unready({ status }: Condition): Condition {
  return status === 'True'
    ? readyCondition('False', 'Disabled', 'it is not enabled')
    : readyCondition('False', 'NotAccepted', 'see Accepted');
}

/** The kind as the cluster serves it, or why there is nothing to be read of it. */
export async function resolve(
  { kind, tenant }: AcceptedMapping,
  { cluster: { kinds: discovery, objects }, event: { signal } }: Context,
): Promise<KindSelector | Condition> {
  if (!kind) return readyCondition('True', 'Ready', '');
  const { group, version, namespace, labelSelector } = kind;
  const name = `${kind.kind ?? kind.plural} of ${group === '' ? version : `${group}/${version}`}`;
  const more = { ...(namespace !== undefined && { namespace }), ...(labelSelector !== undefined && { labelSelector }) };
  if (!discovery) {
    const named = kind.kind ?? '';
    return {
      group,
      versions: [version],
      kind: named,
      plural: kind.plural ?? guessedPlural(named),
      namespaced: true,
      ...more,
    };
  }
  const notServed = readyCondition('False', 'KindNotServed', `the cluster does not serve ${name}`);
  if (!(await discovery.groups(signal)).get(group)?.includes(version)) return notServed;
  const kinds = await discovery.kinds(group, version, signal);
  if (!kinds) return readyCondition('False', 'NotDiscovered', `the server of ${name} does not answer`);
  const served = kinds.find(
    (one) =>
      (kind.kind === undefined || one.kind === kind.kind) && (kind.plural === undefined || one.plural === kind.plural),
  );
  if (!served) return notServed;
  if (!served.namespaced && tenant !== undefined) {
    return readyCondition(
      'False',
      'NamespaceNotAllowed',
      `${name} has no namespaces: only the system namespace can map it`,
    );
  }
  const resource = { group, versions: [version], ...served, ...more };
  try {
    for await (const _one of objects.list(resource, namespace, signal)) break;
    return resource;
  } catch (error) {
    if (!(error instanceof Refusal) || signal.aborted) throw error;
    const rule = `get, list and watch on ${served.plural}${group === '' ? '' : `.${group}`}`;
    return readyCondition(
      'False',
      'NotReadable',
      `${error.message}: it needs ${rule}, by a ClusterRole with the label zen.kube-zen.io/aggregate-to-ingest: "true"`,
    );
  }
}

const sourceSchema = z.object({
  status: z.object({
    conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().optional() })),
  }),
});

/** Without its ApiServerSource a kind is seen by the completeness pass alone. */
export async function sourceCondition(
  { kind }: AcceptedMapping,
  { plural, kind: of }: KindSelector,
  { cluster, settings: { SYSTEM_NAMESPACE }, event }: Context,
): Promise<Condition> {
  if (!cluster.hasApiServerSources || !kind) return readyCondition('True', 'Ready', '');
  if (plural !== guessedPlural(of))
    return readyCondition(
      'True',
      'PassOnly',
      `Knative misses the plural ${plural}: changes are seen by the completeness pass`,
    );
  const ref = {
    apiVersion: 'sources.knative.dev/v1',
    kind: apiServerSources.kind,
    namespace: SYSTEM_NAMESPACE,
    name: apiServerSourceName('ingest', kind.group),
  };
  const source = await cluster.objects.get(apiServerSources, ref, event.signal);
  const condition = sourceSchema.safeParse(source).data?.status.conditions.find(({ type }) => type === 'Ready');
  if (condition?.status === 'True') return readyCondition('True', 'Ready', '');
  return readyCondition(
    'False',
    'SourceNotReady',
    `ApiServerSource ${ref.name}: ${condition?.message ?? 'not there yet'}`,
  );
}
