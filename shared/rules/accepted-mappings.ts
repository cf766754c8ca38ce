import * as z from 'zod';
import { accepted, type Condition, refused } from '../api/condition.ts';
import { ingesterObject, ingesters } from '../api/ingester.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import { guessedPlural } from '../api/knative-kinds.ts';
import { parseLabelSelector } from '../api/label-selector.ts';
import type { MappingRules } from '../api/mapping-rules.ts';
import { mappingObject, observationMappings } from '../api/observation-mapping.ts';
import { leftOutCondition } from '../function/bounded-objects.ts';
import { faultyField } from '../function/refusal.ts';
import type { KubernetesObject, ObjectRef } from '../function/stores.ts';
import { compileExpression } from './expression.ts';
import { compileRules, type Fault, type FilterCheck, sourceKey } from './filter.ts';
import { compileMapping, type MapData, type Wants } from './mapping.ts';

/** The objects that a mapping applies to. */
export interface MappedKind {
  readonly group: string;
  readonly version: string;
  /** An ObservationMapping names the kind, an Ingester the plural: at least one of the two is known. */
  readonly kind: string | undefined;
  readonly plural: string | undefined;
  /** Only objects in this namespace; `undefined` for all namespaces. */
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
}

/** An ObservationMapping or Ingester that is accepted. */
export interface AcceptedMapping {
  readonly object: KubernetesObject;
  readonly source: string;
  /** The tenant's namespace, to which the mapping is confined; `undefined` for one in the system namespace. */
  readonly tenant: string | undefined;
  readonly kind: MappedKind | undefined;
  /** The path below `/ingest/` whose posts it maps. */
  readonly path: string | undefined;
  readonly map: MapData;
  readonly filter: FilterCheck;
  readonly windowSeconds: number | undefined;
  /** How long its findings are kept, in seconds. */
  readonly ttl: number | undefined;
}

export interface Verdict {
  readonly object: KubernetesObject;
  readonly condition: Condition;
  /** Set if the object is accepted and enabled. */
  readonly mapping: AcceptedMapping | undefined;
}

export interface JudgeOptions {
  readonly mappings: readonly KubernetesObject[];
  readonly ingesters: readonly KubernetesObject[];
  readonly systemNamespace: string;
  /** The names of functions. No mapping may use one as its source. */
  readonly functionNames: readonly string[];
}

/** A valid object, which may still conflict with others. */
interface Valid {
  readonly object: KubernetesObject;
  readonly mapping: AcceptedMapping;
  readonly isEnabled: boolean;
}

type Outcome = Valid | Verdict;

const passAll: FilterCheck = (finding) => finding;

function invalid(object: KubernetesObject, { field, message }: Fault): Verdict {
  return { object, condition: refused('Invalid', `${field}: ${message}`), mapping: undefined };
}

function readExpression({ expression }: MappingRules, source: string): Wants | Fault | undefined {
  const compiled = expression === undefined ? undefined : compileExpression(expression, true);
  if (typeof compiled === 'object') return { field: 'spec.expression', message: compiled.refusal };
  return compiled && ((finding, mapped) => compiled({ ...finding, source }, mapped));
}

/** An ObservationMapping with its expression, compiled. */
function readMapping(object: KubernetesObject) {
  const { data, error } = mappingObject.safeParse(object);
  if (error) return faultyField(error);
  const wants = readExpression(data.spec, data.spec.sourceName);
  return typeof wants === 'object' ? wants : { spec: data.spec, wants };
}

/** An Ingester with its expressions, compiled. */
function readIngester(object: KubernetesObject) {
  const { data, error } = ingesterObject.safeParse(object);
  if (error) return faultyField(error);
  const wants = readExpression(data.spec, data.spec.source);
  if (typeof wants === 'object') return wants;
  const filter = data.spec.filters ? compileRules(data.spec.filters) : passAll;
  if (typeof filter === 'object') return { field: `spec.filters.${filter.field}`, message: filter.message };
  return { spec: data.spec, wants, filter };
}

/** What is wrong with an ObservationMapping or Ingester by itself. */
export function mappingFault(object: KubernetesObject): Fault | undefined {
  const read = object.kind === ingesters.kind ? readIngester(object) : readMapping(object);
  return 'message' in read ? read : undefined;
}

function tenantOf({ metadata: { namespace } }: KubernetesObject, systemNamespace: string): string | undefined {
  return namespace === systemNamespace ? undefined : namespace;
}

/** What objects say, compiled once as long as they stay the same. */
const outcomes = new WeakMap<KubernetesObject, { readonly systemNamespace: string; readonly outcome: Outcome }>();

function parseOnce(
  object: KubernetesObject,
  systemNamespace: string,
  parse: (object: KubernetesObject, systemNamespace: string) => Outcome,
): Outcome {
  const known = outcomes.get(object);
  if (known?.systemNamespace === systemNamespace) return known.outcome;
  const leftOut = leftOutCondition(object);
  const outcome = leftOut ? { object, condition: leftOut, mapping: undefined } : parse(object, systemNamespace);
  outcomes.set(object, { systemNamespace, outcome });
  return outcome;
}

function parseMapping(object: KubernetesObject, systemNamespace: string): Outcome {
  const read = readMapping(object);
  if ('message' in read) return invalid(object, read);
  const { spec, wants } = read;
  const tenant = tenantOf(object, systemNamespace);
  const { group, version, kind, resource: plural } = spec;
  const mapping: AcceptedMapping = {
    object,
    source: spec.sourceName,
    tenant,
    path: undefined,
    map: compileMapping(spec, wants),
    filter: passAll,
    windowSeconds: undefined,
    ttl: undefined,
    kind: { group, version, kind, plural, namespace: tenant, labelSelector: undefined },
  };
  return { object, mapping, isEnabled: spec.enabled };
}

function parseIngester(object: KubernetesObject, systemNamespace: string): Outcome {
  const read = readIngester(object);
  if ('message' in read) return invalid(object, read);
  const { spec, wants, filter } = read;
  const { informer } = spec;
  const tenant = tenantOf(object, systemNamespace);
  if (tenant !== undefined && informer?.namespace !== undefined && informer.namespace !== tenant) {
    const message = `spec.informer.namespace: an Ingester outside ${systemNamespace} can read its own namespace only`;
    return { object, condition: refused('NamespaceNotAllowed', message), mapping: undefined };
  }
  const kind = informer && {
    group: informer.gvr.group,
    version: informer.gvr.version,
    kind: undefined,
    plural: informer.gvr.resource,
    namespace: tenant ?? informer.namespace,
    labelSelector: informer.labelSelector,
  };
  const mapping: AcceptedMapping = {
    object,
    source: spec.source,
    tenant,
    kind,
    path: spec.webhook?.path,
    map: compileMapping(spec, wants),
    filter,
    windowSeconds: spec.deduplication?.windowSeconds,
    ttl: spec.ttl?.default,
  };
  return { object, mapping, isEnabled: true };
}

function isValid(outcome: Outcome): outcome is Valid {
  return 'isEnabled' in outcome;
}

function namespacedName({ metadata: { namespace, name } }: KubernetesObject): string {
  return `${namespace}/${name}`;
}

/** The system namespace first, then the oldest first: nobody else can take a path from either. */
function bySeniority(systemNamespace: string): (a: Outcome, b: Outcome) => number {
  const key = ({ object }: Outcome): string => {
    const { namespace, creationTimestamp = '' } = object.metadata;
    return `${namespace === systemNamespace ? 0 : 1} ${creationTimestamp} ${object.kind} ${namespacedName(object)}`;
  };
  return (a, b) => (key(a) < key(b) ? -1 : 1);
}

/** Decides which ObservationMappings and Ingesters are accepted, and why the others are not. Pure. */
export function judgeMappings({
  mappings,
  ingesters: ingesterObjects,
  systemNamespace,
  functionNames,
}: JudgeOptions): Verdict[] {
  const all = [
    ...mappings.map((object) => parseOnce(object, systemNamespace, parseMapping)),
    ...ingesterObjects.map((object) => parseOnce(object, systemNamespace, parseIngester)),
  ].sort(bySeniority(systemNamespace));
  const builtIn = new Set(functionNames.map(sourceKey));
  const usedInSystem = new Set(
    all
      .filter(isValid)
      .filter(({ mapping }) => mapping.tenant === undefined)
      .map(({ mapping }) => sourceKey(mapping.source)),
  );
  /** Which object uses a path, by path. */
  const paths = new Map<string, string>();

  function judge({ object, mapping, isEnabled }: Valid): Verdict {
    const key = sourceKey(mapping.source);
    if (builtIn.has(key)) {
      return {
        object,
        condition: refused('SourceTaken', `the source ${mapping.source} is built in`),
        mapping: undefined,
      };
    }
    if (mapping.tenant !== undefined && usedInSystem.has(key)) {
      const message = `the source ${mapping.source} is already used in ${systemNamespace}`;
      return { object, condition: refused('SourceTaken', message), mapping: undefined };
    }
    const holder = mapping.path === undefined ? undefined : paths.get(mapping.path);
    if (holder !== undefined) {
      return {
        object,
        condition: refused('PathTaken', `/ingest/${mapping.path} is already used by ${holder}`),
        mapping: undefined,
      };
    }
    if (mapping.path !== undefined) paths.set(mapping.path, namespacedName(object));
    return { object, condition: accepted, mapping: isEnabled ? mapping : undefined };
  }

  return all.map((outcome) => (isValid(outcome) ? judge(outcome) : outcome));
}

/** The mappings that are accepted. */
export interface MappingIndex {
  readonly all: readonly AcceptedMapping[];
  /** By the path of their posts. */
  readonly byPath: ReadonlyMap<string, AcceptedMapping>;
}

const indexes = new WeakMap<
  readonly KubernetesObject[],
  { readonly ingesters: readonly KubernetesObject[]; readonly index: MappingIndex }
>();

/** The mappings that are accepted; made anew only if another array is given, since every post is looked up here. */
export function mappingIndex(options: JudgeOptions): MappingIndex {
  const known = indexes.get(options.mappings);
  if (known?.ingesters === options.ingesters) return known.index;
  const all = judgeMappings(options).flatMap(({ mapping }) => (mapping ? [mapping] : []));
  const byPath = new Map(
    all.flatMap((mapping) => (mapping.path === undefined ? [] : [[mapping.path, mapping] as const])),
  );
  const index = { all, byPath };
  indexes.set(options.mappings, { ingesters: options.ingesters, index });
  return index;
}

/** Whether a mapping applies to an object. Labels are compared only if the object has been read. */
export function appliesTo(
  mappedKind: MappedKind,
  object: ObjectRef & { readonly labels?: Readonly<Record<string, string>> },
): boolean {
  const { group } = groupVersionOf(object.apiVersion);
  if (mappedKind.group !== group) return false;
  if (
    mappedKind.kind === undefined ? mappedKind.plural !== guessedPlural(object.kind) : mappedKind.kind !== object.kind
  )
    return false;
  if (mappedKind.namespace !== undefined && object.namespace !== mappedKind.namespace) return false;
  if (object.labels === undefined || mappedKind.labelSelector === undefined) return true;
  return parseLabelSelector(mappedKind.labelSelector)?.(object.labels) ?? false;
}

/** The kinds of objects that configure mappings. */
export const mappingKinds = [observationMappings, ingesters];

const namedSourceSchema = z
  .object({ spec: z.union([z.object({ sourceName: z.string() }), z.object({ source: z.string() })]) })
  .transform(({ spec }) => ('sourceName' in spec ? spec.sourceName : spec.source));

/** The source that an ObservationMapping or Ingester names, even if it is not accepted; `undefined` if it names none. */
export function namedSource(object: KubernetesObject): string | undefined {
  return namedSourceSchema.safeParse(object).data;
}
