import * as z from 'zod';
import type { KindSelector } from '../shared/api/kind-selector.ts';
import { canonicalJson } from '../shared/finding/canonical-json.ts';
import type { AcceptedFinding, Finding, ResourceRef } from '../shared/finding/finding.ts';
import { badRowsOf, descriptiveText, judgedRowsOf, objectMetadata } from '../shared/finding/object-schema.ts';
import { oneLine } from '../shared/finding/one-line.ts';
import { parseSeverity } from '../shared/finding/severity.ts';
import { withObject } from '../shared/finding/summary-text.ts';
import { detailsOf, identityOf, isPresent, text, timeOf } from '../shared/finding/values.ts';
import { withoutPodNames, workloadKey, workloadName } from '../shared/finding/workload.ts';
import { objects } from '../shared/function/triggers.ts';
import { defineSource } from '../shared/pipeline/source.ts';
import { engineOf, hasOwnSource, isCopied, isForeign } from './kyverno/engines.ts';
import { mergeResults } from './kyverno/merge.ts';
import { type Properties, propertiesOf, sortProperties } from './kyverno/properties.ts';
import { summaryOfProcess } from './kyverno/runtime.ts';
import { ownerOfReport, patchedTarget, placeOf, reference, subjectsOf } from './kyverno/subjects.ts';
import { advice, isShown, referencesOf, shortMessage } from './kyverno/texts.ts';
import {
  type MinorVulnerability,
  minorFindings,
  remediationOfVulnerability,
  summaryOfVulnerability,
  unversionedPath,
  type Vulnerability,
  vulnerabilityOf,
} from './kyverno/vulnerabilities.ts';

const timestamp = z.object({ seconds: z.number() }).nullish().catch(undefined);

const resultSchema = z.object({
  policy: z.string(),
  rule: descriptiveText,
  result: descriptiveText,
  /** What v1alpha1 called the result. */
  status: descriptiveText,
  severity: descriptiveText,
  category: descriptiveText,
  message: descriptiveText,
  source: descriptiveText,
  resources: z.array(reference).nullish().catch(undefined),
  resourceSelector: z.record(z.string(), z.unknown()).nullish().catch(undefined),
  properties: z.record(z.string(), z.unknown()).nullish().catch(undefined),
  timestamp,
});

const schema = z.object({
  apiVersion: z.string(),
  kind: z.enum(['PolicyReport', 'ClusterPolicyReport', 'Report', 'ClusterReport']),
  metadata: objectMetadata,
  source: descriptiveText,
  scope: reference.nullish().catch(undefined),
  results: judgedRowsOf(resultSchema),
});

type Report = z.infer<typeof schema>;

/** A result that is read as far as its report tells more about it. */
interface Row {
  readonly report: Report;
  readonly given: z.infer<typeof resultSchema>;
  /** The result in lower case. A missing one becomes a word that matches nothing. */
  readonly result: string;
  readonly policy: string;
  /** Without the mark of the rules that Kyverno derives for the kinds that have Pods. */
  readonly rule: string | undefined;
  readonly engine: string;
  readonly foreign: boolean;
  readonly properties: Properties;
  readonly vulnerability: Vulnerability | undefined;
  readonly resources: readonly ResourceRef[];
  readonly detectedAt: string;
}

interface News {
  readonly eventType: string;
  /** How a summary puts it if the result has no message. */
  readonly verb: string;
  /** What stands before the message. */
  readonly prefix?: string;
}

const kindsOfNews: ReadonlyMap<string, News> = new Map<string, News>([
  ['fail', { eventType: 'policy-violation', verb: 'fails for' }],
  ['warn', { eventType: 'policy-warning', verb: 'warns about' }],
  ['error', { eventType: 'policy-error', verb: 'did not run for', prefix: 'did not run: ' }],
]);

const noFindings: ReadonlySet<string> = new Set(['pass', 'skip']);

const interchangeable: ReadonlySet<string> = new Set(['rollout', 'set', 'cron', 'stateful', 'Pod']);

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
  ...kindsOf('wgpolicyk8s.io', ['v1beta1', 'v1alpha2', 'v1alpha1'], ['PolicyReport', 'ClusterPolicyReport']),
  ...kindsOf('openreports.io', ['v1alpha1'], ['Report', 'ClusterReport']),
  ...kindsOf('reports.x-k8s.io', ['v1beta2'], ['PolicyReport', 'ClusterPolicyReport']),
];

/**
 * Policy reports by Kyverno and every other engine that writes them: one Observation per result that failed, warned or
 * was not reached, and affected resource. https://kyverno.io/docs/policy-reports/ and https://openreports.io
 */
export default defineSource({
  name: 'kyverno',
  triggers: (settings) => [objects(kinds, settings), { type: 'PingSource', minutes: settings.RESYNC_INTERVAL_MINUTES }],
  settings: z.object({}),
  schema,
  normalize(report, { time }) {
    const findings: Finding[] = [];
    const minor: MinorVulnerability[] = [];
    const skipped: Record<string, number> = {};
    const accepted: AcceptedFinding[] = [];
    const isCopy = isCopied(report);
    for (const given of report.results.rows) {
      const row = rowOf(given, report, time);
      const reason = skipReason(row, isCopy) ?? (isMinor(row) ? 'minor' : undefined);
      if (reason === 'exception') accepted.push(...acceptedOf(row));
      if (reason === 'minor') minor.push(...minorOf(row));
      if (reason !== undefined) skipped[reason] = (skipped[reason] ?? 0) + 1;
      else findings.push(...row.resources.map((resource) => findingOf(row, resource)));
    }
    const badRows = badRowsOf('results', report.results);
    return { findings: [...findings, ...minorFindings(minor)], skipped, accepted, badRows };
  },
  // The group and kind don't count: Kyverno may write the same to two groups.
  slotOf(_kind, metadata) {
    const about = ownerOfReport(metadata);
    return about && { about };
  },
  merge: mergeResults,
});

function rowOf(given: Row['given'], report: Report, time: string): Row {
  const policy = text(given.policy)?.trim() ?? '';
  const rule = text(given.rule)
    ?.trim()
    .replace(/^autogen-(?:cronjob-)?/, '');
  const engine = engineOf(given.source, report);
  const properties = propertiesOf(given.properties);
  const foreign = isForeign(engine, report);
  return {
    report,
    given,
    result: String(text(given.result) ?? text(given.status))
      .trim()
      .toLowerCase(),
    policy,
    rule,
    engine,
    foreign,
    properties,
    vulnerability: foreign ? vulnerabilityOf({ policy, rule, category: given.category }, properties) : undefined,
    resources: subjectsOf({ resources: given.resources, properties }, report),
    detectedAt: timeOf(isoOf(given.timestamp), time),
  };
}

function skipReason({ result, properties, engine, given }: Row, isCopy: boolean): string | undefined {
  if (result === 'skip' && properties.has('exceptions')) return 'exception';
  if (noFindings.has(result)) return result;
  if (!kindsOfNews.has(result)) return 'unknown_result';
  return isCopy || hasOwnSource(engine, Object.keys(given.properties ?? {})) ? 'has_own_source' : undefined;
}

/** What a result that an exception skips would be otherwise; it does not say whether the policy only warns. */
function acceptedOf(row: Row): AcceptedFinding[] {
  const exception = row.properties.get('exceptions') ?? '';
  return row.resources.flatMap((resource) =>
    [...kindsOfNews.keys()].map((result) => ({ finding: findingOf({ ...row, result }, resource), exception })),
  );
}

/** As with other scanners' vulnerabilities: there are too many slight ones to have an Observation each. */
function isMinor({ vulnerability, given, result }: Row): boolean {
  return vulnerability !== undefined && parseSeverity(given.severity) === 'LOW' && result !== 'error';
}

function minorOf({ vulnerability, resources, engine, detectedAt }: Row): MinorVulnerability[] {
  return vulnerability ? resources.map((resource) => ({ resource, engine, found: vulnerability, detectedAt })) : [];
}

function findingOf(row: Row, resource: ResourceRef): Finding {
  const { given, result, policy, rule, engine, properties, vulnerability, detectedAt } = row;
  const clean = (value: string): string => withoutPodNames(value, resource);
  const message = text(given.message);
  const { shown } = sortProperties(properties, interchangeable.has(workloadKey(resource).kind));
  const kept = Object.entries(shown).filter(([key, value]) => isShown(key, value, row));
  return {
    category: 'security',
    severity: parseSeverity(given.severity),
    eventType: kindsOfNews.get(result)?.eventType ?? 'policy-violation',
    rule: nameOf(row),
    summary: summaryOf(row, resource),
    resource,
    identity: identityFor(row, resource),
    remediation: vulnerability ? remediationOfVulnerability(vulnerability) : advice(properties, clean),
    references: referencesOf(properties),
    details: detailsOf({
      policy,
      rule,
      message: message && clean(message),
      result,
      category: given.category,
      engine,
      selector: selectorOf(given),
      ...vulnerability,
      properties: kept.length > 0 ? Object.fromEntries(kept.map(([key, value]) => [key, clean(value)])) : undefined,
    }),
    detectedAt,
  };
}

/** What the results of one policy and rule are told apart by, where they name no resource. */
function selectorOf({ resources, resourceSelector }: Row['given']): string | undefined {
  return resources?.length || !resourceSelector ? undefined : canonicalJson(resourceSelector);
}

function identityFor(row: Row, resource: ResourceRef): Record<string, string> {
  const { given, policy, rule, engine, foreign, properties } = row;
  const clean = (value: string): string => withoutPodNames(value, resource);
  const target = patchedTarget(properties) ? undefined : properties.get('patched-target');
  return identityOf({
    policy,
    rule,
    engine: engine.toLowerCase(),
    selector: selectorOf(given),
    ...(foreign
      ? { properties: countedOf(row, resource) }
      : { binding: properties.get('binding') ?? properties.get('mapBinding'), target: target && clean(target) }),
    ...(policy === '' && !isPresent(rule) && { message: clean(given.message ?? ''), category: given.category }),
  });
}

/** The properties that tell the findings of another engine apart. */
function countedOf({ properties, vulnerability }: Row, resource: ResourceRef): string | undefined {
  const { stable } = sortProperties(properties, interchangeable.has(workloadKey(resource).kind));
  const counted = Object.entries(stable).map(([key, value]): [string, string] => [
    key,
    withoutPodNames(vulnerability ? unversionedPath(value) : value, resource),
  ]);
  return counted.length > 0 ? canonicalJson(Object.fromEntries(counted)) : undefined;
}

function nameOf({ policy, rule, vulnerability, given }: Row): string {
  const id = isPresent(rule) || policy === vulnerability?.vulnerabilityID ? undefined : vulnerability?.vulnerabilityID;
  return [policy, rule, id].filter(isPresent).join('/') || (text(given.category) ?? 'unknown');
}

/** Some policies have one rule, of the same name. */
function shortName(row: Row): string {
  return row.policy !== '' && row.policy === row.rule ? row.policy : nameOf(row);
}

const maxObject = 64;

function hasWord(said: string, name: string): boolean {
  const words = (): string[] => said.split(/[^\w.:-]+/).map((word) => word.replace(/[.:]+$/, ''));
  return said.includes(name) && words().includes(name);
}

/** What a result is about, if its message doesn't say so. A report that names nothing is about itself, which isn't worth a word. */
function objectOf({ report }: Row, resource: ResourceRef, said: string): string | undefined {
  const name = workloadName(resource);
  if (name === undefined || resource.kind === report.kind || hasWord(said, name)) return undefined;
  return oneLine(placeOf(resource, ''), maxObject);
}

function summaryOf(row: Row, resource: ResourceRef): string {
  const { given, result, foreign, properties, vulnerability } = row;
  if (vulnerability) return summaryOfVulnerability(vulnerability, resource);
  const clean = (value: string): string => withoutPodNames(value, resource);
  const seen = foreign ? summaryOfProcess(properties) : undefined;
  const said = clean([seen, shortMessage(text(given.message) ?? '')].filter(isPresent).join(': '));
  const { verb, prefix = '' } = kindsOfNews.get(result) ?? {};
  if (said === '') return `${shortName(row)}: ${verb} ${placeOf(resource)}`;
  return withObject(clean(shortName(row)), prefix + said, objectOf(row, resource, said), ': ');
}

function isoOf(stamp: z.infer<typeof timestamp>): string | undefined {
  if (!stamp || stamp.seconds <= 0) return undefined;
  const date = new Date(stamp.seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
