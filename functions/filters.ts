import * as z from 'zod';
import { accepted, type Condition, refused } from '../shared/api/condition.ts';
import { group } from '../shared/api/group.ts';
import { configMaps, type KindSelector, selectIn } from '../shared/api/kind-selector.ts';
import { filterRules, filterSpec, observationFilters, sourceName } from '../shared/api/observation-filter.ts';
import type { Context } from '../shared/function/context.ts';
import { defineTask, observationWrites } from '../shared/function/definitions.ts';
import { parseJson } from '../shared/function/json.ts';
import { faultyField, Refusal } from '../shared/function/refusal.ts';
import type { CommonSettings } from '../shared/function/settings.ts';
import type { KubernetesObject } from '../shared/function/stores.ts';
import { callsInFlight, forEachConcurrently } from '../shared/pipeline/concurrency.ts';
import { setConditions } from '../shared/pipeline/conditions.ts';
import { recordOperations } from '../shared/pipeline/operations.ts';

const settings = z.object({
  FILTER_CONFIGMAP_NAME: z.string().default('zen-watcher-filter'),
  FILTER_CONFIGMAP_NAMESPACE: z.string().optional(),
  FILTER_CONFIGMAP_KEY: z.string().default('filter.json'),
});

type Settings = z.infer<typeof settings>;

/** On the ObservationFilters that a ConfigMap has become, with its name; all others are their users'. */
const ownLabel = `${group}/filter-configmap`;

/** An entry's own targetSource, where it has one, must not say something else than its key. */
const configuration = z.strictObject({ sources: z.record(sourceName, filterRules) });

/** Bursts of changes are looked at together; a change has to act within two seconds. */
const intervalMilliseconds = 500;

/**
 * Makes ObservationFilters of the filter ConfigMap, and says of every ObservationFilter whether it is accepted. A
 * ConfigMap that is invalid changes nothing: what the last good one has become stays in the cluster.
 */
export default defineTask<Settings>({
  name: 'filters',
  triggers: (set) => [
    { type: 'ApiServerSource', kinds: [filterConfigMaps(set), selectIn(observationFilters, set)] },
    { type: 'PingSource', minutes: set.RESYNC_INTERVAL_MINUTES },
    { type: 'Start' },
  ],
  settings,
  permissions: [
    observationWrites,
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

/** Where the filter ConfigMap is looked for. */
function filterConfigMaps(set: Settings & CommonSettings): KindSelector {
  return selectIn(configMaps, set, set.FILTER_CONFIGMAP_NAMESPACE ?? set.SYSTEM_NAMESPACE);
}

async function applyConfigMap(context: Context<Settings>): Promise<void> {
  const { cluster, settings: set, event } = context;
  const { namespace } = filterConfigMaps(set);
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: set.FILTER_CONFIGMAP_NAME };
  const configMap = await cluster.objects.get(configMaps, ref, event.signal);
  try {
    const isThere = configMap !== undefined && !configMap.metadata.deletionTimestamp;
    const wanted = isThere ? filtersIn(configMap, context) : [];
    await makeEqual(wanted, context);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status === 503) throw error;
    await reportInvalid(ref, error, context);
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
    apiVersion: `${group}/v1alpha1`,
    kind: observationFilters.kind,
    metadata: {
      ...{ name: `${set.FILTER_CONFIGMAP_NAME}-${source}`, namespace: set.SYSTEM_NAMESPACE },
      labels: { [ownLabel]: set.FILTER_CONFIGMAP_NAME },
    },
    spec: { targetSource: source, ...rules },
  }));
}

/** Makes, changes and deletes what carries our label; nothing is touched unless all that is wanted can be. */
async function makeEqual(wanted: readonly KubernetesObject[], context: Context<Settings>): Promise<void> {
  const {
    cluster: { objects },
    settings: set,
    event: { signal },
  } = context;
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
  const toDelete = [...there.values()].filter((filter) => isOwn(filter) && !names.has(filter.metadata.name));
  await forEachConcurrently(toDelete, callsInFlight, (filter) => objects.delete(observationFilters, filter, signal));
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
): Promise<void> {
  const { kind, namespace, name } = resource;
  return recordOperations(
    'filters',
    {
      eventType: 'invalid-configuration',
      resource,
      identity: { object: [kind, namespace, name].join('/'), field: path },
      details: { message: `the filters stay as they were: ${path}: ${message}`, field: path },
      detectedAt: new Date(context.clock.now()).toISOString(),
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
async function judgeAll(context: Context<Settings>): Promise<void> {
  const { cluster, settings: set, event } = context;
  const judged = async (filter: KubernetesObject): Promise<void> => {
    await setConditions(observationFilters, filter, [conditionOf(filter)], context);
  };
  await forEachConcurrently(
    cluster.objects.list(observationFilters, set.WATCH_NAMESPACE, event.signal),
    callsInFlight,
    judged,
  );
}
