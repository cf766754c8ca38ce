import type { Observation } from '../api/observation.ts';
import { type Severity, severities } from '../finding/severity.ts';
import { fixOf, imagesOf, stateOf } from './selection.ts';
import { workloadWord } from './workload-word.ts';

export const groupings = [
  'source',
  'severity',
  'category',
  'namespace',
  'state',
  'eventType',
  'rule',
  'workload',
  'actor',
  'kind',
  'image',
  'fix',
] as const;

export type Grouping = (typeof groupings)[number];

/** How many Observations have a value in common. */
export interface Count {
  /** Empty for those that have none. */
  readonly value: string;
  readonly total: number;
  readonly severities: Readonly<Record<Severity, number>>;
}

/** What an Observation is counted under; empty if it has none of that, and of several images the first. */
const groupValues: Readonly<Record<Grouping, (observation: Observation) => string | undefined>> = {
  source: ({ spec }) => spec.source,
  severity: ({ spec }) => spec.severity,
  category: ({ spec }) => spec.category,
  namespace: ({ metadata }) => metadata.namespace,
  state: stateOf,
  eventType: ({ spec }) => spec.eventType,
  rule: ({ spec }) => spec.rule,
  workload: ({ spec }) => spec.resource && workloadWord(spec.resource),
  actor: ({ spec }) => spec.actor?.username,
  kind: ({ spec }) => spec.resource?.kind,
  image: ({ spec }) => imagesOf(spec.details.image)[0],
  fix: ({ spec }) => fixOf(spec.remediation),
};

export function groupValueOf(observation: Observation, by: Grouping): string {
  return groupValues[by](observation) ?? '';
}

/** Negative if `a` is worse: it has more of the worst severity in which the two differ. */
function compareCounts(a: Count, b: Count): number {
  const worst = severities.find((severity) => a.severities[severity] !== b.severities[severity]);
  if (worst !== undefined) return b.severities[worst] - a.severities[worst];
  return a.value < b.value ? -1 : 1;
}

export interface CountTally {
  add(value: string, severity: Severity, count?: number): void;
  /** The worst first. */
  counts(): Count[];
}

export function createCountTally(): CountTally {
  const groups = new Map<string, Record<Severity, number>>();
  return {
    add(value, severity, count = 1) {
      const group = groups.get(value) ?? { CRITICAL: 0, HIGH: 0, MEDIUM: 0, LOW: 0, UNKNOWN: 0 };
      group[severity] += count;
      groups.set(value, group);
    },
    counts() {
      const counts = [...groups].map(([value, group]) => ({
        value,
        total: Object.values(group).reduce((sum, count) => sum + count, 0),
        severities: group,
      }));
      return counts.sort(compareCounts);
    },
  };
}

export function totalOf(counts: readonly Count[]): number {
  return counts.reduce((sum, { total }) => sum + total, 0);
}
