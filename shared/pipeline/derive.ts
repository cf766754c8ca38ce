import { group } from '../api/group.ts';
import { canonicalJson } from '../finding/canonical-json.ts';
import type { Counts, Finding, Normalized } from '../finding/finding.ts';
import { findingDigest, observationName } from '../finding/name.ts';
import { severities } from '../finding/severity.ts';
import type { Context } from '../function/context.ts';
import type { MergeFindings, SourceDefinition } from '../function/definitions.ts';
import { type Filter, UnreadableFilter } from '../function/filter.ts';

/** A finding that is kept, and the name that it is stored under. */
export interface NamedFinding {
  readonly name: string;
  /** The value of the label `digest`. */
  readonly digest: string;
  /** The namespace that it belongs to. If that can't take it, the system namespace will. */
  readonly namespace: string;
  readonly finding: Finding;
}

export interface Derivation {
  readonly findings: readonly NamedFinding[];
  readonly filtered: Counts;
  /** What the filter has dropped. */
  readonly dropped: readonly Finding[];
  /** What can't be judged, since a filter can't be read: it is reported, and stays as it is. */
  readonly held: readonly HeldFinding[];
}

export interface HeldFinding {
  readonly named: NamedFinding;
  readonly refusal: UnreadableFilter;
}

export interface DeriveOptions {
  readonly source: string;
  /**
   * Whether the findings have a state. Then those about zen-watcher's own objects are dropped, as they would lead to ever
   * more of them.
   */
  readonly hasState: boolean;
  readonly filter: Filter;
  /** Makes one finding of those that have one name. */
  readonly merge: MergeFindings;
  readonly systemNamespace: string;
  /** Drop findings outside this namespace; `undefined` keeps those of the whole cluster. */
  readonly watchNamespace: string | undefined;
}

const namespacePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** The namespace of the resource that a finding is about; the system namespace if it has none, or an impossible one. */
function namespaceFor(finding: Finding, systemNamespace: string): string {
  const namespace = finding.resource?.namespace;
  return namespace !== undefined && namespacePattern.test(namespace) ? namespace : systemNamespace;
}

/** Why a finding is dropped, or the finding as it is kept. */
function keptOrReason(finding: Finding, options: DeriveOptions): string | Finding {
  if (options.hasState && finding.resource?.apiVersion?.startsWith(`${group}/`)) return 'self';
  const namespace = namespaceFor(finding, options.systemNamespace);
  if (options.watchNamespace !== undefined && namespace !== options.watchNamespace) return 'outside_namespace';
  return options.filter(finding, { source: options.source, namespace, hasState: options.hasState });
}

/** The same; an UnreadableFilter if it can't be told. */
function judge(finding: Finding, options: DeriveOptions): string | Finding | UnreadableFilter {
  try {
    return keptOrReason(finding, options);
  } catch (error) {
    if (error instanceof UnreadableFilter) return error;
    throw error;
  }
}

function messagesOf(rows: readonly Finding[]): string[] {
  const messages = rows.map(({ details }) => details.message).filter((message) => typeof message === 'string');
  return [...new Set(messages)].sort();
}

/**
 * Merges rows of one report, independently of their order: all messages and references, the earliest time, the worst
 * severity, and everything else from the one whose summary, details and resource sort first as JSON.
 */
export function mergeRows(rows: readonly [Finding, ...Finding[]]): Finding {
  if (rows.length === 1) return rows[0];
  const first = rows
    .map((row) => ({
      row,
      key: canonicalJson({ summary: row.summary, details: row.details, resource: row.resource }),
    }))
    .reduce((a, b) => (b.key < a.key ? b : a)).row;
  const messages = messagesOf(rows);
  const times = rows.map((row) => row.detectedAt).sort();
  const detectedAt = times.reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a));
  const message = messages.length > 0 ? { message: messages.join('\n') } : {};
  const references = [...new Set(rows.flatMap((row) => row.references ?? []))].sort();
  return {
    ...first,
    severity: severities.find((severity) => rows.some((row) => row.severity === severity)) ?? first.severity,
    ...(references.length > 0 && { references }),
    detectedAt,
    details: { ...first.details, ...message, occurrences: rows.length },
  };
}

/**
 * The pure middle of the pipeline: filters and names findings, counts what is dropped by reason, merges equal findings.
 */
export function derive(findings: readonly Finding[], options: DeriveOptions): Derivation {
  const filtered: Record<string, number> = {};
  const dropped: Finding[] = [];
  const held: HeldFinding[] = [];
  const byName = new Map<string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const kept = judge(finding, options);
    if (typeof kept === 'string') {
      filtered[kept] = (filtered[kept] ?? 0) + 1;
      dropped.push(finding);
      continue;
    }
    const name = observationName(options.source, finding);
    if (kept instanceof UnreadableFilter) {
      held.push({ named: namedFinding(name, finding, options), refusal: kept });
      continue;
    }
    const rows = byName.get(name);
    if (rows) rows.push(kept);
    else byName.set(name, [kept]);
  }
  const named = [...byName].map(([name, rows]) => namedFinding(name, options.merge(rows), options));
  return { findings: named, filtered, dropped, held };
}

/** A finding under its name. Its digest is hashed on demand, since those of event sources are stored without one. */
export function namedFinding(
  name: string,
  finding: Finding,
  { systemNamespace }: Pick<DeriveOptions, 'systemNamespace'>,
): NamedFinding {
  let digest: string | undefined;
  return {
    name,
    get digest() {
      digest ??= findingDigest(finding);
      return digest;
    },
    namespace: namespaceFor(finding, systemNamespace),
    finding,
  };
}

/** Filters and names findings, and counts the results. Throws a Refusal 503 if filters have not been read yet. */
export function deriveFindings<Data, Settings>(
  { name, merge = mergeRows }: Pick<SourceDefinition<Data, Settings>, 'name' | 'merge'>,
  { findings, skipped }: Normalized,
  { hasState }: Pick<DeriveOptions, 'hasState'>,
  { settings, filter, event: { tally } }: Context<Settings>,
): Pick<Derivation, 'findings' | 'dropped' | 'held'> {
  const derivation = derive(findings, {
    source: name,
    hasState,
    filter,
    merge,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
  });
  tally.observed(findings.length);
  for (const [reason, count] of Object.entries(skipped)) tally.skipped(reason, count);
  for (const [reason, count] of Object.entries(derivation.filtered)) tally.filtered(reason, count);
  if (derivation.held.length > 0) tally.skipped('unreadable_filter', derivation.held.length);
  return derivation;
}
