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
import { faultyField } from '../function/refusal.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { compileExpression, type Expression } from './expression.ts';

/** Is told of an expression that could not be answered: its field, such as `expression`, and why. */
export type OnFailure = (field: string, failure: string) => void;

/** One filter's decision about a finding of a source. */
export type FilterCheck = (finding: Finding, source: string, onFailure: OnFailure) => Filtering;

/** A finding with its source. */
type Found = Finding & { readonly source: string };

/** A filter's rules, ready to be asked. */
interface CompiledRules {
  /** The severity that a finding is given; `undefined` if it keeps its own. */
  readonly gradeOf: (found: Found, onFailure: OnFailure) => Severity | undefined;
  /** The reason to drop a finding that has been graded; `undefined` to keep it. */
  readonly reasonFor: (found: Found, onFailure: OnFailure) => FilterReason | undefined;
}

/** What is wrong with a filter, and where. */
export interface Fault {
  readonly field: string;
  readonly message: string;
}

/** A filter's rules with their expressions, compiled. */
interface ReadRules {
  readonly rules: FilterRules;
  readonly keeps: Expression | undefined;
  /** For each entry of `setSeverity`. */
  readonly grades: readonly (Expression | undefined)[];
}

/** Compiles the expressions of a filter, unless one is wrong. */
export function readRules(rules: FilterRules): ReadRules | Fault {
  const faults: Fault[] = [];
  const read = (text: string | undefined, field: string): Expression | undefined => {
    const compiled = text === undefined ? undefined : compileExpression(text);
    if (typeof compiled !== 'object') return compiled;
    faults.push({ field, message: compiled.refusal });
    return undefined;
  };
  const keeps = read(rules.expression, 'expression');
  const grades = (rules.setSeverity ?? []).map(({ expression }, index) =>
    read(expression, `setSeverity[${index}].expression`),
  );
  return faults[0] ?? { rules, keeps, grades };
}

/** Whether an expression holds; `undefined` if that can't be answered. */
function holds(expression: Expression, found: Found, field: string, onFailure: OnFailure): boolean | undefined {
  const answer = expression(found);
  if (typeof answer === 'boolean') return answer;
  onFailure(field, answer.failure);
  return undefined;
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

/** Of the entries that fit a finding, the first decides. One whose expression can't be answered doesn't fit. */
function compileGrades({ rules: { setSeverity }, grades }: ReadRules): CompiledRules['gradeOf'] {
  const entries = setSeverity?.map(({ rules, severity }, index) => {
    const isRule = membershipIn(rules);
    const expression = grades[index];
    const fits = (found: Found, onFailure: OnFailure): boolean =>
      (isRule === undefined || rulesOf(found).some(isRule)) &&
      (expression === undefined || holds(expression, found, `setSeverity[${index}].expression`, onFailure) === true);
    return { fits, severity };
  });
  return (found, onFailure) => entries?.find(({ fits }) => fits(found, onFailure))?.severity;
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
function compile(read: ReadRules): CompiledRules {
  const { rules, keeps } = read;
  if (!rules.enabled) return { gradeOf: () => undefined, reasonFor: () => 'source_disabled' };
  const checks: CompiledRules['reasonFor'][] = [];
  type Field = (found: Found) => string | undefined;
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
  // What can't be answered keeps the finding.
  if (keeps)
    checks.push((found, onFailure) =>
      holds(keeps, found, 'expression', onFailure) === false ? 'expression' : undefined,
    );
  const reasonFor: CompiledRules['reasonFor'] = (found, onFailure) => {
    for (const decide of checks) {
      const reason = decide(found, onFailure);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
  return { gradeOf: compileGrades(read), reasonFor };
}

/** A finding with the severity that filters give it. What its tool said is kept in its details. */
function graded(finding: Finding, severity: Severity | undefined): Finding {
  if (severity === undefined || severity === finding.severity) return finding;
  return { ...finding, severity, details: { ...finding.details, [reportedSeverity]: finding.severity } };
}

/** What several filters together decide. */
function decide(all: readonly CompiledRules[], given: Finding, source: string, onFailure: OnFailure): Filtering {
  const asked = { ...given, source };
  const grades = all.map(({ gradeOf }) => gradeOf(asked, onFailure));
  const worst = severities.find((severity) => grades.includes(severity));
  const finding = graded(given, worst);
  const found = finding === given ? asked : { ...finding, source };
  for (const { reasonFor } of all) {
    const reason = reasonFor(found, onFailure);
    if (reason !== undefined) return reason;
  }
  return finding;
}

/** Compiles a filter's fields into a decision, unless one of its expressions is wrong. */
export function compileRules(rules: FilterRules): FilterCheck | Fault {
  const read = readRules(rules);
  if ('message' in read) return read;
  const compiled = [compile(read)];
  return (finding, source, onFailure) => decide(compiled, finding, source, onFailure);
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

interface ReadFilter extends ReadRules {
  readonly targetSource: string;
}

/** What was read of filters: once, as long as they stay the same. */
const known = new WeakMap<KubernetesObject, ReadFilter | Fault>();

function readAnew(object: KubernetesObject): ReadFilter | Fault {
  const parsed = filterObject.safeParse(object);
  if (!parsed.success) return faultyField(parsed.error);
  const { targetSource, ...rules } = parsed.data.spec;
  const read = readRules(rules);
  return 'message' in read ? { ...read, field: `spec.${read.field}` } : { ...read, targetSource };
}

function readFilter(object: KubernetesObject): ReadFilter | Fault {
  const read = known.get(object) ?? readAnew(object);
  known.set(object, read);
  return read;
}

/** What is wrong with an ObservationFilter. One that is invalid stops everything that it applies to. */
export function filterFault(object: KubernetesObject): Fault | undefined {
  const read = readFilter(object);
  return 'message' in read ? read : undefined;
}

/**
 * Compiles an ObservationFilter. One that can't be read stops its source, or all sources if its source can't be read
 * either.
 */
function compileObject(object: KubernetesObject, { systemNamespace, onFailure }: CompileOptions): NamedFilter {
  const { name: ownName, namespace } = object.metadata;
  const name = `${namespace}/${ownName}`;
  const scope = { name, namespace: namespace === systemNamespace ? undefined : namespace };
  const read = readFilter(object);
  if (!('message' in read)) {
    const { gradeOf, reasonFor } = compile(read);
    const tell: OnFailure = (field, failure) => onFailure(object, `spec.${field}: ${failure}`);
    return {
      ...scope,
      source: sourceKey(read.targetSource),
      gradeOf: (found) => gradeOf(found, tell),
      reasonFor: (found) => reasonFor(found, tell),
    };
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

/** Each filter tells of its own failures. */
const ignored = (): void => undefined;

/** Is told of an ObservationFilter one of whose expressions could not be answered. */
export type OnFilterFailure = (object: KubernetesObject, message: string) => void;

interface CompileOptions {
  readonly systemNamespace: string;
  readonly onFailure: OnFilterFailure;
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
  onFailure: OnFilterFailure = ignored,
): Filter {
  const all = objects
    .map((object) => compileObject(object, { systemNamespace, onFailure }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const forSource = (key: string | undefined): NamedFilter[] =>
    all.filter(({ source }) => source === undefined || source === key);
  const bySource = new Map([...new Set(all.map(({ source }) => source))].map((source) => [source, forSource(source)]));
  const forAll = forSource(undefined);
  return (finding, { source, namespace, hasState }) => {
    const tenant = hasState || tenantsFilterEvents ? namespace : undefined;
    const filters = bySource.get(sourceKey(source)) ?? forAll;
    const applying = filters.filter((one) => one.namespace === undefined || one.namespace === tenant);
    return decide(applying, finding, source, ignored);
  };
}
