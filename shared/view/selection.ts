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
  /** Detected at this time or later, in milliseconds since 1970. */
  readonly since?: number | undefined;
  /** Text in the summary, the rule or the resource's name, in any case. */
  readonly search?: string | undefined;
}

/** The part of a spec that patterns, workloads, times and texts are compared with. */
export type Comparable = Pick<Observation['spec'], 'rule' | 'summary' | 'resource' | 'actor' | 'detectedAt'>;

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
  readonly exact: Omit<Selection, 'workload' | 'since' | 'search'>;
  /** Whether a spec has the rest; `undefined` if there is no rest. */
  readonly test: Test | undefined;
}

export function partsOf({ rule, actor, workload, since, search, ...exact }: Selection): SelectionParts {
  const [isRulePattern, isActorPattern] = [rule?.includes('*'), actor?.includes('*')];
  const tests = [
    ...given(ruleTest, isRulePattern ? rule : undefined),
    ...given(actorTest, isActorPattern ? actor : undefined),
    ...given(resourceTest, workload),
    ...given(timeTest, since),
    ...given(textTest, search),
  ];
  return {
    exact: {
      ...exact,
      rule: isRulePattern ? undefined : rule,
      actor: isActorPattern ? undefined : actor,
    },
    test: tests.length === 0 ? undefined : (spec) => tests.every((test) => test(spec)),
  };
}

/** An Observation's state by its label. Events have none: they are open until they expire. */
export function stateOf({ metadata }: Observation): string {
  return metadata.labels[labels.state] ?? 'open';
}
