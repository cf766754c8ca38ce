import type { Finding, ResourceRef } from '../finding/finding.ts';
import type { Severity } from '../finding/severity.ts';
import { cutText, fitDetails } from '../finding/size-limits.ts';
import { detailsOf } from '../finding/values.ts';
import { group } from './group.ts';
import { correlationAnnotation, expiresLabel, labels, labelValue, stateSinceLabel } from './labels.ts';

/** An Observation as it is stored: the object of crds/observations.yaml. */
export interface Observation {
  readonly apiVersion: `${typeof group}/v1`;
  readonly kind: 'Observation';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly uid?: string;
    readonly creationTimestamp?: string;
  };
  readonly spec: {
    readonly source: string;
    readonly category: string;
    readonly severity: Severity;
    readonly eventType: string;
    readonly resource?: ResourceRef;
    readonly details: Readonly<Record<string, unknown>>;
    readonly detectedAt: string;
    readonly ttlSecondsAfterCreation: number;
  };
}

export interface ObservationOptions {
  readonly name: string;
  readonly namespace: string;
  readonly source: string;
  /** The value of the label `subject`, for findings that have a state. */
  readonly subject: string | undefined;
  readonly correlationId: string;
  /** In seconds. */
  readonly ttl: number;
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
  /** In milliseconds since 1970. */
  readonly now: number;
}

function boundedResource(resource: ResourceRef): ResourceRef {
  const { apiVersion, kind, name, namespace } = resource;
  return {
    ...(apiVersion !== undefined && { apiVersion: cutText(apiVersion, 253) }),
    kind: cutText(kind, 253),
    ...(name !== undefined && { name: cutText(name, 512) }),
    ...(namespace !== undefined && { namespace: cutText(namespace, 253) }),
  };
}

/** Makes an Observation of a finding, within the limits of the CRD and below 8 KiB. */
export function observationOf(finding: Finding, options: ObservationOptions): Observation {
  const { category, severity, eventType, resource, details, detectedAt } = finding;
  const state = options.subject
    ? { [labels.subject]: options.subject, [labels.state]: 'open', [labels.stateSince]: stateSinceLabel(options.now) }
    : {};
  return {
    apiVersion: `${group}/v1`,
    kind: 'Observation',
    metadata: {
      name: options.name,
      namespace: options.namespace,
      labels: {
        [labels.source]: labelValue(options.source),
        [labels.category]: labelValue(category),
        [labels.severity]: severity,
        [labels.expires]: expiresLabel(options.expiresAt),
        ...state,
      },
      annotations: { [correlationAnnotation]: cutText(options.correlationId, 256) },
    },
    spec: {
      source: options.source,
      category,
      severity,
      eventType,
      ...(resource && { resource: boundedResource(resource) }),
      details: fitDetails(detailsOf(details)),
      detectedAt,
      ttlSecondsAfterCreation: options.ttl,
    },
  };
}
