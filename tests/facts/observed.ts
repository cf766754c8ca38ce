import { type Observation, observationOf } from '../../shared/api/observation.ts';
import { seriesWith } from '../../shared/api/series.ts';
import type { Finding, ResourceRef } from '../../shared/finding/finding.ts';

const resource: Required<ResourceRef> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: 'web',
  namespace: 'shop',
};

/** A finding with every field. */
const whole: Required<Omit<Finding, 'repeat'>> = {
  category: 'compliance',
  severity: 'HIGH',
  eventType: 'policy-violation',
  rule: 'require-labels/check-team',
  summary: 'the label team is required',
  resource,
  actor: { username: 'eve', groups: ['dev'], sourceIP: '192.0.2.7', userAgent: 'kubectl', via: 'token-1' },
  identity: {},
  remediation: 'add the label',
  references: ['https://example.com/require-labels'],
  details: {},
  detectedAt: '2026-03-01T10:00:00Z',
};

/** That finding as it is stored, with some changes, when it has happened again. */
export function observed(changes: Partial<Finding> = {}): Required<Observation> {
  const stored = observationOf(
    { ...whole, ...changes },
    {
      name: 'kyverno-1',
      namespace: 'shop',
      source: 'kyverno',
      state: { slot: 'a-slot', digest: 'a-digest' },
      correlationId: 'c',
      ttl: 60,
      expiresAt: 0,
      now: 0,
    },
  );
  const repeats = { count: 411, lastObservedTime: '2026-03-01T10:00:00Z', seen: ['shop/web'] };
  const labels = { ...stored.metadata.labels, 'zen.kube-zen.io/accepted': 'forever' };
  const annotations = { ...stored.metadata.annotations, 'zen.kube-zen.io/exception': 'shop/teams' };
  const metadata = { ...stored.metadata, labels, annotations };
  return { ...stored, metadata, status: { series: seriesWith(undefined, repeats) } };
}
