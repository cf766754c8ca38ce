import { type FilterRules, filterObject } from '../api/observation-filter.ts';
import type { Finding } from '../finding/finding.ts';
import { globTest } from '../finding/glob.ts';
import { type Severity, severities } from '../finding/severity.ts';
import {
  type Filter,
  type Filtering,
  type FilterReason,
  reportedSeverity,
  UnreadableFilter,
} from '../function/filter.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';

/** One filter's decision about a finding. */
export type FilterCheck = (finding: Finding) => Filtering;

/** A filter's rules, ready to be asked. */
interface CompiledRules {
  /** The severity that a finding is given; `undefined` if it keeps its own. */
  readonly gradeOf: (finding: Finding) => Severity | undefined;
  /** The reason to drop a finding that has been graded; `undefined` to keep it. */
  readonly reasonFor: (finding: Finding) => FilterReason | undefined;
}

/** Without the case of ASCII letters, as the CRD compares, too. */
export function lowerCase(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * Whether a text matches one of a list of words, ignoring case; `*` in a word stands for any text. Absent and empty lists
 * don't restrict anything: for them, `undefined`.
 */
export function membershipIn(
  words: readonly string[] | undefined,
): ((text: string | undefined) => boolean) | undefined {
  if (words === undefined || words.length === 0) return undefined;
  const lower = words.map(lowerCase);
  const set = new Set(lower);
  const globs = lower.filter((word) => word.includes('*')).map(globTest);
  return (text) => {
    if (text === undefined) return false;
    const key = lowerCase(text);
    return set.has(key) || globs.some((isMatch) => isMatch(key));
  };
}

/** What a finding's rule may be called: whole, and of `policy/rule` the policy and the rule by themselves. */
export function rulesOf({ rule }: Pick<Finding, 'rule'>): readonly string[] {
  const slash = rule.indexOf('/');
  return slash < 0 ? [rule] : [rule, rule.slice(0, slash), rule.slice(slash + 1)];
}

/** Of the entries that fit a finding, the first decides. */
function compileGrades({ setSeverity }: FilterRules): CompiledRules['gradeOf'] {
  const entries = setSeverity?.map(({ rules, severity }) => ({ isRule: membershipIn(rules), severity }));
  return (finding) => entries?.find(({ isRule }) => isRule === undefined || rulesOf(finding).some(isRule))?.severity;
}

/** The severities that pass; `undefined` if all do. */
function severitiesIn({ minSeverity, includeSeverity = [] }: FilterRules): readonly Severity[] | undefined {
  if (includeSeverity.length > 0) return includeSeverity;
  if (minSeverity === undefined) return undefined;
  // Nobody knows that UNKNOWN is below anything.
  return [...severities.slice(0, severities.indexOf(minSeverity) + 1), 'UNKNOWN'];
}

function compileSeverities(rules: FilterRules): CompiledRules['reasonFor'] | undefined {
  const passing = severitiesIn(rules);
  if (!passing) return undefined;
  const { includeSeverity = [], unknownSeverity = 'UNKNOWN' } = rules;
  const reason = includeSeverity.length > 0 ? 'include_severity' : 'min_severity';
  return ({ severity }) => (passing.includes(severity === 'UNKNOWN' ? unknownSeverity : severity) ? undefined : reason);
}

/** Compiles a filter's fields. They are checked in the order of `filterReasons`. */
function compile(rules: FilterRules): CompiledRules {
  if (!rules.enabled) return { gradeOf: () => undefined, reasonFor: () => 'source_disabled' };
  const checks: CompiledRules['reasonFor'][] = [];
  type Field = (finding: Finding) => string | undefined;
  const check = (
    reason: FilterReason,
    words: readonly string[] | undefined,
    fieldOf: Field,
    mustBeIn: boolean,
  ): void => {
    const isIn = membershipIn(words);
    if (isIn) checks.push((finding) => (isIn(fieldOf(finding)) === mustBeIn ? undefined : reason));
  };
  const include = (reason: FilterReason, words: readonly string[] | undefined, fieldOf: Field) =>
    check(reason, words, fieldOf, true);
  const exclude = (reason: FilterReason, words: readonly string[] | undefined, fieldOf: Field) =>
    check(reason, words, fieldOf, false);
  const bySeverity = compileSeverities(rules);
  if (bySeverity) checks.push(bySeverity);
  exclude('exclude_event_type', rules.excludeEventTypes, ({ eventType }) => eventType);
  include('include_event_type', rules.includeEventTypes, ({ eventType }) => eventType);
  exclude('exclude_namespace', rules.excludeNamespaces, ({ resource }) => resource?.namespace);
  include('include_namespace', rules.includeNamespaces, ({ resource }) => resource?.namespace);
  exclude('exclude_kind', rules.excludeKinds, ({ resource }) => resource?.kind);
  exclude('exclude_kind', rules.ignoreKinds, ({ resource }) => resource?.kind);
  include('include_kind', rules.includeKinds, ({ resource }) => resource?.kind);
  exclude('exclude_category', rules.excludeCategories, ({ category }) => category);
  include('include_category', rules.includeCategories, ({ category }) => category);
  const isRule = membershipIn(rules.excludeRules);
  if (isRule) checks.push((finding) => (rulesOf(finding).some(isRule) ? 'exclude_rule' : undefined));
  const reasonFor = (finding: Finding): FilterReason | undefined => {
    for (const decide of checks) {
      const reason = decide(finding);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
  return { gradeOf: compileGrades(rules), reasonFor };
}

/** A finding with the severity that filters give it. What its tool said is kept in its details. */
function graded(finding: Finding, severity: Severity | undefined): Finding {
  if (severity === undefined || severity === finding.severity) return finding;
  return { ...finding, severity, details: { ...finding.details, [reportedSeverity]: finding.severity } };
}

/** What several filters together decide. */
function decide(all: readonly CompiledRules[], given: Finding): Filtering {
  const grades = all.map(({ gradeOf }) => gradeOf(given));
  const worst = severities.find((severity) => grades.includes(severity));
  const finding = graded(given, worst);
  for (const { reasonFor } of all) {
    const reason = reasonFor(finding);
    if (reason !== undefined) return reason;
  }
  return finding;
}

/** Compiles a filter's fields into a decision. */
export function compileRules(rules: FilterRules): FilterCheck {
  const compiled = [compile(rules)];
  return (finding) => decide(compiled, finding);
}

/** The form in which sources are compared: without case and hyphens, so that `kubebench` means kube-bench. */
export function sourceKey(source: string): string {
  return source.toLowerCase().replaceAll('-', '');
}

interface NamedFilter extends CompiledRules {
  /** `<namespace>/<name>` */
  readonly name: string;
  /** The key of the source whose findings it applies to; `undefined` for all sources. */
  readonly source: string | undefined;
  /** The namespace whose findings it applies to; `undefined` for all namespaces. */
  readonly namespace: string | undefined;
}

function refuseFor(name: string, isTenants: boolean): CompiledRules {
  return {
    gradeOf: () => undefined,
    reasonFor: () => {
      throw new UnreadableFilter(name, isTenants);
    },
  };
}

/** Whether an ObservationFilter is valid. One that isn't stops everything that it applies to. */
export function isReadable(object: KubernetesObject): boolean {
  return filterObject.safeParse(object).success;
}

/**
 * Compiles an ObservationFilter. One that can't be read stops its source, or all sources if its source can't be read
 * either.
 */
function compileObject(object: KubernetesObject, systemNamespace: string): NamedFilter {
  const { name: ownName, namespace } = object.metadata;
  const name = `${namespace}/${ownName}`;
  const scope = { name, namespace: namespace === systemNamespace ? undefined : namespace };
  const parsed = filterObject.safeParse(object);
  if (parsed.success) {
    const { targetSource, ...rules } = parsed.data.spec;
    return { ...scope, source: sourceKey(targetSource), ...compile(rules) };
  }
  const target = filterObject.shape.spec.shape.targetSource;
  const { spec } = object as { readonly spec?: { readonly targetSource?: unknown } };
  const source = target.safeParse(spec?.targetSource);
  return {
    ...scope,
    source: source.success ? sourceKey(source.data) : undefined,
    ...refuseFor(name, scope.namespace !== undefined),
  };
}

export type FilterSettings = Pick<CommonSettings, 'SYSTEM_NAMESPACE' | 'TENANTS_FILTER_EVENTS'>;

/**
 * Combines all ObservationFilters into one. Of the severities that they give a finding, it has the worst; that is what they
 * then judge. A finding passes if every filter that applies to it lets it pass; otherwise it is dropped for the reason of
 * the first one, by namespace and name, that doesn't. A filter in the system namespace applies everywhere, any other to
 * findings in its own namespace and, unless `TENANTS_FILTER_EVENTS` says otherwise, not to events: whoever holds a
 * namespace must not silence what is seen in it. One that can't be read stops everything that it applies to.
 */
export function compileFilters(
  objects: readonly KubernetesObject[],
  { SYSTEM_NAMESPACE: systemNamespace, TENANTS_FILTER_EVENTS: tenantsFilterEvents }: FilterSettings,
): Filter {
  const all = objects
    .map((object) => compileObject(object, systemNamespace))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const forSource = (key: string | undefined): NamedFilter[] =>
    all.filter(({ source }) => source === undefined || source === key);
  const bySource = new Map([...new Set(all.map(({ source }) => source))].map((source) => [source, forSource(source)]));
  const forAll = forSource(undefined);
  return (finding, { source, namespace, hasState }) => {
    const tenant = hasState || tenantsFilterEvents ? namespace : undefined;
    const filters = bySource.get(sourceKey(source)) ?? forAll;
    const applying = filters.filter((one) => one.namespace === undefined || one.namespace === tenant);
    return decide(applying, finding);
  };
}
