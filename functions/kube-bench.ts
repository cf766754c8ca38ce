import * as z from 'zod';
import { configMaps } from '../shared/api/kind-selector.ts';
import type { Finding, ResourceRef } from '../shared/finding/finding.ts';
import { descriptiveText, jsonText, objectMetadata, rowsOf } from '../shared/finding/object-schema.ts';
import { cutText } from '../shared/finding/size-limits.ts';
import { detailsOf, identityOf, isPresent, text } from '../shared/finding/values.ts';
import { fileOf } from '../shared/function/file-annotation.ts';
import { namespaceName } from '../shared/function/settings.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';

const testResult = z.object({
  testnumber: z.string(),
  testdesc: descriptiveText,
  remediation: descriptiveText,
  status: z.string(),
  scored: z.boolean().nullish().catch(undefined),
  actualvalue: descriptiveText,
});

const controls = z.object({
  version: descriptiveText,
  nodetype: descriptiveText,
  tests: z.array(z.object({ section: descriptiveText, results: rowsOf(testResult) })).nullable(),
});

const schema = z.object({
  metadata: objectMetadata,
  data: z.object({ 'results.json': jsonText(z.array(controls), parseOutput) }),
});

type ConfigMap = z.infer<typeof schema>;

/** kube-bench nests controls, tests and results. Nothing below this depth is read. */
const maxDepth = 8;
const maxActualValueBytes = 1024;

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
  settings: z.object({ KUBE_BENCH_NAMESPACE: namespaceName.default('kube-bench') }),
  schema,
  normalize({ metadata, data }, { time }) {
    const findings: Finding[] = [];
    const skipped: Record<string, number> = {};
    const resource = affectedResource(metadata);
    const reportFile = resource ? undefined : fileOf(metadata);
    for (const control of data['results.json']) {
      for (const { section, results } of control.tests ?? []) {
        for (const result of results) {
          const status = result.status.toLowerCase();
          if (status === 'fail') findings.push(findingOf(result, section, control, { resource, reportFile }, time));
          else skipped[reasonOf(status)] = (skipped[reasonOf(status)] ?? 0) + 1;
        }
      }
    }
    return { findings, skipped };
  },
});

function reasonOf(status: string): string {
  return ['pass', 'warn', 'info'].includes(status) ? status : 'unknown_result';
}

function findingOf(
  result: z.infer<typeof testResult>,
  section: string | null | undefined,
  { version, nodetype: nodeType }: z.infer<typeof controls>,
  { resource, reportFile }: { readonly resource: ResourceRef | undefined; readonly reportFile: string | undefined },
  time: string,
): Finding {
  const { testnumber: testNumber, testdesc: testDesc, remediation, scored } = result;
  const actual = text(result.actualvalue);
  const actualValue = actual === undefined ? undefined : cutText(actual, maxActualValueBytes);
  const identity = { testNumber, nodeType, version, reportFile };
  return {
    category: 'compliance',
    severity: scored === true ? 'HIGH' : 'MEDIUM',
    eventType: 'cis-benchmark-fail',
    rule: testNumber,
    summary: `${testNumber} ${testDesc}`,
    resource,
    identity: identityOf(identity),
    details: detailsOf({ ...identity, section, testDesc, remediation, scored, actualValue }),
    detectedAt: time,
  };
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

/** Parses one JSON document or, if one run had several targets, one object per line. */
function parseOutput(output: string): unknown[] {
  try {
    return controlsIn(foldKeys(JSON.parse(output), maxDepth));
  } catch {
    const lines = output.split('\n').filter((line) => line.trim() !== '');
    return lines.flatMap((line) => controlsIn(foldKeys(JSON.parse(line), maxDepth)));
  }
}

/** The controls in `{Controls, Totals}`, in an array of controls, or in a single control. */
function controlsIn(output: unknown): unknown[] {
  if (Array.isArray(output)) return output;
  if (typeof output === 'object' && output !== null && 'controls' in output) return [output.controls].flat();
  return [output];
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
