import { labels } from '../api/labels.ts';
import { type Observation, operationsCategory } from '../api/observation.ts';
import type { Finding } from '../finding/finding.ts';
import { parseSeverity, type Severity, severities } from '../finding/severity.ts';
import type { Exceptions } from '../function/exceptions.ts';
import { type Filter, reportedSeverity } from '../function/filter.ts';

/** What filters and exceptions would do to stored Observations of one rule. */
export interface Effect {
  readonly source: string;
  /** Empty where there is none. */
  readonly rule: string;
  /** Why they would be dropped, the severity that they would have, or `accepted`. */
  readonly effect: string;
  readonly count: number;
  /** One of them. */
  readonly example: Observation;
}

export interface Effects {
  readonly total: number;
  readonly dropped: number;
  readonly graded: number;
  /** `undefined` where no exceptions were given. */
  readonly accepted: number | undefined;
  /** The largest first. */
  readonly items: readonly Effect[];
}

/** A stored Observation as its source had found it: with the severity that the tool gave it. */
function findingOf({ spec }: Observation): Finding {
  const { source: _source, ttlSecondsAfterCreation: _ttl, rule = '', summary = '', ...fields } = spec;
  const reported = spec.details[reportedSeverity];
  const severity = reported === undefined ? spec.severity : parseSeverity(reported);
  return { ...fields, rule, summary, severity, identity: {} };
}

/** What is to be tried on what is stored. */
export interface Tried {
  readonly filter: Filter;
  readonly exceptions?: Exceptions | undefined;
}

/** The effect of an exception. */
const acceptedEffect = 'accepted';

/** What filters and exceptions do with an Observation; `undefined` if that is nothing new. */
function effectOf(observation: Observation, { filter, exceptions }: Tried, now: number): string | undefined {
  const { metadata, spec } = observation;
  if (spec.category === operationsCategory) return undefined;
  const hasState = metadata.labels[labels.state] !== undefined;
  const about = { source: spec.source, namespace: metadata.namespace, hasState };
  const filtering = filter(findingOf(observation), about);
  if (typeof filtering === 'string') return filtering;
  const graded = { ...spec, severity: filtering.severity };
  const affected = metadata.labels[labels.namespace] ?? metadata.namespace;
  if (exceptions?.({ spec: graded, namespace: affected, hasState }, now)) return acceptedEffect;
  return filtering.severity === spec.severity ? undefined : filtering.severity;
}

function isGrade(effect: string): effect is Severity {
  return severities.some((severity) => severity === effect);
}

/** Adds up what filters and exceptions would do to Observations if there were no others. */
export function createEffects(tried: Tried, now: number): { add(observation: Observation): void; all(): Effects } {
  const byKey = new Map<string, Effect>();
  let total = 0;
  let dropped = 0;
  let graded = 0;
  let accepted = 0;
  return {
    add(example) {
      total += 1;
      const effect = effectOf(example, tried, now);
      if (effect === undefined) return;
      if (effect === acceptedEffect) accepted += 1;
      else if (isGrade(effect)) graded += 1;
      else dropped += 1;
      const { source, rule = '' } = example.spec;
      const key = JSON.stringify([source, rule, effect]);
      const known = byKey.get(key) ?? { source, rule, effect, count: 0, example };
      byKey.set(key, { ...known, count: known.count + 1 });
    },
    all() {
      const sorted = [...byKey].sort(([aKey, a], [bKey, b]) => b.count - a.count || (aKey < bKey ? -1 : 1));
      const items = sorted.map(([, effect]) => effect);
      return { total, dropped, graded, accepted: tried.exceptions && accepted, items };
    },
  };
}
