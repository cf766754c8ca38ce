import type { Filter } from '../function/filter.ts';
import { canonicalJson } from '../observation/canonical-json.ts';
import type { Counts, Observation, ResourceRef } from '../observation/observation.ts';
import { observationName, subjectOf } from '../observation/observation-name.ts';

/** A finding that is kept, under the name it will be stored by. */
export interface Derived {
  readonly name: string;
  /** Value of the label `subject`. */
  readonly subject: string;
  /** Where it belongs, if that namespace can take it. */
  readonly namespace: string;
  readonly observation: Observation;
}

export interface Derivation {
  readonly observed: number;
  readonly derived: readonly Derived[];
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

const ownGroup = 'zen.kube-zen.io/';
const namespacePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Findings about a namespaced resource live with it; all others, and those in no possible namespace, with the system. */
function placeOf(observation: Observation, systemNamespace: string): string {
  const namespace = observation.resource?.namespace;
  return namespace !== undefined && namespacePattern.test(namespace) ? namespace : systemNamespace;
}

function dropReason(observation: Observation, options: DeriveOptions): string | undefined {
  if (options.dropOwn && observation.resource?.apiVersion?.startsWith(ownGroup)) return 'self';
  const namespace = placeOf(observation, options.systemNamespace);
  if (options.watchNamespace !== undefined && namespace !== options.watchNamespace) return 'outside_namespace';
  return options.filter(options.source, observation, namespace);
}

function messagesOf(rows: readonly Observation[]): string[] {
  const messages = rows.map(({ details }) => details.message).filter((message) => typeof message === 'string');
  return [...new Set(messages)].sort();
}

/**
 * Rows that are one finding become one Observation, whatever their order: messages united, the first moment, the rest
 * from the row whose JSON comes first.
 */
function unite(rows: readonly [Observation, ...Observation[]]): Observation {
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
export function derive(observations: readonly Observation[], options: DeriveOptions): Derivation {
  const filtered: Record<string, number> = {};
  const byName = new Map<string, [Observation, ...Observation[]]>();
  for (const observation of observations) {
    const reason = dropReason(observation, options);
    if (reason !== undefined) {
      filtered[reason] = (filtered[reason] ?? 0) + 1;
      continue;
    }
    const name = observationName(options.source, observation);
    const rows = byName.get(name);
    if (rows) rows.push(observation);
    else byName.set(name, [observation]);
  }
  // One hash for all findings about a resource, and none where it is not asked for: events are stored without.
  const subjects = new Map<ResourceRef | undefined, string>();
  const subjectFor = (resource: ResourceRef | undefined): string => {
    const subject = subjects.get(resource) ?? subjectOf(options.source, resource);
    subjects.set(resource, subject);
    return subject;
  };
  const derived = [...byName].map(([name, rows]) => {
    const observation = unite(rows);
    return {
      name,
      get subject() {
        return subjectFor(observation.resource);
      },
      namespace: placeOf(observation, options.systemNamespace),
      observation,
    };
  });
  return { observed: observations.length, derived, filtered };
}
