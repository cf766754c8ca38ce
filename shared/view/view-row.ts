import { acceptedUntil } from '../api/acceptance.ts';
import { acceptedReasonAnnotation, exceptionAnnotation, labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import type { ResourceRef } from '../finding/finding.ts';
import type { Severity } from '../finding/severity.ts';
import { fixOf, imagesOf, stateOf } from './selection.ts';

/** What a list shows of an Observation, and what it is found by. Texts are empty for what there is none of. */
export interface ViewRow {
  readonly namespace: string;
  readonly name: string;
  readonly source: string;
  readonly severity: Severity;
  readonly category: string;
  readonly eventType: string;
  readonly rule: string;
  readonly summary: string;
  readonly state: string;
  readonly actor: string;
  /** The images that it was found in, one a line. */
  readonly image: string;
  readonly fix: string;
  /** What has accepted it. */
  readonly exception: string;
  /** Why. */
  readonly reason: string;
  readonly resource: ResourceRef | undefined;
  /** Until when it is accepted, in milliseconds since 1970, as the other times: Infinity without an end, 0 if it is not. */
  readonly acceptedUntil: number;
  /** NaN if it can't be read. */
  readonly detectedAt: number;
  readonly createdAt: number;
  /** When its state, acceptance or severity last changed; 0 for what has no state. */
  readonly changedAt: number;
}

/** What rows of both stores are made of. */
export interface RowFacts
  extends Pick<ViewRow, 'namespace' | 'name' | 'source' | 'severity' | 'category' | 'createdAt'> {
  readonly eventType: string;
  readonly rule?: string | undefined;
  readonly summary?: string | undefined;
  readonly actor?: string | undefined;
  readonly image?: unknown;
  readonly remediation?: string | undefined;
  readonly resource?: ResourceRef | undefined;
  readonly detectedAt: string;
  /** The labels of that name. */
  readonly state?: string | undefined;
  readonly since?: string | undefined;
  readonly accepted?: string | undefined;
  /** The annotations. */
  readonly exception?: string | undefined;
  readonly reason?: string | undefined;
}

export function viewRow(facts: RowFacts): ViewRow {
  const { namespace, name, source, severity, category, eventType, createdAt, resource } = facts;
  return {
    namespace,
    name,
    source,
    severity,
    category,
    eventType,
    rule: facts.rule ?? '',
    summary: facts.summary ?? '',
    state: facts.state ?? 'open',
    actor: facts.actor ?? '',
    image: imagesOf(facts.image).join('\n'),
    fix: fixOf(facts.remediation),
    exception: facts.exception ?? '',
    reason: facts.reason ?? '',
    resource,
    acceptedUntil: acceptedUntil(facts.accepted) ?? 0,
    detectedAt: Date.parse(facts.detectedAt),
    createdAt,
    changedAt: Number(facts.since ?? 0) || 0,
  };
}

export function viewRowOf(observation: Observation): ViewRow {
  const { metadata, spec } = observation;
  return viewRow({
    ...spec,
    namespace: metadata.namespace,
    name: metadata.name,
    actor: spec.actor?.username,
    image: spec.details.image,
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    state: stateOf(observation),
    since: metadata.labels[labels.since],
    accepted: metadata.labels[labels.accepted],
    exception: metadata.annotations[exceptionAnnotation],
    reason: metadata.annotations[acceptedReasonAnnotation],
  });
}
