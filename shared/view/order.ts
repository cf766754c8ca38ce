import type { Observation } from '../api/observation.ts';
import { severities } from '../finding/severity.ts';

/** `severity`: the worst first; `age`: the newest first; `namespace`: by namespace and name. */
export const sorts = ['severity', 'age', 'namespace'] as const;

export type Sort = (typeof sorts)[number];

type Order = (a: Observation, b: Observation) => number;

/** Compares texts by their UTF-16 code units, which is how the stores order names. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

// The slash makes namespaces sort as the API server sorts them.
const byPlace: Order = ({ metadata: a }, { metadata: b }) =>
  compare(`${a.namespace}/`, `${b.namespace}/`) || compare(a.name, b.name);

const orders: Readonly<Record<Sort, Order>> = {
  severity: (a, b) =>
    severities.indexOf(a.spec.severity) - severities.indexOf(b.spec.severity) ||
    compare(a.spec.source, b.spec.source) ||
    byPlace(a, b),
  age: (a, b) =>
    Date.parse(b.metadata.creationTimestamp ?? '') - Date.parse(a.metadata.creationTimestamp ?? '') || byPlace(a, b),
  namespace: byPlace,
};

export function sortObservations(objects: readonly Observation[], sort: Sort): Observation[] {
  return objects.toSorted(orders[sort]);
}
