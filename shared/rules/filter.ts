import { type FilterRules, filterObject } from '../api/observation-filter.ts';
import type { Finding } from '../finding/finding.ts';
import { severities } from '../finding/severity.ts';
import { type Filter, type FilterReason, UnreadableFilter } from '../function/filter.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';

/** One filter's decision about a finding: the reason to drop it, or `undefined`. */
export type FilterCheck = (finding: Finding) => FilterReason | undefined;

/** Without the case of ASCII letters, as the CRD compares, too. */
function lowerCase(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * Whether a text is in a list, ignoring case. Absent and empty lists don't restrict anything: for them, `undefined`.
 */
function membershipIn(words: readonly string[] | undefined): ((text: string | undefined) => boolean) | undefined {
  if (words === undefined || words.length === 0) return undefined;
  const set = new Set(words.map(lowerCase));
  return (text) => text !== undefined && set.has(lowerCase(text));
}

/** What a finding's rule may be called: whole, and of `policy/rule` the policy and the rule by themselves. */
function rulesOf({ rule }: Finding): readonly string[] {
  const slash = rule.indexOf('/');
  return slash < 0 ? [rule] : [rule, rule.slice(0, slash), rule.slice(slash + 1)];
}

/** Compiles a filter's fields into a decision. Fields are checked in the order of `filterReasons`. */
export function compileRules(rules: FilterRules): FilterCheck {
  if (!rules.enabled) return () => 'source_disabled';
  const checks: FilterCheck[] = [];
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
  const { minSeverity, includeSeverity = [] } = rules;
  if (includeSeverity.length > 0) include('include_severity', includeSeverity, ({ severity }) => severity);
  else if (minSeverity !== undefined) {
    // Nobody knows that UNKNOWN is below anything.
    const enough = new Set([...severities.slice(0, severities.indexOf(minSeverity) + 1), 'UNKNOWN']);
    include('min_severity', [...enough], ({ severity }) => severity);
  }
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
  return (finding) => {
    for (const decide of checks) {
      const reason = decide(finding);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}

/** The form in which sources are compared: without case and hyphens, so that `kubebench` means kube-bench. */
export function sourceKey(source: string): string {
  return source.toLowerCase().replaceAll('-', '');
}

interface NamedFilter {
  /** `<namespace>/<name>` */
  readonly name: string;
  /** The key of the source whose findings it applies to; `undefined` for all sources. */
  readonly source: string | undefined;
  /** The namespace whose findings it applies to; `undefined` for all namespaces. */
  readonly namespace: string | undefined;
  readonly check: FilterCheck;
}

function refuseFor(name: string, isTenants: boolean): FilterCheck {
  return () => {
    throw new UnreadableFilter(name, isTenants);
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
    return { ...scope, source: sourceKey(targetSource), check: compileRules(rules) };
  }
  const target = filterObject.shape.spec.shape.targetSource;
  const { spec } = object as { readonly spec?: { readonly targetSource?: unknown } };
  const source = target.safeParse(spec?.targetSource);
  return {
    ...scope,
    source: source.success ? sourceKey(source.data) : undefined,
    check: refuseFor(name, scope.namespace !== undefined),
  };
}

export type FilterSettings = Pick<CommonSettings, 'SYSTEM_NAMESPACE' | 'TENANTS_FILTER_EVENTS'>;

/**
 * Combines all ObservationFilters into one. A finding passes if every filter that applies to it lets it pass; otherwise
 * it is dropped for the reason of the first one, by namespace and name, that doesn't. A filter in the system namespace
 * applies everywhere, any other to findings in its own namespace and, unless `TENANTS_FILTER_EVENTS` says otherwise, not
 * to events: whoever holds a namespace must not silence what is seen in it. One that can't be read stops everything that
 * it applies to.
 */
export function compileFilters(
  objects: readonly KubernetesObject[],
  { SYSTEM_NAMESPACE: systemNamespace, TENANTS_FILTER_EVENTS: tenantsFilterEvents }: FilterSettings,
): Filter {
  const all = objects
    .map((object) => compileObject(object, systemNamespace))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const applicableTo = (key: string | undefined): NamedFilter[] =>
    all.filter(({ source }) => source === undefined || source === key);
  const bySource = new Map(
    [...new Set(all.map(({ source }) => source))].map((source) => [source, applicableTo(source)]),
  );
  const forAll = applicableTo(undefined);
  return (finding, { source, namespace, hasState }) => {
    const tenant = hasState || tenantsFilterEvents ? namespace : undefined;
    for (const filter of bySource.get(sourceKey(source)) ?? forAll) {
      if (filter.namespace !== undefined && filter.namespace !== tenant) continue;
      const reason = filter.check(finding);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}
