import { type Acceptance, forever } from '../api/acceptance.ts';
import { accepted, type Condition, refused } from '../api/condition.ts';
import { operationsCategory } from '../api/observation.ts';
import { type ExceptionSpec, exceptionObject } from '../api/observation-exception.ts';
import { oneLine } from '../finding/one-line.ts';
import { leftOutCondition } from '../function/bounded-objects.ts';
import type { Acceptable, Accepting } from '../function/exceptions.ts';
import { faultyField } from '../function/refusal.ts';
import type { CommonSettings } from '../function/settings.ts';
import type { KubernetesObject } from '../function/stores.ts';
import { compileExpression, type Expression } from './expression.ts';
import { lowerCase, membershipIn, rulesOf, sourceKey } from './filter.ts';

/** Why an exception doesn't accept something, in the order in which that is checked. */
export type MismatchReason =
  | 'own_finding'
  | 'namespace'
  | 'event'
  | 'expired'
  | 'source'
  | 'rule'
  | 'severity'
  | 'resource'
  | 'needs_approval'
  | 'expression';

export type ExceptionSettings = Pick<
  CommonSettings,
  'SYSTEM_NAMESPACE' | 'TENANTS_FILTER_EVENTS' | 'EXCEPTION_MAX_DAYS' | 'EXCEPTION_NEEDS_APPROVAL'
>;

/** An ObservationException that can be read. */
export interface Exception extends Accepting {
  /** `<namespace>/<name>` */
  readonly name: string;
  readonly spec: ExceptionSpec;
  /** When it ends, in milliseconds since 1970; `Infinity` if it doesn't. */
  readonly endsAt: number;
  /** The only namespace that it applies to; `undefined` for all. */
  readonly namespace: string | undefined;
  /** `undefined`: it accepts it. */
  reasonAgainst(what: Acceptable, now: number): MismatchReason | undefined;
}

const day = 86_400_000;

/** Of what is said about an exception on each Observation that it accepts. */
const maxNote = 512;

type Check = readonly [reason: MismatchReason, holds: (what: Acceptable) => boolean];

function resourceTest({ resources }: ExceptionSpec['match']): (what: Acceptable) => boolean {
  const tests = (resources ?? []).map((wanted) => {
    const fields = (['kind', 'name', 'namespace'] as const).flatMap((field) => {
      const word = wanted[field];
      const isIn = word === undefined ? undefined : membershipIn([word]);
      return isIn ? [{ field, isIn }] : [];
    });
    return ({ spec: { resource } }: Acceptable): boolean => fields.every(({ field, isIn }) => isIn(resource?.[field]));
  });
  return (what) => tests.some((test) => test(what));
}

/** What must hold, without its expression: everything that is given. */
function checksOf({ match, approvedBy }: ExceptionSpec, needsApproval: readonly string[]): Check[] {
  const { sources, rules, severities, resources } = match;
  const isRule = membershipIn(rules);
  const keys = sources && new Set(sources.map(sourceKey));
  return [
    ...(keys ? [['source', ({ spec }: Acceptable) => keys.has(sourceKey(spec.source))] as const] : []),
    ...(isRule
      ? [['rule', ({ spec }: Acceptable) => rulesOf({ rule: spec.rule ?? '' }).some((one) => isRule(one))] as const]
      : []),
    ...(severities ? [['severity', ({ spec }: Acceptable) => severities.includes(spec.severity)] as const] : []),
    ...(resources ? [['resource', resourceTest(match)] as const] : []),
    ...(approvedBy === undefined && needsApproval.length > 0
      ? [['needs_approval', ({ spec }: Acceptable) => !needsApproval.includes(spec.severity)] as const]
      : []),
  ];
}

/** Whether an expression holds. One that fails accepts nothing. */
function expressionHolds(
  expression: Expression,
  { spec }: Acceptable,
  onFailure: ((failure: string) => void) | undefined,
): boolean {
  const result = expression({ ...spec, rule: spec.rule ?? '', summary: spec.summary ?? '' });
  if (typeof result === 'boolean') return result;
  onFailure?.(result.failure);
  return false;
}

function acceptanceOf(name: string, { until, approvedBy, reason }: ExceptionSpec): Acceptance {
  return {
    exception: name,
    until: until ?? forever,
    by: approvedBy === undefined ? undefined : oneLine(approvedBy, maxNote),
    reason: oneLine(reason, maxNote),
  };
}

/** Why a namespace's own exception can't reach something: whoever holds a namespace must not silence what is seen in it. */
function reasonOutside(
  own: string | undefined,
  { namespace, hasState }: Acceptable,
  { TENANTS_FILTER_EVENTS: reachesEvents }: ExceptionSettings,
): MismatchReason | undefined {
  if (own === undefined) return undefined;
  if (own !== namespace) return 'namespace';
  return hasState || reachesEvents ? undefined : 'event';
}

interface Parts {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly spec: ExceptionSpec;
  readonly expression: Expression | undefined;
  readonly settings: ExceptionSettings;
  readonly onFailure: ((name: string, failure: string) => void) | undefined;
}

function createException({ name, namespace, spec, expression, settings, onFailure }: Parts): Exception {
  const endsAt = spec.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(spec.until);
  const checks = checksOf(spec, settings.EXCEPTION_NEEDS_APPROVAL);
  const fail = onFailure && ((failure: string): void => onFailure(name, failure));
  // Last, since it costs most.
  if (expression) checks.push(['expression', (what) => expressionHolds(expression, what, fail)]);
  return {
    name,
    namespace,
    spec,
    endsAt,
    // Whole seconds, and never later than the time that is given.
    label: Number.isFinite(endsAt) ? String(Math.max(0, Math.floor(endsAt / 1000))) : forever,
    acceptance: acceptanceOf(name, spec),
    reasonAgainst(what, now) {
      if (what.spec.category === operationsCategory) return 'own_finding';
      const outside = reasonOutside(namespace, what, settings);
      if (outside !== undefined) return outside;
      if (Math.floor(endsAt / 1000) * 1000 <= now) return 'expired';
      return checks.find(([, holds]) => !holds(what))?.[0];
    },
  };
}

/** Why an exception lasts longer than it may; `undefined` if it doesn't. Its days count from when it was made. */
function tooLong(
  { until }: ExceptionSpec,
  creationTimestamp: string | null | undefined,
  { EXCEPTION_MAX_DAYS: days }: ExceptionSettings,
  now: number,
): Condition | undefined {
  if (days === undefined) return undefined;
  const begin = creationTimestamp ? Date.parse(creationTimestamp) : now;
  const latest = begin + days * day;
  if (until !== undefined && Date.parse(until) <= latest) return undefined;
  const what = until === undefined ? 'is missing, but' : 'is too late:';
  const bound = new Date(latest).toISOString();
  return refused('TooLong', `spec.until: ${what} it may be ${bound} at the latest (EXCEPTION_MAX_DAYS is ${days})`);
}

function compiledExpression({ match: { expression } }: ExceptionSpec) {
  return expression === undefined ? undefined : compileExpression(expression);
}

export interface ReadOptions {
  readonly settings: ExceptionSettings;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Told of an expression that could not be answered. */
  readonly onFailure?: (name: string, failure: string) => void;
}

/** What is wrong with an ObservationException, wherever it is used; `undefined` if nothing is. */
export function exceptionFault(
  object: KubernetesObject,
): { readonly field: string; readonly message: string } | undefined {
  const parsed = exceptionObject.safeParse(object);
  if (!parsed.success) return faultyField(parsed.error);
  const expression = compiledExpression(parsed.data.spec);
  return typeof expression === 'object' ? { field: 'spec.match.expression', message: expression.refusal } : undefined;
}

/** Reads an ObservationException. Returns why it accepts nothing, as its condition Accepted, if it can't be read. */
export function readException(object: KubernetesObject, { settings, now, onFailure }: ReadOptions) {
  const leftOut = leftOutCondition(object);
  if (leftOut) return leftOut;
  const parsed = exceptionObject.safeParse(object);
  if (!parsed.success) {
    const { field, message } = faultyField(parsed.error);
    return refused('Invalid', `${field}: ${message}`);
  }
  const { metadata, spec } = parsed.data;
  const expression = compiledExpression(spec);
  if (typeof expression === 'object') return refused('Invalid', `spec.match.expression: ${expression.refusal}`);
  const late = tooLong(spec, metadata.creationTimestamp, settings, now);
  if (late) return late;
  const name = `${metadata.namespace}/${metadata.name}`;
  const namespace = metadata.namespace === settings.SYSTEM_NAMESPACE ? undefined : metadata.namespace;
  return createException({ name, namespace, spec, expression, settings, onFailure });
}

export function isException(read: Exception | Condition): read is Exception {
  return 'reasonAgainst' in read;
}

/** The condition Accepted of what was read. */
export function acceptedCondition(read: Exception | Condition): Condition {
  return isException(read) ? accepted : read;
}

/** Keys that something must have one of if the exception is to match; `undefined` if only asking it can tell. */
function keysOf({ namespace, spec: { match } }: Exception): readonly string[] | undefined {
  const literal = (words: readonly (string | undefined)[] | undefined, field: string): string[] | undefined => {
    if (!words?.every((word) => word !== undefined && !word.includes('*'))) return undefined;
    return words.map((word) => `${field} ${lowerCase(word ?? '')}`);
  };
  return (
    literal(match.rules, 'rule') ??
    literal(
      match.resources?.map(({ name }) => name),
      'name',
    ) ??
    (namespace === undefined ? undefined : [`namespace ${namespace}`]) ??
    literal(
      match.resources?.map((one) => one.namespace),
      'resource-namespace',
    ) ??
    match.sources?.map((source) => `source ${sourceKey(source)}`)
  );
}

function keysFor({ spec, namespace }: Acceptable): readonly string[] {
  const { rule = '', resource, source } = spec;
  return [
    ...rulesOf({ rule }).map((one) => `rule ${lowerCase(one)}`),
    ...(resource?.name === undefined ? [] : [`name ${lowerCase(resource.name)}`]),
    `namespace ${namespace}`,
    ...(resource?.namespace === undefined ? [] : [`resource-namespace ${lowerCase(resource.namespace)}`]),
    `source ${sourceKey(source)}`,
  ];
}

/** The longest first; of those that end at the same time, by name, so that every process names the same one. */
function lastsLonger(a: Exception, b: Exception): number {
  if (a.endsAt !== b.endsAt) return a.endsAt > b.endsAt ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

function hasRulePattern({ spec: { match } }: Exception): boolean {
  return match.rules?.some((rule) => rule.includes('*')) ?? false;
}

/** How many rules are remembered. Thousands of findings have the same ones. */
const maxRules = 10_000;

/** Finds the exceptions whose patterns match a rule, and remembers them. */
function createRulePatterns(all: readonly Exception[]): (rule: string) => readonly Exception[] {
  const tests = all.map((one) => ({ one, isRule: membershipIn(one.spec.match.rules) }));
  const remembered = new Map<string, readonly Exception[]>();
  return (rule) => {
    if (tests.length === 0) return [];
    const known = remembered.get(rule);
    if (known) return known;
    const names = rulesOf({ rule });
    const found = tests.filter(({ isRule }) => names.some((name) => isRule?.(name))).map(({ one }) => one);
    if (remembered.size >= maxRules) remembered.clear();
    remembered.set(rule, found);
    return found;
  };
}

/** All exceptions, found by what they match literally, so that a thousand of them cost about as much as a few. */
export interface ExceptionIndex {
  /** All that accept something at a time, the one that lasts longest first. */
  accepting(what: Acceptable, now: number): readonly Exception[];
}

export function indexExceptions(all: readonly Exception[]): ExceptionIndex {
  const byKey = new Map<string, Exception[]>();
  const others: Exception[] = [];
  const byPattern = createRulePatterns(all.filter(hasRulePattern));
  for (const one of all) {
    if (hasRulePattern(one)) continue;
    const keys = keysOf(one);
    if (keys === undefined) others.push(one);
    for (const key of new Set(keys)) {
      const list = byKey.get(key);
      if (list) list.push(one);
      else byKey.set(key, [one]);
    }
  }
  return {
    accepting(what, now) {
      const found = new Set<Exception>();
      const ask = (candidates: readonly Exception[]): void => {
        for (const one of candidates) if (!found.has(one) && one.reasonAgainst(what, now) === undefined) found.add(one);
      };
      if (byKey.size > 0) for (const key of keysFor(what)) ask(byKey.get(key) ?? []);
      ask(byPattern(what.spec.rule ?? ''));
      ask(others);
      return found.size > 1 ? [...found].sort(lastsLonger) : [...found];
    },
  };
}
