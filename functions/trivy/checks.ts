import * as z from 'zod';
import type { Finding, Normalized, ResourceRef } from '../../shared/finding/finding.ts';
import { badRowsOf, descriptiveText, judgedRowsOf, objectMetadata } from '../../shared/finding/object-schema.ts';
import { parseSeverity } from '../../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent, text, timeOf } from '../../shared/finding/values.ts';
import { withoutPodNames } from '../../shared/finding/workload.ts';
import { urlsOf } from './images.ts';
import { countsOf, mergedByIdentity, sortedOnce, withTexts } from './merge.ts';
import { checkIdOf } from './places.ts';
import { type Subject, scannedImage } from './subject.ts';

const passedOrNot = z.boolean().nullish().catch(undefined);

const check = z
  .object({
    checkID: descriptiveText,
    severity: descriptiveText,
    category: descriptiveText,
    title: descriptiveText,
    description: descriptiveText,
    remediation: descriptiveText,
    messages: z.array(z.unknown()).nullish().catch(undefined),
    success: passedOrNot,
    // Only in files of Trivy's command line.
    target: descriptiveText,
    cause: descriptiveText,
    primaryLink: descriptiveText,
    links: z.array(z.unknown()).nullish().catch(undefined),
  })
  .refine(({ checkID, success }) => success === true || isPresent(checkID), {
    error: 'a check that has not passed needs its ID',
    path: ['checkID'],
  });

export const checkReport = z.object({
  kind: z.enum([
    'ConfigAuditReport',
    'ClusterConfigAuditReport',
    'RbacAssessmentReport',
    'ClusterRbacAssessmentReport',
    'InfraAssessmentReport',
    'ClusterInfraAssessmentReport',
  ]),
  metadata: objectMetadata,
  report: z.object({ ...scannedImage, checks: judgedRowsOf(check) }),
});

type CheckReport = z.infer<typeof checkReport>;

const eventTypes: Readonly<Record<CheckReport['kind'], string>> = {
  ConfigAuditReport: 'misconfiguration',
  ClusterConfigAuditReport: 'misconfiguration',
  RbacAssessmentReport: 'rbac-misconfiguration',
  ClusterRbacAssessmentReport: 'rbac-misconfiguration',
  InfraAssessmentReport: 'infra-misconfiguration',
  ClusterInfraAssessmentReport: 'infra-misconfiguration',
};

/** A tool's text in which a Pod or ReplicaSet has the name of its workload. */
function stableText(value: unknown, resource: ResourceRef | undefined): string | undefined {
  const said = text(value);
  return said && withoutPodNames(said, resource);
}

/** Messages in order, a line each, so that those of several rows can be united. */
function messageOf(messages: readonly unknown[], resource: ResourceRef | undefined): string {
  const lines = messages.flatMap((message) => stableText(message, resource) ?? []);
  return sortedOnce(lines.map((line) => line.replaceAll(/\s*\n\s*/g, ' ').trim())).join('\n');
}

function checkFinding(
  row: z.infer<typeof check>,
  { resource, place }: Subject,
  eventType: string,
): Omit<Finding, 'detectedAt'> {
  const checkID = checkIdOf(row.checkID ?? '');
  // In a cluster, a check is about the resource as a whole.
  const where = resource === undefined ? { ...place, target: row.target, cause: row.cause } : {};
  return {
    category: 'security',
    severity: parseSeverity(row.severity),
    eventType,
    rule: checkID,
    summary: '',
    resource,
    identity: identityOf({ checkID, ...where }),
    remediation: stableText(row.remediation, resource),
    references: urlsOf(row.primaryLink, ...(row.links ?? [])),
    details: detailsOf({
      checkID,
      ...where,
      title: stableText(row.title, resource),
      category: row.category,
      description: stableText(row.description, resource),
      message: messageOf(row.messages ?? [], resource),
    }),
  };
}

/** All rows of one check are one finding. */
export function fromChecks({ kind, report }: CheckReport, subject: Subject, time: string): Normalized {
  const detectedAt = timeOf(report.updateTimestamp, time);
  const { rows } = report.checks;
  const failed = rows.filter(({ success }) => success !== true);
  const passed = rows.length - failed.length;
  const findings = failed.map((row) => withTexts({ ...checkFinding(row, subject, eventTypes[kind]), detectedAt }));
  const merged = mergedByIdentity(findings);
  return {
    findings: merged,
    skipped: countsOf({ passed, merged: findings.length - merged.length }),
    badRows: badRowsOf('report.checks', report.checks),
  };
}
