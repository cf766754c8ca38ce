import { labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { globTest } from '../finding/glob.ts';
import type { Severity } from '../finding/severity.ts';
import { allBits, wordBits, wordsOf } from './search.ts';
import { anyWorkloadTest } from './workload-word.ts';

export const states = ['open', 'missing', 'resolved'] as const;

export type State = (typeof states)[number];

/** A value, or several of which any will do. */
export type AnyOf<Value extends string = string> = Value | readonly Value[];

export function anyOf<Value extends string>(wanted: AnyOf<Value>): readonly Value[] {
  return typeof wanted === 'string' ? [wanted] : wanted;
}

/** Which Observations somebody wants to see: everything that is given must hold. */
export interface Selection {
  readonly source?: AnyOf | undefined;
  readonly severity?: AnyOf<Severity> | undefined;
  readonly category?: AnyOf | undefined;
  /** The Observation's own. */
  readonly namespace?: AnyOf | undefined;
  /** Any of these. An Observation without a state is open. */
  readonly states?: readonly State[] | undefined;
  /** Whether it is accepted at that time, in milliseconds since 1970. */
  readonly acceptance?: { readonly isAccepted: boolean; readonly at: number } | undefined;
  readonly eventType?: AnyOf | undefined;
  /** `*` stands for any text. */
  readonly rule?: AnyOf | undefined;
  /** A user name; `*` stands for any text. */
  readonly actor?: AnyOf | undefined;
  /** As `workloadTest` reads it. */
  readonly workload?: AnyOf | undefined;
  /** Of the resource, in any case. */
  readonly kind?: AnyOf | undefined;
  /** As `imagesOf` gives it; `*` stands for any text. */
  readonly image?: AnyOf | undefined;
  /** As `fixOf` gives it. */
  readonly fix?: AnyOf | undefined;
  /** Whether it says what to do. */
  readonly isFixable?: boolean | undefined;
  /** Detected at this time or later, in milliseconds since 1970. */
  readonly since?: number | undefined;
  /** Stored at this time or later. */
  readonly createdSince?: number | undefined;
  /** Whose state, acceptance or severity last changed at this time or later. */
  readonly changedSince?: number | undefined;
  /** Words, each of which is somewhere in what `searched` lists, in any case. */
  readonly search?: string | undefined;
}

/** The part of an Observation that patterns, workloads, times and texts are compared with. */
export interface Comparable
  extends Pick<
    Observation['spec'],
    'source' | 'severity' | 'rule' | 'summary' | 'resource' | 'actor' | 'detectedAt' | 'remediation'
  > {
  readonly namespace: string;
  readonly name: string;
  /** What its details have under that name. */
  readonly image?: unknown;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The same; NaN for what has no state. */
  readonly changedAt: number;
}

export function comparableOf({ metadata, spec }: Observation): Comparable {
  return {
    ...spec,
    namespace: metadata.namespace,
    name: metadata.name,
    image: spec.details.image,
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    changedAt: Number(metadata.labels[labels.since] ?? Number.NaN),
  };
}

/** The images that something was found in: what the details have under that name, one a line. */
export function imagesOf(image: unknown): string[] {
  return typeof image === 'string' ? image.split('\n').filter((line) => line !== '') : [];
}

const maxFix = 160;

/** What to do, in a line that many findings may have in common; empty if that isn't known. */
export function fixOf(remediation: string | undefined): string {
  const [line = ''] = (remediation ?? '').trim().split('\n', 1);
  return line.length > maxFix ? `${line.slice(0, maxFix).toWellFormed()}…` : line;
}

type Test = (spec: Comparable) => boolean;

type TestFor<Value> = (wanted: Value) => Test;

/** Whether a text is any of some, in which `*` stands for any text. */
export function anyGlobTest(wanted: AnyOf): (text: string) => boolean {
  const tests = anyOf(wanted).map(globTest);
  return (text) => tests.some((matches) => matches(text));
}

const ruleTest: TestFor<AnyOf> = (wanted) => {
  const matches = anyGlobTest(wanted);
  return ({ rule }) => rule !== undefined && matches(rule);
};

const actorTest: TestFor<AnyOf> = (wanted) => {
  const matches = anyGlobTest(wanted);
  return ({ actor }) => actor !== undefined && matches(actor.username);
};

const resourceTest: TestFor<AnyOf> = (words) => {
  const matches = anyWorkloadTest(words);
  return ({ resource }) => resource !== undefined && matches(resource);
};

// A time that can't be read is NaN, which is not later than any.
const timeTest: TestFor<number> =
  (since) =>
  ({ detectedAt }) =>
    Date.parse(detectedAt) >= since;

const createdTest: TestFor<number> =
  (since) =>
  ({ createdAt }) =>
    createdAt >= since;

const changedTest: TestFor<number> =
  (since) =>
  ({ changedAt }) =>
    changedAt >= since;

const kindTest: TestFor<AnyOf> = (kinds) => {
  const wanted = new Set(anyOf(kinds).map((kind) => kind.toLowerCase()));
  return ({ resource }) => resource !== undefined && wanted.has(resource.kind.toLowerCase());
};

const imageTest: TestFor<AnyOf> = (wanted) => {
  const matches = anyGlobTest(wanted);
  return ({ image }) => imagesOf(image).some(matches);
};

const fixTest: TestFor<AnyOf> = (fixes) => {
  const wanted = new Set(anyOf(fixes));
  return ({ remediation }) => wanted.has(fixOf(remediation));
};

const fixableTest: TestFor<boolean> =
  (isFixable) =>
  ({ remediation }) =>
    (fixOf(remediation) !== '') === isFixable;

/** The texts that are searched. */
function searched(one: Comparable): string[] {
  const { namespace, name, source, severity, summary = '', rule = '', resource, actor, image, remediation } = one;
  const { kind = '', name: resourceName = '' } = resource ?? {};
  return [
    namespace,
    name,
    source,
    severity,
    summary,
    rule,
    kind,
    resourceName,
    actor?.username ?? '',
    fixOf(remediation),
    ...imagesOf(image),
  ];
}

const textTest: TestFor<string> = (search) => {
  const words = wordsOf(search);
  return (one) => searched(one).reduce((bits, text) => bits | wordBits(words, text), 0) === allBits(words);
};

function given<Value>(test: TestFor<Value>, wanted: Value | undefined): Test[] {
  return wanted === undefined ? [] : [test(wanted)];
}

/** A selection in two parts. */
export interface SelectionParts {
  /** Values that are equal, by which a store can select by itself; nothing in it is a pattern. */
  readonly exact: Pick<
    Selection,
    'source' | 'severity' | 'category' | 'namespace' | 'states' | 'acceptance' | 'eventType' | 'rule' | 'actor'
  >;
  /** Whether an Observation has the rest; `undefined` if there is no rest. */
  readonly test: Test | undefined;
}

function hasPattern(wanted: AnyOf | undefined): boolean {
  return wanted !== undefined && anyOf(wanted).some((one) => one.includes('*'));
}

export function partsOf(selection: Selection): SelectionParts {
  const { rule, actor, source, severity, category, namespace, states, acceptance, eventType } = selection;
  const [isRulePattern, isActorPattern] = [hasPattern(rule), hasPattern(actor)];
  const tests = [
    ...given(ruleTest, isRulePattern ? rule : undefined),
    ...given(actorTest, isActorPattern ? actor : undefined),
    ...given(resourceTest, selection.workload),
    ...given(kindTest, selection.kind),
    ...given(imageTest, selection.image),
    ...given(fixTest, selection.fix),
    ...given(fixableTest, selection.isFixable),
    ...given(timeTest, selection.since),
    ...given(createdTest, selection.createdSince),
    ...given(changedTest, selection.changedSince),
    ...given(textTest, selection.search),
  ];
  return {
    exact: {
      source,
      severity,
      category,
      namespace,
      states,
      acceptance,
      eventType,
      rule: isRulePattern ? undefined : rule,
      actor: isActorPattern ? undefined : actor,
    },
    test: tests.length === 0 ? undefined : (one) => tests.every((test) => test(one)),
  };
}

/** An Observation's state by its label. Events have none: they are open until they expire. */
export function stateOf({ metadata }: Observation): string {
  return metadata.labels[labels.state] ?? 'open';
}
