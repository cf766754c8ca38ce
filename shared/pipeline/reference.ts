import * as z from 'zod';
import { groupVersionOf } from '../api/kind-selector.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { ObjectRef } from '../function/stores.ts';
import { parseData } from './parse.ts';
import { reconcileSlot } from './reconcile-slot.ts';
import { readReport } from './report.ts';
import { isRelevant, reportKinds, slotOf } from './slot.ts';

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

/** Reads the object that an event refers to, and makes what is stored match what it and the others of its slot report. */
export async function reconcileReference<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<void> {
  const { tally, signal } = context.event;
  const ref = referenceOf(event);
  const { group } = groupVersionOf(ref.apiVersion);
  const kinds = reportKinds(source, context);
  const kind = kinds.find((candidate) => candidate.group === group && candidate.kind === ref.kind);
  if (!kind) return tally.skipped('not_wanted');
  const object = await context.cluster.objects.get(kind, ref, signal);
  // That a report is gone changes nothing by itself: tools delete theirs and make them anew. The pass sees it.
  if (!object || object.metadata.deletionTimestamp) return tally.skipped('gone');
  if (!isRelevant(kind, object)) return tally.skipped('not_wanted');
  const report = readReport(source, object, event.time, context);
  const slot = slotOf(source, object, kinds);
  const home = slot.namespace ?? context.settings.SYSTEM_NAMESPACE;
  // A report about one thing may name others all the same.
  const isNarrow = slot.isNarrow && report.findings.every(({ namespace }) => namespace === home);
  const refusal = await reconcileSlot(report, { source, slot: { ...slot, isNarrow }, context });
  const fault = refusal ?? report.held[0]?.refusal ?? report.fault;
  if (fault) throw fault;
}
