import * as z from 'zod';
import type { KindSelector } from '../shared/api/kind-selector.ts';
import type { ObjectMetadata } from '../shared/finding/object-schema.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';
import { checkReport, fromChecks } from './trivy/checks.ts';
import { complianceReport, fromCompliance } from './trivy/compliance.ts';
import { exposedSecretReport, fromSecrets, fromVulnerabilities, vulnerabilityReport } from './trivy/images.ts';
import { mergeFindings } from './trivy/merge.ts';
import { affectedResource, containerOf, subjectOf } from './trivy/subject.ts';

const schema = z.discriminatedUnion('kind', [vulnerabilityReport, exposedSecretReport, checkReport, complianceReport]);

const group = 'aquasecurity.github.io';

const kinds: readonly KindSelector[] = [
  ...['VulnerabilityReport', 'ExposedSecretReport', 'ConfigAuditReport', 'RbacAssessmentReport'],
  ...['InfraAssessmentReport', 'ClusterVulnerabilityReport', 'ClusterConfigAuditReport'],
  ...['ClusterRbacAssessmentReport', 'ClusterInfraAssessmentReport', 'ClusterComplianceReport'],
].map((kind) => ({
  group,
  versions: ['v1alpha1'],
  kind,
  plural: `${kind.toLowerCase()}s`,
  namespaced: !kind.startsWith('Cluster'),
}));

const minimumSeverity = z
  .string()
  .transform((severity) => severity.toUpperCase())
  .pipe(z.enum(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], { error: 'must be CRITICAL, HIGH, MEDIUM or LOW' }));

/** A report is about one kind of flaw of one container of a workload; one of compliance is about itself. */
function slotOf({ kind }: Pick<KindSelector, 'kind'>, metadata: ObjectMetadata) {
  if (kind === 'ClusterComplianceReport') {
    return { about: { apiVersion: `${group}/v1alpha1`, kind, name: metadata.name ?? undefined } };
  }
  const about = affectedResource(metadata);
  return about && { about, parts: { kind, container: containerOf(metadata) } };
}

/**
 * Trivy Operator's reports: one Observation per vulnerability, exposed secret, failed check and failed control; one for
 * all minor vulnerabilities of a container, and one for an operating system that is no longer supported.
 * https://aquasecurity.github.io/trivy-operator/latest/docs/crds/
 */
export default defineSource({
  name: 'trivy',
  triggers: (settings) => [objects(kinds, settings), { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES }],
  settings: z.object({ TRIVY_MINIMUM_SEVERITY: minimumSeverity.default('MEDIUM') }),
  schema,
  slotOf,
  merge: mergeFindings,
  normalize(data, { time, settings: { TRIVY_MINIMUM_SEVERITY: minimum } }) {
    if (data.kind === 'ClusterComplianceReport') return fromCompliance(data, time);
    const subject = subjectOf(data.metadata, data.report);
    if (subject === undefined) return { findings: [], skipped: { no_subject: 1 } };
    switch (data.kind) {
      case 'VulnerabilityReport':
      case 'ClusterVulnerabilityReport':
        return fromVulnerabilities(data.report, subject, { time, minimum });
      case 'ExposedSecretReport':
        return fromSecrets(data.report, subject, time);
      default:
        return fromChecks(data, subject, time);
    }
  },
});
