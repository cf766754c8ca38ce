import * as z from 'zod';
import { groupVersionOf } from '../api/kind-selector.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject, ObjectRef, Stored } from '../function/stores.ts';
import { kindsIn } from '../function/triggers.ts';
import { recordBadRows, recordUnreadable } from './operations.ts';
import { parseData } from './parse.ts';
import { listKnown, reconcileFindings } from './reconcile.ts';
import { isRelevant, isUnreadable, type Report, readReport, resourceRefOf, slotLabel } from './state-source.ts';

const reference = z.object({
  apiVersion: z.string().min(1),
  kind: z.string().min(1),
  namespace: z.string().optional(),
  name: z.string().min(1),
});

/**
 * An ApiServerSource sends references or, in mode KindSelector, whole objects. Those are read again, since events may be
 * old.
 */
const referenceSchema = z.union([
  reference,
  z
    .object({ apiVersion: z.string(), kind: z.string(), metadata: reference.pick({ namespace: true, name: true }) })
    .transform(({ apiVersion, kind, metadata }) => ({ apiVersion, kind, ...metadata })),
]);

/** The object that a reference event names. Throws a Refusal 422. */
export function referenceOf(event: CloudEvent): ObjectRef {
  return parseData(referenceSchema, event.data);
}

/** Reads the object that an event refers to, and makes what is stored match what the object reports. */
export async function reconcileReference<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<void> {
  const { tally, signal } = context.event;
  const ref = referenceOf(event);
  const { group } = groupVersionOf(ref.apiVersion);
  const kinds = kindsIn(source.triggers(context.settings));
  const kind = kinds.find((candidate) => candidate.group === group && candidate.kind === ref.kind);
  if (!kind) return tally.skipped('not_wanted');
  const object = await context.cluster.objects.get(kind, ref, signal);
  if (!object || object.metadata.deletionTimestamp) return tally.skipped('gone');
  if (!isRelevant(kind, object)) return tally.skipped('not_wanted');
  const { findings, badRows } = await readObject(source, object, event.time, context);
  const reporter = resourceRefOf(object);
  const slot = slotLabel(source, object);
  const reported = findings.map((finding) => ({ finding, reporter, slot }));
  const known = findings.length > 0 ? await listKnown(source.name, reported, context) : new Map<string, Stored>();
  const [refusal] = await reconcileFindings(source.name, reported, known, context);
  if (badRows.length > 0) await recordBadRows(source.name, reporter, badRows, context);
  if (refusal) throw refusal;
  const [bad] = badRows;
  if (bad) throw new Refusal(422, 'the data breaks the schema', { path: bad.path, cause: bad.message });
}

/**
 * Records an object that can't be read: an ApiServerSource drops an event that is answered 422, without a dead letter.
 */
async function readObject<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): Promise<Report> {
  try {
    return readReport(source, object, time, context);
  } catch (error) {
    if (isUnreadable(error)) {
      await recordUnreadable(source.name, resourceRefOf(object), error.message, error.path, context);
    }
    throw error;
  }
}
