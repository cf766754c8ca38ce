import * as z from 'zod';
import type { KindSelector } from '../shared/api/kind-selector.ts';
import type { Finding, Normalized, ResourceRef } from '../shared/finding/finding.ts';
import {
  descriptiveText,
  namespaceText,
  type ObjectMetadata,
  objectMetadata,
  ownerOf,
  rowsOf,
} from '../shared/finding/object-schema.ts';
import { parseSeverity } from '../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent, timeOf } from '../shared/finding/values.ts';
import { fileOf } from '../shared/function/file-annotation.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

const artifact = z
  .object({ repository: descriptiveText, tag: descriptiveText, digest: descriptiveText })
  .nullish()
  .catch(undefined);

const registry = z.object({ server: descriptiveText }).nullish().catch(undefined);

const vulnerability = z.object({
  vulnerabilityID: z.string(),
  severity: descriptiveText,
  resource: descriptiveText,
  installedVersion: descriptiveText,
  fixedVersion: descriptiveText,
  title: descriptiveText,
  primaryLink: descriptiveText,
  score: z.number().nullish().catch(undefined),
  target: descriptiveText,
});

/** `match` is left out on purpose: it may hold the secret. */
const exposedSecret = z.object({
  ruleID: z.string(),
  severity: descriptiveText,
  category: descriptiveText,
  target: descriptiveText,
  title: descriptiveText,
});

const check = z.object({
  checkID: descriptiveText,
  severity: descriptiveText,
  category: descriptiveText,
  title: descriptiveText,
  description: descriptiveText,
  remediation: descriptiveText,
  messages: z.array(z.string()).nullish().catch(undefined),
  success: z.boolean().nullish(),
  target: descriptiveText,
});

const control = z.object({
  id: z.string(),
  name: descriptiveText,
  severity: descriptiveText,
  totalFail: z.number().nullish(),
});

const complianceResult = z.object({
  id: z.string(),
  name: descriptiveText,
  severity: descriptiveText,
  checks: rowsOf(z.object({ success: z.boolean().nullish() })),
});

const imageReport = { updateTimestamp: descriptiveText, artifact, registry };

const vulnerabilityReport = z.object({
  kind: z.enum(['VulnerabilityReport', 'ClusterVulnerabilityReport']),
  metadata: objectMetadata,
  report: z.object({ ...imageReport, vulnerabilities: rowsOf(vulnerability) }),
});

const exposedSecretReport = z.object({
  kind: z.literal('ExposedSecretReport'),
  metadata: objectMetadata,
  report: z.object({ ...imageReport, secrets: rowsOf(exposedSecret) }),
});

const checkReport = z.object({
  kind: z.enum([
    'ConfigAuditReport',
    'ClusterConfigAuditReport',
    'RbacAssessmentReport',
    'ClusterRbacAssessmentReport',
    'InfraAssessmentReport',
    'ClusterInfraAssessmentReport',
  ]),
  metadata: objectMetadata,
  report: z.object({ updateTimestamp: descriptiveText, artifact, checks: rowsOf(check) }),
});

const complianceReport = z.object({
  apiVersion: descriptiveText,
  kind: z.literal('ClusterComplianceReport'),
  metadata: objectMetadata.extend({ name: z.string() }),
  status: z
    .object({
      updateTimestamp: descriptiveText,
      summaryReport: z.object({ controlCheck: rowsOf(control) }).nullish(),
      detailReport: z.object({ results: rowsOf(complianceResult) }).nullish(),
    })
    .nullish(),
});

const schema = z.discriminatedUnion('kind', [vulnerabilityReport, exposedSecretReport, checkReport, complianceReport]);

const checkEventTypes = {
  ConfigAuditReport: 'misconfiguration',
  ClusterConfigAuditReport: 'misconfiguration',
  RbacAssessmentReport: 'rbac-misconfiguration',
  ClusterRbacAssessmentReport: 'rbac-misconfiguration',
  InfraAssessmentReport: 'infra-misconfiguration',
  ClusterInfraAssessmentReport: 'infra-misconfiguration',
} as const;

const kinds: readonly KindSelector[] = [
  ...['VulnerabilityReport', 'ExposedSecretReport', 'ConfigAuditReport', 'RbacAssessmentReport'],
  ...['InfraAssessmentReport', 'ClusterVulnerabilityReport', 'ClusterConfigAuditReport'],
  ...['ClusterRbacAssessmentReport', 'ClusterInfraAssessmentReport', 'ClusterComplianceReport'],
].map((kind) => ({
  group: 'aquasecurity.github.io',
  versions: ['v1alpha1'],
  kind,
  plural: `${kind.toLowerCase()}s`,
  namespaced: !kind.startsWith('Cluster'),
}));

/**
 * Trivy Operator's reports: one Observation per vulnerability, exposed secret, failed check and failed control.
 * https://aquasecurity.github.io/trivy-operator/latest/docs/crds/
 */
export default defineSource({
  name: 'trivy',
  triggers: (settings) => [objects(kinds, settings), { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES }],
  settings: z.object({}),
  schema,
  normalize(report, { time }) {
    if (report.kind === 'ClusterComplianceReport') return fromCompliance(report, time);
    const resource = affectedResource(report.metadata);
    if (!resource && fileOf(report.metadata) === undefined) return { findings: [], skipped: { no_subject: 1 } };
    switch (report.kind) {
      case 'VulnerabilityReport':
      case 'ClusterVulnerabilityReport':
        return fromVulnerabilities(report, resource, time);
      case 'ExposedSecretReport':
        return fromSecrets(report, resource, time);
      default:
        return fromChecks(report, resource, time);
    }
  },
});

/**
 * The resource that a report is about: the one in the operator's labels, which stay the same when reports are
 * re-created; else the report's owner.
 */
function affectedResource(metadata: ObjectMetadata): ResourceRef | undefined {
  const owner = ownerOf(metadata);
  const kind = operatorLabel(metadata, 'resource.kind');
  const name = operatorLabel(metadata, 'resource.name');
  if (kind === undefined || name === undefined) return owner;
  const isOwner = owner?.kind === kind && owner.name === name;
  const label = metadata.labels?.['trivy-operator.resource.namespace'];
  return {
    apiVersion: isOwner ? owner.apiVersion : undefined,
    kind,
    // For a cluster-scoped resource the label exists, but is empty.
    namespace: namespaceText(label ?? metadata.namespace),
    name,
  };
}

/** A label of the operator. Values that can't be label values are in an annotation with the same key. */
function operatorLabel({ labels, annotations }: ObjectMetadata, key: string): string | undefined {
  const value = labels?.[`trivy-operator.${key}`] ?? annotations?.[`trivy-operator.${key}`];
  return isPresent(value) ? value : undefined;
}

/** What a file of Trivy's command line says in place of a container, and alone where it knows no Kubernetes object. */
function artifactOf(
  metadata: ObjectMetadata,
  { artifact: found }: { readonly artifact?: z.infer<typeof artifact> },
): string | undefined {
  return fileOf(metadata) === undefined ? undefined : (found?.repository ?? undefined);
}

function imageOf({
  artifact,
  registry,
}: z.infer<typeof vulnerabilityReport>['report'] | SecretReport): string | undefined {
  if (!artifact || !isPresent(artifact.repository)) return undefined;
  const server = registry?.server;
  const host = isPresent(server) ? `${server}/` : '';
  const version = isPresent(artifact.tag)
    ? `:${artifact.tag}`
    : isPresent(artifact.digest)
      ? `@${artifact.digest}`
      : '';
  return `${host}${artifact.repository}${version}`;
}

type SecretReport = z.infer<typeof exposedSecretReport>['report'];

function fromVulnerabilities(
  { metadata, report }: z.infer<typeof vulnerabilityReport>,
  resource: ResourceRef | undefined,
  time: string,
): Normalized {
  const container = operatorLabel(metadata, 'container.name');
  const image = imageOf(report);
  const foundIn = artifactOf(metadata, report);
  const detectedAt = timeOf(report.updateTimestamp, time);
  const findings = report.vulnerabilities.map((row): Finding => {
    const { vulnerabilityID, resource: pkg, installedVersion, fixedVersion, title, score, primaryLink, target } = row;
    const found = { vulnerabilityID, package: pkg, installedVersion, target, container, artifact: foundIn };
    return {
      category: 'security',
      severity: parseSeverity(row.severity),
      eventType: 'vulnerability',
      rule: vulnerabilityID,
      summary: `${vulnerabilityID} in ${pkg} ${installedVersion}`,
      resource,
      identity: identityOf(found),
      details: detailsOf({ ...found, title, fixedVersion, score, primaryLink, image }),
      detectedAt,
    };
  });
  return { findings, skipped: {} };
}

function fromSecrets(
  { metadata, report }: z.infer<typeof exposedSecretReport>,
  resource: ResourceRef | undefined,
  time: string,
): Normalized {
  const container = operatorLabel(metadata, 'container.name');
  const image = imageOf(report);
  const foundIn = artifactOf(metadata, report);
  const findings = report.secrets.map((row): Finding => {
    const found = { ruleID: row.ruleID, target: row.target, container, artifact: foundIn };
    return {
      category: 'security',
      severity: parseSeverity(row.severity),
      eventType: 'exposed-secret',
      rule: row.ruleID,
      summary: `${row.title ?? row.ruleID} in ${row.target}`,
      resource,
      identity: identityOf(found),
      details: detailsOf({ ...found, title: row.title, category: row.category, image }),
      detectedAt: timeOf(report.updateTimestamp, time),
    };
  });
  return { findings, skipped: {} };
}

function fromChecks(
  { kind, metadata, report }: z.infer<typeof checkReport>,
  resource: ResourceRef | undefined,
  time: string,
): Normalized {
  const foundIn = resource ? undefined : artifactOf(metadata, report);
  const failed = report.checks.filter(({ success }) => success !== true);
  const passed = report.checks.length - failed.length;
  const findings = failed.map((row): Finding => {
    const { checkID, title, description, remediation, category, target } = row;
    const where = { artifact: foundIn, target };
    const message = (row.messages ?? []).filter(isPresent).sort().join('\n');
    return {
      category: 'security',
      severity: parseSeverity(row.severity),
      eventType: checkEventTypes[kind],
      rule: checkID ?? title ?? 'unknown',
      summary: `${checkID} ${title}`,
      resource,
      // A check without an ID is identified by its title; otherwise all of them would be one finding.
      identity: identityOf(isPresent(checkID) ? { checkID, ...where } : { title, ...where }),
      details: detailsOf({ checkID, title, category, description, remediation, message, ...where }),
      detectedAt: timeOf(report.updateTimestamp, time),
    };
  });
  return { findings, skipped: passed > 0 ? { passed } : {} };
}

interface FailedControl {
  readonly id: string;
  readonly name?: string | null | undefined;
  readonly severity?: string | null | undefined;
  readonly failed: number;
}

type ComplianceStatus = NonNullable<z.infer<typeof complianceReport>['status']>;

/** Failed counts by control. Without totalFail a control was not measured, so it has not failed. */
function controlsOf({ summaryReport, detailReport }: ComplianceStatus): FailedControl[] {
  if (summaryReport) {
    return summaryReport.controlCheck.map(({ totalFail, ...row }) => ({ ...row, failed: totalFail ?? 0 }));
  }
  return (detailReport?.results ?? []).map(({ checks, ...row }) => ({
    ...row,
    failed: checks.filter(({ success }) => success === false).length,
  }));
}

function fromCompliance(
  { apiVersion, kind, metadata, status }: z.infer<typeof complianceReport>,
  time: string,
): Normalized {
  const controls = status ? controlsOf(status) : [];
  const detectedAt = timeOf(status?.updateTimestamp, time);
  if (controls.length === 0) return { findings: [], skipped: { no_result: 1 } };
  const failed = controls.filter((row) => row.failed > 0);
  const passed = controls.length - failed.length;
  const findings = failed.map(
    ({ id, name, severity, failed: count }): Finding => ({
      category: 'compliance',
      severity: parseSeverity(severity),
      eventType: 'compliance-failure',
      rule: id,
      summary: `${metadata.name} ${id} ${name}: ${count} failed`,
      resource: { apiVersion: apiVersion ?? undefined, kind, name: metadata.name },
      identity: identityOf({ compliance: metadata.name, control: id }),
      details: detailsOf({ compliance: metadata.name, control: id, title: name, failedTargets: count }),
      detectedAt,
    }),
  );
  return { findings, skipped: passed > 0 ? { passed } : {} };
}
