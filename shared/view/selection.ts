import { labels } from '../api/labels.ts';
import type { Observation } from '../api/observation.ts';
import { globTest } from '../finding/glob.ts';
import type { Severity } from '../finding/severity.ts';
import { workloadTest } from './workload-word.ts';

export const states = ['open', 'missing', 'resolved'] as const;

export type State = (typeof states)[number];

/** Which Observations somebody wants to see: everything that is given must hold. */
export interface Selection {
  readonly source?: string | undefined;
  readonly severity?: Severity | undefined;
  readonly category?: string | undefined;
  /** The Observation's own. */
  readonly namespace?: string | undefined;
  /** Any of these. An Observation without a state is open. */
  readonly states?: readonly State[] | undefined;
  /** Whether it is accepted at that time, in milliseconds since 1970. */
  readonly acceptance?: { readonly isAccepted: boolean; readonly at: number } | undefined;
  readonly eventType?: string | undefined;
  /** `*` stands for any text. */
  readonly rule?: string | undefined;
  /** A user name; `*` stands for any text. */
  readonly actor?: string | undefined;
  /** As `workloadTest` reads it. */
  readonly workload?: string | undefined;
  /** Of the resource, in any case. */
  readonly kind?: string | undefined;
  /** As `imagesOf` gives it; `*` stands for any text. */
  readonly image?: string | undefined;
  /** As `fixOf` gives it. */
  readonly fix?: string | undefined;
  /** Whether it says what to do. */
  readonly isFixable?: boolean | undefined;
  /** Detected at this time or later, in milliseconds since 1970. */
  readonly since?: number | undefined;
  /** Stored at this time or later. */
  readonly createdSince?: number | undefined;
  /** Whose state, acceptance or severity last changed at this time or later. */
  readonly changedSince?: number | undefined;
  /** Text in the summary, the rule or the resource's name, in any case. */
  readonly search?: string | undefined;
}

/** The part of an Observation that patterns, workloads, times and texts are compared with. */
export interface Comparable
  extends Pick<Observation['spec'], 'rule' | 'summary' | 'resource' | 'actor' | 'detectedAt' | 'remediation'> {
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

const ruleTest: TestFor<string> = (pattern) => {
  const matches = globTest(pattern);
  return ({ rule }) => rule !== undefined && matches(rule);
};

const actorTest: TestFor<string> = (pattern) => {
  const matches = globTest(pattern);
  return ({ actor }) => actor !== undefined && matches(actor.username);
};

const resourceTest: TestFor<string> = (word) => {
  const matches = workloadTest(word);
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

const kindTest: TestFor<string> = (kind) => {
  const wanted = kind.toLowerCase();
  return ({ resource }) => resource?.kind.toLowerCase() === wanted;
};

const imageTest: TestFor<string> = (pattern) => {
  const matches = globTest(pattern);
  return ({ image }) => imagesOf(image).some(matches);
};

const fixTest: TestFor<string> =
  (fix) =>
  ({ remediation }) =>
    fixOf(remediation) === fix;

const fixableTest: TestFor<boolean> =
  (isFixable) =>
  ({ remediation }) =>
    (fixOf(remediation) !== '') === isFixable;

const textTest: TestFor<string> = (text) => {
  const wanted = text.toLowerCase();
  return ({ summary = '', rule = '', resource }) =>
    [summary, rule, resource?.name ?? ''].some((one) => one.toLowerCase().includes(wanted));
};

function given<Value>(test: TestFor<Value>, wanted: Value | undefined): Test[] {
  return wanted === undefined ? [] : [test(wanted)];
}

/** A selection in two parts. */
export interface SelectionParts {
  /** What every store can select by itself: values that are equal. Nothing in it is a pattern. */
  readonly exact: Pick<
    Selection,
    'source' | 'severity' | 'category' | 'namespace' | 'states' | 'acceptance' | 'eventType' | 'rule' | 'actor'
  >;
  /** Whether an Observation has the rest; `undefined` if there is no rest. */
  readonly test: Test | undefined;
}

export function partsOf(selection: Selection): SelectionParts {
  const { rule, actor, source, severity, category, namespace, states, acceptance, eventType } = selection;
  const [isRulePattern, isActorPattern] = [rule?.includes('*'), actor?.includes('*')];
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
