import type { FunctionDefinition } from '../shared/function/function-definition.ts';

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
export function scaling({ triggers, receive }: FunctionDefinition): Scaling {
  const isPinged = triggers.some(({ type }) => type === 'PingSource');
  const isWoken = triggers.some(({ type }) => type !== 'PingSource') && !triggers.some(({ type }) => type === 'Start');
  const annotations = {
    [`${prefix}/min-scale`]: '0',
    [`${prefix}/max-scale`]: receive ? '3' : isWoken ? '5' : '1',
    [`${prefix}/window`]: '10s',
    [`${prefix}/scale-to-zero-pod-retention-period`]: '0s',
  };
  if (receive) return { annotations, timeoutSeconds: 600 };
  return { annotations, containerConcurrency: 20, timeoutSeconds: isPinged ? 600 : 300 };
}
