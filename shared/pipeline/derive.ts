import { group } from '../api/group.ts';
import { canonicalJson } from '../finding/canonical-json.ts';
import type { Counts, Finding, Normalized, ResourceRef } from '../finding/finding.ts';
import { observationName, subjectLabel } from '../finding/name.ts';
import type { Context } from '../function/context.ts';
import type { Filter } from '../function/filter.ts';

/** A finding that is kept, under the name it will be stored by. */
export interface NamedFinding {
  readonly name: string;
  /** Value of the label `subject`. */
  readonly subject: string;
  /** Where it belongs, if that namespace can take it. */
  readonly namespace: string;
  readonly finding: Finding;
}

export interface Derivation {
  readonly findings: readonly NamedFinding[];
  readonly filtered: Counts;
}

export interface DeriveOptions {
  readonly source: string;
  /** State sources also see reports about zen-watcher's own objects; those are dropped, or gc would feed itself. */
  readonly dropOwn: boolean;
  readonly filter: Filter;
  readonly systemNamespace: string;
  /** Everything that belongs elsewhere is dropped; `undefined` watches the whole cluster. */
  readonly watchNamespace: string | undefined;
}

const namespacePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Findings about a namespaced resource live with it; all others, and those in no possible namespace, with the system. */
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
 * Rows that are one finding become one Observation, whatever their order: messages united, the first moment, the rest
 * from the row whose JSON comes first.
 */
function unite(rows: readonly [Finding, ...Finding[]]): Finding {
  if (rows.length === 1) return rows[0];
  const first = rows
    .map((row) => ({ row, key: canonicalJson({ details: row.details, resource: row.resource }) }))
    .reduce((a, b) => (b.key < a.key ? b : a)).row;
  const messages = messagesOf(rows);
  const times = rows.map((row) => row.detectedAt).sort();
  const detectedAt = times.reduce((a, b) => (Date.parse(b) < Date.parse(a) ? b : a));
  const message = messages.length > 0 ? { message: messages.join('\n') } : {};
  return { ...first, detectedAt, details: { ...first.details, ...message, occurrences: rows.length } };
}

/** The pure middle of the pipeline: self, filter, name. Drops are counted by their reason, equal findings united. */
export function derive(findings: readonly Finding[], options: DeriveOptions): Derivation {
  const filtered: Record<string, number> = {};
  const byName = new Map<string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const reason = dropReason(finding, options);
    if (reason !== undefined) {
      filtered[reason] = (filtered[reason] ?? 0) + 1;
      continue;
    }
    const name = observationName(options.source, finding);
    const rows = byName.get(name);
    if (rows) rows.push(finding);
    else byName.set(name, [finding]);
  }
  // One hash for all findings about a resource, and none where it is not asked for: events are stored without.
  const subjects = new Map<ResourceRef | undefined, string>();
  const subjectFor = (resource: ResourceRef | undefined): string => {
    const subject = subjects.get(resource) ?? subjectLabel(options.source, resource);
    subjects.set(resource, subject);
    return subject;
  };
  const named = [...byName].map(([name, rows]) => {
    const finding = unite(rows);
    return {
      name,
      get subject() {
        return subjectFor(finding.resource);
      },
      namespace: namespaceFor(finding, options.systemNamespace),
      finding,
    };
  });
  return { findings: named, filtered };
}

/** Filters and names what was normalized, and counts what comes of it. Throws a Refusal 503 where a filter can't be asked. */
export function deriveFindings<Settings>(
  source: string,
  { findings, skipped }: Normalized,
  { dropOwn }: Pick<DeriveOptions, 'dropOwn'>,
  { settings, filter, event: { tally } }: Context<Settings>,
): readonly NamedFinding[] {
  const derivation = derive(findings, {
    source,
    dropOwn,
    filter,
    systemNamespace: settings.SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
  });
  tally.observed(findings.length);
  for (const [reason, count] of Object.entries(skipped)) tally.skipped(reason, count);
  for (const [reason, count] of Object.entries(derivation.filtered)) tally.filtered(reason, count);
  return derivation.findings;
}
