import * as z from 'zod';
import { configMaps } from '../shared/api/kind-selector.ts';
import { canonicalJson } from '../shared/finding/canonical-json.ts';
import type { BadRow, Finding, ResourceRef } from '../shared/finding/finding.ts';
import { jsonDocuments } from '../shared/finding/json-documents.ts';
import { isClusterScoped } from '../shared/finding/kubernetes-kinds.ts';
import { badRowsOf, descriptiveText, jsonText, judgedRowsOf, objectMetadata } from '../shared/finding/object-schema.ts';
import { parseSeverity, type Severity, severities } from '../shared/finding/severity.ts';
import { shownLength } from '../shared/finding/summary-text.ts';
import { detailsOf, identityOf, isPresent, text } from '../shared/finding/values.ts';
import { fileOf } from '../shared/function/file-annotation.ts';
import { namespaceName } from '../shared/function/settings.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

/** What a row about a package has: a vulnerability, or a licence that a policy forbids. */
const packageDetails = z
  .object({
    id: descriptiveText,
    severity: descriptiveText,
    package_name: descriptiveText,
    package_version: descriptiveText,
    lowest_fixed_version: descriptiveText,
    fix_version: descriptiveText,
    link: descriptiveText,
    license: descriptiveText,
    licenses: descriptiveText,
  })
  .nullish()
  .catch(undefined);

/** `code_block`, `fixed_definition` and `evaluations` are left out on purpose: they may hold secrets. */
const failedCheck = z.object({
  check_id: z.string().refine(isPresent, { error: 'is empty' }),
  check_name: descriptiveText,
  resource: descriptiveText,
  file_path: descriptiveText,
  file_abs_path: descriptiveText,
  file_line_range: z.array(z.number()).nullish().catch(undefined),
  guideline: descriptiveText,
  severity: descriptiveText,
  vulnerability_details: packageDetails,
});

const otherRows = z
  .array(z.unknown())
  .nullish()
  .catch(undefined)
  .transform((rows) => rows ?? []);

const rows = z.array(z.unknown());
const number = z.number().nullish().catch(undefined);

/** The report of one framework. With `--quiet` it has neither the other lists nor the names of what can't be parsed. */
const scan = z.object({
  check_type: descriptiveText,
  results: z.object({
    failed_checks: judgedRowsOf(failedCheck),
    passed_checks: otherRows,
    skipped_checks: otherRows,
    parsing_errors: otherRows,
  }),
  summary: z.object({ parsing_errors: number }).nullish().catch(undefined),
});

/** A report says what failed; one that says only what passed must not say that something failed, too. */
const readable = z.union([
  z.object({ results: z.object({ failed_checks: rows }) }),
  z.object({
    results: z.object({ failed_checks: z.null().optional(), passed_checks: rows }),
    summary: z.object({ failed: z.literal(0).optional() }).nullish(),
  }),
]);

/** All that Checkov prints if there was nothing to check. */
const emptySummary = z.object({ passed: z.number(), failed: z.literal(0), checkov_version: z.string() });

interface Output {
  readonly scans: readonly z.infer<typeof scan>[];
  /** Whether Checkov says that there was nothing to check. */
  readonly isEmpty: boolean;
  readonly badRows: readonly BadRow[];
}

const notCheckov = 'is not what `checkov -o json` prints';

const output = z.array(z.array(z.unknown())).transform((sections, context): Output => {
  const found = sections.map(readReports).find(({ scans, isEmpty }) => isEmpty || scans.length > 0);
  if (found) return found;
  context.addIssue({ code: 'custom', message: notCheckov });
  return z.NEVER;
});

const schema = z.object({
  metadata: objectMetadata,
  data: z.object({ 'results.json': jsonText(output, sectionsOf) }),
});

type ConfigMap = z.infer<typeof schema>;
type FailedCheck = z.infer<typeof failedCheck>;

/** Credentials that somebody has committed, besides what the framework `secrets` finds. */
const credentialChecks = /^(?:CKV2?_SECRET_.+|CKV_(?:AWS_4[156]|AZURE_45|BCW_1|LIN_1|OCI_1|OPENSTACK_1|PAN_1))$/;

/**
 * Checkov gives no severity without an API key. These give away the node or the cluster: privileged containers and
 * SYS_ADMIN, the host's namespaces, the socket of Docker, wildcards in roles, and roles that can be made into any other.
 */
const highChecks = /^(?:CKV_K8S_(?:1|2|3|4|16|17|18|19|27|39|49|155|156|157|158)|CKV2_K8S_[1-5]|CKV_AWS_(?:1|62|63))$/;

/** Good practice that nobody can attack: probes, requests and limits, tags, digests, the style of Dockerfiles. */
const lowChecks =
  /^(?:CKV_K8S_(?:8|9|10|11|12|13|14|15|21|40|43)|CKV_DOCKER_(?:2|4|5|6|7|9|10|11)|CKV_GHA_[56]|CKV_GITLABCI_[23]|CKV_(?:AZUREPIPELINES_[125]|BITBUCKETPIPELINES_1|CIRCLECIPIPELINES_[128]))$/;

/** Kinds of well-known CustomResourceDefinitions whose objects have no namespace. */
const clusterScopedCustomKinds: ReadonlySet<string> = new Set([
  'ClusterCleanupPolicy',
  'ClusterExternalSecret',
  'ClusterIssuer',
  'ClusterPolicy',
  'ClusterSecretStore',
  'ConstraintTemplate',
  'GatewayClass',
  'SecurityContextConstraints',
  'VolumeSnapshotClass',
]);

/** Of these, charts like to set a namespace, which Checkov then shows in place of `default`. */
const oftenWithNamespace: ReadonlySet<string> = new Set(['ClusterRole', 'ClusterRoleBinding']);

const kindPattern = /^[A-Z][a-z]+(?:[A-Z][a-z]*)*$|^[A-Z]{2,}[a-z]+(?:[A-Z][a-z]+)*$/;
const namespacePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const namePattern = /^[a-z0-9][-a-z0-9.:@]{0,251}$/i;

/**
 * Checkov's JSON output in ConfigMaps labelled `app=checkov`: one Observation per failed check, resource and file.
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
  normalize({ metadata, data }, { time }) {
    const { scans, badRows } = data['results.json'];
    if (scans.length === 0) return { findings: [], skipped: { no_result: 1 }, badRows };
    const findings = scans.flatMap(({ check_type: checkType, results }) =>
      results.failed_checks.rows.map((check) => findingOf(check, checkType, metadata, time)),
    );
    const unparsed = unparsedFiles(scans);
    const count = (key: 'passed_checks' | 'skipped_checks'): number =>
      scans.reduce((sum, { results }) => sum + results[key].length, 0);
    const counts = { passed: count('passed_checks'), skip: count('skipped_checks'), parsing_errors: unparsed.count };
    return {
      findings: unparsed.count > 0 ? [...findings, unparsedFinding(unparsed, metadata, time)] : findings,
      skipped: Object.fromEntries(Object.entries(counts).filter(([, number]) => number > 0)),
      badRows,
    };
  },
  merge: mergeChecks,
});

/** With several `-o`, Checkov prints one format after the other, and this line between them. */
const delimiter = '--- OUTPUT DELIMITER ---';

/** The JSON documents of each format. Where there are several, most formats hold none. */
function sectionsOf(printed: string): unknown[][] {
  const sections = printed.split(delimiter);
  if (sections.length === 1) return [jsonDocuments(printed)];
  return sections.map((section) => {
    try {
      return jsonDocuments(section);
    } catch {
      return [];
    }
  });
}

/** Reads one report, an array with one for each framework, or several such documents. */
function readReports(documents: readonly unknown[]): Output {
  const parts = documents.flat(1);
  const read = parts.map((part, index) => readReport(part, parts.length > 1 ? `[${index}]` : ''));
  return {
    scans: read.flatMap((one) => one.scans),
    isEmpty: read.some((one) => one.isEmpty),
    badRows: read.flatMap((one) => one.badRows),
  };
}

function readReport(part: unknown, path: string): Output {
  const report = readable.safeParse(part).success ? scan.safeParse(part) : undefined;
  if (report?.success) {
    const list = [path, 'results.failed_checks'].filter(isPresent).join('.');
    return { scans: [report.data], isEmpty: false, badRows: badRowsOf(list, report.data.results.failed_checks) };
  }
  if (emptySummary.safeParse(part).success) return { scans: [], isEmpty: true, badRows: [] };
  return { scans: [], isEmpty: false, badRows: [{ path, message: notCheckov }] };
}

/** Where Checkov clones repositories and renders charts: each run has its own. */
const temporaryFolder = /^\/*(?:private\/)?(?:tmp|var\/folders\/[^/]{1,64}\/[^/]{1,64}\/T)\/tmp[a-z0-9_]{8}\//;

/** A file's path within the scanned folder, however it was given. */
function filePath(path: string | null | undefined): string | undefined {
  return text(
    (path ?? '')
      .replaceAll('\\', '/')
      .replace(temporaryFolder, '')
      .replace(/^(?:\.?\/)+/, ''),
  );
}

/** Of a package in an image, Checkov says `Dockerfile (nginx:1.25 lines:1-2 (sha256:...))`. */
function splitImage(path: string | undefined): { readonly file?: string | undefined; readonly image?: string } {
  if (path === undefined) return {};
  const at = path.indexOf(' (');
  if (at < 0) return { file: path };
  const [reference = ''] = path.slice(at + 2).split(/[ )]/);
  return { file: text(path.slice(0, at)), image: reference.replace(/@.*/, '').replace(/:[^:/]*$/, '') };
}

interface PackageFacts {
  readonly image: string | undefined;
  readonly package: string;
  readonly version: string | undefined;
  readonly fixedVersion: string | undefined;
  readonly vulnerability: string | undefined;
  readonly licence: string | undefined;
}

function packageOf({ vulnerability_details: found }: FailedCheck, image: string | undefined): PackageFacts | undefined {
  const name = text(found?.package_name);
  if (!found || name === undefined) return undefined;
  const fixed = [found.lowest_fixed_version, found.fix_version].map((version) =>
    text(version?.replace(/^fixed in\s*/i, '')),
  );
  const vulnerability = text(found.id);
  return {
    image: text(image),
    package: name,
    version: text(found.package_version),
    fixedVersion: fixed.find((version) => version !== undefined && /\d/.test(version)),
    vulnerability,
    licence: vulnerability === undefined ? text(found.license) : undefined,
  };
}

/** `2` or `1-15`. Where Checkov knows no lines it says 0. */
function lineRange([first = 0, last = first]: readonly number[]): string | undefined {
  if (last < 1) return undefined;
  return first === last || first < 1 ? String(last) : `${first}-${last}`;
}

function findingOf(
  check: FailedCheck,
  checkType: string | null | undefined,
  metadata: ConfigMap['metadata'],
  time: string,
): Finding {
  const { check_id: checkId, check_name: checkName, guideline, vulnerability_details: vulnerability } = check;
  const { file, image } = splitImage(filePath(check.file_path));
  const about = packageOf(check, image);
  const shown = resourceText(check, about);
  const named = about ? undefined : kubernetesResource(shown, file, check);
  const resource = named ?? configMapOf(metadata);
  const resourceName = named ? [named.kind, named.namespace, named.name].filter(isPresent).join('.') : shown;
  const lines = lineRange(check.file_line_range ?? []);
  const reportFile = resource ? undefined : fileOf(metadata);
  const place = named ? { kind: named.kind, namespace: named.namespace, name: named.name } : { resource: shown };
  // Without any of what tells two rows apart, the rest of them has to.
  const rest = named || shown !== undefined || file !== undefined || about ? {} : { checkName, lines };
  const { fixedVersion, ...packageIdentity } = about ?? {};
  const details = detailsOf({
    resource: resourceName,
    file,
    lines: [lines],
    checkName,
    guideline,
    ...about,
    checkType,
    reportFile,
  });
  const remediation = about && fixedVersion ? `upgrade ${about.package} to ${fixedVersion}` : undefined;
  const references = [vulnerability?.link, guideline].flatMap((url) => (url?.match(/^https?:\/\//) ? url : []));
  return {
    category: 'security',
    severity: severityOf(check),
    eventType: 'static-analysis',
    rule: checkId,
    summary: summaryOf(checkId, details),
    resource,
    identity: identityOf({ checkId, ...place, file, ...packageIdentity, ...rest, reportFile }),
    remediation,
    references,
    details,
    detectedAt: time,
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** What Checkov calls the resource. It begins with the file where that is all there is to name. */
function resourceText({ resource }: FailedCheck, about: PackageFacts | undefined): string | undefined {
  const shown = resource ?? '';
  const at = about ? shown.indexOf(' (') : -1;
  const plain = at < 0 ? shown : `${shown.slice(0, at)}.${about?.package}`;
  // A check of a whole Dockerfile is about `/Dockerfile.`
  return /^[./\\]/.test(plain) ? filePath(plain)?.replace(/\.$/, '') : text(plain);
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

function severityOf({ severity, check_id: id, vulnerability_details: vulnerability }: FailedCheck): Severity {
  const given = [severity, vulnerability?.severity].find(isPresent);
  if (given !== undefined) return parseSeverity(given);
  if (credentialChecks.test(id)) return 'CRITICAL';
  if (highChecks.test(id)) return 'HIGH';
  return lowChecks.test(id) ? 'LOW' : 'MEDIUM';
}

/** What `helm template` calls a release that has no name yet: no cluster has such an object. */
const placeholder = /^release-name(?:-|$)/i;

/** The Kubernetes object in `Kind.namespace.name` or `Kind.name`, if that is what a resource's text is. */
function kubernetesResource(
  shown: string | undefined,
  file: string | undefined,
  check: FailedCheck,
): ResourceRef | undefined {
  // `Gemfile.lock` and `Dockerfile.RUN` look like kinds and names.
  const base = file?.slice(file.lastIndexOf('/') + 1);
  if (shown === undefined || [file, base].some((name) => name && (shown === name || shown.startsWith(`${name}.`))))
    return undefined;
  const resource = parseResource(shown);
  // Policies that follow connections name the template of a workload's Pods `Pod.<namespace>.<workload>.<label>`.
  const isTemplate = resource?.kind === 'Pod' && resource.name?.includes('.') && /^CKV2_/.test(check.check_id);
  return isTemplate || placeholder.test(resource?.name ?? '') ? undefined : resource;
}

function parseResource(shown: string): ResourceRef | undefined {
  const [kind = '', ...rest] = shown.split('.');
  const isNamespaced = rest.length > 1 && !isClusterScoped(kind) && !clusterScopedCustomKinds.has(kind);
  const namespace = isNamespaced ? rest[0] : undefined;
  const name = (isNamespaced || hasNamespace(kind, rest) ? rest.slice(1) : rest).join('.');
  const isPossible = kindPattern.test(kind) && namespacePattern.test(namespace ?? 'none') && namePattern.test(name);
  return isPossible ? { kind, namespace, name } : undefined;
}

/** Whether the name of a cluster-scoped object begins with a namespace: Checkov says `default` if there is none. */
function hasNamespace(kind: string, [first = '', second]: readonly string[]): boolean {
  if (second === undefined) return false;
  return first === 'default' || (oftenWithNamespace.has(kind) && namespacePattern.test(first));
}

const maxLinesShown = 3;
/** More than an Observation shows. */
const maxSummaryLength = 512;

/** How a secret is named: by the hash of it, which tells a reader nothing. */
const hashPattern = /^[0-9a-f]{40}$/;

/**
 * `<check> <name>: <resource> (<file>:<lines>)`, or of a package as its vulnerability, without what is absent. After a
 * long name the resource would not be seen, so it comes first: `<check> <resource> (<file>:<lines>): <name>`.
 */
function summaryOf(rule: string, details: Readonly<Record<string, unknown>>): string {
  const { file, image } = details;
  const lines = shownLines(details);
  const place = isPresent(file) ? [file, lines].filter(isPresent).join(':') : undefined;
  const where = [place ?? (lines && `${/\D/.test(lines) ? 'lines' : 'line'} ${lines}`), image && `image ${image}`];
  const suffix = where.some(isPresent) ? ` (${where.filter(isPresent).join(', ')})` : '';
  if (isPresent(details.package)) return `${packageSummary(rule, details)}${suffix}`;
  const resource = text(details.resource);
  const isNamed = resource !== undefined && !hashPattern.test(resource);
  const object = resource === file ? String(place) : `${resource}`;
  const rest = resource === file ? '' : suffix;
  const name = text(details.checkName)
    ?.slice(0, maxSummaryLength)
    .replace(/[\s.:]+$/, '');
  const check = [rule, name].filter(isPresent).join(' ');
  if (!isNamed) return `${check}${suffix}`;
  const isSeen = `${check}: ${object}`.length <= shownLength;
  return isSeen || !isPresent(name) ? `${check}: ${object}${rest}` : `${rule} ${object}${rest}: ${name}`;
}

function packageSummary(rule: string, details: Readonly<Record<string, unknown>>): string {
  const { version, fixedVersion, vulnerability, licence } = details;
  const named = [details.package, version].filter(isPresent).join(' ');
  if (isPresent(licence)) return `${rule} licence ${licence} of ${named}`;
  return `${vulnerability ?? rule} in ${named}${isPresent(fixedVersion) ? `, fixed in ${fixedVersion}` : ''}`;
}

/** The first few; nothing if none is known. */
function shownLines(details: Readonly<Record<string, unknown>>): string {
  const lines = linesOf(details);
  const more = lines.length > maxLinesShown ? ` and ${lines.length - maxLinesShown} more` : '';
  return `${lines.slice(0, maxLinesShown).join(',')}${more}`;
}

function linesOf({ lines }: Readonly<Record<string, unknown>>): string[] {
  return Array.isArray(lines) ? lines.filter(isText) : [];
}

/** Rows that differ in where they are in a file are one finding, which names all the places. */
function mergeChecks(findings: readonly [Finding, ...Finding[]]): Finding {
  const keyOf = ({ details: { lines: _lines, ...facts }, resource, remediation }: Finding): string =>
    canonicalJson({ facts, resource, remediation });
  const first = findings
    .map((finding) => ({ finding, key: keyOf(finding) }))
    .reduce((a, b) => (b.key < a.key ? b : a)).finding;
  const lines = [...new Set(findings.flatMap(({ details }) => linesOf(details)))].sort(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1),
  );
  const references = [...new Set(findings.flatMap((finding) => finding.references ?? []))].sort();
  const details = lines.length > 0 ? { ...first.details, lines } : first.details;
  return {
    ...first,
    severity:
      severities.find((severity) => findings.some((finding) => finding.severity === severity)) ?? first.severity,
    summary: first.rule === unparsedRule ? first.summary : summaryOf(first.rule, details),
    references: references.length > 0 ? references : undefined,
    details,
    detectedAt: findings.map(({ detectedAt }) => detectedAt).reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a)),
  };
}

const unparsedRule = 'parsing-error';
const maxFilesShown = 60;

interface Unparsed {
  readonly count: number;
  readonly files: readonly string[];
}

/** The files that Checkov could not parse and so did not check; with `--quiet` it tells only how many. */
function unparsedFiles(scans: Output['scans']): Unparsed {
  const roots = scans.flatMap(({ results }) =>
    results.failed_checks.rows.flatMap((check) => {
      const path = text(check.file_path);
      return path !== undefined && check.file_abs_path?.endsWith(path)
        ? check.file_abs_path.slice(0, -path.length)
        : [];
    }),
  );
  const named = scans.map(({ results }) => results.parsing_errors.map(text).filter(isText));
  const files = named.flat().map((file) => {
    const root = roots.find((folder) => folder !== '' && file.startsWith(`${folder}/`)) ?? '';
    return filePath(file.slice(root.length)) ?? file;
  });
  const distinct = [...new Set(files)].sort();
  const unnamed = scans.map(({ summary }, index) => (summary?.parsing_errors ?? 0) - (named[index]?.length ?? 0));
  const count = unnamed.reduce((sum, number) => sum + Math.max(0, number), distinct.length);
  return { count, files: distinct };
}

/** What is not checked may hold anything, so a report that left something out says which files these are. */
function unparsedFinding({ count, files }: Unparsed, metadata: ConfigMap['metadata'], time: string): Finding {
  const resource = configMapOf(metadata);
  const reportFile = resource ? undefined : fileOf(metadata);
  const [things, them] = count === 1 ? ['file', 'it'] : ['files', 'them'];
  const more = count > files.length ? ` and ${count - files.length} more` : '';
  const names = files.length > 0 ? `: ${files.join(', ')}${more}` : '; run it without --quiet to see which';
  return {
    category: 'security',
    severity: 'LOW',
    eventType: 'static-analysis',
    rule: unparsedRule,
    summary: `Checkov could not parse ${count} ${things}, and did not check ${them}${names}`,
    resource,
    identity: identityOf({ checkId: unparsedRule, reportFile }),
    details: detailsOf({ count, files: files.slice(0, maxFilesShown), reportFile }),
    detectedAt: time,
  };
}
