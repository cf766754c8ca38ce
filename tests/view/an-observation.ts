import type { Observation } from '../../shared/api/observation.ts';

export interface Changes {
  readonly metadata?: Partial<Observation['metadata']>;
  readonly spec?: Partial<Observation['spec']>;
  readonly status?: NonNullable<Observation['status']>;
}

/** A stored Observation with few fields, and with these. */
export function anObservation({ metadata = {}, spec = {}, status }: Changes = {}): Observation {
  return {
    apiVersion: 'zen.kube-zen.io/v1',
    kind: 'Observation',
    metadata: {
      name: 'trivy-0123456789abcdef0123456789abcdef',
      namespace: 'shop',
      labels: {},
      annotations: {},
      creationTimestamp: '2026-03-01T10:00:00Z',
      ...metadata,
    },
    spec: {
      source: 'trivy',
      category: 'security',
      severity: 'HIGH',
      eventType: 'vulnerability',
      details: {},
      detectedAt: '2026-03-01T09:00:00Z',
      ttlSecondsAfterCreation: 60,
      ...spec,
    },
    ...(status && { status }),
  };
}
