import { groupVersionOf } from '../api/kind-selector.ts';
import { formatReportedBy } from '../api/reported-by.ts';
import type { Finding, ResourceRef } from '../finding/finding.ts';
import { observationName } from '../finding/name.ts';
import { timeOf } from '../finding/values.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { deriveFindings, type HeldFinding, type NamedFinding } from './derive.ts';
import { badRowsFinding, type Named, unreadableFinding } from './operations.ts';
import { badRowRefusal, normalizeData } from './parse.ts';

/** What an object reports. */
export interface Report {
  readonly object: KubernetesObject;
  /** One of them may say that the object, or rows of it, can't be read. */
  readonly findings: readonly NamedFinding[];
  /** The names of what a filter or the source has left out, and why. */
  leftOut(): ReadonlyMap<string, string>;
  /** The names of what the tool itself has accepted, and what it calls the exceptions. */
  readonly accepted: ReadonlyMap<string, string>;
  /** What a filter that can't be read keeps from being judged: it stays as it is. */
  readonly held: readonly HeldFinding[];
  /** Why the object, or a row of it, can't be read. Then what it used to report must not count as gone. */
  readonly fault: Refusal | undefined;
  /** Whether it may report more than could be made out, so that the same holds. */
  readonly isPartial: boolean;
}

/** The value of the annotation `reported-by` of what an object reports. */
export function reportedByOf({ apiVersion, kind, metadata: { namespace = '' } }: KubernetesObject): string {
  return formatReportedBy({ namespace, group: groupVersionOf(apiVersion).group, kind });
}

export function resourceRefOf({ apiVersion, kind, metadata }: KubernetesObject): ResourceRef & Named {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}

/** In milliseconds since 1970; 0 if it isn't known. */
export function createdAt({ metadata }: KubernetesObject): number {
  return new Date(metadata.creationTimestamp ?? 0).getTime() || 0;
}

/**
 * Whether the object itself is at fault. Any other error (such as filters that are still to be read) is temporary, and is
 * retried.
 */
function isUnreadable(error: unknown): error is Refusal {
  return error instanceof Refusal && error.status === 422;
}

const none: ReadonlyMap<string, string> = new Map();

function reasonOf({ message, path, cause }: Refusal): string {
  const detail = cause instanceof Error ? cause.message : cause;
  return [message, [path, typeof detail === 'string' ? detail : undefined].filter(Boolean).join(' ')]
    .filter((part) => part !== '')
    .join(': ');
}

/** A report that can't be read at all. */
function unreadable<Settings>(
  source: string,
  object: KubernetesObject,
  fault: Refusal,
  context: Context<Settings>,
): Report {
  context.event.tally.skipped('unreadable');
  const finding = unreadableFinding(source, resourceRefOf(object), reasonOf(fault), fault.path, context);
  return { object, findings: [finding], leftOut: () => none, accepted: none, held: [], fault, isPartial: true };
}

function namesOf(source: string, leftOut: Readonly<Record<string, readonly Finding[]>>): Map<string, string> {
  const names = Object.entries(leftOut).flatMap(([reason, findings]) =>
    findings.map((finding) => [observationName(source, finding), reason] as const),
  );
  return new Map(names);
}

/** Reads an object. Throws a Refusal 503 if filters have not been read yet. */
export function readReport<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): Report {
  const created = timeOf(object.metadata.creationTimestamp, time);
  try {
    const normalized = normalizeData(source, object, created, context.settings);
    const { findings, dropped, held } = deriveFindings(source, normalized, { hasState: true }, context);
    const { badRows = [], leftOut = {}, accepted = [], isPartial = false } = normalized;
    const [bad, ...more] = badRows;
    const ofBad = bad ? [badRowsFinding(source.name, resourceRefOf(object), [bad, ...more], context)] : [];
    return {
      object,
      findings: [...findings, ...ofBad],
      accepted: new Map(accepted.map(({ finding, exception }) => [observationName(source.name, finding), exception])),
      leftOut: () => namesOf(source.name, { ...leftOut, filtered: dropped }),
      held,
      fault: bad && badRowRefusal(bad),
      isPartial: isPartial || badRows.length > 0,
    };
  } catch (error) {
    if (isUnreadable(error)) return unreadable(source.name, object, error, context);
    throw error;
  }
}
