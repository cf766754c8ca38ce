import type { KindSelector } from '../api/kind-selector.ts';
import type { Context, ExpressionErrors } from '../function/context.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { failing, hasFailed, setConditions } from './conditions.ts';

interface Noted {
  readonly kind: KindSelector;
  readonly object: KubernetesObject;
  readonly message: string;
}

/** `count` counts each failure. */
export function createExpressionErrors(count: (kind: string) => void): ExpressionErrors {
  /** By the object. */
  const noted = new Map<string, Noted>();
  /** The generation of each object for which this process has shown it. */
  const shown = new Map<string, number | undefined>();
  const keyOf = ({ kind, metadata: { namespace, name } }: KubernetesObject): string => `${kind} ${namespace}/${name}`;

  async function show({ kind, object, message }: Noted, context: Pick<Context, 'cluster' | 'clock' | 'event'>) {
    context.event.tally.warning(`${keyOf(object)}: ${message}`);
    try {
      await setConditions(kind, object, [failing(message)], context);
    } catch (error) {
      context.event.tally.warning(`${keyOf(object)}: its condition can't be set: ${Refusal.from(error).message}`);
    }
  }

  return {
    count: ({ kind }) => count(kind),
    note(kind, object, message) {
      count(kind.kind);
      const key = keyOf(object);
      const isShown = shown.has(key) && shown.get(key) === object.metadata.generation;
      if (!isShown && !hasFailed(object) && !noted.has(key)) noted.set(key, { kind, object, message });
    },
    async settle(context) {
      const all = [...noted];
      noted.clear();
      for (const [key, { object }] of all) shown.set(key, object.metadata.generation);
      for (const [, one] of all) await show(one, context);
    },
  };
}
