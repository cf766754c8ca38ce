import * as z from 'zod';
import type { CloudEvent } from '../function/cloud-event.ts';
import type { Context } from '../function/context.ts';
import { groupVersionOf } from '../function/group-version.ts';
import { namespaceOf } from '../function/resource.ts';
import type { SourceDefinition } from '../function/source-definition.ts';
import type { KubernetesObject, ObjectRef } from '../function/stores.ts';
import { addSummaries, type Summary, summaryOf } from '../function/summary.ts';
import { resourcesOf } from '../function/triggers.ts';
import { recordUnreadable } from './operations.ts';
import { parseData } from './parse.ts';
import { listKnown, reconcileFindings } from './reconcile.ts';
import { deriveObject, isUnreadable, isWanted, resourceRefOf } from './state-source.ts';
import { withSummary } from './write.ts';

const reference = z.object({
  apiVersion: z.string().min(1),
  kind: z.string().min(1),
  namespace: z.string().optional(),
  name: z.string().min(1),
});

/** ApiServerSource sends references, or (mode Resource) whole objects; those are read anew, since events are hints. */
const referenceSchema = z.union([
  reference,
  z
    .object({ apiVersion: z.string(), kind: z.string(), metadata: reference.pick({ namespace: true, name: true }) })
    .transform(({ apiVersion, kind, metadata }) => ({ apiVersion, kind, ...metadata })),
]);

/** Which object a reference event names. Throws a Refusal 422. */
export function referenceOf(event: CloudEvent): ObjectRef {
  return parseData(referenceSchema, event.data);
}

/** Reads the object that an event refers to and makes what is stored of it equal to what it reports. */
export async function reconcileReference<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  event: CloudEvent,
  context: Context<Settings>,
): Promise<Summary> {
  const ref = referenceOf(event);
  const { group } = groupVersionOf(ref.apiVersion);
  const resource = resourcesOf(source).find((candidate) => candidate.group === group && candidate.kind === ref.kind);
  if (!resource) return summaryOf({ skipped: { not_wanted: 1 } });
  const object = await context.objects.get(resource, ref, context.signal);
  if (!object || object.metadata.deletionTimestamp) return summaryOf({ skipped: { gone: 1 } });
  if (!isWanted(resource, namespaceOf(resource, context.settings), object))
    return summaryOf({ skipped: { not_wanted: 1 } });
  return reconcileObject(source, object, event.time, context);
}

async function reconcileObject<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
): Promise<Summary> {
  const about = resourceRefOf(object);
  const { derived, summary } = await readObject(source, object, time, context);
  if (derived.length === 0) return summary;
  try {
    const known = await listKnown(source.name, derived, context);
    const reported = derived.map((finding) => ({ derived: finding, about }));
    const reconciled = await reconcileFindings(source.name, reported, known, context);
    if (reconciled.refused[0]) throw withSummary(reconciled.refused[0], reconciled.summary);
    return addSummaries(summary, reconciled.summary);
  } catch (error) {
    throw withSummary(error, summary);
  }
}

/** ApiServerSource drops what is answered 422 and has no dead-letter sink, so what can't be read is recorded first. */
async function readObject<Data, Settings>(
  source: SourceDefinition<Data, Settings>,
  object: KubernetesObject,
  time: string,
  context: Context<Settings>,
) {
  try {
    return deriveObject(source, object, time, context);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    throw withSummary(
      error,
      await recordUnreadable(source.name, resourceRefOf(object), error.message, error.path, context),
    );
  }
}
