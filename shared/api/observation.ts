import type { Actor, Finding, ResourceRef } from '../finding/finding.ts';
import { actorHash, workloadHash } from '../finding/name.ts';
import { oneLine } from '../finding/one-line.ts';
import { escapeUnprintable } from '../finding/printable.ts';
import type { Severity } from '../finding/severity.ts';
import { cutText, fitDetails } from '../finding/size-limits.ts';
import { detailsOf } from '../finding/values.ts';
import { group } from './group.ts';
import {
  correlationAnnotation,
  due,
  expiresLabel,
  labels,
  labelValue,
  outboxLabel,
  reportedByAnnotation,
} from './labels.ts';
import type { Series } from './series.ts';

/** The category of findings about zen-watcher itself. They are never filtered. */
export const operationsCategory = 'operations';

/** What may change while a finding stays the same: it is kept as the latest report says. */
export interface Facts {
  readonly severity: Severity;
  readonly summary?: string;
  readonly resource?: ResourceRef;
  readonly remediation?: string;
  readonly references?: readonly string[];
  readonly details: Readonly<Record<string, unknown>>;
}

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
  readonly spec: Facts & {
    readonly source: string;
    readonly category: string;
    readonly eventType: string;
    readonly rule?: string;
    readonly actor?: Actor;
    readonly detectedAt: string;
    readonly ttlSecondsAfterCreation: number;
  };
  /** Absent when it is created. */
  readonly status?: { readonly series?: Series | undefined };
}

export interface ObservationOptions {
  readonly name: string;
  readonly namespace: string;
  readonly source: string;
  /** For findings that have a state: the values of the labels `report` and `digest`, and of `reported-by`, if known. */
  readonly state:
    | { readonly slot: string; readonly digest: string; readonly reportedBy?: string | undefined }
    | undefined;
  /** What to show as the resource, if not what was reported. */
  readonly controller?: ResourceRef | undefined;
  readonly correlationId: string;
  /** In seconds. */
  readonly ttl: number;
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
  /** In milliseconds since 1970. */
  readonly now: number;
  /** Whether others are to be told of it. */
  readonly isDue?: boolean;
}

const maxSummary = 256;
const maxRuleBytes = 320;
const maxRemediationBytes = 1024;
/** Of all references together. */
const maxReferenceBytes = 1024;
const maxReferences = 64;
const maxGroups = 8;

/**
 * An Observation may take 8 KiB, so that 100,000 of them take less than half of an etcd of 2 GiB. What the API server adds
 * to it takes less than the rest: 740 bytes, most of them for who wrote which label.
 */
const maxObservationBytes = 7168;
const maxDetailsBytes = 4096;
const minDetailsBytes = 256;

function bytesOf(value: object): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function line(text: string, maxBytes: number): string {
  return cutText(oneLine(text, maxBytes), maxBytes);
}

/** A name as it is: white space may be part of it. */
function nameText(text: string, maxBytes: number): string {
  return cutText(escapeUnprintable(text), maxBytes);
}

function boundedResource(resource: ResourceRef): ResourceRef {
  const { apiVersion, kind, name, namespace } = resource;
  return {
    ...(apiVersion !== undefined && { apiVersion: nameText(apiVersion, 253) }),
    kind: nameText(kind, 253),
    ...(name !== undefined && { name: nameText(name, 512) }),
    ...(namespace !== undefined && { namespace: nameText(namespace, 253) }),
  };
}

function boundedActor({ username, groups = [], sourceIP, userAgent, via }: Actor): Actor {
  return {
    username: line(username, 253),
    ...(groups.length > 0 && { groups: groups.slice(0, maxGroups).map((name) => line(name, 64)) }),
    ...(sourceIP !== undefined && { sourceIP: line(sourceIP, 64) }),
    ...(userAgent !== undefined && { userAgent: line(userAgent, 128) }),
    ...(via !== undefined && { via: line(via, 253) }),
  };
}

/** As many as fit and can be shown, and each whole: a URL that has been changed leads somewhere else. */
function boundedReferences(references: readonly string[]): readonly string[] {
  let bytes = 0;
  const fitting = references.filter((url) => {
    const length = Buffer.byteLength(JSON.stringify(url));
    if (bytes + length > maxReferenceBytes || oneLine(url, maxReferenceBytes) !== url) return false;
    bytes += length;
    return true;
  });
  return fitting.slice(0, maxReferences);
}

/**
 * The facts of a finding, within the limits of the CRD. Its remediation and then its details take what the rest of the
 * object leaves.
 */
export function factsOf(finding: Finding, otherBytes: number): Facts & { readonly summary: string } {
  const { severity, summary, resource, remediation, references = [], details } = finding;
  const urls = boundedReferences(references);
  const facts = {
    severity,
    summary: oneLine(summary, maxSummary),
    ...(resource && { resource: boundedResource(resource) }),
    ...(urls.length > 0 && { references: urls }),
  };
  const left = maxObservationBytes - otherBytes - bytesOf(facts) - minDetailsBytes;
  const advice =
    remediation === undefined ? {} : { remediation: cutText(remediation, Math.min(maxRemediationBytes, left)) };
  const maxBytes = Math.min(maxDetailsBytes, minDetailsBytes + left - bytesOf(advice));
  return { ...facts, ...advice, details: fitDetails(detailsOf(details), maxBytes) };
}

/** The labels that follow from what a finding is about; they change only with its facts. */
export function findingLabels(finding: Finding, namespace: string): Record<string, string> {
  const { category, severity, resource, actor } = finding;
  const affected = resource?.namespace;
  return {
    [labels.category]: labelValue(category),
    [labels.severity]: severity,
    ...(resource && { [labels.workload]: workloadHash(resource) }),
    ...(actor && { [labels.actor]: actorHash(actor.username) }),
    ...(affected !== undefined && affected !== namespace && { [labels.namespace]: labelValue(affected) }),
  };
}

function stateLabels({ state, now }: ObservationOptions): Record<string, string> {
  if (state === undefined) return {};
  return {
    [labels.report]: state.slot,
    [labels.digest]: state.digest,
    [labels.state]: 'open',
    [labels.since]: String(now),
  };
}

/** An Observation as this version writes it. */
export interface NewObservation extends Observation {
  readonly spec: Observation['spec'] & { readonly summary: string; readonly rule: string };
}

/** Makes an Observation of a finding, within the limits of the CRD and below 8 KiB. */
export function observationOf(finding: Finding, options: ObservationOptions): NewObservation {
  const { category, eventType, rule, actor, detectedAt } = finding;
  const typed = { apiVersion: `${group}/v1`, kind: 'Observation' } as const;
  const metadata = {
    name: options.name,
    namespace: options.namespace,
    labels: {
      [labels.source]: labelValue(options.source),
      [labels.expires]: expiresLabel(options.expiresAt),
      ...findingLabels(finding, options.namespace),
      ...stateLabels(options),
      ...(options.isDue && { [outboxLabel]: due }),
    },
    annotations: {
      [correlationAnnotation]: nameText(options.correlationId, 256),
      ...(options.state?.reportedBy !== undefined && { [reportedByAnnotation]: options.state.reportedBy }),
    },
  };
  const fixed = {
    source: options.source,
    category,
    eventType,
    rule: line(rule, maxRuleBytes),
    ...(actor && { actor: boundedActor(actor) }),
    detectedAt,
    ttlSecondsAfterCreation: options.ttl,
  };
  const shown = options.controller ? { ...finding, resource: options.controller } : finding;
  const facts = factsOf(shown, bytesOf({ ...typed, metadata, spec: { ...fixed, details: {} } }));
  return { ...typed, metadata, spec: { ...fixed, ...facts } };
}
