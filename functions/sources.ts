import * as z from 'zod';
import { ingesters } from '../shared/api/ingester.ts';
import type { KindSelector } from '../shared/api/kind-selector.ts';
import { alwaysServed, apiServerSourceName, apiServerSources, guessedPlural } from '../shared/api/knative-kinds.ts';
import { observationMappings } from '../shared/api/observation-mapping.ts';
import { retry } from '../shared/function/backoff.ts';
import { pingOf } from '../shared/function/cloud-event.ts';
import type { Context, FunctionInfo } from '../shared/function/context.ts';
import { defineTask } from '../shared/function/definitions.ts';
import { Refusal } from '../shared/function/refusal.ts';
import type { CommonSettings } from '../shared/function/settings.ts';
import type { KubernetesObject } from '../shared/function/stores.ts';
import type { Tally } from '../shared/function/tally.ts';
import { objects } from '../shared/function/triggers.ts';
import { judgeMappings, mappingKinds } from '../shared/rules/accepted-mappings.ts';

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

/** On what this function makes; anything else is left alone. */
const ownLabel = `${ingesters.group}/made-by`;

/** An installation brings dozens of CRDs at a time: they are looked at together. */
const intervalMilliseconds = 10_000;

/**
 * Keeps an ApiServerSource for each function and API group of which the cluster serves kinds that the function wants.
 * It is taken away when the kinds are gone, and left as it is while that can't be told: the server of an API group may
 * only be down. https://knative.dev/docs/eventing/sources/apiserversource/
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
      group: apiServerSources.group,
      resources: [apiServerSources.plural],
      verbs: ['list', 'create', 'patch', 'delete'],
      scope: 'system',
    },
  ],
  seesOthers: true,
  async handle(_event, context) {
    const { cluster, event } = context;
    if (!cluster.hasApiServerSources) return event.tally.skipped('no_api_server_sources');
    const changed = await context.coalesce(intervalMilliseconds, () => keepSources(context));
    if (changed) await pingAll(changed, context);
    else event.tally.skipped('coalesced');
  },
});

/** What an ApiServerSource of ours says. */
const sourceSchema = z.object({
  spec: z.looseObject({
    resources: z.array(z.looseObject({ apiVersion: z.string(), kind: z.string() })).default([]),
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

/** Makes the ApiServerSources what they should be; resolves to the functions whose sources it has made or changed. */
async function keepSources(context: Context): Promise<readonly FunctionInfo[]> {
  const { cluster, settings, event } = context;
  const there = new Map<string, KubernetesObject>();
  for await (const source of cluster.objects.list(apiServerSources, settings.SYSTEM_NAMESPACE, event.signal)) {
    there.set(source.metadata.name, source);
  }
  const lookUp = await createKindLookup(context);
  const changed = new Set<FunctionInfo>();
  for (const wanted of wantedSources(await mappedKinds(context), context)) {
    const existing = there.get(wanted.name);
    there.delete(wanted.name);
    if (await keep(wanted, existing, lookUp, context)) changed.add(wanted.info);
  }
  for (const source of there.values()) {
    if (isOwn(source)) await cluster.objects.delete(apiServerSources, source, event.signal);
  }
  return [...changed];
}

function wantedSources(mapped: readonly WantedKind[], context: Context): WantedSource[] {
  return context.functions.flatMap((info) => {
    const own: readonly WantedKind[] = info.kinds.filter((kind) => isForUs(kind, context));
    const byGroup = Map.groupBy([...own, ...(info.takesMappedKinds ? mapped : [])], ({ group }) => group);
    return [...byGroup].map(([group, kinds]) => ({ name: apiServerSourceName(info.name, group), info, group, kinds }));
  });
}

/** A kind of which the kind or the plural is enough. */
interface WantedKind extends Pick<KindSelector, 'group' | 'versions' | 'labels'> {
  readonly kind: string | undefined;
  readonly plural: string | undefined;
}

/** What the accepted ObservationMappings and Ingesters name. */
async function mappedKinds({ cluster, functions, settings, event }: Context): Promise<WantedKind[]> {
  const { WATCH_NAMESPACE, SYSTEM_NAMESPACE: systemNamespace } = settings;
  const mappings = await Array.fromAsync(cluster.objects.list(observationMappings, WATCH_NAMESPACE, event.signal));
  const all = await Array.fromAsync(cluster.objects.list(ingesters, WATCH_NAMESPACE, event.signal));
  const functionNames = functions.map(({ name }) => name);
  const judged = judgeMappings({ mappings, ingesters: all, systemNamespace, functionNames });
  return judged
    .map(({ mapped }) => mapped?.kind)
    .filter((kind) => kind !== undefined)
    .map(({ group, version, kind, plural }) => ({ group, versions: [version], kind, plural }));
}

/** A tenant's zen-watcher has no right outside its namespace; what every cluster serves has been applied with us. */
function isForUs({ group, namespaced }: KindSelector, { settings }: Context): boolean {
  return !alwaysServed.has(group) && (namespaced || settings.WATCH_NAMESPACE === undefined);
}

function isOwn({ metadata }: KubernetesObject): boolean {
  return metadata.labels?.[ownLabel] === 'sources';
}

/** Makes one ApiServerSource what it should be; resolves to whether it was made or changed. */
async function keep(
  { name, info, group, kinds }: WantedSource,
  existing: KubernetesObject | undefined,
  lookUp: KindLookup,
  { cluster: { objects }, settings, event: { signal, tally } }: Context,
): Promise<boolean> {
  if (existing && !isOwn(existing)) {
    tally.warning(`the ApiServerSource ${name} is not ours: nothing is done about ${group} for ${info.name}`);
    return false;
  }
  const watched = await watchedKinds(kinds, existing, lookUp, tally);
  if (watched.length === 0) {
    if (existing) await objects.delete(apiServerSources, existing, signal);
    return false;
  }
  const source = sourceFor(name, info, watched, settings);
  if (existing && includesFields(existing, source)) return false;
  await objects.apply(apiServerSources, source, signal);
  return true;
}

function sourceFor(
  name: string,
  info: FunctionInfo,
  resources: readonly WatchedKind[],
  { SYSTEM_NAMESPACE: namespace, WATCH_NAMESPACE: watched }: CommonSettings,
): KubernetesObject & { readonly spec: object } {
  return {
    apiVersion: 'sources.knative.dev/v1',
    kind: 'ApiServerSource',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'zen-watcher', [ownLabel]: 'sources' },
    },
    spec: {
      mode: 'Reference',
      serviceAccountName: `${info.name}-source`,
      ...(watched === undefined && { namespaceSelector: {} }),
      resources,
      sink: { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name: info.name, namespace } },
    },
  };
}

/** Whether an object has all that is wanted of it; what Knative fills in besides does not count. */
function includesFields(has: unknown, wants: unknown): boolean {
  if (Array.isArray(wants)) {
    return (
      Array.isArray(has) &&
      has.length === wants.length &&
      wants.every((item, index) => includesFields(has[index], item))
    );
  }
  if (typeof wants !== 'object' || wants === null) return has === wants;
  const fields = new Map<string, unknown>(typeof has === 'object' && has !== null ? Object.entries(has) : []);
  return Object.entries(wants).every(([key, value]) => fields.has(key) && includesFields(fields.get(key), value));
}

/** Where a kind is served: the version and its real plural, or that it is gone, or that this can't be told now. */
type Presence = { readonly version: string; readonly kind: string; readonly plural: string } | 'gone' | 'unknown';

type KindLookup = (wanted: WantedKind) => Promise<Presence>;

async function createKindLookup({ cluster, settings, event: { signal } }: Context): Promise<KindLookup> {
  const { kinds: discovery, objects } = cluster;
  if (!discovery) return async () => 'unknown';
  const groups = await discovery.groups(signal);
  const kinds = new Map<string, ReturnType<typeof discovery.kinds>>();
  const kindsIn = (group: string, version: string): ReturnType<typeof discovery.kinds> => {
    const key = `${group}/${version}`;
    const asked = kinds.get(key) ?? discovery.kinds(group, version, signal);
    kinds.set(key, asked);
    return asked;
  };

  /** A server that has just started does not serve all its kinds yet: gone is what has no definition either. */
  async function isDefined({ kind, plural = guessedPlural(String(kind)), group }: WantedKind): Promise<boolean> {
    if (settings.WATCH_NAMESPACE !== undefined || alwaysServed.has(group)) return false;
    const ref = { apiVersion: 'apiextensions.k8s.io/v1', kind: crds.kind, name: `${plural}.${group}` };
    return (await objects.get(crds, ref, signal)) !== undefined;
  }

  return async (wanted) => {
    const served = groups.get(wanted.group);
    if (!served) return (await isDefined(wanted)) ? 'unknown' : 'gone';
    for (const version of wanted.versions.filter((one) => served.includes(one))) {
      const there = await kindsIn(wanted.group, version);
      if (!there) return 'unknown';
      const found = there.find(({ kind, plural }) =>
        wanted.kind === undefined ? plural === wanted.plural : kind === wanted.kind,
      );
      if (found) return { version, ...found };
    }
    return (await isDefined(wanted)) ? 'unknown' : 'gone';
  };
}

/** What an ApiServerSource is to watch of these kinds; of those that can't be looked up now, what it watches already. */
async function watchedKinds(
  wanted: readonly WantedKind[],
  existing: KubernetesObject | undefined,
  lookUp: KindLookup,
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
  if (presence === 'unknown') return before.filter((kind) => isMeant(wanted, kind));
  const { group, labels } = wanted;
  const { version, kind, plural } = presence;
  if (plural !== guessedPlural(kind)) {
    tally.warning(`${plural}.${group} are found by the completeness pass only: Knative guesses another plural`);
    return [];
  }
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return [{ apiVersion, kind, ...(labels && { selector: { matchLabels: labels } }) }];
}

function isMeant({ kind, plural }: WantedKind, watched: WatchedKind): boolean {
  return kind === undefined ? guessedPlural(watched.kind) === plural : watched.kind === kind;
}

/** A source never sends what was there before it: the function's pass finds that, now instead of at its hour. */
async function pingAll(changed: readonly FunctionInfo[], context: Context): Promise<void> {
  const { tally } = context.event;
  tally.observed(changed.length);
  await Promise.all(
    changed.map(async (info) => {
      if (!(await ping(info, context))) {
        tally.warning(`${info.name} did not take its first ping: its pass comes at its hour`);
      }
    }),
  );
}

/** Whether the function has taken a ping, after a few attempts: its first start may take seconds. */
async function ping({ name, url }: FunctionInfo, { broker, clock, settings, event }: Context): Promise<boolean> {
  const attempt = async (): Promise<void> => {
    const status = await broker.sendTo(url, pingOf(name, settings.SYSTEM_NAMESPACE, clock.now()), event.signal);
    if (status < 200 || status >= 300) throw new Refusal(503, 'a ping was not taken', { cause: `status ${status}` });
  };
  const options = { first: 1000, longest: 8000, attempts: 5, sleep: clock.sleep, signal: event.signal };
  return retry(attempt, options).then(
    () => true,
    () => false,
  );
}
