import * as z from 'zod';
import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Finding, Normalized } from '../../shared/finding/finding.ts';
import {
  badRowsOf,
  descriptiveText,
  judgedRowsOf,
  objectMetadata,
  rowsOf,
} from '../../shared/finding/object-schema.ts';
import { parseSeverity, severities } from '../../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent, text, timeOf } from '../../shared/finding/values.ts';
import { workloadName } from '../../shared/finding/workload.ts';
import { urlsOf } from './images.ts';
import { countsOf, mergedByIdentity, mergeFindings, sortedOnce } from './merge.ts';
import { checkIdOf } from './places.ts';

const controlId = z.string().refine(isPresent, { error: 'must not be empty' });
const described = { id: controlId, name: descriptiveText, description: descriptiveText, severity: descriptiveText };

/** `failTotal` is how Starboard, from which the operator came, called it. */
const control = z.object({ ...described, totalFail: z.number().nullish(), failTotal: z.number().nullish() });

const detail = z.object({
  checkID: descriptiveText,
  severity: descriptiveText,
  remediation: descriptiveText,
  success: z.boolean().nullish().catch(undefined),
  target: descriptiveText,
  messages: z.array(z.unknown()).nullish().catch(undefined),
});

const result = z.object({ ...described, checks: rowsOf(detail) });

const links = z.array(z.unknown()).nullish().catch(undefined);

export const complianceReport = z.object({
  apiVersion: descriptiveText,
  kind: z.literal('ClusterComplianceReport'),
  metadata: objectMetadata.extend({ name: z.string() }),
  spec: z
    .object({ compliance: z.object({ relatedResources: links }).nullish().catch(undefined) })
    .nullish()
    .catch(undefined),
  status: z
    .object({
      updateTimestamp: descriptiveText,
      controlCheck: judgedRowsOf(control),
      summaryReport: z.object({ controlCheck: judgedRowsOf(control) }).nullish(),
      detailReport: z.object({ results: judgedRowsOf(result), relatedResources: links }).nullish(),
    })
    .nullish(),
});

type ComplianceReport = z.infer<typeof complianceReport>;
type Status = NonNullable<ComplianceReport['status']>;
type Detail = z.infer<typeof detail>;

interface Control extends Pick<z.infer<typeof result>, 'id' | 'name' | 'description' | 'severity'> {
  /** How many targets fail; `undefined` if that was not measured. */
  readonly failed: number | undefined;
  readonly checks: readonly Detail[];
}

const podTarget = /^(?:(?<namespace>[^/]*)\/)?(?<kind>pod|replicaset|job)(?<separator>[-/])(?<name>[^/]+)$/i;
const kinds: Readonly<Record<string, string>> = { pod: 'Pod', replicaset: 'ReplicaSet', job: 'Job' };

/** `shop/web` for `shop/replicaset-web-7d9c5b6f4d` and `shop/Pod/web-7d9c5b6f4d-x2x9z`, so that a rollout changes nothing. */
function targetOf({ target }: Detail): string | undefined {
  // Of an object without a namespace, a target begins with a slash.
  const said = text(text(target)?.replace(/^\//, ''));
  const { namespace, kind = '', name = '' } = (said && podTarget.exec(said)?.groups) || {};
  const found = kinds[kind.toLowerCase()];
  const base = found && workloadName({ kind: found, namespace, name });
  if (base === undefined || base === name) return said;
  return namespace ? `${namespace}/${base}` : base;
}

function targetsOf(checks: readonly Detail[]): string[] {
  return sortedOnce(checks.flatMap((row) => targetOf(row) ?? []));
}

function failedChecks({ checks }: z.infer<typeof result>): Detail[] {
  return checks.filter(({ success }) => success === false);
}

/** How many targets fail; where they aren't named, how many checks. */
function failedCount(checks: readonly Detail[]): number {
  const named = targetsOf(checks).length;
  return named > 0 ? named : new Set(checks.map(canonicalJson)).size;
}

/** The controls of the summary or, where that is empty, of the details. Without a count, a control was not measured. */
function controlsOf({ summaryReport, detailReport, controlCheck }: Status) {
  const details = detailReport?.results.rows ?? [];
  const summaries = [...(summaryReport?.controlCheck.rows ?? []), ...(details.length > 0 ? [] : controlCheck.rows)];
  if (summaries.length === 0) {
    return details.map(
      (row): Control => ({ ...row, failed: failedCount(failedChecks(row)), checks: failedChecks(row) }),
    );
  }
  return summaries.map(
    ({ totalFail, failTotal, ...row }): Control => ({
      ...row,
      failed: totalFail ?? failTotal ?? undefined,
      checks: details.filter(({ id }) => id === row.id).flatMap(failedChecks),
    }),
  );
}

function severityOf({ severity, checks }: Control): Finding['severity'] {
  if (isPresent(severity)) return parseSeverity(severity);
  return severities.find((one) => checks.some((row) => parseSeverity(row.severity) === one)) ?? 'UNKNOWN';
}

function controlFinding(
  found: Control,
  { apiVersion, kind, metadata, spec }: ComplianceReport,
  { detailReport, updateTimestamp }: Status,
  time: string,
): Finding {
  const remediation = sortedOnce(found.checks.flatMap((row) => text(row.remediation) ?? [])).join('\n');
  const about = { compliance: metadata.name, control: found.id };
  const finding: Finding = {
    category: 'compliance',
    severity: severityOf(found),
    eventType: 'compliance-failure',
    rule: found.id,
    summary: '',
    resource: { apiVersion: apiVersion ?? undefined, kind, name: metadata.name },
    identity: identityOf(about),
    remediation: remediation === '' ? undefined : remediation,
    references: urlsOf(...(spec?.compliance?.relatedResources ?? []), ...(detailReport?.relatedResources ?? [])),
    details: detailsOf({
      ...about,
      title: text(found.name),
      description: text(found.description),
      failedTargets: found.failed,
      targets: targetsOf(found.checks),
      checks: sortedOnce(found.checks.flatMap(({ checkID }) => text(checkID) ?? []).map(checkIdOf)),
    }),
    detectedAt: timeOf(updateTimestamp, time),
  };
  // Merging it with itself cuts the list of targets.
  return mergeFindings([finding, finding]);
}

/** One finding for each control that fails. */
export function fromCompliance(report: ComplianceReport, time: string): Normalized {
  const { status } = report;
  if (!status) return { findings: [], skipped: { no_result: 1 } };
  const controls = controlsOf(status);
  const badRows = [
    ...badRowsOf('status.summaryReport.controlCheck', status.summaryReport?.controlCheck ?? { bad: [] }),
    ...badRowsOf('status.detailReport.results', status.detailReport?.results ?? { bad: [] }),
    ...badRowsOf('status.controlCheck', status.controlCheck),
  ];
  if (controls.length === 0) return { findings: [], skipped: { no_result: 1 }, badRows };
  const failed = controls.filter((row) => row.failed !== undefined && row.failed > 0);
  const passed = controls.filter((row) => row.failed === 0).length;
  const unmeasured = controls.length - failed.length - passed;
  const findings = mergedByIdentity(failed.map((row) => controlFinding(row, report, status, time)));
  return {
    findings,
    skipped: countsOf({ passed, unmeasured, merged: failed.length - findings.length }),
    badRows,
  };
}
