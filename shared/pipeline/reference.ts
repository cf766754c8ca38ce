import * as z from 'zod';
import { groupVersionOf, type KindSelector } from '../api/kind-selector.ts';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import type { SourceDefinition } from '../function/definitions.ts';
import type { ObjectRef } from '../function/stores.ts';
import { notingKeptOut, tellKeptOut } from './limit-reached.ts';
import { parseData } from './parse.ts';
import { reconcileSlot } from './reconcile-slot.ts';
import { readReport } from './report.ts';
import { isRelevant, reportKinds, slotOf } from './slot.ts';

/** What names an object. Anybody may send it, so it must not lead to anything else. */
const reference = z.object({
  apiVersion: z.string().regex(/^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?v[a-z0-9]{1,62}$/),
  kind: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,62}$/),
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
    .object({
      ...reference.pick({ apiVersion: true, kind: true }).shape,
      metadata: reference.pick({ namespace: true, name: true }),
    })
    .transform(({ apiVersion, kind, metadata }) => ({ apiVersion, kind, ...metadata })),
]);

/** The object that a reference event names. Throws a Refusal 422. */
export function referenceOf(event: CloudEvent): ObjectRef {
  return parseData(referenceSchema, event.data);
}

/** Whether a function watches what an event refers to: in another version or namespace it would not be told of it. */
function isOf({ group, kind, versions, namespace }: KindSelector, ref: ObjectRef): boolean {
  const given = groupVersionOf(ref.apiVersion);
  const isHere = namespace === undefined || namespace === ref.namespace;
  return group === given.group && kind === ref.kind && versions.includes(given.version) && isHere;
}

/** Reads the object that an event refers to, and makes what is stored match what it and the others of its slot report. */
export async function reconcileReference<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<void> {
  const { tally, signal } = context.event;
  const ref = referenceOf(event);
  const kinds = reportKinds(source, context);
  const kind = kinds.find((candidate) => isOf(candidate, ref));
  if (!kind) return tally.skipped('not_wanted');
  const object = await context.cluster.objects.get(kind, ref, signal);
  // That a report is gone changes nothing by itself: tools delete theirs and make them anew. The pass sees it.
  if (!object || object.metadata.deletionTimestamp) return tally.skipped('gone');
  if (!isRelevant(kind, object)) return tally.skipped('not_wanted');
  context.life.note();
  const report = readReport(source, object, event.time, context);
  const slot = slotOf(source, object, kinds);
  const home = slot.namespace ?? context.settings.SYSTEM_NAMESPACE;
  // A report about one thing may name others all the same.
  const isNarrow = slot.isNarrow && report.findings.every(({ namespace }) => namespace === home);
  const noting = notingKeptOut(context);
  const refusal = await reconcileSlot(report, { source, slot: { ...slot, isNarrow }, context: noting.context });
  await tellKeptOut(source.name, noting.keptOut, context);
  const fault = refusal ?? report.held[0]?.refusal ?? report.fault;
  if (fault) throw fault;
}
