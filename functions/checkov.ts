import * as z from 'zod';
import { fileOf } from '../shared/function/file-annotation.ts';
import { descriptiveText, jsonText, objectMetadata, rowsOf } from '../shared/function/object-schema.ts';
import { labelledConfigMaps } from '../shared/function/resource.ts';
import { namespaceName } from '../shared/function/settings.ts';
import { isClusterScoped } from '../shared/observation/built-in-kinds.ts';
import type { Observation, ResourceRef } from '../shared/observation/observation.ts';
import { parseSeverity, type Severity } from '../shared/observation/severity.ts';
import { detailsOf, identityOf, isPresent } from '../shared/observation/values.ts';
import { defineSource } from '../shared/pipeline/source.ts';

/** `code_block` and `fixed_definition` are left out on purpose: they may hold secrets. */
const failedCheck = z.object({
  check_id: z.string(),
  check_name: descriptiveText,
  resource: descriptiveText,
  file_path: descriptiveText,
  guideline: descriptiveText,
  severity: descriptiveText,
});

const scan = z.object({
  check_type: descriptiveText,
  results: z
    .object({
      failed_checks: rowsOf(failedCheck),
      passed_checks: rowsOf(z.unknown()),
      skipped_checks: rowsOf(z.unknown()),
    })
    .nullish(),
});

/** One report, several (one a framework), or a summary alone when nothing was scanned. */
const output = z.union([z.array(scan), scan.transform((one) => [one])]);

const schema = z.object({
  metadata: objectMetadata,
  data: z.object({ 'results.json': jsonText(output) }),
});

type ConfigMap = z.infer<typeof schema>;
type FailedCheck = z.infer<typeof failedCheck>;

/** Privileged containers, privilege escalation and root: Checkov gives no severity without an API key. */
const highChecks: ReadonlySet<string> = new Set(['CKV_K8S_16', 'CKV_K8S_20', 'CKV_K8S_23']);

const kindPattern = /^[A-Z][a-z]+(?:[A-Z][a-z]*)*$|^[A-Z]{2,}[a-z]+(?:[A-Z][a-z]+)*$/;
const namespacePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const namePattern = /^[a-z0-9][-a-z0-9.:]{0,251}$/i;

/**
 * Checkov's JSON output in ConfigMaps labelled `app=checkov`: one Observation per failed check.
 * https://www.checkov.io/8.Outputs/JSON.html
 */
export default defineSource({
  name: 'checkov',
  triggers: [
    { type: 'ApiServerSource', resources: [labelledConfigMaps('checkov', 'CHECKOV_NAMESPACE')] },
    { type: 'PingSource', schedule: 'RESYNC_INTERVAL_MINUTES' },
  ],
  settings: z.object({ CHECKOV_NAMESPACE: namespaceName.default('checkov') }),
  schema,
  normalize(configMap, { time }) {
    const scans = configMap.data['results.json'];
    const results = scans.map((one) => one.results).filter(isPresent);
    if (results.length === 0) return { observations: [], skipped: { no_result: 1 } };
    const observations = scans.flatMap(({ check_type: checkType, results: found }) =>
      (found?.failed_checks ?? []).map((check) => observationOf(check, checkType, configMap, time)),
    );
    const count = (key: 'passed_checks' | 'skipped_checks'): number =>
      scans.reduce((sum, { results: found }) => sum + (found?.[key].length ?? 0), 0);
    const counts = { passed: count('passed_checks'), skip: count('skipped_checks') };
    return { observations, skipped: Object.fromEntries(Object.entries(counts).filter(([, number]) => number > 0)) };
  },
});

function observationOf(
  check: FailedCheck,
  checkType: string | null | undefined,
  { metadata }: ConfigMap,
  time: string,
): Observation {
  const { check_id: checkId, check_name: title, resource: text, file_path: file, guideline } = check;
  const resource = resourceOf(text ?? '') ?? configMapOf(metadata);
  const reportFile = resource ? undefined : fileOf(metadata);
  return {
    category: 'security',
    severity: severityOf(check),
    eventType: 'static-analysis',
    resource,
    identity: identityOf({ checkId, resource: text, file, reportFile }),
    details: detailsOf({ checkId, title, resource: text, file, guideline, checkType, reportFile }),
    detectedAt: time,
  };
}

/** What a finding is about that names no Kubernetes resource: where it was found, if a cluster has that. */
function configMapOf(metadata: ConfigMap['metadata']): ResourceRef | undefined {
  if (fileOf(metadata) !== undefined) return undefined;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    namespace: metadata.namespace ?? undefined,
    name: metadata.name ?? undefined,
  };
}

function severityOf({ severity, check_id: id }: FailedCheck): Severity {
  if (isPresent(severity)) return parseSeverity(severity);
  return highChecks.has(id) ? 'HIGH' : 'MEDIUM';
}

/** `Kind.namespace.name` or `Kind.name`; anything else (Terraform, CloudFormation, a file) is no Kubernetes resource. */
function resourceOf(text: string): ResourceRef | undefined {
  const [kind = '', ...rest] = text.split('.');
  if (!kindPattern.test(kind) || rest.length === 0) return undefined;
  const isNamespaced = rest.length > 1 && !isClusterScoped(kind);
  const namespace = isNamespaced ? rest[0] : undefined;
  const name = (isNamespaced ? rest.slice(1) : rest).join('.');
  if (!namePattern.test(name) || (namespace !== undefined && !namespacePattern.test(namespace))) return undefined;
  return { kind, namespace, name };
}
