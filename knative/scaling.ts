import { type FunctionDefinition, triggersOf } from '../shared/function/definitions.ts';
import type { CommonSettings } from '../shared/function/settings.ts';

export interface Scaling {
  readonly annotations: Readonly<Record<string, string>>;
  /** Requests at once in one pod; without it the function's own limit and counter work. */
  readonly containerConcurrency?: number;
  /** Seconds; Knative's own limit is 600. */
  readonly timeoutSeconds: number;
}

const prefix = 'autoscaling.knative.dev';

/**
 * How each sort of function scales, and why:
 * - max-scale bounds the writes on the API server: 8 calls in flight a pod, so 5 pods of a source have 40.
 * - a function that the clock alone wakes, or that keeps objects in step from its start on, needs no second pod: two
 *   would do the same work twice, which does no harm.
 * - containerConcurrency 20: a reference event holds a report of at most 1.5 MiB, and 20 of them fit in the memory.
 * - the function that owns the webhooks has none: queue-proxy would answer 503 itself, and no counter would see it.
 * - window and retention are short, since a start costs a second: an idle function is gone after about 40 s.
 * - 600 s for what holds requests (a webhook whose sender does not try again, a pass over a large cluster), 300 otherwise.
 */
export function scaling(definition: FunctionDefinition, settings: CommonSettings): Scaling {
  const types = triggersOf(definition, settings).map(({ type }) => type);
  const isGateway = definition.kind === 'gateway';
  const isAlone = types.includes('Start') || types.every((type) => type === 'PingSource');
  const mostPods = isGateway ? '3' : isAlone && definition.kind !== 'dead-letter-sink' ? '1' : '5';
  const annotations = {
    [`${prefix}/min-scale`]: '0',
    [`${prefix}/max-scale`]: mostPods,
    [`${prefix}/window`]: '10s',
    [`${prefix}/scale-to-zero-pod-retention-period`]: '0s',
  };
  if (isGateway) return { annotations, timeoutSeconds: 600 };
  return { annotations, containerConcurrency: 20, timeoutSeconds: types.includes('PingSource') ? 600 : 300 };
}
