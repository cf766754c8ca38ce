import * as z from 'zod';
import type { Condition } from '../api/condition.ts';
import type { KindSelector } from '../api/kind-selector.ts';
import { oneLine } from '../finding/one-line.ts';
import type { Context } from '../function/context.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { unlessRefused } from './write.ts';

const maxMessageLength = 1024;

const statusSchema = z.object({
  status: z.looseObject({
    conditions: z
      .array(
        z.looseObject({
          type: z.string(),
          status: z.string(),
          reason: z.string(),
          message: z.string().default(''),
          lastTransitionTime: z.string(),
          observedGeneration: z.number().optional(),
        }),
      )
      .default([]),
  }),
});

/** That an expression of an object can't be answered. The message is the first failure's. */
export function failing(message: string): Condition {
  return { type: 'Failing', status: 'True', reason: 'ExpressionFailed', message };
}

function conditionsOf(object: KubernetesObject) {
  return statusSchema.safeParse(object).data?.status.conditions ?? [];
}

/** A condition of an object as it was set last, if that was for what its spec says now. */
export function currentCondition(object: KubernetesObject, wanted: Condition['type']) {
  const found = conditionsOf(object).find(({ type }) => type === wanted);
  return found?.observedGeneration === object.metadata.generation ? found : undefined;
}

/** Whether it is shown on an object, as it is now, that its expression fails. */
export function hasFailed(object: KubernetesObject): boolean {
  return currentCondition(object, 'Failing')?.status === 'True';
}

/** What to set if an object has changed since its expression failed: nobody knows yet whether it still does. */
export function changedSinceFailing(object: KubernetesObject): readonly Condition[] {
  const wasFailing = conditionsOf(object).some(({ type, status }) => type === 'Failing' && status === 'True');
  if (!wasFailing || hasFailed(object)) return [];
  return [{ type: 'Failing', status: 'False', reason: 'Changed', message: '' }];
}

/**
 * Sets these conditions of an object, and these other fields of its status, and leaves the rest alone. Writes nothing if the object has them already. If its
 * namespace refuses that, that stops nothing else.
 */
export async function setConditions(
  resource: KindSelector,
  object: KubernetesObject,
  conditions: readonly Condition[],
  { cluster, clock, event }: Pick<Context, 'cluster' | 'clock' | 'event'>,
  fields: Readonly<Record<string, number>> = {},
): Promise<void> {
  const status = statusSchema.safeParse(object).data?.status;
  const before = status?.conditions ?? [];
  const { generation } = object.metadata;
  const after = conditions.map((condition) => {
    const message = oneLine(condition.message, maxMessageLength);
    const old = before.find(({ type }) => type === condition.type);
    const isSame = old?.status === condition.status && old.reason === condition.reason && old.message === message;
    if (isSame && old.observedGeneration === generation) return old;
    const lastTransitionTime =
      old?.status === condition.status ? old.lastTransitionTime : new Date(clock.now()).toISOString();
    return { ...condition, message, lastTransitionTime, observedGeneration: generation };
  });
  const isSame = Object.entries(fields).every(([name, value]) => status?.[name] === value);
  if (isSame && after.every((condition) => before.some((old) => old === condition))) return;
  const others = before.filter(({ type }) => conditions.every((condition) => condition.type !== type));
  await unlessRefused(object.metadata.namespace, { event }, () =>
    cluster.objects.setStatus(resource, object, { ...fields, conditions: [...others, ...after] }, event.signal),
  );
}
