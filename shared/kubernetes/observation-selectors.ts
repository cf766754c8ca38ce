import { labels as labelNames } from '../api/labels.ts';
import { actorHash } from '../finding/name.ts';
import { partsOf, type Selection, states } from '../view/selection.ts';
import { workloadLabelOf } from '../view/workload-word.ts';

export interface Selectors {
  readonly fieldSelector: string | undefined;
  readonly labelSelector: string | undefined;
}

/** https://pkg.go.dev/k8s.io/apimachinery/pkg/fields#EscapeValue */
function escapeValue(value: string): string {
  return value.replaceAll(/[\\,=]/g, String.raw`\$&`);
}

/** A selector for states; one that takes open ones takes those without a state, too. */
function stateSelector(wanted: Selection['states']): string[] {
  if (wanted === undefined) return [];
  const others = states.filter((state) => !wanted.includes(state));
  if (others.length === 0) return [];
  const [operator, values] = wanted.includes('open') ? ['notin', others] : ['in', wanted];
  return [`${labelNames.state} ${operator} (${values.join(',')})`];
}

/**
 * The part of a selection that the API server can answer: of several values, it can't find any. Of what bears the label
 * `accepted` it can't tell whether it still is. It finds what one user did, and what is known of one workload
 * in one namespace, by the labels that zen-watcher sets: what others wrote isn't found by those.
 */
export function selectorsOf(selection: Selection): Selectors {
  const { source, severity, category, eventType, rule, actor, states: wanted, acceptance } = partsOf(selection).exact;
  const fields = Object.entries({ source, severity, category, eventType, rule }).flatMap(([field, value]) =>
    typeof value === 'string' ? [`spec.${field}=${escapeValue(value)}`] : [],
  );
  const { workload, namespace } = selection;
  const workloadLabel =
    typeof workload === 'string' && typeof namespace === 'string' ? workloadLabelOf(workload, namespace) : undefined;
  const labels = [
    ...stateSelector(wanted),
    ...(acceptance?.isAccepted ? [labelNames.accepted] : []),
    ...(typeof actor === 'string' ? [`${labelNames.actor}=${actorHash(actor)}`] : []),
    ...(workloadLabel === undefined ? [] : [`${labelNames.workload}=${workloadLabel}`]),
  ];
  return { fieldSelector: fields.join(',') || undefined, labelSelector: labels.join(',') || undefined };
}
