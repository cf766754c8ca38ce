import { canonicalJson } from '../../shared/finding/canonical-json.ts';
import type { Finding } from '../../shared/finding/finding.ts';
import { severities } from '../../shared/finding/severity.ts';
import type { MergeFindings } from '../../shared/function/definitions.ts';
import { minorEventType, withVersionsOf } from './vulnerabilities.ts';

/** What is absent is sorted last. */
function smallest(values: readonly (string | undefined)[]): string | undefined {
  return values.toSorted()[0];
}

/** What tells which row gives the facts that are not united. */
function keyOf({ details, resource }: Finding): string {
  const { message: _message, versions: _versions, ...facts } = details;
  return canonicalJson({ facts, resource });
}

/** All messages, each line once. A single message keeps the order of its lines. */
function messagesOf(rows: readonly Finding[]): { readonly message?: string } {
  const messages = new Set(rows.map(({ details }) => details.message).filter((one) => typeof one === 'string'));
  const [first, ...others] = messages;
  if (first === undefined) return {};
  if (others.length === 0) return { message: first };
  return { message: [...new Set([...messages].flatMap((one) => one.split('\n')))].sort().join('\n') };
}

/**
 * Messages, references and versions of all, the worst severity, the earliest time, and the summary that sorts first. Of
 * two countings the newer is right.
 */
export const mergeResults: MergeFindings = (rows) => {
  const [newest] = rows;
  if (rows.length === 1 || newest.eventType === minorEventType) return newest;
  const base = rows.reduce((a, b) => (keyOf(b) < keyOf(a) ? b : a));
  const references = [...new Set(rows.flatMap((row) => row.references ?? []))].sort();
  const merged: Finding = {
    ...base,
    severity: severities.find((severity) => rows.some((row) => row.severity === severity)) ?? base.severity,
    summary: smallest(rows.map(({ summary }) => summary)) ?? base.summary,
    remediation: smallest(rows.map(({ remediation }) => remediation)),
    references: references.length > 0 ? references : undefined,
    detectedAt: rows.map((row) => row.detectedAt).reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a)),
    details: { ...base.details, ...messagesOf(rows) },
  };
  return withVersionsOf(merged, rows);
};
