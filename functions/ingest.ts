import * as z from 'zod';
import { type CloudEvent, isPing, isReference } from '../shared/function/cloud-event.ts';
import type { Context } from '../shared/function/context.ts';
import { observationFilters } from '../shared/function/filter-spec.ts';
import { defineFunction, observationWrites } from '../shared/function/function-definition.ts';
import { groupVersionOf } from '../shared/function/group-version.ts';
import { Refusal } from '../shared/function/refusal.ts';
import { apiServerSources, guessedPlural, type Resource } from '../shared/function/resource.ts';
import type { SourceDefinition } from '../shared/function/source-definition.ts';
import type { KubernetesObject, Stored } from '../shared/function/stores.ts';
import { addSummaries, emptySummary, type Summary, summaryOf } from '../shared/function/summary.ts';
import type { Watching } from '../shared/function/triggers.ts';
import {
  isFor,
  type Judged,
  judgeMappings,
  type Mapped,
  type MappedKind,
  mappingKinds,
} from '../shared/mapping/mapped-sources.ts';
import { ingesters, observationMappings } from '../shared/mapping/mapping-spec.ts';
import { mayBeMore, readyCondition, resolve, sourceCondition, unready } from '../shared/mapping/readiness.ts';
import { contentHash } from '../shared/observation/canonical-json.ts';
import { labels } from '../shared/observation/labels.ts';
import { ageOrphans, reconcilePass } from '../shared/pipeline/completeness-pass.ts';
import { type Condition, setConditions } from '../shared/pipeline/conditions.ts';
import { observeEvent } from '../shared/pipeline/observe.ts';
import { reconcileReference, referenceOf } from '../shared/pipeline/reference.ts';
import { withSummary } from '../shared/pipeline/write.ts';

const eventType = 'io.kube-zen.ingest.v1';
const settings = z.object({});
const inFlight = 100;

/** Changes of mappings are looked at together; each has to act within two seconds. */
const intervalMilliseconds = 500;

/**
 * Any other tool: what ObservationMapping and Ingester objects say about kinds of objects, and about what is posted below
 * `/ingest/`. Outside the system namespace they see and write their own namespace alone.
 */
export default defineFunction({
  name: 'ingest',
  triggers: [
    { type: 'ApiServerSource', resources: mappingKinds },
    { type: 'MappedKinds' },
    { type: 'PingSource', schedule: 'RESYNC_INTERVAL_MINUTES' },
    { type: 'Start' },
    { type: 'Broker', filter: { type: eventType } },
    {
      ...{ type: 'Webhook', path: '/ingest/*', eventType, answer: 'deadline', inFlight: () => inFlight },
      split: (body) => ({ items: [{ id: idOf(body), data: body }], refused: [] }),
      wanted: () => true,
      isServed: (path, context) => acceptedNow(context).some((mapped) => pathOf(mapped) === path),
    },
  ],
  settings,
  permissions: [
    { ...observationWrites, verbs: [...observationWrites.verbs, 'list', 'patch'] },
    {
      ...{ group: 'zen.kube-zen.io', verbs: ['patch'] },
      resources: [`${ingesters.plural}/status`, `${observationMappings.plural}/status`],
    },
    { group: apiServerSources.group, resources: [apiServerSources.plural], verbs: ['get'], scope: 'system' },
  ],
  watches: [observationFilters, ...mappingKinds],
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

function pathOf({ path }: Mapped): string | undefined {
  return path === undefined ? undefined : `/ingest/${path}`;
}

function judge(mappings: readonly KubernetesObject[], all: readonly KubernetesObject[], context: Watching): Judged[] {
  return judgeMappings({
    ...{ mappings, ingesters: all, systemNamespace: context.settings.SYSTEM_NAMESPACE },
    functionNames: context.functions.map(({ name }) => name),
  });
}

/** What is accepted by the objects that are watched. */
function acceptedNow(context: Watching): Mapped[] {
  return judge(context.watched(observationMappings), context.watched(ingesters), context)
    .map(({ mapped }) => mapped)
    .filter((mapped) => mapped !== undefined);
}

/** A source as the pipeline knows it, of all that maps to one name: they share the lifecycle of its findings. */
function sourceOf(
  name: string,
  all: readonly Mapped[],
  resources: readonly Resource[],
): SourceDefinition<unknown, unknown> {
  return {
    ...{ name, settings, schema: z.unknown(), triggers: [{ type: 'ApiServerSource', resources }] },
    normalize: (data, { time }) => normalizeAll(all, data, time),
  };
}

const typed = z.object({
  ...{ apiVersion: z.string(), kind: z.string() },
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
});

function normalizeAll(all: readonly Mapped[], data: unknown, time: string) {
  const object = typed.safeParse(data).data;
  const about = object && {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name,
    namespace: object.metadata.namespace,
  };
  const labels = object?.metadata.labels ?? {};
  const observations = [];
  const skipped: Record<string, number> = {};
  for (const { kind, map, filter, windowSeconds } of all) {
    if (kind && !(about && isFor(kind, { ...about, labels }))) continue;
    const mapped = map(data, { about, time, windowSeconds });
    for (const [reason, count] of Object.entries(mapped.skipped)) skipped[reason] = (skipped[reason] ?? 0) + count;
    for (const observation of mapped.observations) {
      const reason = filter(observation);
      if (reason === undefined) observations.push(observation);
      else skipped[reason] = (skipped[reason] ?? 0) + 1;
    }
  }
  return { observations, skipped };
}

/** A tenant's mapping reads and writes its namespace alone: the pipeline is told that there is no other. */
function confined(context: Context, { tenant }: Mapped, all: readonly Mapped[]): Context {
  const ttl = all.find((mapped) => mapped.ttl !== undefined)?.ttl;
  const place = tenant === undefined ? {} : { WATCH_NAMESPACE: tenant, SYSTEM_NAMESPACE: tenant };
  const changed = { ...place, ...(ttl !== undefined && { OBSERVATION_TTL_SECONDS: ttl }) };
  return { ...context, settings: { ...context.settings, ...changed } };
}

/** What maps to the same name in the same scope. */
function groupsOf<Some extends Mapped>(all: readonly Some[]): [Some, ...Some[]][] {
  const groups = new Map<string, [Some, ...Some[]]>();
  for (const mapped of all) {
    const key = JSON.stringify([mapped.tenant, mapped.source]);
    const group = groups.get(key);
    if (group) group.push(mapped);
    else groups.set(key, [mapped]);
  }
  return [...groups.values()];
}

async function handlePosted(event: CloudEvent, context: Context): Promise<Summary> {
  if (event.fault) throw event.fault;
  const mapped = acceptedNow(context).find((one) => pathOf(one) === event.source);
  // Its Ingester may be about to be seen here, too; if it is not, the Broker gives up in the end and it is recorded.
  if (!mapped) throw new Refusal(503, 'no Ingester has this path', { retryAfter: 2 });
  return observeEvent(sourceOf(mapped.source, [mapped], []), event, confined(context, mapped, [mapped]));
}

async function handleReference(event: CloudEvent, context: Context): Promise<Summary> {
  const ref = referenceOf(event);
  const { group, version } = groupVersionOf(ref.apiVersion);
  if (mappingKinds.some((resource) => resource.group === group && resource.kind === ref.kind)) return passAll(context);
  const wanted = acceptedNow(context)
    .filter(hasKind)
    .filter(({ kind }) => isFor(kind, ref));
  let summary = emptySummary;
  for (const all of groupsOf(wanted)) {
    const plural = all[0].kind.plural ?? pluralIn(event) ?? guessedPlural(ref.kind);
    const resource = { group, versions: [version], kind: ref.kind, plural, namespaced: Boolean(ref.namespace) };
    try {
      const one = await reconcileReference(
        sourceOf(all[0].source, all, [resource]),
        event,
        confined(context, all[0], all),
      );
      summary = addSummaries(summary, one);
    } catch (error) {
      throw withSummary(error, summary);
    }
  }
  return wanted.length > 0 ? summary : summaryOf({ skipped: { not_wanted: 1 } });
}

function hasKind(mapped: Mapped): mapped is Mapped & { readonly kind: MappedKind } {
  return mapped.kind !== undefined;
}

/** ApiServerSource's subject is the object's path: `/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>`. */
function pluralIn({ subject }: CloudEvent): string | undefined {
  return /\/([a-z0-9]+)\/[^/]+$/.exec(String(subject))?.[1];
}

/** A completeness pass over everything that is mapped, and the conditions of all that maps. */
async function passAll(context: Context): Promise<Summary> {
  const summary = await context.coalesce(intervalMilliseconds, () => passOnce(context));
  return summary ?? summaryOf({ skipped: { coalesced: 1 } });
}

async function passOnce(context: Context): Promise<Summary> {
  const {
    objects,
    settings: { WATCH_NAMESPACE },
    signal,
  } = context;
  const mappings = await Array.fromAsync(objects.list(observationMappings, WATCH_NAMESPACE, signal));
  const all = await Array.fromAsync(objects.list(ingesters, WATCH_NAMESPACE, signal));
  const judged = judge(mappings, all, context);
  const ready = new Map<Mapped, Condition>();
  let summary = emptySummary;
  const failed: unknown[] = [];
  for (const group of groupsOf(judged.map(({ mapped }) => mapped).filter((mapped) => mapped !== undefined))) {
    try {
      summary = addSummaries(summary, await passGroup(group, ready, context));
    } catch (error) {
      // One source's trouble is not another's.
      failed.push(error);
    }
  }
  for (const { object, condition, mapped } of judged) {
    const resource = object.kind === ingesters.kind ? ingesters : observationMappings;
    const own = mapped && (ready.get(mapped) ?? readyCondition('True', 'Ready', ''));
    await setConditions(resource, object, [condition, own ?? unready(condition)], context);
  }
  if (failed.length > 0) throw withSummary(failed[0], summary);
  return addSummaries(summary, await ageOrphans(orphansOf(judged, context), context));
}

/** What no mapping makes any more. One that is not accepted keeps its findings: somebody may be about to mend it. */
function orphansOf(judged: readonly Judged[], { functions }: Context): (stored: Stored) => boolean {
  const builtIn = new Set<string | undefined>(functions.map(({ name }) => name));
  const kept = new Set(
    judged.flatMap(({ object, condition, mapped }) => {
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
  group: [Mapped, ...Mapped[]],
  ready: Map<Mapped, Condition>,
  context: Context,
): Promise<Summary> {
  const resources: Resource[] = [];
  const resolved: Mapped[] = [];
  for (const mapped of group) {
    if (!mapped.kind) continue;
    const resource = await resolve(mapped, context);
    if ('type' in resource) ready.set(mapped, resource);
    else {
      resources.push(resource);
      resolved.push({ ...mapped, kind: { ...mapped.kind, kind: resource.kind || undefined } });
      ready.set(mapped, await sourceCondition(mapped, resource, context));
    }
  }
  const conditions = group.map((mapped) => ready.get(mapped)).filter((condition) => condition !== undefined);
  const isComplete = !conditions.some(mayBeMore);
  if (resources.length === 0 && !(isComplete && conditions.length > 0)) return emptySummary;
  return reconcilePass(sourceOf(group[0].source, resolved, resources), confined(context, group[0], group), isComplete);
}
