import { group } from '../api/group.ts';
import { canonicalJson } from '../finding/canonical-json.ts';
import type { Counts, Finding, Normalized } from '../finding/finding.ts';
import { findingDigest, observationName } from '../finding/name.ts';
import { severities } from '../finding/severity.ts';
import type { Context } from '../function/context.ts';
import type { MergeFindings, SourceDefinition } from '../function/definitions.ts';
import type { Filter } from '../function/filter.ts';

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
}

export interface DeriveOptions {
  readonly source: string;
  /**
   * Drop findings about zen-watcher's own objects. State sources need this: such findings would lead to ever more of
   * them.
   */
  readonly dropOwn: boolean;
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

function dropReason(finding: Finding, options: DeriveOptions): string | undefined {
  if (options.dropOwn && finding.resource?.apiVersion?.startsWith(`${group}/`)) return 'self';
  const namespace = namespaceFor(finding, options.systemNamespace);
  if (options.watchNamespace !== undefined && namespace !== options.watchNamespace) return 'outside_namespace';
  return options.filter(options.source, finding, namespace);
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
  const byName = new Map<string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const reason = dropReason(finding, options);
    if (reason !== undefined) {
      filtered[reason] = (filtered[reason] ?? 0) + 1;
      dropped.push(finding);
      continue;
    }
    const name = observationName(options.source, finding);
    const rows = byName.get(name);
    if (rows) rows.push(finding);
    else byName.set(name, [finding]);
  }
  const named = [...byName].map(([name, rows]) => namedFinding(name, options.merge(rows), options));
  return { findings: named, filtered, dropped };
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

/** Filters and names findings, and counts the results. Throws a Refusal 503 if an applicable filter can't be read. */
export function deriveFindings<Data, Settings>(
  { name, merge = mergeRows }: Pick<SourceDefinition<Data, Settings>, 'name' | 'merge'>,
  { findings, skipped }: Normalized,
  { dropOwn }: Pick<DeriveOptions, 'dropOwn'>,
  { settings, filter, event: { tally } }: Context<Settings>,
): Pick<Derivation, 'findings' | 'dropped'> {
  const derivation = derive(findings, {
    source: name,
    dropOwn,
    filter,
    merge,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
  });
  tally.observed(findings.length);
  for (const [reason, count] of Object.entries(skipped)) tally.skipped(reason, count);
  for (const [reason, count] of Object.entries(derivation.filtered)) tally.filtered(reason, count);
  return derivation;
}
