import * as z from 'zod';
import type { Condition } from '../shared/api/condition.ts';
import { ingesters } from '../shared/api/ingester.ts';
import { groupVersionOf, type KindSelector, selectIn } from '../shared/api/kind-selector.ts';
import { apiServerSources, guessedPlural } from '../shared/api/knative-kinds.ts';
import { labels } from '../shared/api/labels.ts';
import { observationFilters } from '../shared/api/observation-filter.ts';
import { observationMappings } from '../shared/api/observation-mapping.ts';
import { contentHash } from '../shared/finding/canonical-json.ts';
import type { Counts, Normalized } from '../shared/finding/finding.ts';
import { type CloudEvent, isPing, isReference } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import type { SourceDefinition } from '../shared/function/definitions.ts';
import { defineTask, observationWrites } from '../shared/function/definitions.ts';
import { Refusal } from '../shared/function/refusal.ts';
import type { KubernetesObject, Stored } from '../shared/function/stores.ts';
import { objects, type PathContext } from '../shared/function/triggers.ts';
import { setConditions } from '../shared/pipeline/conditions.ts';
import { observeEvent } from '../shared/pipeline/observe.ts';
import { ageOrphans, reconcilePass } from '../shared/pipeline/pass.ts';
import {
  apiServerSourceCondition,
  isIncomplete,
  notReadyCondition,
  readyCondition,
  resolveKind,
} from '../shared/pipeline/readiness.ts';
import { reconcileReference, referenceOf } from '../shared/pipeline/reference.ts';
import {
  type AcceptedMapping,
  appliesTo,
  judgeMappings,
  type MappedKind,
  mappingKinds,
  type Verdict,
} from '../shared/rules/accepted-mappings.ts';

const eventType = 'io.kube-zen.ingest.v1';
const settings = z.object({});
const inFlight = 100;

/** Changes of mappings are looked at together; each has to act within two seconds. */
const intervalMilliseconds = 500;

/**
 * Any other tool: what ObservationMapping and Ingester objects say about kinds of objects, and about what is posted below
 * `/ingest/`. Outside the system namespace they see and write their own namespace alone.
 */
export default defineTask({
  name: 'ingest',
  triggers: (set) => [
    objects(mappingKinds, set),
    { type: 'MappedKinds' },
    { type: 'PingSource', minutes: set.RESYNC_INTERVAL_MINUTES },
    { type: 'Start' },
    { type: 'Broker', eventType },
    {
      type: 'Webhook',
      path: '/ingest/*',
      eventType,
      split: (body) => ({ items: [{ id: idOf(body), data: body }], refused: [], unwanted: 0 }),
      isServed: (path, watching) => acceptedNow(watching).some((mapped) => pathOf(mapped) === path),
      inFlight,
      senderRetries: true,
    },
  ],
  settings,
  permissions: [
    { ...observationWrites, verbs: [...observationWrites.verbs, 'list', 'patch'] },
    {
      group: ingesters.group,
      resources: [`${ingesters.plural}/status`, `${observationMappings.plural}/status`],
      verbs: ['patch'],
    },
    { group: apiServerSources.group, resources: [apiServerSources.plural], verbs: ['get'], scope: 'system' },
  ],
  watches: (set) => [observationFilters, ...mappingKinds].map((kind) => selectIn(kind, set)),
  seesOthers: true,
  handle(event, context) {
    if (isPing(event)) return passAll(context);
    if (isReference(event)) return handleReference(event, context);
    return handlePosted(event, context);
  },
});

function idOf(body: unknown): string {
  try {
    return contentHash(body);
  } catch (cause) {
    throw new Refusal(422, 'the body is nested too deeply', { path: 'body', cause });
  }
}

function pathOf({ path }: AcceptedMapping): string | undefined {
  return path === undefined ? undefined : `/ingest/${path}`;
}

function judge(
  mappings: readonly KubernetesObject[],
  all: readonly KubernetesObject[],
  context: PathContext,
): Verdict[] {
  return judgeMappings({
    mappings,
    ingesters: all,
    systemNamespace: context.settings.SYSTEM_NAMESPACE,
    functionNames: context.functions.map(({ name }) => name),
  });
}

/** What is accepted by the objects that are watched. */
function acceptedNow(context: PathContext): AcceptedMapping[] {
  return judge(context.cluster.watched(observationMappings), context.cluster.watched(ingesters), context)
    .map(({ mapped }) => mapped)
    .filter((mapped) => mapped !== undefined);
}

/** A source as the pipeline knows it, of all that maps to one name: they share the lifecycle of its findings. */
function sourceOf(
  name: string,
  all: readonly AcceptedMapping[],
  kinds: readonly KindSelector[],
): SourceDefinition<unknown, unknown> {
  return {
    name,
    triggers: () => [{ type: 'ApiServerSource', kinds }],
    settings,
    schema: z.unknown(),
    normalize: (data, { time }) => normalizeAll(all, data, time),
  };
}

const typed = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
});

/** What all of these mappings make of an object, or of what was posted. */
function normalizeAll(all: readonly AcceptedMapping[], data: unknown, time: string): Normalized {
  const object = typed.safeParse(data).data;
  const about = object && {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name,
    namespace: object.metadata.namespace,
  };
  const labels = object?.metadata.labels ?? {};
  const isMeant = ({ kind }: AcceptedMapping): boolean =>
    kind === undefined || (about !== undefined && appliesTo(kind, { ...about, labels }));
  const parts = all
    .filter(isMeant)
    .map(({ map, filter, windowSeconds }) => filtered(map(data, { about, time, windowSeconds }), filter));
  return {
    findings: parts.flatMap(({ findings }) => findings),
    skipped: sumOf(parts.map(({ skipped }) => skipped)),
  };
}

/** What an Ingester's own filter drops counts as skipped: the findings that go on are asked by the others. */
function filtered({ findings, skipped }: Normalized, filter: AcceptedMapping['filter']): Normalized {
  const judged = findings.map((finding) => ({ finding, reason: filter(finding) }));
  const dropped = judged.flatMap(({ reason }) => (reason === undefined ? [] : [{ [reason]: 1 }]));
  return {
    findings: judged.filter(({ reason }) => reason === undefined).map(({ finding }) => finding),
    skipped: sumOf([skipped, ...dropped]),
  };
}

function sumOf(all: readonly Counts[]): Counts {
  const sum: Record<string, number> = {};
  for (const counts of all)
    for (const [reason, count] of Object.entries(counts)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

/** A tenant's mapping reads and writes its namespace alone: the pipeline is told that there is no other. */
function confined(context: Context, { tenant }: AcceptedMapping, all: readonly AcceptedMapping[]): Context {
  const ttl = all.find((mapped) => mapped.ttl !== undefined)?.ttl;
  const place = tenant === undefined ? {} : { WATCH_NAMESPACE: tenant, SYSTEM_NAMESPACE: tenant };
  const changed = { ...place, ...(ttl !== undefined && { OBSERVATION_TTL_SECONDS: ttl }) };
  return { ...context, settings: { ...context.settings, ...changed } };
}

/** What maps to the same name in the same scope. */
function groupsOf<Some extends AcceptedMapping>(all: readonly Some[]): [Some, ...Some[]][] {
  const groups = new Map<string, [Some, ...Some[]]>();
  for (const mapped of all) {
    const key = JSON.stringify([mapped.tenant, mapped.source]);
    const group = groups.get(key);
    if (group) group.push(mapped);
    else groups.set(key, [mapped]);
  }
  return [...groups.values()];
}

async function handlePosted(event: CloudEvent, context: Context): Promise<void> {
  const mapped = acceptedNow(context).find((one) => pathOf(one) === event.source);
  // Its Ingester may be about to be seen here, too; if it is not, the Broker gives up in the end and it is recorded.
  if (!mapped) throw new Refusal(503, 'no Ingester has this path', { retryAfter: 2 });
  await observeEvent(sourceOf(mapped.source, [mapped], []), event, confined(context, mapped, [mapped]));
}

async function handleReference(event: CloudEvent, context: Context): Promise<void> {
  const ref = referenceOf(event);
  const { group, version } = groupVersionOf(ref.apiVersion);
  if (mappingKinds.some((kind) => kind.group === group && kind.kind === ref.kind)) return passAll(context);
  const wanted = acceptedNow(context)
    .filter(hasKind)
    .filter(({ kind }) => appliesTo(kind, ref));
  if (wanted.length === 0) return context.event.tally.skipped('not_wanted');
  for (const all of groupsOf(wanted)) {
    const own = confined(context, all[0], all);
    const kind = {
      group,
      versions: [version],
      kind: ref.kind,
      plural: all[0].kind.plural ?? pluralIn(event) ?? guessedPlural(ref.kind),
      namespaced: Boolean(ref.namespace),
    };
    await reconcileReference(sourceOf(all[0].source, all, [selectIn(kind, own.settings)]), event, own);
  }
}

function hasKind(mapped: AcceptedMapping): mapped is AcceptedMapping & { readonly kind: MappedKind } {
  return mapped.kind !== undefined;
}

/** ApiServerSource's subject is the object's path: `/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>`. */
function pluralIn({ subject }: CloudEvent): string | undefined {
  return /\/([a-z0-9]+)\/[^/]+$/.exec(subject ?? '')?.[1];
}

/** A completeness pass over everything that is mapped, and the conditions of all that maps. */
async function passAll(context: Context): Promise<void> {
  const isDone = await context.coalesce(intervalMilliseconds, async () => {
    await passOnce(context);
    return true;
  });
  if (!isDone) context.event.tally.skipped('coalesced');
}

async function passOnce(context: Context): Promise<void> {
  const { cluster, settings, event } = context;
  const listed = (kind: KindSelector): Promise<KubernetesObject[]> =>
    Array.fromAsync(cluster.objects.list(kind, settings.WATCH_NAMESPACE, event.signal));
  const verdicts = judge(await listed(observationMappings), await listed(ingesters), context);
  const ready = new Map<AcceptedMapping, Condition>();
  const failed: unknown[] = [];
  for (const group of groupsOf(verdicts.map(({ mapped }) => mapped).filter((mapped) => mapped !== undefined))) {
    try {
      await passGroup(group, ready, context);
    } catch (error) {
      // One source's trouble is not another's.
      failed.push(error);
    }
  }
  for (const { object, condition, mapped } of verdicts) {
    const kind = object.kind === ingesters.kind ? ingesters : observationMappings;
    const own = mapped && (ready.get(mapped) ?? readyCondition('True', 'Ready', ''));
    await setConditions(kind, object, [condition, own ?? notReadyCondition(condition)], context);
  }
  if (failed.length > 0) throw failed[0];
  await ageOrphans(orphansOf(verdicts, context), context);
}

/** What no mapping makes any more. One that is not accepted keeps its findings: somebody may be about to mend it. */
function orphansOf(verdicts: readonly Verdict[], { functions }: Context): (stored: Stored) => boolean {
  const builtIn = new Set<string | undefined>(functions.map(({ name }) => name));
  const kept = new Set(
    verdicts.flatMap(({ object, condition, mapped }) => {
      if (mapped) return [scopeOf(mapped.tenant, mapped.source)];
      const source = condition.status === 'True' ? undefined : namedSource.safeParse(object).data;
      return source === undefined ? [] : [scopeOf(undefined, source)];
    }),
  );
  return ({ ref, labels: { [labels.source]: source } }) =>
    !builtIn.has(source) && !kept.has(scopeOf(undefined, source)) && !kept.has(scopeOf(ref.namespace, source));
}

function scopeOf(tenant: string | undefined, source: string | undefined): string {
  return JSON.stringify([tenant, source]);
}

/** The source that an object names, though it is not accepted. */
const namedSource = z
  .object({ spec: z.union([z.object({ sourceName: z.string() }), z.object({ source: z.string() })]) })
  .transform(({ spec }) => ('sourceName' in spec ? spec.sourceName : spec.source));

/** One source's pass. A kind that can't be read keeps the source's other findings from being taken for gone. */
async function passGroup(
  group: [AcceptedMapping, ...AcceptedMapping[]],
  ready: Map<AcceptedMapping, Condition>,
  context: Context,
): Promise<void> {
  const own = confined(context, group[0], group);
  const kinds: KindSelector[] = [];
  const resolved: AcceptedMapping[] = [];
  for (const mapped of group) {
    if (!mapped.kind) continue;
    const resolution = await resolveKind(mapped, own);
    if ('type' in resolution) ready.set(mapped, resolution);
    else {
      kinds.push(resolution);
      resolved.push({ ...mapped, kind: { ...mapped.kind, kind: resolution.kind || undefined } });
      ready.set(mapped, await apiServerSourceCondition(mapped, resolution, context));
    }
  }
  const conditions = group.map((mapped) => ready.get(mapped)).filter((condition) => condition !== undefined);
  const isComplete = !conditions.some(isIncomplete);
  if (kinds.length === 0 && !(isComplete && conditions.length > 0)) return;
  await reconcilePass(sourceOf(group[0].source, resolved, kinds), own, isComplete);
}
