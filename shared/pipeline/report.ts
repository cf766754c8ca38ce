import type { BadRow, ResourceRef } from '../finding/finding.ts';
import { observationName } from '../finding/name.ts';
import { timeOf } from '../finding/values.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { deriveFindings, type NamedFinding } from './derive.ts';
import { badRowsFinding, unreadableFinding } from './operations.ts';
import { normalizeData } from './parse.ts';

/** What an object reports. */
export interface Report {
  readonly object: KubernetesObject;
  /** One of them may say that the object, or rows of it, can't be read. */
  readonly findings: readonly NamedFinding[];
  /** The names of what a filter has dropped. */
  droppedNames(): ReadonlySet<string>;
  /** Why the object, or a row of it, can't be read. Then what it used to report must not count as gone. */
  readonly fault: Refusal | undefined;
}

export function resourceRefOf({ apiVersion, kind, metadata }: KubernetesObject): ResourceRef {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}

/**
 * Whether the object itself is at fault. Any other error (such as an unreadable filter) is temporary, and is retried.
 */
function isUnreadable(error: unknown): error is Refusal {
  return error instanceof Refusal && error.status === 422;
}

const none: ReadonlySet<string> = new Set();

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
  return { object, findings: [finding], droppedNames: () => none, fault };
}

function faultOf([bad]: readonly BadRow[]): Refusal | undefined {
  return bad && new Refusal(422, 'the data breaks the schema', { path: bad.path, cause: bad.message });
}

/** Reads an object. Throws a Refusal 503 if a filter that applies can't be read. */
export function readReport<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): Report {
  const created = timeOf(object.metadata.creationTimestamp, time);
  try {
    const normalized = normalizeData(source, object, created, context.settings);
    const { findings, dropped } = deriveFindings(source, normalized, { dropOwn: true }, context);
    const { badRows = [] } = normalized;
    const bad = badRows.length > 0 ? [badRowsFinding(source.name, resourceRefOf(object), badRows, context)] : [];
    return {
      object,
      findings: [...findings, ...bad],
      droppedNames: () => new Set(dropped.map((finding) => observationName(source.name, finding))),
      fault: faultOf(badRows),
    };
  } catch (error) {
    if (isUnreadable(error)) return unreadable(source.name, object, error, context);
    throw error;
  }
}
