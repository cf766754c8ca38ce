import * as z from 'zod';
import type { KindSelector } from '../shared/api/kind-selector.ts';
import { canonicalJson } from '../shared/finding/canonical-json.ts';
import type { Finding, ResourceRef } from '../shared/finding/finding.ts';
import { isClusterScoped } from '../shared/finding/kubernetes-kinds.ts';
import { descriptiveText, namespaceText, objectMetadata, ownerOf, rowsOf } from '../shared/finding/object-schema.ts';
import { parseSeverity } from '../shared/finding/severity.ts';
import { detailsOf, identityOf, isPresent, text, timeOf } from '../shared/finding/values.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

const reference = z.object({
  apiVersion: descriptiveText,
  kind: descriptiveText,
  namespace: descriptiveText,
  name: descriptiveText,
});

const timestamp = z.object({ seconds: z.number(), nanos: z.number().nullish() }).nullish().catch(undefined);

const resultSchema = z.object({
  policy: z.string(),
  rule: descriptiveText,
  result: z.string().nullish(),
  severity: descriptiveText,
  category: descriptiveText,
  message: descriptiveText,
  source: descriptiveText,
  resources: z.array(reference).nullish().catch(undefined),
  properties: z.record(z.string(), z.unknown()).nullish().catch(undefined),
  timestamp,
});

const schema = z.object({
  apiVersion: z.string(),
  kind: z.enum(['PolicyReport', 'ClusterPolicyReport', 'Report', 'ClusterReport']),
  metadata: objectMetadata,
  source: descriptiveText,
  scope: reference.nullish().catch(undefined),
  results: rowsOf(resultSchema),
});

type Report = z.infer<typeof schema>;
type Result = z.infer<typeof resultSchema>;

const findings: ReadonlySet<string> = new Set(['fail', 'warn']);

const noFindings: ReadonlySet<string> = new Set(['pass', 'skip', 'error']);

/** Tools that have sources of their own here, but whose findings adapters also copy into policy reports. */
const copied = /^(falco|trivy|kube-bench)\b/i;

/** Kyverno's own engines, and the API server's policies, which it reports on. Their properties say how, not what. */
const kyvernoEngine = /^kyverno|^(validating|mutating)admissionpolicy$/i;

function kindsOf(group: string, versions: readonly string[], kinds: readonly string[]): KindSelector[] {
  return kinds.map((kind) => ({
    group,
    versions,
    kind,
    plural: `${kind.toLowerCase()}s`,
    namespaced: !kind.startsWith('Cluster'),
  }));
}

const kinds: readonly KindSelector[] = [
  ...kindsOf('wgpolicyk8s.io', ['v1beta1', 'v1alpha2'], ['PolicyReport', 'ClusterPolicyReport']),
  ...kindsOf('openreports.io', ['v1alpha1'], ['Report', 'ClusterReport']),
  ...kindsOf('reports.x-k8s.io', ['v1beta2'], ['PolicyReport', 'ClusterPolicyReport']),
];

/**
 * Policy reports by Kyverno and every other engine that writes them: one Observation per failed or warned result and
 * affected resource. https://kyverno.io/docs/policy-reports/ and https://openreports.io
 */
export default defineSource({
  name: 'kyverno',
  triggers: (settings) => [objects(kinds, settings), { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES }],
  settings: z.object({}),
  schema,
  normalize(report, { time }) {
    const findings: Finding[] = [];
    const skipped: Record<string, number> = {};
    for (const result of report.results) {
      const reason = skipReason(result, report);
      if (reason === undefined) findings.push(...findingsOf(result, report, time));
      else skipped[reason] = (skipped[reason] ?? 0) + 1;
    }
    return { findings, skipped };
  },
});

/** The result in lower case. A missing one becomes a word that matches nothing. */
function wordOf({ result }: Result): string {
  return String(result).trim().toLowerCase();
}

/** Empty if neither the result nor the report names its engine. */
function engineOf({ source }: Result, report: Report): string {
  return text(source) ?? text(report.source) ?? '';
}

function skipReason(result: Result, report: Report): string | undefined {
  const word = wordOf(result);
  if (noFindings.has(word)) return word;
  if (!findings.has(word)) return 'unknown_result';
  return copied.test(engineOf(result, report)) ? 'has_own_source' : undefined;
}

function findingsOf(result: Result, report: Report, time: string): Finding[] {
  const { policy, rule, severity, message, category } = result;
  const engine = engineOf(result, report);
  const properties = isForeign(engine, report) && result.properties ? canonicalJson(result.properties) : undefined;
  return affectedResources(result, report).map((resource) => ({
    category: 'security',
    severity: parseSeverity(severity),
    eventType: wordOf(result) === 'warn' ? 'policy-warning' : 'policy-violation',
    rule: [policy, rule].filter(isPresent).join('/'),
    summary: `${[policy, rule].filter(isPresent).join('/')}: ${message ?? ''}`,
    resource,
    identity: identityOf({ policy, rule, engine, properties }),
    details: detailsOf({ policy, rule, message, result: wordOf(result), category, engine }),
    detectedAt: timeOf(isoOf(result.timestamp), time),
  }));
}

/**
 * Whether an engine is not Kyverno's. An image scanner reports all packages under one policy, so only the properties
 * tell its findings apart.
 */
function isForeign(engine: string, { metadata }: Report): boolean {
  if (engine !== '') return !kyvernoEngine.test(engine);
  return metadata.labels?.['app.kubernetes.io/managed-by'] !== 'kyverno';
}

/** A result's own resources; or else the report's scope, its owner, or the report itself. */
function affectedResources({ resources }: Result, report: Report): ResourceRef[] {
  const own = resources?.map((one) => refOf(one, report)).filter((ref) => ref !== undefined);
  if (own?.length) return own;
  const { apiVersion, kind, metadata } = report;
  const reportItself = refOf({ apiVersion, kind, name: metadata.name, namespace: metadata.namespace }, report);
  const resource = (report.scope && refOf(report.scope, report)) ?? ownerOf(metadata) ?? reportItself;
  return resource ? [resource] : [{ apiVersion, kind }];
}

function refOf({ apiVersion, namespace, ...one }: z.infer<typeof reference>, report: Report): ResourceRef | undefined {
  const [kind, name] = [text(one.kind), text(one.name)];
  if (kind === undefined || name === undefined) return undefined;
  const given = namespaceText(namespace);
  const inherited = isClusterScoped(kind) ? undefined : namespaceText(report.metadata.namespace);
  return { apiVersion: apiVersion ?? undefined, kind, namespace: given ?? inherited, name };
}

function isoOf(stamp: z.infer<typeof timestamp>): string | undefined {
  if (!stamp) return undefined;
  const date = new Date(stamp.seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
