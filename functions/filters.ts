import * as z from 'zod';
import { accepted, type Condition, refused } from '../shared/api/condition.ts';
import { group } from '../shared/api/group.ts';
import { configMaps, type KindSelector, selectIn } from '../shared/api/kind-selector.ts';
import { filterRules, filterSpec, observationFilters, sourceName } from '../shared/api/observation-filter.ts';
import { leftOutCondition } from '../shared/function/bounded-objects.ts';
import type { Context } from '../shared/function/context.ts';
import { defineTask, observationWrites } from '../shared/function/definitions.ts';
import { parseJson } from '../shared/function/json.ts';
import { faultyField, Refusal } from '../shared/function/refusal.ts';
import type { CommonSettings } from '../shared/function/settings.ts';
import type { KubernetesObject, ObjectRef } from '../shared/function/stores.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { changedSinceFailing, setConditions } from '../shared/pipeline/conditions.ts';
import { listConfiguration } from '../shared/pipeline/list-configuration.ts';
import type { OperationsReport } from '../shared/pipeline/operations.ts';
import { settleOperations } from '../shared/pipeline/settle-operations.ts';
import { filterFault, readRules } from '../shared/rules/filter.ts';

const settingsSchema = z.object({
  FILTER_CONFIGMAP_NAME: z.string().default('zen-watcher-filter'),
  FILTER_CONFIGMAP_NAMESPACE: z.string().optional(),
  FILTER_CONFIGMAP_KEY: z.string().default('filter.json'),
});

type Settings = z.infer<typeof settingsSchema>;

/** The label of ObservationFilters that were made from a ConfigMap; its value is the ConfigMap's name. */
const ownLabel = `${group}/filter-configmap`;

/**
 * The contents of the ConfigMap: rules by source. An entry has no targetSource of its own, which could contradict its
 * key.
 */
const configuration = z.strictObject({ sources: z.record(sourceName, filterRules) });

/** Changes in bursts are handled together, but each must take effect within two seconds. */
const intervalMilliseconds = 500;

/**
 * Makes ObservationFilters from the filter ConfigMap, and sets the condition Accepted of every ObservationFilter. An
 * invalid ConfigMap changes nothing: the filters that the last valid one was made into stay in the cluster.
 */
export default defineTask<Settings>({
  name: 'filters',
  triggers: (settings) => [
    { type: 'ApiServerSource', kinds: [filterConfigMaps(settings), selectIn(observationFilters, settings)] },
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
    { type: 'Start' },
  ],
  settings: settingsSchema,
  permissions: [
    { ...observationWrites, verbs: [...observationWrites.verbs, 'list', 'patch'] },
    { group, resources: ['observationfilters'], verbs: ['list'] },
    { group, resources: ['observationfilters/status'], verbs: ['patch'] },
    {
      group,
      resources: ['observationfilters'],
      verbs: ['create', 'patch', 'delete'],
      scope: 'system',
    },
    { group: '', resources: ['configmaps'], verbs: ['get'], scope: 'system' },
  ],
  async handle(_event, context) {
    const isDone = await context.coalesce(intervalMilliseconds, async () => {
      await applyConfigMap(context);
      await judgeAll(context);
      return true;
    });
    if (!isDone) context.event.tally.skipped('coalesced');
  },
});

/** Selects the namespace of the filter ConfigMap. */
function filterConfigMaps(settings: Settings & CommonSettings): KindSelector {
  return selectIn(configMaps, settings, settings.FILTER_CONFIGMAP_NAMESPACE ?? settings.SYSTEM_NAMESPACE);
}

async function applyConfigMap(context: Context<Settings>): Promise<void> {
  const { cluster, settings, event } = context;
  const { namespace } = filterConfigMaps(settings);
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: settings.FILTER_CONFIGMAP_NAME };
  const configMap = await cluster.objects.get(configMaps, ref, event.signal);
  try {
    const exists = configMap !== undefined && !configMap.metadata.deletionTimestamp;
    const wanted = exists ? filtersIn(configMap, context) : [];
    await synchronize(wanted, context);
    await settleOperations('filters', ref, [], context);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status === 503) throw error;
    await settleOperations('filters', ref, [invalidConfiguration(ref, error, context)], context);
  }
}

/** The ObservationFilters that a ConfigMap describes. Throws a Refusal 422 that names the field. */
function filtersIn(configMap: KubernetesObject, { settings }: Context<Settings>): KubernetesObject[] {
  const key = settings.FILTER_CONFIGMAP_KEY;
  const schema = z.object({ data: z.object({ [key]: z.string() }) });
  const data = schema.safeParse(configMap).data?.data[key];
  if (data === undefined) throw new Refusal(422, 'the ConfigMap has no such key', { path: `data.${key}` });
  const parsed = configuration.safeParse(parseJson(new TextEncoder().encode(data), key));
  if (!parsed.success) {
    const { field, message } = faultyField(parsed.error);
    throw new Refusal(422, message, { path: field || key });
  }
  for (const [source, rules] of Object.entries(parsed.data.sources)) {
    const read = readRules(rules);
    if ('message' in read) throw new Refusal(422, read.message, { path: `sources.${source}.${read.field}` });
  }
  return Object.entries(parsed.data.sources).map(([source, rules]) => ({
    apiVersion: `${group}/v1alpha1`,
    kind: observationFilters.kind,
    metadata: {
      name: `${settings.FILTER_CONFIGMAP_NAME}-${source}`,
      namespace: settings.SYSTEM_NAMESPACE,
      labels: { [ownLabel]: settings.FILTER_CONFIGMAP_NAME },
    },
    spec: { targetSource: source, ...rules },
  }));
}

/**
 * Makes the ObservationFilters with our label match the wanted ones. Changes nothing if one of the wanted names is
 * taken by a filter without our label.
 */
async function synchronize(wanted: readonly KubernetesObject[], context: Context<Settings>): Promise<void> {
  const {
    cluster: { objects },
    settings,
    event: { signal },
  } = context;
  const existing = new Map<string, KubernetesObject>();
  for await (const filter of objects.list(observationFilters, settings.SYSTEM_NAMESPACE, signal)) {
    existing.set(filter.metadata.name, filter);
  }
  const isOwn = ({ metadata }: KubernetesObject): boolean =>
    metadata.labels?.[ownLabel] === settings.FILTER_CONFIGMAP_NAME;
  for (const { metadata } of wanted) {
    const taken = existing.get(metadata.name);
    if (taken && !isOwn(taken)) {
      throw new Refusal(422, 'an ObservationFilter of this name is not ours', { path: metadata.name });
    }
  }
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const changed = wanted.filter((filter) => !isSame(existing.get(filter.metadata.name), filter));
  await forEachConcurrently(changed, callsInFlight, (filter) => objects.apply(observationFilters, filter, signal));
  const toDelete = [...existing.values()].filter((filter) => isOwn(filter) && !names.has(filter.metadata.name));
  await forEachConcurrently(toDelete, callsInFlight, (filter) => objects.delete(observationFilters, filter, signal));
}

const withSpec = z.object({ spec: filterSpec });

function isSame(existing: KubernetesObject | undefined, wanted: KubernetesObject): boolean {
  return canonical(existing) === canonical(wanted);
}

/** The spec of an ObservationFilter as text, in the schema's order of fields; `{}` if it is missing or invalid. */
function canonical(filter: KubernetesObject | undefined): string {
  return JSON.stringify(withSpec.safeParse(filter).data ?? {});
}

function invalidConfiguration(
  resource: ObjectRef,
  { message, path }: Refusal,
  { clock }: Context<Settings>,
): OperationsReport {
  const { kind, namespace, name } = resource;
  return {
    eventType: 'invalid-configuration',
    summary: `the filters in ${kind} ${name} are not used: ${path}: ${message}`,
    resource,
    identity: { object: [kind, namespace, name].join('/'), field: path },
    details: { message: `the filters stay as they were: ${path}: ${message}`, field: path },
    detectedAt: new Date(clock.now()).toISOString(),
  };
}

function conditionOf(filter: KubernetesObject): Condition {
  const leftOut = leftOutCondition(filter);
  if (leftOut) return leftOut;
  const fault = filterFault(filter);
  return fault ? refused('Invalid', `${fault.field}: ${fault.message}`) : accepted;
}

/** Sets the condition Accepted of each ObservationFilter, since an invalid one stops its source. */
async function judgeAll(context: Context<Settings>): Promise<void> {
  await forEachConcurrently(await listConfiguration(observationFilters, context), callsInFlight, (filter) =>
    setConditions(observationFilters, filter, [conditionOf(filter), ...changedSinceFailing(filter)], context),
  );
}
