import type * as z from 'zod';
import { accepted, type Condition, refused } from '../api/condition.ts';
import { ingesterObject, ingesters } from '../api/ingester.ts';
import { groupVersionOf } from '../api/kind-selector.ts';
import { guessedPlural } from '../api/knative-kinds.ts';
import { parseLabelSelector } from '../api/label-selector.ts';
import { mappingObject, observationMappings } from '../api/observation-mapping.ts';
import { faultyField } from '../function/refusal.ts';
import type { KubernetesObject, ObjectRef } from '../function/stores.ts';
import { compileRules, type FilterCheck, sourceKey } from './filter.ts';
import { compileMapping, type MapData } from './mapping.ts';

/** The objects whose findings a mapping is for. */
export interface MappedKind {
  readonly group: string;
  readonly version: string;
  /** At least one of these two is known. */
  readonly kind: string | undefined;
  readonly plural: string | undefined;
  /** The one namespace to look in. */
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
}

/** One ObservationMapping or Ingester that is accepted. */
export interface AcceptedMapping {
  readonly object: KubernetesObject;
  readonly source: string;
  /** The tenant's namespace, to which it is confined; `undefined` for one in the system namespace. */
  readonly tenant: string | undefined;
  readonly kind: MappedKind | undefined;
  /** Below `/ingest/`. */
  readonly path: string | undefined;
  readonly map: MapData;
  readonly filter: FilterCheck;
  readonly windowSeconds: number | undefined;
  /** Seconds. */
  readonly ttl: number | undefined;
}

export interface Verdict {
  readonly object: KubernetesObject;
  readonly condition: Condition;
  /** Where it is accepted and enabled. */
  readonly mapped: AcceptedMapping | undefined;
}

export interface JudgeOptions {
  readonly mappings: readonly KubernetesObject[];
  readonly ingesters: readonly KubernetesObject[];
  readonly systemNamespace: string;
  /** The names of the functions, which no mapping may use as its source. */
  readonly functionNames: readonly string[];
}

interface Read {
  readonly object: KubernetesObject;
  readonly mapped: AcceptedMapping;
  readonly isEnabled: boolean;
}

type Outcome = Read | Verdict;

const passAll: FilterCheck = () => undefined;

function invalid(object: KubernetesObject, error: z.ZodError): Verdict {
  const { field, message } = faultyField(error);
  return { object, condition: refused('Invalid', `${field}: ${message}`), mapped: undefined };
}

function tenantOf({ metadata: { namespace } }: KubernetesObject, systemNamespace: string): string | undefined {
  return namespace === systemNamespace ? undefined : namespace;
}

function readMapping(object: KubernetesObject, systemNamespace: string): Outcome {
  const parsed = mappingObject.safeParse(object);
  if (!parsed.success) return invalid(object, parsed.error);
  const { spec } = parsed.data;
  const tenant = tenantOf(object, systemNamespace);
  const { group, version, kind, resource: plural } = spec;
  const mapped: AcceptedMapping = {
    ...{ object, source: spec.sourceName, tenant, path: undefined, map: compileMapping(spec), filter: passAll },
    ...{ windowSeconds: undefined, ttl: undefined },
    kind: { group, version, kind, plural, namespace: tenant, labelSelector: undefined },
  };
  return { object, mapped, isEnabled: spec.enabled };
}

function readIngester(object: KubernetesObject, systemNamespace: string): Outcome {
  const parsed = ingesterObject.safeParse(object);
  if (!parsed.success) return invalid(object, parsed.error);
  const { spec } = parsed.data;
  const { informer } = spec;
  const tenant = tenantOf(object, systemNamespace);
  if (tenant !== undefined && informer?.namespace !== undefined && informer.namespace !== tenant) {
    const message = `spec.informer.namespace: outside ${systemNamespace} only its own namespace can be read`;
    return { object, condition: refused('NamespaceNotAllowed', message), mapped: undefined };
  }
  const kind = informer && {
    ...{ group: informer.gvr.group, version: informer.gvr.version, kind: undefined, plural: informer.gvr.resource },
    ...{ namespace: tenant ?? informer.namespace, labelSelector: informer.labelSelector },
  };
  const mapped: AcceptedMapping = {
    ...{ object, source: spec.source, tenant, kind, path: spec.webhook?.path, map: compileMapping(spec) },
    filter: spec.filters ? compileRules(spec.filters) : passAll,
    ...{ windowSeconds: spec.deduplication?.windowSeconds, ttl: spec.ttl?.default },
  };
  return { object, mapped, isEnabled: true };
}

function isRead(outcome: Outcome): outcome is Read {
  return 'isEnabled' in outcome;
}

function placeOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return `${namespace}/${name}`;
}

/** The oldest first, so that what comes later can't take from it. */
function byAge(a: Outcome, b: Outcome): number {
  const key = ({ object }: Outcome): string =>
    `${object.metadata.creationTimestamp ?? ''} ${object.kind} ${placeOf(object)}`;
  return key(a) < key(b) ? -1 : 1;
}

/** Which ObservationMappings and Ingesters are accepted, and why the others are not. Pure. */
export function judgeMappings({ mappings, ingesters: all, systemNamespace, functionNames }: JudgeOptions): Verdict[] {
  const outcomes = [
    ...mappings.map((object) => readMapping(object, systemNamespace)),
    ...all.map((object) => readIngester(object, systemNamespace)),
  ].sort(byAge);
  const builtIn = new Set(functionNames.map(sourceKey));
  const ofSystem = new Set(
    outcomes
      .filter(isRead)
      .filter(({ mapped }) => mapped.tenant === undefined)
      .map(({ mapped }) => sourceKey(mapped.source)),
  );
  const paths = new Map<string, string>();

  function judge({ object, mapped, isEnabled }: Read): Verdict {
    const key = sourceKey(mapped.source);
    if (builtIn.has(key)) {
      return {
        object,
        condition: refused('SourceTaken', `the source ${mapped.source} is built in`),
        mapped: undefined,
      };
    }
    if (mapped.tenant !== undefined && ofSystem.has(key)) {
      const message = `the source ${mapped.source} is used in ${systemNamespace}`;
      return { object, condition: refused('SourceTaken', message), mapped: undefined };
    }
    const holder = mapped.path === undefined ? undefined : paths.get(mapped.path);
    if (holder !== undefined) {
      return {
        object,
        condition: refused('PathTaken', `/ingest/${mapped.path} is that of ${holder}`),
        mapped: undefined,
      };
    }
    if (mapped.path !== undefined) paths.set(mapped.path, placeOf(object));
    return { object, condition: accepted, mapped: isEnabled ? mapped : undefined };
  }

  return outcomes.map((outcome) => (isRead(outcome) ? judge(outcome) : outcome));
}

/** Whether a mapping is for an object, so far as the object is known: labels where it has been read. */
export function appliesTo(
  mapped: MappedKind,
  object: ObjectRef & { readonly labels?: Readonly<Record<string, string>> },
): boolean {
  const { group } = groupVersionOf(object.apiVersion);
  if (mapped.group !== group) return false;
  if (mapped.kind === undefined ? mapped.plural !== guessedPlural(object.kind) : mapped.kind !== object.kind)
    return false;
  if (mapped.namespace !== undefined && object.namespace !== mapped.namespace) return false;
  if (object.labels === undefined || mapped.labelSelector === undefined) return true;
  return parseLabelSelector(mapped.labelSelector)?.(object.labels) ?? false;
}

/** The kinds of objects that configure mappings. */
export const mappingKinds = [observationMappings, ingesters];
