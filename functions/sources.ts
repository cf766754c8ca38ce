import * as z from 'zod';
import { pingOf } from '../shared/function/cloud-event.ts';
import type { Context, Peer } from '../shared/function/context.ts';
import { defineFunction } from '../shared/function/function-definition.ts';
import {
  alwaysServed,
  apiServerSourceName,
  apiServerSources,
  guessedPlural,
  type Resource,
} from '../shared/function/resource.ts';
import type { Discovery, KubernetesObject } from '../shared/function/stores.ts';
import { type Summary, summaryOf } from '../shared/function/summary.ts';
import { judgeMappings, mappingKinds } from '../shared/mapping/mapped-sources.ts';
import { ingesters, observationMappings } from '../shared/mapping/mapping-spec.ts';

const crds: Resource = {
  ...{ group: 'apiextensions.k8s.io', versions: ['v1'], kind: 'CustomResourceDefinition' },
  ...{ plural: 'customresourcedefinitions', namespaced: false },
};
const apiServices: Resource = {
  ...{
    group: 'apiregistration.k8s.io',
    versions: ['v1'],
    kind: 'APIService',
    plural: 'apiservices',
    namespaced: false,
  },
};

/** On what this function makes; anything else is left alone. */
const ownLabel = 'zen.kube-zen.io/made-by';

/** An installation brings dozens of CRDs at a time: they are looked at together. */
const intervalMilliseconds = 10_000;

/**
 * Keeps an ApiServerSource for each function and API group of which the cluster serves kinds that the function wants.
 * It is taken away when the kinds are gone, and left as it is while that can't be told: the server of an API group may
 * only be down. https://knative.dev/docs/eventing/sources/apiserversource/
 */
export default defineFunction({
  name: 'sources',
  triggers: [
    { type: 'ApiServerSource', resources: [crds, apiServices, ...mappingKinds] },
    { type: 'PingSource', schedule: 'RESYNC_INTERVAL_MINUTES' },
    { type: 'Start' },
  ],
  settings: z.object({}),
  permissions: [
    { group: crds.group, resources: [crds.plural], verbs: ['get'], scope: 'cluster' },
    { group: ingesters.group, resources: [ingesters.plural, observationMappings.plural], verbs: ['list'] },
    {
      ...{ group: apiServerSources.group, resources: [apiServerSources.plural], scope: 'system' },
      verbs: ['list', 'create', 'patch', 'delete'],
    },
  ],
  seesOthers: true,
  async handle(_event, context) {
    const { discovery } = context;
    if (!discovery) return summaryOf({ skipped: { no_api_groups: 1 } });
    const changed = await context.coalesce(intervalMilliseconds, () => keepSources(context, discovery));
    return changed ? pingAll(changed, context) : summaryOf({ skipped: { coalesced: 1 } });
  },
});

/** What an ApiServerSource of ours says. */
const sourceSchema = z.object({
  spec: z.looseObject({
    resources: z.array(z.looseObject({ apiVersion: z.string(), kind: z.string() })).default([]),
  }),
});

type WatchedKind = z.infer<typeof sourceSchema>['spec']['resources'][number];

interface Changed {
  readonly peers: readonly Peer[];
  readonly warnings: readonly string[];
}

/** Makes the ApiServerSources what they should be; resolves to the functions whose sources it has made or changed. */
async function keepSources(context: Context, discovery: Discovery): Promise<Changed> {
  const there = new Map<string, KubernetesObject>();
  const namespace = context.settings.SYSTEM_NAMESPACE;
  for await (const source of context.objects.list(apiServerSources, namespace, context.signal)) {
    there.set(source.metadata.name, source);
  }
  const look = await lookAround(context, discovery);
  const mapped = await mappedKinds(context);
  const peers = new Set<Peer>();
  const warnings: string[] = [];
  for (const peer of context.functions) {
    const own = peer.resources.filter((resource) => isForUs(resource, context));
    const wanted = [...own, ...(peer.takesMappedKinds ? mapped : [])];
    for (const [group, resources] of Map.groupBy(wanted, (kind) => kind.group)) {
      const name = apiServerSourceName(peer.name, group);
      const existing = there.get(name);
      there.delete(name);
      if (existing && !isOwn(existing)) {
        warnings.push(`the ApiServerSource ${name} is not ours: nothing is done about ${group} for ${peer.name}`);
        continue;
      }
      const kinds = await kindsOf(resources, existing, look, warnings);
      if (await keep(name, peer, kinds, existing, context)) peers.add(peer);
    }
  }
  for (const source of there.values()) {
    if (isOwn(source)) await context.objects.delete(apiServerSources, source, context.signal);
  }
  return { peers: [...peers], warnings };
}

/** A kind of which the kind or the plural is enough. */
interface WantedKind extends Pick<Resource, 'group' | 'versions' | 'labels'> {
  readonly kind: string | undefined;
  readonly plural: string | undefined;
}

/** What the accepted ObservationMappings and Ingesters name. */
async function mappedKinds({ objects, functions, settings, signal }: Context): Promise<WantedKind[]> {
  const { WATCH_NAMESPACE, SYSTEM_NAMESPACE: systemNamespace } = settings;
  const mappings = await Array.fromAsync(objects.list(observationMappings, WATCH_NAMESPACE, signal));
  const all = await Array.fromAsync(objects.list(ingesters, WATCH_NAMESPACE, signal));
  const functionNames = functions.map(({ name }) => name);
  const judged = judgeMappings({ mappings, ingesters: all, systemNamespace, functionNames });
  return judged
    .map(({ mapped }) => mapped?.kind)
    .filter((kind) => kind !== undefined)
    .map(({ group, version, kind, plural }) => ({ group, versions: [version], kind, plural }));
}

/** A tenant's zen-watcher has no right outside its namespace; what every cluster serves has been applied with us. */
function isForUs({ group, namespaced }: Resource, { settings }: Context): boolean {
  return !alwaysServed.has(group) && (namespaced || settings.WATCH_NAMESPACE === undefined);
}

function isOwn({ metadata }: KubernetesObject): boolean {
  return metadata.labels?.[ownLabel] === 'sources';
}

/** Makes one ApiServerSource what it should be; resolves to whether it was made or changed. */
async function keep(
  name: string,
  peer: Peer,
  resources: readonly WatchedKind[],
  existing: KubernetesObject | undefined,
  { objects, settings, signal }: Context,
): Promise<boolean> {
  if (resources.length === 0) {
    if (existing) await objects.delete(apiServerSources, existing, signal);
    return false;
  }
  const source = {
    apiVersion: 'sources.knative.dev/v1',
    kind: 'ApiServerSource',
    metadata: {
      ...{ name, namespace: settings.SYSTEM_NAMESPACE },
      labels: { 'app.kubernetes.io/part-of': 'zen-watcher', [ownLabel]: 'sources' },
    },
    spec: {
      mode: 'Reference',
      serviceAccountName: `${peer.name}-source`,
      ...(settings.WATCH_NAMESPACE === undefined && { namespaceSelector: {} }),
      resources,
      sink: {
        ref: {
          ...{ apiVersion: 'serving.knative.dev/v1', kind: 'Service' },
          ...{ name: peer.name, namespace: settings.SYSTEM_NAMESPACE },
        },
      },
    },
  };
  if (existing && holds(existing, source)) return false;
  await objects.apply(apiServerSources, source, signal);
  return true;
}

/** Whether an object has all that is wanted of it; what Knative fills in besides does not count. */
function holds(has: unknown, wants: unknown): boolean {
  if (Array.isArray(wants)) {
    return Array.isArray(has) && has.length === wants.length && wants.every((item, index) => holds(has[index], item));
  }
  if (typeof wants !== 'object' || wants === null) return has === wants;
  const fields = new Map<string, unknown>(Object.entries(has ?? {}));
  return Object.entries(wants).every(([key, value]) => fields.has(key) && holds(fields.get(key), value));
}

/** Where a kind is served: the version and its real plural, or that it is gone, or that this can't be told now. */
type Presence = { readonly version: string; readonly kind: string; readonly plural: string } | 'gone' | 'unknown';

type Look = (wanted: WantedKind) => Promise<Presence>;

async function lookAround({ objects, settings, signal }: Context, discovery: Discovery): Promise<Look> {
  const groups = await discovery.groups(signal);
  const kinds = new Map<string, ReturnType<Discovery['kinds']>>();
  const kindsIn = (group: string, version: string): ReturnType<Discovery['kinds']> => {
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

async function kindsOf(
  wanted: readonly WantedKind[],
  existing: KubernetesObject | undefined,
  look: Look,
  warnings: string[],
): Promise<WatchedKind[]> {
  const before = sourceSchema.safeParse(existing).data?.spec.resources ?? [];
  const kinds = new Map<string, WatchedKind>();
  const add = (kind: WatchedKind): void => void kinds.set(JSON.stringify(kind), kind);
  for (const one of wanted) {
    const { group, labels } = one;
    const presence = await look(one);
    if (presence === 'gone') continue;
    if (presence === 'unknown') {
      for (const kind of before) if (isMeant(one, kind)) add(kind);
    } else if (presence.plural !== guessedPlural(presence.kind)) {
      warnings.push(`${presence.plural}.${group} are found by the completeness pass only: Knative misses their plural`);
    } else {
      const selector = labels && { selector: { matchLabels: labels } };
      const apiVersion = group === '' ? presence.version : `${group}/${presence.version}`;
      add({ apiVersion, kind: presence.kind, ...selector });
    }
  }
  return [...kinds.values()];
}

function isMeant({ kind, plural }: WantedKind, watched: WatchedKind): boolean {
  return kind === undefined ? guessedPlural(watched.kind) === plural : watched.kind === kind;
}

/** A source never sends what was there before it: the function's pass finds that, now instead of at its hour. */
async function pingAll({ peers, warnings }: Changed, context: Context): Promise<Summary> {
  const answers = await Promise.all(peers.map(async (peer) => ({ peer, answered: await ping(peer, context) })));
  const unanswered = answers.filter(({ answered }) => !answered);
  const missed = unanswered.map(({ peer }) => `${peer.name} did not take its first ping: its pass comes at its hour`);
  return summaryOf({ observed: peers.length, warnings: [...warnings, ...missed] });
}

const pauses = [1000, 2000, 4000, 8000, 0];

async function ping({ name, url }: Peer, context: Context): Promise<boolean> {
  const { now, settings, signal } = context;
  for (const pause of pauses) {
    const status = await context.deliver(url, pingOf(name, settings.SYSTEM_NAMESPACE, now()), signal);
    if (status >= 200 && status < 300) return true;
    await context.sleep(pause, signal);
  }
  return false;
}
