import * as z from 'zod';
import type { Condition } from '../shared/api/condition.ts';
import { ingesters } from '../shared/api/ingester.ts';
import { groupVersionOf, type KindSelector, selectIn } from '../shared/api/kind-selector.ts';
import { apiServerSources, guessedPlural } from '../shared/api/knative-kinds.ts';
import { labels } from '../shared/api/labels.ts';
import { observationExceptions } from '../shared/api/observation-exception.ts';
import { observationFilters } from '../shared/api/observation-filter.ts';
import { observationMappings } from '../shared/api/observation-mapping.ts';
import { contentHash } from '../shared/finding/canonical-json.ts';
import type { Counts, Normalized } from '../shared/finding/finding.ts';
import { type CloudEvent, isPing, isReference } from '../shared/function/cloud-event.ts';
import { type Context, type ExpressionErrors, reservedNames } from '../shared/function/context.ts';
import type { SourceDefinition } from '../shared/function/definitions.ts';
import {
  controllerReads,
  defineTask,
  failureWrites,
  leaseWrites,
  seriesWrites,
  stateWrites,
} from '../shared/function/definitions.ts';
import { Refusal } from '../shared/function/refusal.ts';
import type { KubernetesObject, Stored } from '../shared/function/stores.ts';
import { objects, type PathContext } from '../shared/function/triggers.ts';
import { changedSinceFailing, setConditions } from '../shared/pipeline/conditions.ts';
import { listConfiguration } from '../shared/pipeline/list-configuration.ts';
import { observeEvent } from '../shared/pipeline/observe.ts';
import { ageOrphans, reconcilePass } from '../shared/pipeline/pass.ts';
import {
  apiServerSourceCondition,
  notReadyCondition,
  readyCondition,
  resolveKind,
} from '../shared/pipeline/readiness.ts';
import { reconcileReference, referenceOf } from '../shared/pipeline/reference.ts';
import type { UnseenKind } from '../shared/pipeline/unseen.ts';
import { LastRefusal } from '../shared/pipeline/write.ts';
import {
  type AcceptedMapping,
  appliesTo,
  type JudgeOptions,
  judgeMappings,
  type MappedKind,
  type MappingIndex,
  mappingIndex,
  mappingKinds,
  namedSource,
  type Verdict,
} from '../shared/rules/accepted-mappings.ts';

const eventType = 'io.kube-zen.ingest.v1';
const settingsSchema = z.object({});
const maxRequestsInFlight = 100;

/** Changes of mappings in bursts are handled together, but each must take effect within two seconds. */
const intervalMilliseconds = 500;

/**
 * Findings of any other tool: ObservationMappings and Ingesters say what to make of objects, and of what is posted
 * below `/ingest/`. Those outside the system namespace read and write their own namespace only.
 */
export default defineTask({
  name: 'ingest',
  triggers: (settings) => [
    objects(mappingKinds, settings),
    { type: 'MappedKinds' },
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
    { type: 'Start' },
    { type: 'Broker', eventType },
    {
      type: 'Webhook',
      path: '/ingest/*',
      eventType,
      split: (body) => ({ items: [{ id: idOf(body), data: body }], refused: [], unwanted: 0 }),
      isServed: (path, context) => mappingAt(path, context) !== undefined,
      inFlight: maxRequestsInFlight,
      senderRetries: true,
    },
  ],
  settings: settingsSchema,
  permissions: [
    stateWrites,
    seriesWrites,
    ...controllerReads,
    {
      group: ingesters.group,
      resources: [`${ingesters.plural}/status`, `${observationMappings.plural}/status`],
      verbs: ['patch'],
    },
    {
      ...{ group: apiServerSources.group, resources: [apiServerSources.plural], verbs: ['get'] },
      ...{ scope: 'system', isForKnative: true },
    },
    failureWrites,
    leaseWrites,
  ],
  watches: (settings) =>
    [observationFilters, observationExceptions, ...mappingKinds].map((kind) => selectIn(kind, settings)),
  seesOthers: true,
  handle(event, context) {
    if (isPing(event)) return passAll(context);
    if (isReference(event)) return handleReference(event, context);
    return handlePost(event, context);
  },
});

/** The id of a post: the same for equal bodies, so that a retry by the sender makes the same event. */
function idOf(body: unknown): string {
  try {
    return contentHash(body);
  } catch (cause) {
    throw new Refusal(422, 'the body is nested too deeply', { path: 'body', cause });
  }
}

function judging(
  mappings: readonly KubernetesObject[],
  all: readonly KubernetesObject[],
  context: PathContext,
): JudgeOptions {
  return {
    mappings,
    ingesters: all,
    systemNamespace: context.settings.SYSTEM_NAMESPACE,
    functionNames: reservedNames(context.functions),
  };
}

/** The mappings that are accepted according to the watched objects. */
function acceptedNow(context: PathContext): MappingIndex {
  const { cluster } = context;
  return mappingIndex(judging(cluster.watched(observationMappings), cluster.watched(ingesters), context));
}

const pathPrefix = '/ingest/';

function mappingAt(path: string, context: PathContext): AcceptedMapping | undefined {
  return path.startsWith(pathPrefix) ? acceptedNow(context).byPath.get(path.slice(pathPrefix.length)) : undefined;
}

/** All mappings with the same source as one source of the pipeline, since they share the lifecycle of its findings. */
function sourceOf(
  name: string,
  all: readonly AcceptedMapping[],
  kinds: readonly KindSelector[],
  errors: ExpressionErrors,
): SourceDefinition<unknown, unknown> {
  return {
    name,
    triggers: () => [{ type: 'ApiServerSource', kinds }],
    settings: settingsSchema,
    schema: z.unknown(),
    normalize: (data, { time }) => normalizeAll(all, data, time, errors),
    // A mapped object is its own slot.
    slotOf: ({ group, kind }, { name }) => ({ parts: { group, kind, name: name ?? undefined } }),
  };
}

const objectSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
});

/** Applies all mappings to an object or to posted data, and joins their findings. */
function normalizeAll(
  all: readonly AcceptedMapping[],
  data: unknown,
  time: string,
  errors: ExpressionErrors,
): Normalized {
  const object = objectSchema.safeParse(data).data;
  const about = object && {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name: object.metadata.name,
    namespace: object.metadata.namespace,
  };
  const labels = object?.metadata.labels ?? {};
  const applies = ({ kind }: AcceptedMapping): boolean =>
    kind === undefined || (about !== undefined && appliesTo(kind, { ...about, labels }));
  const parts = all.filter(applies).map((mapping) => {
    const { map, windowSeconds } = mapping;
    const onFailure = (failure: string): void => noteFailure(mapping, 'expression', failure, errors);
    return applyFilter(map(data, { about, time, windowSeconds, onFailure }), mapping, errors);
  });
  return {
    findings: parts.flatMap(({ findings }) => findings),
    skipped: sumOf(parts.map(({ skipped }) => skipped)),
    isPartial: parts.some(({ isPartial }) => isPartial),
  };
}

function noteFailure({ object }: AcceptedMapping, field: string, failure: string, errors: ExpressionErrors): void {
  errors.note(kindOf(object), object, `spec.${field}: ${failure}`);
}

function kindOf({ kind }: KubernetesObject): KindSelector {
  return kind === ingesters.kind ? ingesters : observationMappings;
}

/**
 * Applies an Ingester's own filter, and counts what it drops as skipped, not as filtered: that is for
 * ObservationFilters.
 */
function applyFilter(
  { findings, skipped, isPartial = false }: Normalized,
  mapping: AcceptedMapping,
  errors: ExpressionErrors,
): Normalized {
  const onFailure = (field: string, failure: string): void => noteFailure(mapping, `filters.${field}`, failure, errors);
  const judged = findings.map((finding) => mapping.filter(finding, mapping.source, onFailure));
  const dropped = judged.filter((one) => typeof one === 'string').map((reason) => ({ [reason]: 1 }));
  return {
    findings: judged.filter((one) => typeof one !== 'string'),
    skipped: sumOf([skipped, ...dropped]),
    isPartial,
  };
}

function sumOf(all: readonly Counts[]): Counts {
  const sum: Record<string, number> = {};
  for (const counts of all)
    for (const [reason, count] of Object.entries(counts)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

/**
 * The context of a mapping. A tenant's is confined to its namespace, by telling the pipeline that there is no other.
 */
function contextFor(context: Context, { tenant }: AcceptedMapping, all: readonly AcceptedMapping[]): Context {
  const ttl = all.find((mapping) => mapping.ttl !== undefined)?.ttl;
  const namespaces = tenant === undefined ? {} : { WATCH_NAMESPACE: tenant, SYSTEM_NAMESPACE: tenant };
  const changed = { ...namespaces, ...(ttl !== undefined && { OBSERVATION_TTL_SECONDS: ttl }) };
  const own = { ...context, settings: { ...context.settings, ...changed } };
  if (tenant === undefined) return own;
  // What its own Ingester tells a tenant may filter, with or without a state.
  return { ...own, filter: (finding, about) => context.filter(finding, { ...about, hasState: true }) };
}

/** Groups mappings that have the same source in the same scope. */
function groupsOf<Some extends AcceptedMapping>(all: readonly Some[]): [Some, ...Some[]][] {
  const groups = new Map<string, [Some, ...Some[]]>();
  for (const mapping of all) {
    const key = JSON.stringify([mapping.tenant, mapping.source]);
    const group = groups.get(key);
    if (group) group.push(mapping);
    else groups.set(key, [mapping]);
  }
  return [...groups.values()];
}

async function handlePost(event: CloudEvent, context: Context): Promise<void> {
  const mapping = mappingAt(event.source, context);
  // The watch may not have seen a new Ingester yet. If there is none, the Broker will dead-letter the event.
  if (!mapping) throw new Refusal(503, 'no Ingester has this path', { retryAfter: 2 });
  const source = sourceOf(mapping.source, [mapping], [], context.expressionErrors);
  const normalize: typeof source.normalize = (data, about) => {
    const normalized = source.normalize(data, about);
    if (normalized.isPartial) warnOfPost(mapping, normalized, context);
    return normalized;
  };
  await observeEvent({ ...source, normalize }, event, contextFor(context, mapping, [mapping]));
}

/** Nothing was found in a post, and not because nothing is wanted: its sender may have changed its format. */
function warnOfPost({ object }: AcceptedMapping, { skipped }: Normalized, { event }: Context): void {
  const { namespace, name } = object.metadata;
  const why = skipped.no_items ? 'spec.items leads to neither a list nor null' : Object.keys(skipped).join(', ');
  event.tally.warning(`${object.kind} ${namespace}/${name} finds nothing in what was posted: ${why}`);
}

async function handleReference(event: CloudEvent, context: Context): Promise<void> {
  const ref = referenceOf(event);
  const { group, version } = groupVersionOf(ref.apiVersion);
  if (mappingKinds.some((kind) => kind.group === group && kind.kind === ref.kind)) return passAll(context);
  const wanted = acceptedNow(context)
    .all.filter(hasKind)
    .filter(({ kind }) => appliesTo(kind, ref));
  if (wanted.length === 0) return context.event.tally.skipped('not_wanted');
  for (const all of groupsOf(wanted)) {
    const own = contextFor(context, all[0], all);
    const kind = {
      group,
      versions: [version],
      kind: ref.kind,
      plural: all[0].kind.plural ?? pluralIn(event) ?? guessedPlural(ref.kind),
      namespaced: Boolean(ref.namespace),
    };
    const source = sourceOf(all[0].source, all, [selectIn(kind, own.settings)], own.expressionErrors);
    await reconcileReference(source, event, own);
  }
}

function hasKind(mapping: AcceptedMapping): mapping is AcceptedMapping & { readonly kind: MappedKind } {
  return mapping.kind !== undefined;
}

/**
 * The plural in an ApiServerSource event's subject: `/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>`.
 */
function pluralIn({ subject }: CloudEvent): string | undefined {
  return /\/([a-z0-9]+)\/[^/]+$/.exec(String(subject))?.[1];
}

/** Runs a completeness pass for every mapping, and sets the conditions of all ObservationMappings and Ingesters. */
async function passAll(context: Context): Promise<void> {
  const isDone = await context.coalesce(intervalMilliseconds, async () => {
    await passOnce(context);
    return true;
  });
  if (!isDone) context.event.tally.skipped('coalesced');
}

async function passOnce(context: Context): Promise<void> {
  const mappings = await listConfiguration(observationMappings, context);
  const verdicts = judgeMappings(judging(mappings, await listConfiguration(ingesters, context), context));
  const ready = new Map<AcceptedMapping, Condition>();
  const failed: unknown[] = [];
  for (const group of groupsOf(verdicts.map(({ mapping }) => mapping).filter((mapping) => mapping !== undefined))) {
    try {
      await passGroup(group, ready, context);
    } catch (error) {
      const [{ tenant }] = group;
      // A tenant's namespace is all that its mappings have. That it refuses what they find is the tenant's affair.
      if (tenant !== undefined && error instanceof LastRefusal) warnOf(tenant, error, context);
      // A fault of one source must not stop the others.
      else failed.push(error);
    }
  }
  for (const { object, condition, mapping } of verdicts) {
    const conditions = [condition, ...readiness(condition, mapping, ready), ...changedSinceFailing(object)];
    await setConditions(kindOf(object), object, conditions, context);
  }
  await ageOrphans(orphansOf(verdicts, context), context);
  if (failed.length > 0) throw failed[0];
}

/** Nothing where the pass ended before that was known: what was said last stays. */
function readiness(
  condition: Condition,
  mapping: AcceptedMapping | undefined,
  ready: ReadonlyMap<AcceptedMapping, Condition>,
): Condition[] {
  if (!mapping) return [notReadyCondition(condition)];
  if (!mapping.kind) return [readyCondition('True', 'Ready', '')];
  const known = ready.get(mapping);
  return known ? [known] : [];
}

function warnOf(tenant: string, { message, cause }: LastRefusal, { event }: Context): void {
  event.tally.warning(
    `what is mapped in namespace ${tenant}: ${message}${typeof cause === 'string' ? `: ${cause}` : ''}`,
  );
}

/**
 * Findings whose source no mapping has any more. A mapping that is not accepted keeps its findings, as it may be fixed.
 */
function orphansOf(verdicts: readonly Verdict[], { functions }: Context): (stored: Stored) => boolean {
  const builtIn = new Set<string | undefined>(reservedNames(functions));
  const kept = new Set(
    verdicts.flatMap(({ object, condition, mapping }) => {
      if (mapping) return [scopeOf(mapping.tenant, mapping.source)];
      const source = condition.status === 'True' ? undefined : namedSource(object);
      return source === undefined ? [] : [scopeOf(undefined, source)];
    }),
  );
  return ({ ref, labels: { [labels.source]: source } }) =>
    !builtIn.has(source) && !kept.has(scopeOf(undefined, source)) && !kept.has(scopeOf(ref.namespace, source));
}

function scopeOf(tenant: string | undefined, source: string | undefined): string {
  return JSON.stringify([tenant, source]);
}

/** Runs the pass of one source. If a kind can't be read, the source's other findings must not count as gone. */
async function passGroup(
  group: [AcceptedMapping, ...AcceptedMapping[]],
  ready: Map<AcceptedMapping, Condition>,
  context: Context,
): Promise<void> {
  const own = contextFor(context, group[0], group);
  const kinds: KindSelector[] = [];
  const resolved: AcceptedMapping[] = [];
  const unseen: UnseenKind[] = [];
  for (const given of group) {
    const { kind } = given;
    if (!kind) continue;
    const mapping = { ...given, kind };
    const resolution = await resolveKind(mapping, own);
    if ('type' in resolution) {
      ready.set(given, resolution);
      unseen.push({ group: kind.group, kind: kind.kind });
    } else {
      kinds.push(resolution);
      resolved.push({ ...given, kind: { ...kind, kind: resolution.kind || undefined } });
      ready.set(given, await apiServerSourceCondition(mapping, resolution, context));
    }
  }
  if (group.every(({ kind }) => kind === undefined)) return;
  await reconcilePass(sourceOf(group[0].source, resolved, kinds, own.expressionErrors), own, unseen);
}
