import type { KubernetesObject } from '../../shared/function/stores.ts';

export interface ExceptionFields {
  readonly match?: object;
  readonly reason?: string;
  readonly approvedBy?: string;
  readonly until?: string;
  readonly [other: string]: unknown;
}

/** An ObservationException; without a namespace, one of the system namespace. */
export function anException(
  name: string,
  { match = { sources: ['scanner'] }, reason = 'because', ...fields }: ExceptionFields = {},
  namespace = 'zen-system',
): KubernetesObject & { readonly spec: object } {
  return {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'ObservationException',
    metadata: { name, namespace, creationTimestamp: '2026-03-01T00:00:00Z', generation: 1 },
    spec: { match, reason, ...fields },
  };
}
