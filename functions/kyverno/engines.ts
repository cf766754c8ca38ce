import type { ObjectMetadata } from '../../shared/finding/object-schema.ts';
import { isPresent, text } from '../../shared/finding/values.ts';
import { wordsOf } from './properties.ts';

/** Tools that have sources of their own here, but whose findings adapters also copy into policy reports; and ourselves. */
const copied = /^(?:falco|falcosidekick|trivy|kube ?bench|zen ?watcher|zen kube zen io)\b/;

/** Keys that only those tools' results have, of adapters that don't say who they are. */
const copiedKeys = /^(?:evt|proc|fd|ka)\.|^AuditConfig$/;

/** Kyverno's own engines, and the API server's policies, which it reports on. Their properties say how, not what. */
const kyvernoEngine = /^kyverno|^(?:validating|mutating)admissionpolicy$/i;

const engineLabel = 'policy.kubernetes.io/engine';

/** Labels that name who made a report, though not always the engine that judged. */
const makerLabels = ['app.kubernetes.io/managed-by', 'app.kubernetes.io/created-by', 'app.kubernetes.io/part-of'];

interface Maker {
  readonly source?: string | null | undefined;
  readonly metadata: ObjectMetadata;
}

/** The engine that judged: the result's, or else the report's. Empty if neither names one. */
export function engineOf(source: string | null | undefined, report: Maker): string {
  return text(source)?.trim() ?? text(report.source)?.trim() ?? text(report.metadata.labels?.[engineLabel]) ?? '';
}

/** Whether all results of a report are another source's findings, in whatever way the names are spelled. */
export function isCopied({ metadata }: Maker): boolean {
  const labels = metadata.labels ?? {};
  if ([engineLabel, ...makerLabels].some((key) => copied.test(wordsOf(labels[key] ?? '')))) return true;
  return Object.keys(labels).some((key) => key.startsWith('zen.kube-zen.io/'));
}

/** Whether a result is another source's finding. */
export function hasOwnSource(engine: string, keys: readonly string[]): boolean {
  return engine === '' ? keys.some((key) => copiedKeys.test(key)) : copied.test(wordsOf(engine));
}

/**
 * Whether an engine is not Kyverno's. An image scanner reports all packages under one policy, so only the properties
 * tell its findings apart.
 */
export function isForeign(engine: string, { metadata }: Maker): boolean {
  if (isPresent(engine)) return !kyvernoEngine.test(engine);
  return metadata.labels?.['app.kubernetes.io/managed-by'] !== 'kyverno';
}
