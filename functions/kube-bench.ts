import * as z from 'zod';
import { configMaps } from '../shared/api/kind-selector.ts';
import type { BadRow, Finding, ResourceRef } from '../shared/finding/finding.ts';
import { jsonDocuments } from '../shared/finding/json-documents.ts';
import { maskText } from '../shared/finding/mask-secrets.ts';
import { badRowsOf, descriptiveText, jsonText, judgedRowsOf, objectMetadata } from '../shared/finding/object-schema.ts';
import type { Severity } from '../shared/finding/severity.ts';
import { cutText } from '../shared/finding/size-limits.ts';
import { withObject } from '../shared/finding/summary-text.ts';
import { detailsOf, identityOf, isPresent, text } from '../shared/finding/values.ts';
import { workloadName } from '../shared/finding/workload.ts';
import { fileOf } from '../shared/function/file-annotation.ts';
import { namespaceName } from '../shared/function/settings.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

const testResult = z.object({
  testnumber: z.string().refine(isPresent, { error: 'is empty' }),
  testdesc: descriptiveText,
  audit: descriptiveText,
  remediation: descriptiveText,
  testinfo: z.array(z.unknown()).nullish().catch(undefined),
  status: z.string(),
  scored: z.boolean().nullish().catch(undefined),
  actualvalue: descriptiveText,
  expectedresult: descriptiveText,
  reason: descriptiveText,
});

const group = z.object({ section: descriptiveText, results: judgedRowsOf(testResult) });

const controls = z.object({
  text: descriptiveText,
  version: descriptiveText,
  nodetype: descriptiveText,
  tests: judgedRowsOf(group),
});

type Controls = z.infer<typeof controls>;
type TestResult = z.infer<typeof testResult>;

/** Every set of controls has a list of tests, which may be null, and says what they are. */
const recognizable = z.union(
  ['version', 'nodetype', 'text'].map((key) => z.object({ tests: z.array(z.unknown()).nullable(), [key]: z.string() })),
);

interface Output {
  readonly controls: readonly Controls[];
  readonly badRows: readonly BadRow[];
}

const notKubeBench = 'is not what `kube-bench --json` prints';

const output = z.array(z.unknown()).transform((candidates, context): Output => {
  const read: Controls[] = [];
  const badRows: BadRow[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const parsed = recognizable.safeParse(candidate).success ? controls.safeParse(candidate) : undefined;
    if (parsed?.success) {
      read.push(parsed.data);
      badRows.push(...badRowsIn(parsed.data, `[${index}].tests`));
    } else badRows.push({ path: `[${index}]`, message: notKubeBench });
  }
  if (read.length > 0) return { controls: read, badRows };
  context.issues.push({ code: 'custom', message: notKubeBench, path: [0], input: candidates });
  return z.NEVER;
});

const schema = z.object({
  metadata: objectMetadata,
  data: z.object({ 'results.json': jsonText(output, parseOutput) }),
});

type ConfigMap = z.infer<typeof schema>;

/** kube-bench nests controls, tests and results. Nothing below this depth is read. */
const maxDepth = 8;
const maxTextBytes = 1024;
const maxAuditBytes = 512;

/** Controls of these types are about the cluster, and the same wherever kube-bench runs. */
const clusterTypes: ReadonlySet<string> = new Set(['policies', 'managedservices']);

/**
 * kube-bench's JSON output in ConfigMaps labelled `app=kube-bench`: one Observation per failed CIS test and node.
 * https://github.com/aquasecurity/kube-bench
 */
export default defineSource({
  name: 'kube-bench',
  triggers: (settings) => [
    objects([{ ...configMaps, labels: { app: 'kube-bench' } }], settings, settings.KUBE_BENCH_NAMESPACE),
    { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES },
  ],
  looksIntoPods: false,
  settings: z.object({
    KUBE_BENCH_NAMESPACE: namespaceName.default('kube-bench'),
    KUBE_BENCH_WARNINGS: z
      .enum(['true', 'false'], { error: 'must be true or false' })
      .transform((word) => word === 'true')
      .default(false),
  }),
  schema,
  normalize({ metadata, data }, { time, settings }) {
    const findings: Finding[] = [];
    const skipped: Record<string, number> = {};
    const { controls: sets, badRows } = data['results.json'];
    for (const set of sets) {
      for (const { section, results } of set.tests.rows) {
        for (const result of results.rows) {
          const severity = severityOf(result, settings.KUBE_BENCH_WARNINGS);
          const reason = reasonOf(result.status);
          if (severity !== undefined) findings.push(findingOf(result, severity, section, set, metadata, time));
          else skipped[reason] = (skipped[reason] ?? 0) + 1;
        }
      }
    }
    return { findings, skipped, badRows };
  },
});

/** `undefined` for what is not reported. What fails and isn't scored is a warning, as is what has to be checked by hand. */
function severityOf({ status, scored }: TestResult, reportsWarnings: boolean): Severity | undefined {
  const word = status.trim().toLowerCase();
  if (word === 'fail') return scored === true ? 'HIGH' : 'MEDIUM';
  return word === 'warn' && reportsWarnings ? 'LOW' : undefined;
}

function reasonOf(status: string): string {
  const word = status.trim().toLowerCase();
  return ['pass', 'warn', 'info'].includes(word) ? word : 'unknown_result';
}

function findingOf(
  result: TestResult,
  severity: Severity,
  section: string | null | undefined,
  { version, nodetype, text: title }: Controls,
  metadata: ConfigMap['metadata'],
  time: string,
): Finding {
  const { testnumber: testNumber, testdesc: testDesc, scored } = result;
  const nodeType = text(nodetype)?.trim().toLowerCase();
  const isAboutCluster = nodeType !== undefined && clusterTypes.has(nodeType);
  const resource = isAboutCluster ? undefined : affectedResource(metadata);
  const reportFile = resource || isAboutCluster ? undefined : fileOf(metadata);
  // Without a type, which kind of node it is can still be told from the heading.
  const place = { ...(nodeType === undefined ? { text: title } : { nodeType }), reportFile };
  const expectedResult = text(result.expectedresult);
  return {
    category: 'compliance',
    severity,
    eventType: 'cis-benchmark-fail',
    rule: testNumber,
    summary: summaryOf(testNumber, (text(testDesc) ?? text(title))?.slice(0, maxTextBytes), expectedResult, resource),
    resource,
    identity: identityOf({ testNumber, ...place }),
    remediation: remediationOf(result),
    details: detailsOf({
      ...place,
      version,
      section,
      testDesc,
      scored,
      audit: shortened(result.audit, maxAuditBytes),
      actualValue: shortened(stable(result.actualvalue ?? ''), maxTextBytes),
      expectedResult: shortened(expectedResult, maxTextBytes),
      reason: shortened(stable(result.reason ?? ''), maxTextBytes),
    }),
    detectedAt: time,
  };
}

/** The whole text is masked before it is cut, since half a secret is not recognized as one. */
function shortened(value: string | null | undefined, maxBytes: number): string | undefined {
  const said = text(value)?.trim();
  return said === undefined ? undefined : cutText(maskText(said), maxBytes);
}

/** `<number> <description>, expected <result> (<node>)`; what kube-bench adds about itself in brackets is left out. */
function summaryOf(
  testNumber: string,
  testDesc: string | undefined,
  expected: string | undefined,
  resource: ResourceRef | undefined,
): string {
  const description = testDesc?.replace(/\s*\((?:automated|scored|not scored)\)\s*$/i, '').replace(/[\s.,:;]+$/, '');
  // Of permissions kube-bench says "permissions has permissions 777, expected 600 or more restrictive".
  const expectation = expected && `${/\bexpected\b/i.test(expected) ? '' : 'expected '}${expected.trim()}`;
  const node = resource?.kind === 'Node' && isPresent(resource.name) ? `Node ${resource.name}` : undefined;
  return withObject(testNumber, [description, expectation].filter(isPresent).join(', '), node);
}

function remediationOf({ remediation, testinfo }: TestResult): string | undefined {
  const given =
    text(remediation) ??
    (testinfo ?? [])
      .map((line) => text(line)?.trim())
      .filter(isPresent)
      .join('\n');
  return text(given)?.trim();
}

/** A line of `ps -ef`, of `ps aux` and of BusyBox's `ps`, each up to the command. */
const processLines: readonly RegExp[] = [
  /^\s*\S+\s+\d+\s+\d+\s+\d+\s+\S+\s+\S+\s+[\d:-]+\s+(?=\S)/,
  /^\s*\S+\s+\d+\s+[\d.]+\s+[\d.]+\s+\d+\s+\d+\s+\S+\s+\S+\s+\S+\s+[\d:]+\s+(?=\S)/,
  /^\s*\d+\s+\S+\s+\d+[dh:][\dhm:.]*\s+(?=\S)/,
];
const maxHeaderLength = 256;
const processHeader = /^\s*(?:UID|USER|PID)\s.*\b(?:CMD|COMMAND)$/;

/** A Pod of a ReplicaSet: `web-7d9c5b6f4d-x2x9z`. */
const podName = /-[456789bcdf]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/;

/**
 * What a command has printed, without what changes from run to run: of a list of processes only their commands, of Pods
 * their workload.
 */
function stable(printed: string): string {
  const lines = printed.split('\n').map((line) => line.trimEnd());
  const isProcess = lines.some((line) => isHeader(line) || processLines.some((form) => form.test(line)));
  const commands = lines
    .filter((line) => !isHeader(line))
    .map((line) => processLines.reduce((left, form) => (left === line ? line.replace(form, '') : left), line))
    .map((line) => line.replace(/[a-z0-9-]+/g, (word) => (podName.test(word) ? baseName(word) : word)));
  const kept = isProcess ? commands.toSorted() : commands;
  const isChanged = kept.some((line, index) => line !== lines[index]);
  return (isChanged ? [...new Set(kept)] : kept).join('\n');
}

function isHeader(line: string): boolean {
  return line.length < maxHeaderLength && processHeader.test(line);
}

function baseName(pod: string): string {
  return workloadName({ kind: 'Pod', name: pod }) ?? pod;
}

/**
 * The output does not name the node, so whoever stores it has to, with a label or an annotation. Otherwise the resource
 * is the ConfigMap, or nothing if the ConfigMap was made from a file.
 */
function affectedResource({ name, namespace, labels, annotations }: ConfigMap['metadata']): ResourceRef | undefined {
  const keys = ['kubernetes.io/hostname', 'node'];
  const node = [labels, annotations].flatMap((map) => keys.map((key) => map?.[key])).find(isPresent);
  if (node !== undefined) return { apiVersion: 'v1', kind: 'Node', name: node };
  if (fileOf({ annotations }) !== undefined) return undefined;
  return { apiVersion: 'v1', kind: 'ConfigMap', namespace: namespace ?? undefined, name: name ?? undefined };
}

/** As kube-bench spells it. */
const spellings: Readonly<Record<string, string>> = { testnumber: 'test_number' };

function badRowsIn({ tests }: Controls, list: string): BadRow[] {
  const inTests = tests.rows.flatMap(({ results }, index) => badRowsOf(`${list}[${index}].results`, results));
  return [...badRowsOf(list, tests), ...inTests].map(({ path, message }) => ({
    path: path.replace(/[a-z]+$/, (key) => spellings[key] ?? key),
    message,
  }));
}

/** The sets of controls in one JSON document or, of a run with several targets, in each of them, between log lines. */
function parseOutput(printed: string): unknown[] {
  const documents = jsonDocuments(printed).map((document) => foldKeys(document, maxDepth));
  return documents.filter((document) => !isLogLine(document)).flatMap(controlsIn);
}

/** Whether an object or a list is of no kind that kube-bench prints, such as a line of a log that is written as JSON. */
function isLogLine(document: unknown): boolean {
  if (Array.isArray(document)) return !document.some((item) => typeof item === 'object' && item !== null);
  return typeof document !== 'object' || document === null || !('controls' in document || 'tests' in document);
}

/** The controls in `{Controls, Totals}`, in an array of controls, or in a single control. */
function controlsIn(document: unknown): unknown[] {
  if (Array.isArray(document)) return document.flatMap((item) => (Array.isArray(item) ? [item] : controlsIn(item)));
  if (typeof document === 'object' && document !== null && 'controls' in document) return [document.controls].flat();
  return [document];
}

/**
 * Folds the case and underscores of keys: versions of kube-bench spell them differently (`test_number`, `TestNumber`).
 */
function foldKeys(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth === 0) return value;
  if (Array.isArray(value)) return value.map((item) => foldKeys(item, depth - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key.toLowerCase().replaceAll('_', ''), foldKeys(member, depth - 1)]),
  );
}
