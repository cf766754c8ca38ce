import exceptions from '../../functions/exceptions.ts';
import { acceptanceIn } from '../../shared/api/acceptance.ts';
import type { Condition } from '../../shared/api/condition.ts';
import type { KindSelector } from '../../shared/api/kind-selector.ts';
import { labels } from '../../shared/api/labels.ts';
import { observationExceptions } from '../../shared/api/observation-exception.ts';
import type { KubernetesObject } from '../../shared/function/stores.ts';
import type { Summary } from '../../shared/function/tally.ts';
import { anException, type ExceptionFields } from '../rules/an-exception.ts';
import { createWorld } from './slot-world.ts';
import { handled, ping, referenceTo, type TestContextOptions } from './test-context.ts';

/** Reports of a scanner, and exceptions that its source sees at once. */
export function createExceptionWorld(options: TestContextOptions = {}) {
  let current: readonly KubernetesObject[] = [];
  const world = createWorld({
    ...options,
    context: { watched: ({ plural }) => (plural === observationExceptions.plural ? current : []), ...options.context },
  });

  const expressionErrors: string[] = [];
  const judging = {
    ...world.context,
    // Unlike the source, it sees other functions.
    functions: options.context?.functions ?? [],
    expressionErrors: {
      ...world.context.expressionErrors,
      count: ({ kind }: KindSelector) => void expressionErrors.push(kind),
    },
  };

  function refresh(): void {
    current = world.objects.all.filter(({ kind }) => kind === observationExceptions.kind);
  }

  function forgive(name: string, fields: ExceptionFields = {}, namespace?: string): KubernetesObject {
    const object = anException(name, fields, namespace);
    regret(name, namespace);
    world.objects.all.push(object);
    refresh();
    return object;
  }

  function regret(name: string, namespace = 'zen-system'): void {
    const index = world.objects.all.findIndex(
      ({ kind, metadata }) =>
        kind === observationExceptions.kind && metadata.name === name && metadata.namespace === namespace,
    );
    if (index >= 0) world.objects.all.splice(index, 1);
    refresh();
  }

  function statusIn(name: string, namespace: string) {
    const found = world.objects.all.find(
      ({ kind, metadata }) =>
        kind === observationExceptions.kind && metadata.name === name && metadata.namespace === namespace,
    );
    const { status = {} } = Object.assign({ status: undefined }, found);
    const none: readonly Condition[] = [];
    const { matched, conditions } = Object.assign({ matched: undefined, conditions: none }, status);
    return { matched, conditions };
  }

  return {
    ...world,
    /** The kinds of what has expressions that could not be answered, one for each time. */
    expressionErrors,
    /** Makes an exception, or changes it. */
    forgive,
    /** Deletes an exception. */
    regret,
    judgePass: (): Promise<Summary> => handled(exceptions, ping, judging),
    judgeEvent: (object: KubernetesObject): Promise<Summary> => handled(exceptions, referenceTo(object), judging),
    /** What each finding bears: the label, and by which exception, by id. */
    async marks(): Promise<
      Readonly<Record<string, readonly [label: string, exception: string | undefined] | undefined>>
    > {
      const { items } = await world.store.read({ limit: 10_000 });
      return Object.fromEntries(
        items.map(({ metadata, spec }) => {
          const label = metadata.labels[labels.accepted];
          const exception = acceptanceIn(metadata.annotations)?.exception;
          return [
            spec.rule ?? '',
            label === undefined && exception === undefined ? undefined : [label ?? '', exception],
          ];
        }),
      );
    },
    /** The status of an exception. */
    statusOf(name: string, namespace = 'zen-system') {
      const { matched, conditions } = statusIn(name, namespace);
      const entries = conditions.map(({ type, status: word, reason }) => [type, `${word} ${reason}`]);
      return { matched, ...Object.fromEntries(entries) };
    },
    /** What the status of an exception says in words, `True` or `False` and why before it. */
    conditionsOf: (name: string): Readonly<Record<string, string>> =>
      Object.fromEntries(
        statusIn(name, 'zen-system').conditions.map(({ type, status, reason, message }) => [
          type,
          [status, reason, message].filter((part) => part !== '').join(' '),
        ]),
      ),
    /** What a condition of an exception says. */
    messageOf: (name: string, condition: string, namespace: string): string | undefined =>
      statusIn(name, namespace).conditions.find(({ type }) => type === condition)?.message,
  };
}
