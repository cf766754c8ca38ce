import * as z from 'zod';
import { parseJson } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { filterRules, filterSpec, observationFilters, sourceName } from '../shared/function/filter-spec.ts';
import { defineFunction, observationWrites } from '../shared/function/function-definition.ts';
import { faultyField, Refusal } from '../shared/function/refusal.ts';
import { namespaceOf, type Resource } from '../shared/function/resource.ts';
import type { KubernetesObject } from '../shared/function/stores.ts';
import { addSummaries, emptySummary, type Summary, summaryOf } from '../shared/function/summary.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { accepted, type Condition, refused, setConditions } from '../shared/pipeline/conditions.ts';
import { recordOperations } from '../shared/pipeline/operations.ts';

const configMaps: Resource = {
  ...{ group: '', versions: ['v1'], kind: 'ConfigMap', plural: 'configmaps', namespaced: true },
  namespaceSetting: 'FILTER_CONFIGMAP_NAMESPACE',
};

const settings = z.object({
  FILTER_CONFIGMAP_NAME: z.string().default('zen-watcher-filter'),
  FILTER_CONFIGMAP_NAMESPACE: z.string().optional(),
  FILTER_CONFIGMAP_KEY: z.string().default('filter.json'),
});

type Settings = z.infer<typeof settings>;

/** On the ObservationFilters that a ConfigMap has become, with its name; all others are their users'. */
const ownLabel = 'zen.kube-zen.io/filter-configmap';

/** An entry's own targetSource, where it has one, must not say something else than its key. */
const configuration = z.strictObject({ sources: z.record(sourceName, filterRules) });

/** Bursts of changes are looked at together; a change has to act within two seconds. */
const intervalMilliseconds = 500;

/**
 * Makes ObservationFilters of the filter ConfigMap, and says of every ObservationFilter whether it is accepted. A
 * ConfigMap that is invalid changes nothing: what the last good one has become stays in the cluster.
 */
export default defineFunction<Settings>({
  name: 'filters',
  triggers: [
    { type: 'ApiServerSource', resources: [configMaps, observationFilters] },
    { type: 'PingSource', schedule: 'RESYNC_INTERVAL_MINUTES' },
    { type: 'Start' },
  ],
  settings,
  permissions: [
    observationWrites,
    { group: 'zen.kube-zen.io', resources: ['observationfilters'], verbs: ['list'] },
    { group: 'zen.kube-zen.io', resources: ['observationfilters/status'], verbs: ['patch'] },
    {
      group: 'zen.kube-zen.io',
      resources: ['observationfilters'],
      verbs: ['create', 'patch', 'delete'],
      scope: 'system',
    },
    { group: '', resources: ['configmaps'], verbs: ['get'], scope: 'system' },
  ],
  async handle(_event, context) {
    const summary = await context.coalesce(intervalMilliseconds, async () => {
      const configured = await applyConfigMap(context);
      return addSummaries(configured, await judgeAll(context));
    });
    return summary ?? summaryOf({ skipped: { coalesced: 1 } });
  },
});

async function applyConfigMap(context: Context<Settings>): Promise<Summary> {
  const { objects, settings: set, signal } = context;
  const namespace = namespaceOf(configMaps, set);
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: set.FILTER_CONFIGMAP_NAME };
  const configMap = await objects.get(configMaps, ref, signal);
  try {
    const isThere = configMap !== undefined && !configMap.metadata.deletionTimestamp;
    const wanted = isThere ? filtersIn(configMap, context) : [];
    await makeEqual(wanted, context);
    return emptySummary;
  } catch (error) {
    if (!(error instanceof Refusal) || error.status === 503) throw error;
    return reportInvalid(ref, error, context);
  }
}

/** The ObservationFilters that a ConfigMap asks for. Throws a Refusal 422 that names the field. */
function filtersIn(configMap: KubernetesObject, { settings: set }: Context<Settings>): KubernetesObject[] {
  const key = set.FILTER_CONFIGMAP_KEY;
  const schema = z.object({ data: z.object({ [key]: z.string() }) });
  const data = schema.safeParse(configMap).data?.data[key];
  if (data === undefined) throw new Refusal(422, 'the ConfigMap has no such key', { path: `data.${key}` });
  const parsed = configuration.safeParse(parseJson(new TextEncoder().encode(data), key));
  if (!parsed.success) {
    const { field, message } = faultyField(parsed.error);
    throw new Refusal(422, message, { path: field || key });
  }
  return Object.entries(parsed.data.sources).map(([source, rules]) => ({
    ...{ apiVersion: 'zen.kube-zen.io/v1alpha1', kind: observationFilters.kind },
    metadata: {
      ...{ name: `${set.FILTER_CONFIGMAP_NAME}-${source}`, namespace: set.SYSTEM_NAMESPACE },
      labels: { [ownLabel]: set.FILTER_CONFIGMAP_NAME },
    },
    spec: { targetSource: source, ...rules },
  }));
}

/** Makes, changes and deletes what carries our label; nothing is touched unless all that is wanted can be. */
async function makeEqual(wanted: readonly KubernetesObject[], context: Context<Settings>): Promise<void> {
  const { objects, settings: set, signal } = context;
  const there = new Map<string, KubernetesObject>();
  for await (const filter of objects.list(observationFilters, set.SYSTEM_NAMESPACE, signal)) {
    there.set(filter.metadata.name, filter);
  }
  const isOwn = ({ metadata }: KubernetesObject): boolean => metadata.labels?.[ownLabel] === set.FILTER_CONFIGMAP_NAME;
  for (const { metadata } of wanted) {
    const existing = there.get(metadata.name);
    if (existing && !isOwn(existing)) {
      throw new Refusal(422, 'an ObservationFilter of this name is not ours', { path: metadata.name });
    }
  }
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const changed = wanted.filter((filter) => !isSame(there.get(filter.metadata.name), filter));
  await forEachConcurrently(changed, callsInFlight, (filter) => objects.apply(observationFilters, filter, signal));
  const doomed = [...there.values()].filter((filter) => isOwn(filter) && !names.has(filter.metadata.name));
  await forEachConcurrently(doomed, callsInFlight, (filter) => objects.delete(observationFilters, filter, signal));
}

const withSpec = z.object({ spec: filterSpec });

function isSame(existing: KubernetesObject | undefined, wanted: KubernetesObject): boolean {
  return canonical(existing) === canonical(wanted);
}

/** What an ObservationFilter says, its fields in the schema's order; nothing of one that is not there or is invalid. */
function canonical(filter: KubernetesObject | undefined): string {
  return JSON.stringify(withSpec.safeParse(filter).data ?? {});
}

function reportInvalid(
  resource: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace?: string | undefined;
    readonly name: string;
  },
  { message, path }: Refusal,
  context: Context<Settings>,
): Promise<Summary> {
  const { kind, namespace, name } = resource;
  return recordOperations(
    'filters',
    {
      eventType: 'invalid-configuration',
      resource,
      identity: { object: [kind, namespace, name].join('/'), field: path },
      details: { message: `the filters stay as they were: ${path}: ${message}`, field: path },
      detectedAt: new Date(context.now()).toISOString(),
    },
    context,
  );
}

function conditionOf(filter: KubernetesObject): Condition {
  const parsed = withSpec.safeParse(filter);
  if (parsed.success) return accepted;
  const { field, message } = faultyField(parsed.error);
  return refused('Invalid', `${field}: ${message}`);
}

/** Says of each ObservationFilter whether it can be read: one that can't stops its source. */
async function judgeAll(context: Context<Settings>): Promise<Summary> {
  const { objects, settings: set, signal } = context;
  const judged = async (filter: KubernetesObject): Promise<void> => {
    await setConditions(observationFilters, filter, [conditionOf(filter)], context);
  };
  await forEachConcurrently(objects.list(observationFilters, set.WATCH_NAMESPACE, signal), callsInFlight, judged);
  return emptySummary;
}
