import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Counts, Finding } from '../../shared/finding/finding.ts';
import { severities } from '../../shared/finding/severity.ts';
import { remediationOf, summaryOf } from './texts.ts';

type Details = Readonly<Record<string, unknown>>;

/** Texts that keep all that the rows say, a line each. Of others, one is enough. */
const unitedTexts: ReadonlySet<string> = new Set(['message', 'target', 'packagePath', 'image']);

/** How many items of a list are named; the count beside it has all. */
const mostItems: Readonly<Record<string, number>> = { fixable: 40, targets: 20 };

/** Texts in order, each once. */
export function sortedOnce(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

function mergedList(key: string, items: readonly unknown[]): unknown[] {
  const byJson = new Map(items.map((item) => [canonicalJson(item), item]));
  return sortedOnce([...byJson.keys()])
    .slice(0, mostItems[key])
    .map((json) => byJson.get(json));
}

function mergedTexts(a: string, b: string): string {
  return a === b ? a : sortedOnce([...a.split('\n'), ...b.split('\n')]).join('\n');
}

function isRecord(value: unknown): value is Details {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mergedValue(key: string, a: unknown, b: unknown): unknown {
  if (a === undefined || b === undefined) return a ?? b;
  if (Array.isArray(a) && Array.isArray(b)) return mergedList(key, [...a, ...b]);
  if (isRecord(a) && isRecord(b)) return mergedDetails(a, b);
  if (typeof a === 'number' && typeof b === 'number') return Math.max(a, b);
  const [first, second] = [String(a), String(b)];
  if (unitedTexts.has(key)) return mergedTexts(first, second);
  return second < first ? b : a;
}

function mergedDetails(a: Details, b: Details): Record<string, unknown> {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...keys].map((key) => [key, mergedValue(key, a[key], b[key])]));
}

function isEarlier(a: string, b: string): boolean {
  const difference = Date.parse(a) - Date.parse(b);
  return difference < 0 || (difference === 0 && a < b);
}

function mergedPair(a: Finding, b: Finding): Finding {
  const references = sortedOnce([...(a.references ?? []), ...(b.references ?? [])]);
  return {
    ...a,
    severity: severities.find((severity) => severity === a.severity || severity === b.severity) ?? a.severity,
    remediation:
      a.remediation === undefined || b.remediation === undefined
        ? (a.remediation ?? b.remediation)
        : mergedTexts(a.remediation, b.remediation),
    references: references.length > 0 ? references : undefined,
    details: mergedDetails(a.details, b.details),
    detectedAt: isEarlier(b.detectedAt, a.detectedAt) ? b.detectedAt : a.detectedAt,
  };
}

/** The texts that follow from the facts of a finding. */
export function withTexts(finding: Finding): Finding {
  return { ...finding, summary: summaryOf(finding), remediation: remediationOf(finding) };
}

/**
 * Makes one finding of rows, or of what several reports say: all versions, messages, places and references, the worst
 * severity, the earliest time, the texts made from all of that; in whatever order they come, and however often.
 */
export function mergeFindings([first, ...others]: readonly [Finding, ...Finding[]]): Finding {
  return others.length === 0 ? first : withTexts(others.reduce(mergedPair, first));
}

/** Merges the findings that have one identity. */
export function mergedByIdentity(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const key = canonicalJson(finding.identity);
    const group = groups.get(key);
    if (group) group.push(finding);
    else groups.set(key, [finding]);
  }
  return [...groups.values()].map(mergeFindings);
}

/**
 * How many rows have no finding of their own, by reason, without the reasons that don't occur. `merged` counts those that
 * another row's finding tells.
 */
export function countsOf(counts: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}
