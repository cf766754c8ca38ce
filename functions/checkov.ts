import * as z from 'zod';
import { configMaps } from '../shared/api/kind-selector.ts';
import type { Finding, ResourceRef } from '../shared/finding/finding.ts';
import { isClusterScoped } from '../shared/finding/kubernetes-kinds.ts';
import { descriptiveText, jsonText, objectMetadata, rowsOf } from '../shared/finding/object-schema.ts';
import { parseSeverity, type Severity } from '../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent } from '../shared/finding/values.ts';
import { fileOf } from '../shared/function/file-annotation.ts';
import { namespaceName } from '../shared/function/settings.ts';
import { objects } from '../shared/function/triggers.ts';
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

/** One report, several (one per framework), or only a summary if nothing was scanned. */
const output = z.union([z.array(scan), scan.transform((one) => [one])]);

const schema = z.object({
  metadata: objectMetadata,
  data: z.object({ 'results.json': jsonText(output) }),
});

type ConfigMap = z.infer<typeof schema>;
type FailedCheck = z.infer<typeof failedCheck>;

/** Checks for privileged containers, privilege escalation and root. Checkov gives no severity without an API key. */
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
  triggers: (settings) => [
    objects([{ ...configMaps, labels: { app: 'checkov' } }], settings, settings.CHECKOV_NAMESPACE),
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
  ],
  settings: z.object({ CHECKOV_NAMESPACE: namespaceName.default('checkov') }),
  schema,
  normalize(configMap, { time }) {
    const scans = configMap.data['results.json'];
    const results = scans.map((one) => one.results).filter(isPresent);
    if (results.length === 0) return { findings: [], skipped: { no_result: 1 } };
    const findings = scans.flatMap(({ check_type: checkType, results: found }) =>
      (found?.failed_checks ?? []).map((check) => findingOf(check, checkType, configMap, time)),
    );
    const count = (key: 'passed_checks' | 'skipped_checks'): number =>
      scans.reduce((sum, { results: found }) => sum + (found?.[key].length ?? 0), 0);
    const counts = { passed: count('passed_checks'), skip: count('skipped_checks') };
    return { findings, skipped: Object.fromEntries(Object.entries(counts).filter(([, number]) => number > 0)) };
  },
});

function findingOf(
  check: FailedCheck,
  checkType: string | null | undefined,
  { metadata }: ConfigMap,
  time: string,
): Finding {
  const { check_id: checkId, check_name: title, resource: text, file_path: file, guideline } = check;
  const resource = parseResource(text ?? '') ?? configMapOf(metadata);
  const reportFile = resource ? undefined : fileOf(metadata);
  return {
    category: 'security',
    severity: severityOf(check),
    eventType: 'static-analysis',
    rule: checkId,
    summary: `${checkId} ${title}: ${text} (${file})`,
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

/** Parses `Kind.namespace.name` or `Kind.name`. Anything else (Terraform, a file) is not a Kubernetes resource. */
function parseResource(text: string): ResourceRef | undefined {
  const [kind = '', ...rest] = text.split('.');
  const isNamespaced = rest.length > 1 && !isClusterScoped(kind);
  const namespace = isNamespaced ? rest[0] : undefined;
  const name = (isNamespaced ? rest.slice(1) : rest).join('.');
  const isPossible = kindPattern.test(kind) && namespacePattern.test(namespace ?? 'none') && namePattern.test(name);
  return isPossible ? { kind, namespace, name } : undefined;
}
