import { type Observation, observationOf } from '../../shared/api/observation.ts';
import type { Finding, ResourceRef } from '../../shared/finding/finding.ts';

const resource: Required<ResourceRef> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: 'web',
  namespace: 'shop',
};

/** A finding with every field. */
const whole: Required<Finding> = {
  category: 'compliance',
  severity: 'HIGH',
  eventType: 'policy-violation',
  resource,
  identity: {},
  details: {},
  detectedAt: '2026-03-01T10:00:00Z',
};

/** That finding as it is stored, with some changes. */
export function observed(changes: Partial<Finding> = {}): Observation {
  return observationOf(
    { ...whole, ...changes },
    {
      name: 'kyverno-1',
      namespace: 'shop',
      source: 'kyverno',
      subject: 'a-subject',
      correlationId: 'c',
      ttl: 60,
      expiresAt: 0,
      now: 0,
    },
  );
}
