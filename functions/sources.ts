import * as z from 'zod';
import { ingesters } from '../shared/api/ingester.ts';
import type { KindSelector } from '../shared/api/kind-selector.ts';
import {
  alwaysServed,
  apiServerSourceName,
  apiServerSources,
  guessedPlural,
  tenantsSourceName,
  whyPassOnly,
} from '../shared/api/knative-kinds.ts';
import { observationMappings } from '../shared/api/observation-mapping.ts';
import { type Context, type FunctionInfo, reservedNames } from '../shared/function/context.ts';
import { defineTask } from '../shared/function/definitions.ts';
import type { CommonSettings } from '../shared/function/settings.ts';
import type { KubernetesObject, ServedKind } from '../shared/function/stores.ts';
import type { Tally } from '../shared/function/tally.ts';
import { objects } from '../shared/function/triggers.ts';
import { listConfiguration } from '../shared/pipeline/list-configuration.ts';
import { judgeMappings, mappingKinds } from '../shared/rules/accepted-mappings.ts';
import { type ChangedSource, findFirst } from './sources/first-findings.ts';

const crds: KindSelector = {
  group: 'apiextensions.k8s.io',
  versions: ['v1'],
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

const apiServices: KindSelector = {
  group: 'apiregistration.k8s.io',
  versions: ['v1'],
  kind: 'APIService',
  plural: 'apiservices',
  namespaced: false,
};

const serviceAccounts: KindSelector = {
  group: '',
  versions: ['v1'],
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
};

/** The label of the objects that this function creates. It leaves all others alone. */
const ownLabel = `${ingesters.group}/made-by`;

/** Installing a tool creates dozens of CRDs at a time, which are handled together. */
const intervalMilliseconds = 10_000;

/**
 * Maintains an ApiServerSource for each function and API group, if the cluster serves kinds of the group that the
 * function wants. Deletes it when those kinds are gone, but leaves it alone while that is unknown, since the API
 * group's server may just be down. https://knative.dev/docs/eventing/sources/apiserversource/
 */
export default defineTask({
  name: 'sources',
  triggers: (settings) => [
    objects([crds, apiServices, ...mappingKinds], settings),
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
    { type: 'Start' },
  ],
  settings: z.object({}),
  permissions: [
    { group: crds.group, resources: [crds.plural], verbs: ['get'], scope: 'cluster' },
    { group: ingesters.group, resources: [ingesters.plural, observationMappings.plural], verbs: ['list'] },
    {
      ...{ group: 'authorization.k8s.io', resources: ['subjectaccessreviews'], verbs: ['create'] },
      ...{ scope: 'cluster', isForKnative: true },
    },
    {
      group: apiServerSources.group,
      resources: [apiServerSources.plural],
      verbs: ['list', 'create', 'patch', 'delete'],
      scope: 'system',
      isForKnative: true,
    },
    {
      ...{ group: serviceAccounts.group, resources: [serviceAccounts.plural], verbs: ['get'] },
      ...{ scope: 'system', isForKnative: true },
    },
  ],
  seesOthers: true,
  callsFunctions: true,
  async handle(_event, context) {
    const { cluster, event } = context;
    if (!cluster.hasApiServerSources) return event.tally.skipped('no_api_server_sources');
    const changed = await context.coalesce(intervalMilliseconds, () => syncSources(context));
    if (changed) await findFirst(changed, context);
    else event.tally.skipped('coalesced');
  },
});

/** The parts of an ApiServerSource that are read here. */
const sourceSchema = z.object({
  spec: z.looseObject({
    resources: z.array(z.looseObject({ apiVersion: z.string(), kind: z.string() })),
  }),
});

type WatchedKind = z.infer<typeof sourceSchema>['spec']['resources'][number];

/** The ApiServerSource that one function needs for one API group. */
interface WantedSource {
  readonly name: string;
  readonly info: FunctionInfo;
  readonly group: string;
  readonly kinds: readonly WantedKind[];
}

/** Creates, changes and deletes ApiServerSources; resolves to those that were created or changed. */
async function syncSources(context: Context): Promise<readonly ChangedSource[]> {
  const { cluster, settings, event } = context;
  const remaining = new Map<string, KubernetesObject>();
  for await (const source of cluster.objects.list(apiServerSources, settings.SYSTEM_NAMESPACE, event.signal)) {
    remaining.set(source.metadata.name, source);
  }
  const lookUp = await createKindLookup(context);
  const changed: ChangedSource[] = [];
  for (const wanted of wantedSources(await mappedKinds(context), context)) {
    const existing = remaining.get(wanted.name);
    remaining.delete(wanted.name);
    if (await syncSource(wanted, existing, lookUp, context)) changed.push(wanted);
  }
  for (const source of remaining.values()) {
    if (isOwn(source)) await cluster.objects.delete(apiServerSources, source, event.signal);
  }
  return changed;
}

function wantedSources(mapped: readonly WantedKind[], context: Context): WantedSource[] {
  return context.functions.flatMap((info) => {
    const own: readonly WantedKind[] = info.kinds.filter((kind) => needsSource(kind, context));
    const all = info.takesMappedKinds ? mapped : [];
    const senior = [...own, ...all.filter(({ isTenants }) => !isTenants)];
    const tenants = all.filter((kind) => kind.isTenants && !senior.some((other) => isSameKind(kind, other)));
    return [...sourcesFor(info, senior, apiServerSourceName), ...sourcesFor(info, tenants, tenantsSourceName)];
  });
}

function sourcesFor(
  info: FunctionInfo,
  all: readonly WantedKind[],
  nameOf: (functionName: string, group: string) => string,
): WantedSource[] {
  const byGroup = Map.groupBy(all, ({ group }) => group);
  return [...byGroup].map(([group, kinds]) => ({ name: nameOf(info.name, group), info, group, kinds }));
}

function isSameKind(a: WantedKind, b: WantedKind): boolean {
  return a.group === b.group && pluralOf(a) === pluralOf(b);
}

function pluralOf({ kind = '', plural = guessedPlural(kind) }: WantedKind): string {
  return plural;
}

/** A kind that a function wants, by its kind or its plural: at least one of the two is known. */
interface WantedKind extends Pick<KindSelector, 'group' | 'versions' | 'labels'> {
  readonly kind: string | undefined;
  readonly plural: string | undefined;
  /** Whether a mapping names it, so that it depends on somebody's ClusterRole whether it may be read. */
  readonly isMapped?: boolean;
  /** Whether that is a tenant's. */
  readonly isTenants?: boolean;
}

/** The kinds that accepted ObservationMappings and Ingesters name. */
async function mappedKinds(context: Context): Promise<WantedKind[]> {
  const { functions, settings } = context;
  const { SYSTEM_NAMESPACE: systemNamespace } = settings;
  const mappings = await listConfiguration(observationMappings, context);
  const all = await listConfiguration(ingesters, context);
  const functionNames = reservedNames(functions);
  const judged = judgeMappings({ mappings, ingesters: all, systemNamespace, functionNames });
  return judged.flatMap(({ mapping }) => {
    if (!mapping?.kind) return [];
    const { group, version, kind, plural } = mapping.kind;
    return [{ group, versions: [version], kind, plural, isMapped: true, isTenants: mapping.tenant !== undefined }];
  });
}

/**
 * Whether a kind needs a source from here. Those for groups that every cluster serves are part of the manifests, and a
 * tenant's zen-watcher may not read cluster-scoped kinds.
 */
function needsSource({ group, namespaced }: KindSelector, { settings }: Context): boolean {
  return !alwaysServed.has(group) && (namespaced || settings.WATCH_NAMESPACE === undefined);
}

function isOwn({ metadata }: KubernetesObject): boolean {
  return metadata.labels?.[ownLabel] === 'sources';
}

/** Creates, changes or deletes one ApiServerSource; resolves to whether it was created or changed. */
async function syncSource(
  { name, info, group, kinds }: WantedSource,
  existing: KubernetesObject | undefined,
  lookUp: KindLookup,
  { cluster: { objects }, settings, event: { signal, tally } }: Context,
): Promise<boolean> {
  if (existing && !isOwn(existing)) {
    tally.warning(`the ApiServerSource ${name} is not ours, so ${info.name} is not told about changes in ${group}`);
    return false;
  }
  const watched = await watchedKinds(kinds, existing, (one) => lookUp(one, info), tally);
  if (watched.length === 0) {
    if (existing) await objects.delete(apiServerSources, existing, signal);
    return false;
  }
  const account = { apiVersion: 'v1', kind: serviceAccounts.kind, name: accountOf(info) };
  const owner = await objects.get(serviceAccounts, { ...account, namespace: settings.SYSTEM_NAMESPACE }, signal);
  const source = sourceFor({ name, info, resources: watched, owner }, settings);
  if (existing && includesFields(existing, source)) return false;
  await objects.apply(apiServerSources, source, signal);
  return true;
}

/** The ServiceAccount of a function's sources. */
function accountOf({ name }: FunctionInfo): string {
  return `${name}-source`;
}

interface SourceParts {
  readonly name: string;
  readonly info: FunctionInfo;
  readonly resources: readonly WatchedKind[];
  readonly owner: KubernetesObject | undefined;
}

/** Its ServiceAccount owns it: without that it can't do anything, and it goes where a function is uninstalled. */
function sourceFor(
  { name, info, resources, owner }: SourceParts,
  { SYSTEM_NAMESPACE: namespace, WATCH_NAMESPACE: watchNamespace }: CommonSettings,
): KubernetesObject & { readonly spec: object } {
  return {
    apiVersion: 'sources.knative.dev/v1',
    kind: 'ApiServerSource',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'zen-watcher', [ownLabel]: 'sources' },
      ...(owner && { ownerReferences: [ownerReference(owner)] }),
    },
    spec: {
      mode: 'Reference',
      serviceAccountName: accountOf(info),
      ...(watchNamespace === undefined && { namespaceSelector: {} }),
      resources,
      sink: { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name: info.name, namespace } },
    },
  };
}

function ownerReference({ apiVersion, kind, metadata: { name, uid } }: KubernetesObject) {
  return { apiVersion, kind, name, uid };
}

/** Whether an object has all wanted fields. Others, which Knative has filled in, don't matter. */
function includesFields(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => includesFields(actual[index], item))
    );
  }
  if (typeof wanted !== 'object' || wanted === null) return actual === wanted;
  const fields = new Map<string, unknown>(Object.entries(actual ?? {}));
  return Object.entries(wanted).every(([key, value]) => fields.has(key) && includesFields(fields.get(key), value));
}

/** How a kind is served (its version and real plural), or that it is gone, or that this is unknown at the moment. */
type Presence = (ServedKind & { readonly version: string }) | 'gone' | 'unknown';

type KindLookup = (wanted: WantedKind, info: FunctionInfo) => Promise<Presence>;

async function createKindLookup({ cluster, settings, event: { signal } }: Context): Promise<KindLookup> {
  const { kinds: discovery, objects } = cluster;
  if (!discovery) return async () => 'unknown';
  const groups = await discovery.groups(signal);
  const kinds = new Map<string, ReturnType<typeof discovery.kinds>>();
  const kindsIn = (group: string, version: string): ReturnType<typeof discovery.kinds> => {
    const key = `${group}/${version}`;
    const request = kinds.get(key) ?? discovery.kinds(group, version, signal);
    kinds.set(key, request);
    return request;
  };

  /**
   * A server that has just started may not serve all its kinds yet, so a kind is gone only if it has no definition
   * either.
   */
  async function isDefined({ kind, plural = guessedPlural(String(kind)), group }: WantedKind): Promise<boolean> {
    if (settings.WATCH_NAMESPACE !== undefined || alwaysServed.has(group)) return false;
    const ref = { apiVersion: 'apiextensions.k8s.io/v1', kind: crds.kind, name: `${plural}.${group}` };
    return (await objects.get(crds, ref, signal)) !== undefined;
  }

  /**
   * Of what is mapped, only what the source's ServiceAccount may read: with anything else, Knative would make no adapter for
   * all of the group. A tenant's mapping reads nothing cluster-scoped.
   */
  const asPermitted = async (wanted: WantedKind, found: Presence & object, info: FunctionInfo): Promise<Presence> => {
    if (!wanted.isMapped || settings.WATCH_NAMESPACE !== undefined) return found;
    if (wanted.isTenants && !found.namespaced) return 'gone';
    const account = { namespace: settings.SYSTEM_NAMESPACE, name: accountOf(info) };
    const isAllowed = await discovery.mayWatch(account, { group: wanted.group, plural: found.plural }, signal);
    return isAllowed ? found : 'gone';
  };

  return async (wanted, info) => {
    const served = groups.get(wanted.group);
    if (!served) return (await isDefined(wanted)) ? 'unknown' : 'gone';
    for (const version of wanted.versions.filter((one) => served.includes(one))) {
      const servedKinds = await kindsIn(wanted.group, version);
      if (!servedKinds) return 'unknown';
      const found = servedKinds.find(({ kind, plural }) =>
        wanted.kind === undefined ? plural === wanted.plural : kind === wanted.kind,
      );
      if (found) return asPermitted(wanted, { version, ...found }, info);
    }
    return (await isDefined(wanted)) ? 'unknown' : 'gone';
  };
}

/** What an ApiServerSource should watch of these kinds. If a kind can't be looked up now, it stays as it is. */
async function watchedKinds(
  wanted: readonly WantedKind[],
  existing: KubernetesObject | undefined,
  lookUp: (wanted: WantedKind) => Promise<Presence>,
  tally: Tally,
): Promise<WatchedKind[]> {
  const before = sourceSchema.safeParse(existing).data?.spec.resources ?? [];
  const kinds = new Map<string, WatchedKind>();
  for (const one of wanted) {
    for (const kind of watchedAs(one, await lookUp(one), before, tally)) kinds.set(JSON.stringify(kind), kind);
  }
  return [...kinds.values()];
}

function watchedAs(
  wanted: WantedKind,
  presence: Presence,
  before: readonly WatchedKind[],
  tally: Tally,
): readonly WatchedKind[] {
  if (presence === 'gone') return [];
  if (presence === 'unknown') return before.filter((kind) => isKind(wanted, kind));
  const { group, labels } = wanted;
  const { version, kind, plural } = presence;
  const why = whyPassOnly({ group, kind, plural });
  if (why !== undefined) {
    tally.warning(`only the completeness pass sees ${plural}.${group}: ${why}`);
    return [];
  }
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return [{ apiVersion, kind, ...(labels && { selector: { matchLabels: labels } }) }];
}

function isKind({ kind, plural }: WantedKind, watched: WatchedKind): boolean {
  return kind === undefined ? guessedPlural(watched.kind) === plural : watched.kind === kind;
}
