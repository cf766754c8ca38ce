import { type FilterRules, filterObject } from '../api/observation-filter.ts';
import type { Finding } from '../finding/finding.ts';
import { severities } from '../finding/severity.ts';
import type { Filter, FilterReason } from '../function/filter.ts';
import { Refusal } from '../function/refusal.ts';
import type { KubernetesObject } from '../function/stores.ts';

/** Asks one filter about an Observation. */
export type FilterCheck = (observation: Finding) => FilterReason | undefined;

/** What tools call the rule, check or policy that found something, in identity or details. */
const ruleKeys = ['rule', 'ruleID', 'policy', 'checkID', 'checkId', 'testNumber', 'vulnerabilityID', 'control'];

function lowerCase(text: string): string {
  return text.toLowerCase();
}

/** A list as a question: `undefined` where it says nothing. Empty lists say nothing. */
function among(words: readonly string[] | undefined): ((text: string | undefined) => boolean) | undefined {
  if (words === undefined || words.length === 0) return undefined;
  const set = new Set(words.map(lowerCase));
  return (text) => text !== undefined && set.has(text.toLowerCase());
}

function rulesOf({ identity, details }: Finding): string[] {
  return ruleKeys.flatMap((key) => [identity[key], details[key]]).filter((value) => typeof value === 'string');
}

/** One filter, its lists made ready to be asked, in the order of `filterReasons`. */
export function compileRules(rules: FilterRules): FilterCheck {
  if (!rules.enabled) return () => 'source_disabled';
  const checks: FilterCheck[] = [];
  type Field = (observation: Finding) => string | undefined;
  const ask = (reason: FilterReason, words: readonly string[] | undefined, of: Field, mustBeIn: boolean): void => {
    const isIn = among(words);
    if (isIn) checks.push((observation) => (isIn(of(observation)) === mustBeIn ? undefined : reason));
  };
  const include = (reason: FilterReason, words: readonly string[] | undefined, of: Field) =>
    ask(reason, words, of, true);
  const exclude = (reason: FilterReason, words: readonly string[] | undefined, of: Field) =>
    ask(reason, words, of, false);
  const { minSeverity, includeSeverity = [] } = rules;
  if (includeSeverity.length > 0) include('include_severity', includeSeverity, ({ severity }) => severity);
  else if (minSeverity !== undefined) {
    include('min_severity', severities.slice(0, severities.indexOf(minSeverity) + 1), ({ severity }) => severity);
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
  const isRule = among(rules.excludeRules);
  if (isRule) checks.push((observation) => (rulesOf(observation).some(isRule) ? 'exclude_rule' : undefined));
  return (observation) => {
    for (const check of checks) {
      const reason = check(observation);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}

/** `kubebench` means kube-bench: sources are compared without case and hyphens. */
export function sourceKey(source: string): string {
  return source.toLowerCase().replaceAll('-', '');
}

interface Named {
  /** `<namespace>/<name>` */
  readonly name: string;
  /** The key of the one source whose findings it is asked about; `undefined` for all. */
  readonly source: string | undefined;
  /** The one namespace whose findings it is asked about; `undefined` for all. */
  readonly namespace: string | undefined;
  readonly ask: FilterCheck;
}

function unreadable(name: string): FilterCheck {
  return () => {
    throw new Refusal(503, 'an ObservationFilter can not be read', { cause: name, retryAfter: 5 });
  };
}

/** Whether an ObservationFilter can be asked, or stops what it applies to. */
export function isReadable(object: KubernetesObject): boolean {
  return filterObject.safeParse(object).success;
}

/** One that can't be read stops its source, or all where that can't be read either. */
function compileObject(object: KubernetesObject, systemNamespace: string): Named {
  const { name: ownName, namespace } = object.metadata;
  const name = `${namespace}/${ownName}`;
  const place = { name, namespace: namespace === systemNamespace ? undefined : namespace };
  const parsed = filterObject.safeParse(object);
  if (parsed.success) {
    const { targetSource, ...rules } = parsed.data.spec;
    return { ...place, source: sourceKey(targetSource), ask: compileRules(rules) };
  }
  const target = filterObject.shape.spec.shape.targetSource;
  const { spec } = object as { readonly spec?: { readonly targetSource?: unknown } };
  const source = target.safeParse(spec?.targetSource);
  return { ...place, source: source.success ? sourceKey(source.data) : undefined, ask: unreadable(name) };
}

/**
 * All ObservationFilters as one: a finding passes if every filter that applies to it lets it, and is dropped for the
 * reason of the first, by name, that does not. One in the system namespace applies everywhere, any other to findings of
 * its namespace; one that can't be read stops what it applies to.
 */
export function compileFilters(objects: readonly KubernetesObject[], systemNamespace: string): Filter {
  const all = objects
    .map((object) => compileObject(object, systemNamespace))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const asked = (about: string | undefined): Named[] =>
    all.filter(({ source }) => source === undefined || source === about);
  const bySource = new Map([...new Set(all.map(({ source }) => source))].map((source) => [source, asked(source)]));
  const forAll = asked(undefined);
  return (source, observation, namespace) => {
    for (const filter of bySource.get(sourceKey(source)) ?? forAll) {
      if (filter.namespace !== undefined && filter.namespace !== namespace) continue;
      const reason = filter.ask(observation);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}
