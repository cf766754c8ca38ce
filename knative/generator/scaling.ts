import { type FunctionDefinition, triggersOf } from '../../shared/function/definitions.ts';
import type { CommonSettings } from '../../shared/function/settings.ts';

export interface Scaling {
  readonly annotations: Readonly<Record<string, string>>;
  /** How many requests one pod gets at once. If unset, the function's own limit applies and counts. */
  readonly containerConcurrency?: number;
  /** In seconds; Knative allows 600 at most. */
  readonly timeoutSeconds: number;
}

const prefix = 'autoscaling.knative.dev';

/**
 * How each sort of function scales, and why:
 * - max-scale limits the writes to the API server: a pod has 8 calls in flight, so 5 pods of a source have 40.
 * - A function that only a schedule wakes, or that keeps objects in step from its start on, needs no second pod: two
 *   would do the same work twice, which does no harm.
 * - containerConcurrency 20: to handle a reference, a pod holds a report of at most 1.5 MiB, and 20 of those fit in memory.
 * - The gateway takes 100 at once. With a limit, Knative holds what is more: its activators 10,000 each, queue-proxy 1,000.
 *   Without one it passes on everything at once, more than the gateway can hold, and Falco does not send again what is
 *   refused. target-burst-capacity -1 keeps the activator in front, however many pods there are.
 * - The page keeps a request open for each person that looks, so 100 at once, and one pod, which has read what they see.
 * - window and retention are short, because a start takes only a second. An idle function is gone after about 40 s.
 * - timeoutSeconds is 600 where requests are held (a webhook whose sender does not try again, a pass over a large
 *   cluster), otherwise 300.
 */
export function scaling(definition: FunctionDefinition, settings: CommonSettings): Scaling {
  const types = triggersOf(definition, settings).map(({ type }) => type);
  const isGateway = definition.kind === 'gateway';
  const isAlone = definition.runsAlone || types.includes('Start') || types.every((type) => type === 'PingSource');
  const mostPods = isGateway ? '3' : isAlone && definition.kind !== 'dead-letter-sink' ? '1' : '5';
  const annotations = {
    [`${prefix}/min-scale`]: '0',
    [`${prefix}/max-scale`]: mostPods,
    [`${prefix}/window`]: '10s',
    [`${prefix}/scale-to-zero-pod-retention-period`]: '0s',
  };
  if (isGateway) {
    const burst = { [`${prefix}/target-burst-capacity`]: '-1' };
    return { annotations: { ...annotations, ...burst }, containerConcurrency: 100, timeoutSeconds: 600 };
  }
  if (definition.kind === 'page') return { annotations, containerConcurrency: 100, timeoutSeconds: 600 };
  return { annotations, containerConcurrency: 20, timeoutSeconds: types.includes('PingSource') ? 600 : 300 };
}
