import type { Observation, ResourceRef } from '../../shared/observation/observation.ts';
import { type ObservationObject, observationObject } from '../../shared/observation/observation-object.ts';

const resource: Required<ResourceRef> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: 'web',
  namespace: 'shop',
};

/** With all that it can say. */
const whole: Required<Observation> = {
  category: 'compliance',
  severity: 'HIGH',
  eventType: 'policy-violation',
  resource,
  identity: {},
  details: {},
  detectedAt: '2026-03-01T10:00:00Z',
};

/** A finding as it is stored, changed in parts. */
export function observed(changes: Partial<Observation> = {}): ObservationObject {
  return observationObject(
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
