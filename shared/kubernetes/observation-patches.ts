import { acceptanceAnnotations } from '../api/acceptance.ts';
import { historyAnnotation, reportedByAnnotation, toldAnnotation } from '../api/labels.ts';
import { NamespaceRefusal, type ObservationPatch, type Stored } from '../function/stores.ts';
import type { ApiClient, ApiResponse } from './api-client.ts';
import { deniedBy, setUpFault } from './api-status.ts';
import { metadataOfOne } from './metadata-list.ts';
import { invalid } from './observation-creates.ts';
import { observationPath } from './observation-path.ts';

/**
 * Whether a write was done; `false` if the object is gone, or has changed since it was read. Throws a NamespaceRefusal if
 * it was denied, a Refusal 422 if the object would be invalid, else a Refusal 503.
 */
export function isDone(response: ApiResponse, what: string): boolean {
  if (response.status < 300) return true;
  const denier = deniedBy(response);
  if (denier !== undefined) throw new NamespaceRefusal('denying', denier);
  if (response.status === 422 || response.status === 400) throw invalid(response);
  if (response.status === 404 || response.status === 409) return false;
  throw setUpFault(what, response);
}

/** https://www.rfc-editor.org/rfc/rfc7396: the labels that are given, and nothing else. */
function mergePatchOf({ ref }: Stored, patch: ObservationPatch): object {
  return { metadata: { resourceVersion: ref.version, labels: patch.labels, annotations: annotationsOf(patch) } };
}

/** What is null is removed. */
type Annotations = Readonly<Record<string, string | null>>;

function annotationsOf({ history, acceptance, reportedBy, told }: ObservationPatch): Annotations {
  return {
    ...(history !== undefined && { [historyAnnotation]: history }),
    ...(acceptance !== undefined && acceptanceAnnotations(acceptance)),
    ...(reportedBy !== undefined && { [reportedByAnnotation]: reportedBy }),
    ...(told !== undefined && { [toldAnnotation]: told }),
  };
}

function pointer(...keys: readonly string[]): string {
  return keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function add(value: unknown, ...keys: readonly string[]): object {
  return { op: 'add', path: pointer(...keys), value };
}

/** Removes a member, whether it is there or not. */
function remove(...keys: readonly string[]): object[] {
  return [add('', ...keys), { op: 'remove', path: pointer(...keys) }];
}

function annotationOperations(annotations: Annotations, hasAnnotations: boolean): object[] {
  if (hasAnnotations) return operations(annotations, 'annotations');
  const given = Object.entries(annotations).filter(([, value]) => value !== null);
  return given.length === 0 ? [] : [add(Object.fromEntries(given), 'metadata', 'annotations')];
}

function operations(values: Annotations | ObservationPatch['labels'], member: 'annotations' | 'labels'): object[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === null ? remove('metadata', member, name) : [add(value, 'metadata', member, name)],
  );
}

function factOperations(facts: NonNullable<ObservationPatch['facts']>): object[] {
  const { summary, remediation, references, resource, rule } = facts;
  // A finding that has a rule or a resource never loses it.
  const kept = Object.entries({ resource, rule }).filter(([, value]) => value !== undefined);
  const optional = Object.entries({ summary, remediation, references });
  return [
    add(facts.severity, 'spec', 'severity'),
    add(facts.details, 'spec', 'details'),
    ...kept.map(([key, value]) => add(value, 'spec', key)),
    ...optional.flatMap(([key, value]) => (value === undefined ? remove('spec', key) : [add(value, 'spec', key)])),
  ];
}

/**
 * https://www.rfc-editor.org/rfc/rfc6902. A merge patch would leave details that are no longer there, and nobody knows
 * their names without reading the whole object.
 */
function jsonPatchOf({ ref, hasAnnotations }: Stored, patch: ObservationPatch): object[] {
  const { labels, facts } = patch;
  return [
    { op: 'replace', path: pointer('metadata', 'resourceVersion'), value: ref.version },
    ...operations(labels, 'labels'),
    ...annotationOperations(annotationsOf(patch), hasAnnotations),
    ...(facts ? factOperations(facts) : []),
  ];
}

/** Changes an Observation that has labels, in one write. */
export async function patchObservation(
  client: ApiClient,
  stored: Stored,
  patch: ObservationPatch,
  signal: AbortSignal,
): Promise<boolean> {
  const response = await client.request({
    method: 'PATCH',
    path: observationPath(stored.ref.namespace, stored.ref.name),
    body: patch.facts ? jsonPatchOf(stored, patch) : mergePatchOf(stored, patch),
    contentType: patch.facts ? 'application/json-patch+json' : 'application/merge-patch+json',
    accept: metadataOfOne,
    signal,
  });
  return isDone(response, 'changing Observations');
}
